"""The schemas agree with each other where rows travel from one table to the next."""

import importlib
import pkgutil
from collections.abc import Iterator

import pyarrow as pa
import pytest

from workflows_dagster import lib
from workflows_dagster.lib.schema import (
    CLEAN_REVIEW,
    CORPUS_REVIEW,
    LABELS,
    RAW_REVIEW,
    REJECT,
    SYNTHETIC_REVIEW,
    description_of,
)

TABLES = {
    "raw": RAW_REVIEW,
    "clean": CLEAN_REVIEW,
    "corpus": CORPUS_REVIEW,
    "synthetic": SYNTHETIC_REVIEW,
    "reject": REJECT,
}


def test_labels_are_in_the_order_of_the_class_ids() -> None:
    assert list(enumerate(LABELS)) == [(0, "negative"), (1, "neutral"), (2, "positive")]


def _schemas() -> Iterator[tuple[str, pa.Schema]]:
    for module in pkgutil.walk_packages(lib.__path__, f"{lib.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, pa.Schema):
                yield name, value


def test_every_column_of_every_table_is_described() -> None:
    found = dict(_schemas())
    assert len(found) > 15
    bare = [f"{name}.{field.name}" for name, schema in found.items() for field in schema if not description_of(field)]
    assert bare == []


@pytest.mark.parametrize("schema", TABLES.values(), ids=TABLES)
def test_columns_are_named_once(schema: pa.Schema) -> None:
    assert len(set(schema.names)) == len(schema.names)


@pytest.mark.parametrize(
    ("before", "after"), [("raw", "clean"), ("clean", "corpus"), ("corpus", "synthetic"), ("raw", "reject")]
)
def test_shared_columns_keep_their_type(before: str, after: str) -> None:
    shared = [name for name in TABLES[after].names if name in TABLES[before].names]
    assert len(shared) >= 4
    assert {name: TABLES[after].field(name).type for name in shared} == {
        name: TABLES[before].field(name).type for name in shared
    }


@pytest.mark.parametrize("name", ["raw", "clean", "corpus", "synthetic"])
def test_every_review_has_what_no_stage_can_do_without(name: str) -> None:
    required = {field.name for field in TABLES[name] if not field.nullable}
    assert required >= {"review_id", "source", "batch", "text", "group_key"}


def test_synthetic_rows_say_where_they_came_from() -> None:
    added = {field.name for field in SYNTHETIC_REVIEW if field.name not in CORPUS_REVIEW.names and not field.nullable}
    assert added == {"generator", "prompt", "seed", "parent_ids"}


def test_reject_can_hold_a_row_that_could_not_be_read_at_all() -> None:
    required = {field.name for field in REJECT if not field.nullable}
    assert required == {"source", "batch", "file", "reason"}
