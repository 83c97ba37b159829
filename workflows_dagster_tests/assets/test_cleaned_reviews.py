"""cleaned_reviews, materialized."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import dagster as dg
import polars as pl

from workflows_dagster.assets.cleaning import CleaningConfig, cleaned_reviews
from workflows_dagster.io_managers.published import PublishedIOManager
from workflows_dagster.lib.artifact import write_table
from workflows_dagster.lib.schema import RAW_REVIEW
from workflows_dagster.partitions import BATCHES
from workflows_dagster.resources.store import Published, StoreResource

KEY = "shop-cleaning"


class Written:
    """A report without findings."""

    def to_metadata(self) -> dict[str, object]:
        return {}


def write_raw(texts: Sequence[str], folder: Path) -> Written:
    rows = pl.DataFrame(
        [
            {"review_id": f"shop:{n}", "text": text, "row": n, "group_key": f"shop:{n}", "stars": 5}
            for n, text in enumerate(texts, 1)
        ]
    ).with_columns(
        *(pl.lit("shop").alias(name) for name in ("source", "batch", "file")),
        *(pl.lit(None).alias(name) for name in ("label", "language", "product_id", "created_at")),
    )
    write_table(folder / "reviews.parquet", rows, RAW_REVIEW)
    return Written()


@dg.asset(partitions_def=BATCHES)
def raw_reviews(context: dg.AssetExecutionContext, store: StoreResource) -> Published:
    """Two reviews, one of them nothing but a URL."""
    yield from store.publish(
        context, partial(write_raw, ["The dress is lovely, write to jo@example.com", "http://x.example/a"])
    )


def test_cleaned_reviews_are_published_with_their_audits(store: StoreResource, instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("batch", [KEY])

    result = dg.materialize(
        [raw_reviews, cleaned_reviews],
        instance=instance,
        partition_key=KEY,
        resources={"store": store, "io_manager": PublishedIOManager(store=store)},
        run_config=dg.RunConfig({"cleaned_reviews": CleaningConfig(workers=1, emoji="name")}),
    )

    (event,) = result.asset_materializations_for_node("cleaned_reviews")
    metadata = {key: value.value for key, value in event.metadata.items()}
    assert [metadata[f"cleaning/{name}_rows"] for name in ("in", "kept", "rejected")] == [2, 1, 1]
    assert {(check.check_name, check.passed) for check in result.get_asset_check_evaluations()} == {
        ("conforms_to_schema", True),
        ("free_of_emails_and_cards", True),
        ("rows_accounted", True),
    }
    artifact = store.artifact("cleaned_reviews", KEY, str(metadata["store/commit_id"]))
    assert artifact.scan().select("text", "language", "masked").collect().rows() == [
        ("The dress is lovely, write to [EMAIL]", "en", 1)
    ]
    assert artifact.scan("rejects.parquet").select("reason").collect()["reason"].to_list() == ["empty_after_cleaning"]
