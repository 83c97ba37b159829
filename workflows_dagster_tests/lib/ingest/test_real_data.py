"""The public review sets: every row in their SOURCE.md is kept or rejected with a reason."""

from pathlib import Path

import polars as pl
import pytest

from workflows_dagster.checks.ingest import RAW_REVIEWS
from workflows_dagster.lib.ingest.catalog import load_catalog
from workflows_dagster.lib.ingest.plan import discover, plan_batches
from workflows_dagster.lib.ingest.raw_reviews import IngestReport, IngestSettings, read_batch

CATALOG = Path(__file__).parents[2] / "real_data" / "sources.yaml"

ROWS_BY_FILE = {  # the numbers of rows that each SOURCE.md states
    "womens_clothing": {"womens_clothing_reviews.csv.gz": 23_486},
    "amazon_food_5000": {"fine_food_reviews_5000.csv": 5_000},
    "amazon_food_1k": {"fine_food_reviews_1k.csv": 1_000},
    "tweets": {"tweets.csv": 27_481},
    "uci_sentences": {f"{name}_labelled.txt": 1_000 for name in ("amazon_cells", "imdb", "yelp")},
    "vader_amazon": {"amazonReviewSnippets_GroundTruth.txt": 3_708},
    **{
        f"nusax_{language}": {f"{language}_train.csv": 500, f"{language}_valid.csv": 100, f"{language}_test.csv": 400}
        for language in ("english", "indonesian", "javanese", "sundanese")
    },
}
REASONS = {  # texts that SOURCE.md says are missing
    "womens_clothing": {"missing_text": 845},
    "tweets": {"missing_text": 1},
}
STARS = {
    "amazon_food_5000": {5: 3134, 4: 712, 1: 469, 3: 395, 2: 290},
    "amazon_food_1k": {5: 651, 4: 138, 1: 87, 3: 75, 2: 49},
}

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def read(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[IngestReport, Path]]:
    catalog = load_catalog(CATALOG, {"WORKFLOWS_DAGSTER_REAL_DATA": str(real_data)})
    found = discover(catalog)
    assert not found.failures
    reports: dict[str, tuple[IngestReport, Path]] = {}
    for source in catalog.sources:
        (manifest,) = plan_batches(source.name, found.files[source.name], set(), catalog.batching)
        folder = tmp_path_factory.mktemp(source.name)
        reports[source.name] = read_batch(manifest, source, IngestSettings(), folder), folder
    return reports


@pytest.mark.parametrize("source", ROWS_BY_FILE)
def test_every_row_is_accounted_for(read: dict[str, tuple[IngestReport, Path]], source: str) -> None:
    report, folder = read[source]
    assert {file.uri: file.rows_in for file in report.files} == ROWS_BY_FILE[source]
    assert all(file.rows_in == file.rows_kept + file.rows_rejected for file in report.files)
    assert report.reasons == REASONS.get(source, {})
    assert all(audit.judge(folder).passed for audit in RAW_REVIEWS)


@pytest.mark.parametrize("source", STARS)
def test_stars_are_those_of_the_source(read: dict[str, tuple[IngestReport, Path]], source: str) -> None:
    stars = pl.read_parquet(read[source][1] / "reviews.parquet")["stars"].value_counts()
    assert dict(stars.iter_rows()) == STARS[source]


def test_translations_share_their_group(read: dict[str, tuple[IngestReport, Path]]) -> None:
    folders = [folder for source, (_, folder) in read.items() if source.startswith("nusax_")]
    groups = pl.concat([pl.read_parquet(folder / "reviews.parquet") for folder in folders])
    sizes = groups.group_by("group_key").agg(pl.len(), pl.col("source").n_unique().alias("languages"))
    assert sizes.select("len", "languages").unique().rows() == [(4, 4)]
    assert sizes.height == 1_000


def test_two_exports_of_one_shop_share_products(read: dict[str, tuple[IngestReport, Path]]) -> None:
    one, other = (pl.read_parquet(read[f"amazon_food_{name}"][1] / "reviews.parquet") for name in ("5000", "1k"))
    products = set(one["product_id"]) & set(other["product_id"])
    assert products
    assert len(products) == len(set(one["group_key"]) & set(other["group_key"]))


def test_reviewer_names_are_not_stored(read: dict[str, tuple[IngestReport, Path]]) -> None:
    folder = read["amazon_food_5000"][1]
    stored = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    assert b"delmartian" not in stored
