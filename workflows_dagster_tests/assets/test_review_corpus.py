"""review_corpus, materialized on the published cleaned reviews of several batches."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from workflows_dagster.assets.cleaning import review_corpus
from workflows_dagster.io_managers.published import PublishedIOManager
from workflows_dagster.lib.artifact import Report, write_table
from workflows_dagster.lib.schema import CLEAN_REVIEW
from workflows_dagster.partitions import BATCHES
from workflows_dagster.resources.sources import SourcesResource
from workflows_dagster.resources.store import Published, StoreResource

CATALOG = """
sources:
  - name: shop
    location: inbox/*.csv
    format: csv
    columns: {id: id, text: text, stars: stars}
"""
SOURCE_OF = {"shop-1": "shop", "shop-2": "shop", "gone-1": "gone"}


class Nothing(Report):
    def to_metadata(self) -> dict[str, object]:
        return {}


@dg.asset(partitions_def=BATCHES)
def cleaned_reviews(context: dg.AssetExecutionContext, store: StoreResource) -> Published:
    """A stand-in that publishes two reviews of its own and one that all batches share."""
    key = context.partition_key

    def write(folder: Path) -> Report:
        rows = pl.DataFrame({"text": [f"{key} fits well", f"{key} came too late", "The same in all batches"]})
        blanks = {"label": None, "product_id": None, "created_at": None, "language": "en", "file": "reviews.csv"}
        frame = rows.with_columns(
            **{name: pl.lit(value) for name, value in blanks.items()},
            review_id=pl.format("{}-{}", pl.lit(key), pl.int_range(pl.len())),
            group_key=pl.format("{}-{}", pl.lit(key), pl.int_range(pl.len())),
            source=pl.lit(SOURCE_OF[key]),
            batch=pl.lit(key),
            stars=pl.Series([5, 1, 3]),
            row=pl.int_range(1, pl.len() + 1),
            language_score=pl.lit(1.0),
            masked=pl.lit(0),
        )
        write_table(folder / "reviews.parquet", frame, CLEAN_REVIEW)
        return Nothing()

    yield from store.publish(context, write)


@pytest.fixture
def resources(tmp_path: Path, store: StoreResource) -> dict[str, object]:
    (tmp_path / "sources.yaml").write_text(CATALOG)
    sources = SourcesResource(path=str(tmp_path / "sources.yaml"), manifests=str(tmp_path / "manifests"))
    return {"store": store, "sources": sources, "io_manager": PublishedIOManager(store=store)}


def test_review_corpus_holds_all_batches_of_the_catalog(resources: dict[str, object], store: StoreResource) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("batch", list(SOURCE_OF))
        for key in SOURCE_OF:
            dg.materialize([cleaned_reviews], instance=instance, partition_key=key, resources=resources)

        result = dg.materialize(
            [cleaned_reviews, review_corpus], selection=[review_corpus], instance=instance, resources=resources
        )

    (event,) = result.asset_materializations_for_node("review_corpus")
    counts = {name: event.metadata[f"cleaning/{name}_rows"].value for name in ("in", "kept")}
    assert counts == {"in": 9, "kept": 5}
    assert event.metadata["cleaning/exact_duplicate_rows"].value == 1
    assert str(event.metadata["cleaning/rows_by_source"].value).startswith("| source | split | negative |")
    folder = store.artifact("review_corpus", None, str(event.metadata["store/commit_id"].value)).folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "conflicts.parquet",
        "duplicates.parquet",
        "report.json",
        "reviews.parquet",
    ]
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert len(checks) == 8
    assert {name for name, passed in checks.items() if not passed} <= {
        "classes_large_enough",
        "splits_near_target",
    }
