"""build_corpus: what it keeps, drops, labels and splits, worked out by hand."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflows_dagster.checks.cleaning import REVIEW_CORPUS
from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.cleaning import copies
from workflows_dagster.lib.cleaning.corpus import CorpusReport, CorpusSettings, build_corpus
from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.hashing import digest_folder, digest_text
from workflows_dagster.lib.schema import CLEAN_REVIEW

Row = dict[str, Any]

DRESS = "This dress fits me perfectly and the colour is exactly what I hoped for when I ordered it last week"
BLANKS: Row = {
    "source": "shop", "batch": "shop-1", "stars": None, "label": None, "language": "en", "product_id": None,
    "created_at": None, "file": "reviews.csv", "row": 1, "language_score": 0.9, "masked": 0,
}  # fmt: skip
KINDS = {"created_at": pl.Datetime("us", "UTC"), "stars": pl.Int8, "label": pl.String, "product_id": pl.String}
count = itertools.count()


def artifact(folder: Path, rows: Sequence[Row], batch: str = "shop-1") -> Artifact:
    folder = folder / f"in-{next(count)}"
    folder.mkdir()
    full = [{**BLANKS, "batch": batch, "group_key": row["review_id"], **row} for row in rows]
    write_table(folder / "reviews.parquet", pl.DataFrame(full, schema_overrides=KINDS), CLEAN_REVIEW)
    return Artifact("cleaned_reviews", batch, "commit", "digest", folder)


def build(
    folder: Path, batches: Sequence[Sequence[Row]], config: CorpusSettings | None = None
) -> tuple[Path, CorpusReport]:
    out = folder / f"out-{next(count)}"
    out.mkdir()
    artifacts = [artifact(folder, rows, f"shop-{number}") for number, rows in enumerate(batches) if rows]
    report = build_corpus(artifacts, {"shop", "posts"}, config or CorpusSettings(), out)
    return out, report


def kept(out: Path, *columns: str) -> list[tuple[Any, ...]]:
    return pl.read_parquet(out / "reviews.parquet").select(columns).rows()


def test_corpus_labels_reviews_by_given_label_else_by_stars(tmp_path: Path) -> None:
    rows = [{"review_id": f"s{stars}", "text": f"{stars} of five stars", "stars": stars} for stars in range(1, 6)]
    rows.append({"review_id": "t", "text": "a given label", "stars": 1, "label": "positive"})
    rows.append({"review_id": "u", "text": "nothing known of this"})

    out, _ = build(tmp_path, [rows])

    assert kept(out, "review_id", "label", "label_source") == [
        ("s1", "negative", "rating"),
        ("s2", "negative", "rating"),
        ("s3", "neutral", "rating"),
        ("s4", "positive", "rating"),
        ("s5", "positive", "rating"),
        ("t", "positive", "given"),
        ("u", None, None),
    ]
    assert [split == "none" for (split,) in kept(out, "split")] == [False] * 6 + [True]


def test_corpus_keeps_newest_version_of_an_id(tmp_path: Path) -> None:
    early, late = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
    first = [
        {"review_id": "a", "text": "as edited", "created_at": late},
        {"review_id": "b", "text": "from the earlier batch key", "created_at": early},
        {"review_id": "c", "text": "dated", "created_at": early},
    ]
    second = [
        {"review_id": "a", "text": "as first written", "created_at": early},
        {"review_id": "b", "text": "from the later batch key", "created_at": early},
        {"review_id": "c", "text": "undated"},
    ]

    out, report = build(tmp_path, [first, second])

    assert kept(out, "review_id", "text") == [("a", "as edited"), ("b", "from the later batch key"), ("c", "dated")]
    assert report.rows_duplicate == {"same_id": 3, "exact": 0, "near": 0}
    assert pl.read_parquet(out / "duplicates.parquet").rows() == [(id_, id_, "same_id", None) for id_ in "abc"]


@pytest.mark.parametrize(("order", "text"), [(["shop-1", "shop-0"], "first"), (["shop-0", "shop-1"], "second")])
def test_corpus_keeps_version_of_the_latest_batch_when_dates_are_equal(
    tmp_path: Path, order: list[str], text: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    batches = [artifact(tmp_path, [{"review_id": "a", "text": text}], key) for key, text in
               (("shop-0", "first"), ("shop-1", "second"))]  # fmt: skip

    build_corpus(batches, {"shop"}, CorpusSettings(), out, order)

    assert kept(out, "text") == [(text,)]


@pytest.mark.parametrize(
    ("stars", "label", "rule"),
    [([5, 5, 5, 1], "positive", "majority"), ([1, 5], None, "tie")],
)
def test_corpus_settles_labels_of_one_text_that_came_without_ids(
    tmp_path: Path, stars: list[int], label: str | None, rule: str
) -> None:
    id_ = "shop:~" + "0a" * 12
    rows = [{"review_id": id_, "text": DRESS, "stars": given} for given in stars]

    out, report = build(tmp_path, [rows[1:], rows[:1]])

    assert kept(out, "review_id", "label") == [(id_, label)]
    assert report.rows_duplicate == {"same_id": len(stars) - 1, "exact": 0, "near": 0}
    conflicts = pl.read_parquet(out / "conflicts.parquet")
    assert conflicts.select("kept_id", "label", "rule").rows() == [(id_, label, rule)]
    assert conflicts["review_ids"].to_list() == [[id_] * len(stars)]


@pytest.mark.parametrize(
    ("given", "best"),
    [
        ([{"stars": None}, {"stars": 4}], "b"),  # a label before none
        ([{"stars": 4}, {"label": "positive"}], "b"),  # a given label before stars
        ([{"stars": 4}, {"stars": 5, "text": "Good shoes!!!"}], "b"),  # the longer text
        ([{"created_at": datetime(2025, 1, 1, tzinfo=UTC)}, {"created_at": datetime(2024, 1, 1, tzinfo=UTC)}], "b"),
        ([{}, {"created_at": datetime(2024, 1, 1, tzinfo=UTC)}], "b"),  # a date before none
        ([{}, {}], "a"),  # the smaller id
    ],
)
def test_corpus_keeps_best_of_exact_copies(tmp_path: Path, given: list[Row], best: str) -> None:
    rows = [{"review_id": "ab"[index], "text": "good  SHOES", **copy} for index, copy in enumerate(given)]

    out, _ = build(tmp_path, [rows])

    assert kept(out, "review_id") == [(best,)]
    other = {"a": "b", "b": "a"}[best]
    assert pl.read_parquet(out / "duplicates.parquet").rows() == [(other, best, "exact", 1.0)]


@pytest.mark.parametrize(
    ("labels", "label", "rule", "best"),
    [
        (["positive", "negative", "negative"], "negative", "majority", "b"),
        (["positive", "negative"], None, "tie", "a"),
        (["positive", "negative", "neutral"], None, "tie", "a"),
        ([5, 5, "negative"], "negative", "trust", "c"),
        (["positive", "negative", 1], None, "tie", "a"),  # the stars are less trusted: they break no tie
    ],
)
def test_corpus_settles_conflicting_labels_by_rule(
    tmp_path: Path, labels: list[str | int], label: str | None, rule: str, best: str
) -> None:
    rows: list[Row] = [
        {"review_id": "abc"[index], "text": "Good shoes", "stars" if isinstance(mark, int) else "label": mark}
        for index, mark in enumerate(labels)
    ]

    out, report = build(tmp_path, [rows])

    assert kept(out, "review_id", "label") == [(best, label)]
    (conflict,) = pl.read_parquet(out / "conflicts.parquet").rows(named=True)
    assert (conflict["kept_id"], conflict["label"], conflict["rule"]) == (best, label, rule)
    assert conflict["text_digest"] == digest_text("good shoes")
    assert conflict["review_ids"] == list("abc"[: len(labels)])
    assert report.conflicts == {rule: 1}


def test_corpus_drops_near_copies_and_says_how_similar_they_are(tmp_path: Path) -> None:
    rows = [
        {"review_id": "a", "text": DRESS, "stars": 5},
        {"review_id": "b", "text": DRESS + "!! wow", "stars": 2},
        {"review_id": "c", "text": DRESS.upper(), "stars": 5},
        {"review_id": "d", "text": "Nothing like the others", "stars": 5},
    ]

    out, report = build(tmp_path, [rows])

    # Behind DRESS come blanks in the one text and " wow" in the other: of the sequences of 5, 3 are in the first only
    # ("eek  ", "ek   ", "k    ") and 7 in the second. c is an exact copy of a, and a near copy of what is kept.
    key = f"    {DRESS.lower()}    "
    sequences = len({key[start : start + 5] for start in range(len(key) - 4)})
    similarity = (sequences - 3) / (sequences + 7)
    assert pl.read_parquet(out / "duplicates.parquet").rows() == [
        ("a", "b", "near", pytest.approx(similarity)),
        ("c", "b", "near", pytest.approx(similarity)),
    ]
    assert [id_ for (id_,) in kept(out, "review_id")] == ["b", "d"]
    assert report.relabelled_near_duplicates == 1


def test_corpus_keeps_texts_of_punctuation_apart(tmp_path: Path) -> None:
    texts = [":)", ":(", "!!!", "\N{SMILING FACE WITH SMILING EYES}", "\N{POUTING FACE}"]
    rows = [{"review_id": str(number), "text": text} for number, text in enumerate(texts)]

    _, report = build(tmp_path, [rows])

    assert report.rows_kept == 5


def test_corpus_leaves_out_sources_that_left_the_catalog(tmp_path: Path) -> None:
    rows = [{"review_id": "a", "text": "kept"}, {"review_id": "b", "text": "from a former shop", "source": "gone"}]

    out, report = build(tmp_path, [rows])

    assert kept(out, "review_id") == [("a",)]
    assert (report.rows_in, report.left_out_sources) == (2, {"gone": 1})
    assert CorpusReport.read(out) == report


def test_corpus_without_reviews_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughDataError, match="'gone': 1"):
        build(tmp_path, [[{"review_id": "b", "text": "from a former shop", "source": "gone"}]])
    assert not list(tmp_path.glob(".*-scratch-*"))


WORDS = ["good", "bad", "shoes", "the dress fits", "arrived late", "I would buy it again", "colour", "refund"]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)
REVIEWS = st.lists(
    st.fixed_dictionaries(
        {
            "review_id": st.integers(0, 40).map(lambda number: f"r{number:02d}"),
            "text": TEXTS,
            "stars": st.sampled_from([None, 1, 3, 5]),
            "label": st.sampled_from([None, None, "negative", "positive"]),
            "group_key": st.sampled_from([f"g{number}" for number in range(12)]),
            "batch": st.sampled_from(["shop-0", "shop-1"]),
        }
    ),
    min_size=1,
    max_size=40,
)
PROPERTY = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@PROPERTY
@given(reviews=REVIEWS, data=st.data())
def test_corpus_is_the_same_in_any_order_and_any_batches(
    tmp_path: Path, reviews: list[Row], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(reviews))
    cut = data.draw(st.integers(0, len(reviews)))

    once, _ = build(tmp_path, [reviews])
    again, _ = build(tmp_path, [shuffled[:cut], shuffled[cut:]])

    assert digest_folder(once) == digest_folder(again)


@PROPERTY
@given(reviews=REVIEWS, later=REVIEWS)
def test_corpus_never_moves_a_labelled_review_when_others_arrive(
    tmp_path: Path, reviews: list[Row], later: list[Row]
) -> None:
    later = [{**row, "review_id": "later-" + row["review_id"]} for row in later]

    before, _ = build(tmp_path, [reviews])
    after, _ = build(tmp_path, [reviews, later])

    splits = dict(kept(after, "review_id", "split"))
    for review_id, split in kept(before, "review_id", "split"):
        # A text that new copies put into doubt loses its label, and with it its place; nothing else changes.
        assert splits.get(review_id, split) in {split, "none"} or split == "none"


@PROPERTY
@given(reviews=REVIEWS)
def test_corpus_passes_its_blocking_audits_and_names_every_copy(tmp_path: Path, reviews: list[Row]) -> None:
    out, report = build(tmp_path, [reviews])

    verdicts = {audit.name: audit.judge(out) for audit in REVIEW_CORPUS if audit.blocking}
    assert all(verdict.passed for verdict in verdicts.values()), verdicts
    ids = {id_ for (id_,) in kept(out, "review_id")}
    copies = pl.read_parquet(out / "duplicates.parquet").filter(pl.col("kind") != "same_id")
    assert set(copies["kept_id"]) <= ids
    assert not set(copies["review_id"]) & ids
    assert ids | set(copies["review_id"]) == {row["review_id"] for row in reviews}
    assert report.rows_kept + sum(report.rows_duplicate.values()) == len(reviews)


def test_corpus_is_the_same_in_chunks_and_its_bytes_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Row] = [
        {
            "review_id": f"r{number:04d}",
            "text": f"{DRESS} {number % 40} {number % 7}",
            "stars": number % 5 + 1,
            "batch": "shop-1",
        }
        for number in range(400)
    ]
    whole, report = build(tmp_path, [rows])
    monkeypatch.setattr(copies, "ROWS_PER_CHUNK", 50)

    chunks, _ = build(tmp_path, [rows[:100], rows[100:]])
    reverse, _ = build(tmp_path, [rows[:-301:-1], rows[99::-1]])

    assert report.rows_duplicate["near"] > 0
    for name in ("reviews.parquet", "duplicates.parquet", "conflicts.parquet"):
        assert pl.read_parquet(whole / name).equals(pl.read_parquet(chunks / name))
    assert digest_folder(chunks) == digest_folder(reverse)
