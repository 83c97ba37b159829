"""Audits of review_corpus: each fails on the smallest corpus that breaks its rule."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from workflows_dagster.checks.cleaning import REVIEW_CORPUS
from workflows_dagster.lib.artifact import write_table
from workflows_dagster.lib.audit import Verdict
from workflows_dagster.lib.cleaning.corpus import CorpusReport
from workflows_dagster.lib.schema import CORPUS_REVIEW

Row = dict[str, Any]
JUDGES = {audit.name: audit.judge for audit in REVIEW_CORPUS}
NOTHING: Row = {
    **dict.fromkeys(("rows_in", "rows_kept", "rows_left_out", "relabelled_near_duplicates"), 0),
    **{name: {} for name in ("rows_duplicate", "left_out_sources", "sources", "labels", "label_sources", "languages")},
    **{name: {} for name in ("split_table", "label_table", "conflicts")},
    "near_similarity": 0.8,
    "split_targets": {"train": 0.8, "validation": 0.1, "test": 0.1},
}
DRESS = "This dress fits me perfectly and the colour is exactly what I hoped for"


def judge(name: str, folder: Path, rows: list[Row], **report: object) -> Verdict:
    blanks: Row = {"source": "shop", "batch": "b", "stars": 5, "label": "positive", "label_source": "rating"}
    full = [
        {"review_id": f"r{n}", "text": f"text {n}", "group_key": f"g{n}", "split": "train", **blanks, **row}
        for n, row in enumerate(rows)
    ]
    frame = pl.DataFrame(full).with_columns(
        language=pl.lit("en"), product_id=pl.lit(None), created_at=pl.lit(None), stars=pl.col("stars").cast(pl.Int8)
    )
    write_table(folder / "reviews.parquet", frame, CORPUS_REVIEW)
    copies = {"review_id": pl.String, "kept_id": pl.String, "kind": pl.String, "similarity": pl.Float64}
    pl.DataFrame(schema=copies).write_parquet(folder / "duplicates.parquet")
    splits = {split: frame.filter(pl.col("split") == split).height for split in ("train", "validation", "test", "none")}
    CorpusReport.model_validate({**NOTHING, "rows_in": len(rows), "splits": splits, **report}).write(folder)
    return JUDGES[name](folder)


@pytest.mark.parametrize(
    ("name", "rows", "found"),
    [
        ("ids_unique", [{"review_id": "a"}, {"review_id": "a"}], "1 ids are repeated"),
        ("ids_unique", [{"review_id": "b"}, {"review_id": "a"}], "1 ids are repeated or out of order"),
        ("groups_in_one_split", [{"group_key": "g"}, {"group_key": "g", "split": "test"}], "1 group keys"),
        ("texts_in_one_split", [{"text": "Good!"}, {"text": "good", "split": "test"}], "1 normalised texts"),
        ("conforms_to_schema", [{"label": "great"}], "{'label': 1}"),
        ("conforms_to_schema", [{"label": None, "label_source": None}], "{'split': 1}"),
        ("conforms_to_schema", [{"label_source": "synthetic"}], "{'label_source': 1}"),
        ("conforms_to_schema", [{"split": "dev"}], "{'split': 1}"),
        (
            "near_duplicates_in_one_split",
            [
                {"text": DRESS},
                {"text": DRESS + " ok", "split": "test"},
                {"text": DRESS + "!! yes", "split": "validation"},
            ],
            "2 of 2 sampled",
        ),
    ],
)
def test_audit_fails_on_what_breaks_its_rule(tmp_path: Path, name: str, rows: list[Row], found: str) -> None:
    verdict = judge(name, tmp_path, rows)

    assert not verdict.passed
    assert found in verdict.description


@pytest.mark.parametrize("name", ["groups_in_one_split", "texts_in_one_split", "near_duplicates_in_one_split"])
def test_audit_passes_where_copies_share_a_split_or_have_none(tmp_path: Path, name: str) -> None:
    unlabelled = {"label": None, "label_source": None, "split": "none"}
    rows: list[Row] = [{"text": DRESS, "group_key": "g", "split": "test"} for _ in range(2)]

    assert judge(name, tmp_path, [*rows, {"text": DRESS, "group_key": "g", **unlabelled}]).passed


def test_audit_counts_rows_that_are_gone(tmp_path: Path) -> None:
    assert judge("rows_accounted", tmp_path, [{}, {}], rows_in=5, rows_left_out=3).passed
    assert not judge("rows_accounted", tmp_path, [{}, {}], rows_in=6, rows_left_out=3).passed


def test_audit_names_smallest_class_and_worst_split(tmp_path: Path) -> None:
    full = {split: {"negative": 50, "neutral": 40, "positive": 90} for split in ("train", "validation", "test")}
    table = {"shop": full, "posts": {**full, "test": {"negative": 0, "neutral": -11, "positive": 0}}}

    assert judge("classes_large_enough", tmp_path, [{}], split_table={"shop": full}).passed
    verdict = judge("classes_large_enough", tmp_path, [{}], split_table=table)
    assert verdict.description == "the smallest class is neutral of test with 29 rows"

    splits = {"train": 850, "validation": 100, "test": 50, "none": 7}
    verdict = judge("splits_near_target", tmp_path, [{}], splits=splits)
    assert not verdict.passed
    assert "holds 85.0%" in verdict.description or "holds 5.0%" in verdict.description
