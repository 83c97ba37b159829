"""raw_reviews, materialized."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from workflows_dagster.assets.ingest import IngestConfig, raw_reviews
from workflows_dagster.resources.sources import SourcesResource
from workflows_dagster.resources.store import StoreResource

CATALOG = """
sources:
  - name: shop
    location: inbox/*.csv
    format: csv
    columns: {id: id, text: text, stars: stars}
  - name: gone
    location: nowhere/gone.csv
    format: csv
    columns: {text: text}
"""


@pytest.fixture
def sources(tmp_path: Path) -> SourcesResource:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "sources.yaml").write_text(CATALOG)
    return SourcesResource(path=str(tmp_path / "sources.yaml"), manifests=str(tmp_path / "manifests"))


def materialize(
    sources: SourcesResource, store: StoreResource, instance: dg.DagsterInstance, key: str, limit: int | None = None
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [raw_reviews],
        instance=instance,
        partition_key=key,
        resources={"sources": sources, "store": store},
        run_config=dg.RunConfig({"raw_reviews": IngestConfig(limit=limit)}),
        raise_on_error=False,
    )


def test_raw_reviews_holds_every_row_or_its_reject(
    tmp_path: Path, sources: SourcesResource, store: StoreResource, instance: dg.DagsterInstance
) -> None:
    (tmp_path / "inbox" / "a.csv").write_text('id,text,stars\n1,"good, very",5\n2,bad,9\n3\n')
    plan = sources.collect(instance)
    assert list(plan.failures) == ["gone"]
    (batch,) = plan.batches

    result = materialize(sources, store, instance, batch.key)

    assert result.success
    (event,) = result.asset_materializations_for_node("raw_reviews")
    assert event.metadata["ingest/rows_in"].value == 3
    folder = store.artifact("raw_reviews", batch.key, str(event.metadata["store/commit_id"].value)).folder
    assert pl.read_parquet(folder / "reviews.parquet").select("review_id", "text", "stars", "row").rows() == [
        ("shop:1", "good, very", 5, 1)
    ]
    assert pl.read_parquet(folder / "rejects.parquet").select("row", "line", "reason").rows() == [
        (2, 3, "invalid_stars"),
        (3, 4, "too_few_fields"),
    ]


def test_raw_reviews_counts_what_is_beyond_the_limit(
    tmp_path: Path, sources: SourcesResource, store: StoreResource, instance: dg.DagsterInstance
) -> None:
    (tmp_path / "inbox" / "a.csv").write_text("id,text,stars\n" + "".join(f"{n},text {n},3\n" for n in range(10)))
    (batch,) = sources.collect(instance).batches

    result = materialize(sources, store, instance, batch.key, limit=4)

    (event,) = result.asset_materializations_for_node("raw_reviews")
    assert event.metadata["ingest/rows_kept"].value == 4
    assert event.metadata["ingest/rows_skipped_by_limit"].value == 6


def test_raw_reviews_fails_when_a_file_has_changed_since_it_was_batched(
    tmp_path: Path, sources: SourcesResource, store: StoreResource, instance: dg.DagsterInstance
) -> None:
    path = tmp_path / "inbox" / "a.csv"
    path.write_text("id,text,stars\n1,good,5\n")
    (batch,) = sources.collect(instance).batches
    path.write_text("id,text,stars\n1,good,5\n2,bad,1\n")

    result = materialize(sources, store, instance, batch.key)

    assert not result.success
    failure = result.failure_data_for_node("raw_reviews")
    assert failure is not None
    assert "a newer batch will carry it" in str(failure.error)
    assert store.store().head(f"raw_reviews/{batch.key}") is None


def test_collect_gives_the_same_keys_for_the_same_files(
    tmp_path: Path, sources: SourcesResource, instance: dg.DagsterInstance
) -> None:
    for name in "ab":
        (tmp_path / "inbox" / f"{name}.csv").write_text("id,text,stars\n1,good,5\n")
    first = sources.collect(instance).batches
    assert [batch.key for batch in sources.collect(instance).batches] == [batch.key for batch in first]
    (tmp_path / "inbox" / "c.csv").write_text("id,text,stars\n1,good,5\n")
    second = sources.collect(instance).batches
    assert {batch.key for batch in first} < {batch.key for batch in second}
    assert {batch.key for batch in second} <= set(instance.get_dynamic_partitions("batch"))


def test_an_unread_batch_with_a_changed_file_gives_its_other_files_back(
    tmp_path: Path, sources: SourcesResource, instance: dg.DagsterInstance
) -> None:
    for name in "ab":
        (tmp_path / "inbox" / f"{name}.csv").write_text("id,text,stars\n1,good,5\n")
    (first,) = sources.collect(instance).batches
    (tmp_path / "inbox" / "b.csv").write_text("id,text,stars\n1,better,5\n")
    (second,) = sources.collect(instance).batches
    assert first.key != second.key
    assert [Path(file.uri).name for file in second.files] == ["a.csv", "b.csv"]


def test_source_that_cannot_be_read_fails_its_batch_alone(
    tmp_path: Path, sources: SourcesResource, store: StoreResource, instance: dg.DagsterInstance
) -> None:
    (tmp_path / "inbox" / "a.csv").write_text("id,text,stars\n1,good,5\n")
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "nowhere" / "gone.csv").write_text("id,review\n1,good\n")
    good, bad = sources.collect(instance).batches

    assert materialize(sources, store, instance, good.key).success
    result = materialize(sources, store, instance, bad.key)

    failure = result.failure_data_for_node("raw_reviews")
    assert failure is not None
    assert "gone.csv of source gone lacks columns" in str(failure.error)
    assert store.store().head(f"raw_reviews/{good.key}") is not None
