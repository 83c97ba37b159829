"""From raw cells to reviews: one case for each rule."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from workflows_dagster.lib.ingest.mapping import Mapped, map_rows
from workflows_dagster.lib.ingest.rows import BrokenRow, RejectReason, Row
from workflows_dagster.lib.ingest.source import Source
from workflows_dagster_tests.lib.ingest.described import source as shop


def source(columns: dict[str, str], **fields: Any) -> Source:
    return shop(columns={"text": "text"} | columns, **fields)


def mapped(described: Source, *cells: Mapping[str, str | None], broken: tuple[BrokenRow, ...] = ()) -> Mapped:
    names = described.columns.names()
    rows = [Row(number, number, [row.get(name) for name in names]) for number, row in enumerate(cells, 1)]
    return map_rows([*rows, *broken], described, "shop-000000000000", "a.jsonl")


def values(described: Source, column: str, *cells: str | None) -> list[Any]:
    """What the cells of a column called x become, beside a text."""
    return mapped(described, *({"text": "t", "x": cell} for cell in cells)).reviews[column].to_list()


def reasons(described: Source, *cells: str | None) -> list[str]:
    return mapped(described, *({"text": "t", "x": cell} for cell in cells)).rejects["reason"].to_list()


@pytest.mark.parametrize("text", [None, "", " \t\n"])
def test_row_without_text_is_rejected(text: str | None) -> None:
    rejects = mapped(source({"title": "title"}), {"text": text, "title": "a headline"}).rejects
    assert rejects.select("reason", "row", "line", "review_id").rows()[0][:3] == ("missing_text", 1, 1)


def test_title_is_put_before_the_text() -> None:
    described = source({"title": "title"})
    rows = ({"title": " Nice ", "text": " a "}, {"title": " ", "text": "b"}, {"text": "c"})
    assert mapped(described, *rows).reviews["text"].to_list() == ["Nice\n a ", "b", "c"]


def test_stars_are_whole_numbers_from_1_to_5_or_absent() -> None:
    described = source({"stars": "x"})
    assert values(described, "stars", "1", " 5 ", "4.0", "", None) == [1, 5, 4, None, None]
    assert reasons(described, "0", "6", "4.5", "five", "nan", "inf") == ["invalid_stars"] * 6


def test_reject_says_what_was_given_and_expected() -> None:
    (detail,) = mapped(source({"stars": "x"}), {"text": "t", "x": "7"}).rejects["detail"]
    assert detail.startswith("7: expected a whole number from 1 to 5; for another scale, map the column as label")


@pytest.mark.parametrize("column", ["stars", "label"])
def test_reject_holds_no_whole_text_when_a_column_is_mapped_wrongly(column: str) -> None:
    (detail,) = mapped(source({column: "x"}), {"text": "t", "x": "x" * 10_000}).rejects["detail"]
    assert detail.startswith("x" * 200 + ": expected")


def test_labels_are_mapped_or_rejected() -> None:
    described = source({"label": "x"}, labels={0: "negative", "good": "positive"})
    assert values(described, "label", "0", "good", None) == ["negative", "positive", None]
    assert reasons(described, "positive", "1") == ["unknown_label"] * 2


def test_labels_without_mapping_are_their_own_names() -> None:
    described = source({"label": "x"})
    assert values(described, "label", "neutral", " positive") == ["neutral", "positive"]
    assert reasons(described, "Positive") == ["unknown_label"]


def test_scores_are_cut_at_the_thresholds() -> None:
    described = source({"label": "x"}, label_thresholds={"negative_below": -0.5, "positive_above": 0.5})
    assert values(described, "label", "-0.6", "-0.5", "0.5", "0.51", "") == [
        "negative",
        "neutral",
        "neutral",
        "positive",
        None,
    ]
    assert reasons(described, "nan", "good") == ["unknown_label"] * 2


@pytest.mark.parametrize(
    ("written", "cell", "expected"),
    [
        ("iso", "2012-10-25", datetime(2012, 10, 25, tzinfo=UTC)),
        ("iso", "2012-10-25T02:00:00+02:00", datetime(2012, 10, 25, tzinfo=UTC)),
        ("iso", "2012-10-25 00:00:00Z", datetime(2012, 10, 25, tzinfo=UTC)),
        ("unix_s", "1351123200", datetime(2012, 10, 25, tzinfo=UTC)),
        ("unix_ms", "1351123200000", datetime(2012, 10, 25, tzinfo=UTC)),
        ("%d.%m.%Y %H:%M", "25.10.2012 00:00", datetime(2012, 10, 25, tzinfo=UTC)),
        ("%Y-%m-%d %H:%M %z", "2012-10-25 02:00 +0200", datetime(2012, 10, 25, tzinfo=UTC)),
        ("iso", "yesterday", None),
        ("iso", "9999-12-31T23:59:59-05:00", None),
        ("unix_s", "1e300", None),
        ("unix_s", "soon", None),
        ("%d.%m.%Y %H:%M", "2012", None),
    ],
)
def test_date_is_read_or_left_out_and_counted(written: str, cell: str, expected: datetime | None) -> None:
    described = source({"created_at": "x"}, created_at_format=written)
    result = mapped(described, {"text": "t", "x": cell}, {"text": "t"})
    assert result.reviews["created_at"].to_list() == [expected, None]
    assert result.reviews["created_at"].dtype == pl.Datetime("us", "UTC")
    assert result.dates_unreadable == (expected is None)


def test_language_is_constant_or_the_first_part_of_the_locale() -> None:
    assert values(source({}, language="jv"), "language", "") == ["jv"]
    assert values(source({"language": "x"}), "language", "en-US", "DE", "english!", None) == ["en", "de", None, None]


def test_review_id_is_the_sources_own_or_a_digest_of_the_text() -> None:
    first, second, third, fourth = values(source({"id": "x"}), "review_id", "7", None, "", "8")
    assert (first, fourth) == ("shop:7", "shop:8")
    assert second == third
    assert second.startswith("shop:~")


def test_group_is_the_product_else_the_author_else_the_review() -> None:
    described = source({"product": "p", "author": "a"})
    keys = mapped(
        described,
        {"text": "1", "p": "P", "a": "A"},
        {"text": "2", "p": "P", "a": "B"},
        {"text": "3", "a": "A"},
        {"text": "4", "a": "A"},
        {"text": "5"},
        {"text": "6"},
        {"text": "7", "p": "A"},
    ).reviews["group_key"]
    assert [keys.to_list().index(key) for key in keys] == [0, 0, 2, 2, 4, 5, 6]
    assert all(key.startswith("shop:") for key in keys)


def test_author_is_stored_nowhere_but_in_a_digest() -> None:
    described = source({"author": "a", "stars": "s"})
    broken = BrokenRow(2, 2, RejectReason.BROKEN_JSON, "not JSON", '{"a": "Jane Doe"')
    result = mapped(described, {"text": "t", "a": "Jane Doe"}, broken=(broken,))
    refused = mapped(described, {"text": "t", "a": "Jane Doe", "s": "9"})
    for frame in (result.reviews, result.rejects, refused.rejects):
        assert "Jane" not in str(frame.to_dicts())


def test_namespace_joins_the_groups_of_several_sources() -> None:
    names = ("nusax_english", "nusax_javanese")
    english, javanese = (
        mapped(
            source({"id": "x", "group": "x"}, group_namespace="nusax", name=name), {"text": name, "x": "219"}
        ).reviews.row(0, named=True)
        for name in names
    )
    assert english["group_key"] == javanese["group_key"]
    assert english["review_id"] != javanese["review_id"]


def test_rejects_are_in_the_order_of_the_file() -> None:
    broken = BrokenRow(1, 1, RejectReason.BROKEN_JSON, "not JSON", "{")
    result = map_rows([broken, Row(2, 2, [None]), Row(3, 3, ["t"])], source({}), "shop-000000000000", "a.jsonl")
    assert result.rejects.select("row", "reason", "excerpt").rows() == [
        (1, "broken_json", "{"),
        (2, "missing_text", None),
    ]


def test_chunk_of_broken_rows_alone_is_mapped() -> None:
    broken = BrokenRow(1, 1, RejectReason.BROKEN_JSON, "not JSON", "{")
    result = mapped(
        source({"id": "i", "product": "p", "stars": "s", "label": "l", "created_at": "c"}), broken=(broken,)
    )
    assert (result.reviews.height, result.rejects.height) == (0, 1)
