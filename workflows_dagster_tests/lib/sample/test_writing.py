"""The written sample is what its report says, and what the catalog reads."""

from pathlib import Path

import polars as pl
import pytest

from workflows_dagster.lib.artifact import write_report
from workflows_dagster.lib.hashing import digest_folder
from workflows_dagster.lib.ingest.catalog import load_catalog
from workflows_dagster.lib.ingest.locations import stat_file
from workflows_dagster.lib.ingest.manifests import Manifest
from workflows_dagster.lib.ingest.raw_reviews import IngestReport, IngestSettings, read_batch
from workflows_dagster.lib.sample.report import SampleReport
from workflows_dagster.lib.sample.settings import SampleSettings
from workflows_dagster.lib.sample.writing import SOURCES_FILE, write_sample

SETTINGS = SampleSettings()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SampleReport]:
    folder = tmp_path_factory.mktemp("sample")
    return folder, write_sample(folder, SETTINGS)


@pytest.fixture(scope="module")
def ingested(
    sample: tuple[Path, SampleReport], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[IngestReport, pl.DataFrame]]:
    catalog = load_catalog(sample[0] / SOURCES_FILE)
    read: dict[str, tuple[IngestReport, pl.DataFrame]] = {}
    for source in catalog.sources:
        folder = tmp_path_factory.mktemp(source.name)
        manifest = Manifest(source=source.name, files=(stat_file(source, source.location),))
        report = read_batch(manifest, source, IngestSettings(), folder)
        read[source.name] = report, pl.read_parquet(folder / "reviews.parquet")
    return read


def test_sample_has_the_rows_asked_for_and_stays_small(sample: tuple[Path, SampleReport]) -> None:
    folder, report = sample
    assert sum(report.rows.values()) == SETTINGS.rows
    assert report.size_bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert report.size_bytes < 3_000_000


def test_same_settings_write_the_same_bytes(sample: tuple[Path, SampleReport], tmp_path: Path) -> None:
    again = write_sample(tmp_path, SETTINGS)
    assert again == sample[1]
    assert digest_folder(tmp_path) == digest_folder(sample[0])


def test_another_seed_writes_another_sample(sample: tuple[Path, SampleReport], tmp_path: Path) -> None:
    write_sample(tmp_path, SampleSettings(seed=SETTINGS.seed + 1))
    ours, theirs = digest_folder(sample[0]), digest_folder(tmp_path)
    assert [name for name in ours if ours[name] == theirs[name]] == [SOURCES_FILE]


def test_every_broken_row_is_rejected_for_its_reason_and_no_other(
    sample: tuple[Path, SampleReport], ingested: dict[str, tuple[IngestReport, pl.DataFrame]]
) -> None:
    planted = sample[1]
    assert {source: report.rows_in for source, (report, _) in ingested.items()} == planted.rows
    assert {source: dict(report.reasons) for source, (report, _) in ingested.items()} == planted.rejects
    assert sum(report.dates_unreadable for report, _ in ingested.values()) == 0


def test_labels_are_read_as_counted(
    sample: tuple[Path, SampleReport], ingested: dict[str, tuple[IngestReport, pl.DataFrame]]
) -> None:
    for source, (_, reviews) in ingested.items():
        from_stars = (
            pl.when(pl.col("stars") < 3)
            .then(pl.lit("negative"))
            .when(pl.col("stars") == 3)
            .then(pl.lit("neutral"))
            .when(pl.col("stars") > 3)
            .then(pl.lit("positive"))
        )
        labels = reviews.select(label=pl.coalesce("label", from_stars)).drop_nulls()["label"]
        counts = {label: labels.eq(label).sum() for label in ("negative", "neutral", "positive")}
        assert counts == sample[1].labels[source]


def test_positive_reviews_prevail_and_neutral_ones_are_rarest(sample: tuple[Path, SampleReport]) -> None:
    labels = sample[1].labels.values()
    total = sum(sum(counts.values()) for counts in labels)
    shares = {label: sum(counts[label] for counts in labels) / total for label in ("negative", "neutral", "positive")}
    assert shares == pytest.approx({"negative": 0.23, "neutral": 0.18, "positive": 0.59}, abs=0.03)


def test_products_are_shared_by_the_platforms(ingested: dict[str, tuple[IngestReport, pl.DataFrame]]) -> None:
    groups = [set(reviews["group_key"]) for _, reviews in ingested.values()]
    assert len(set[str]().union(*groups)) == SETTINGS.rows // 20


def test_report_becomes_metadata(sample: tuple[Path, SampleReport], tmp_path: Path) -> None:
    metadata = sample[1].to_metadata()
    assert metadata["sample/rows"] == SETTINGS.rows
    write_report(tmp_path, metadata)


@pytest.mark.parametrize("rows", [200, 1_001])
def test_small_samples_have_the_rows_asked_for(rows: int, tmp_path: Path) -> None:
    assert sum(write_sample(tmp_path, SampleSettings(rows=rows)).rows.values()) == rows
