"""The written sample is what its report says: what was planted is found again by ingest, cleaning and the corpus."""

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from workflows_dagster.checks.cleaning import CLEANED_REVIEWS, REVIEW_CORPUS
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.cleaning.clean import CleaningReport, clean_batch
from workflows_dagster.lib.cleaning.corpus import CorpusReport, CorpusSettings, build_corpus
from workflows_dagster.lib.cleaning.settings import CleaningSettings
from workflows_dagster.lib.hashing import digest_folder
from workflows_dagster.lib.ingest.catalog import load_catalog
from workflows_dagster.lib.ingest.locations import stat_file
from workflows_dagster.lib.ingest.manifests import Manifest
from workflows_dagster.lib.ingest.raw_reviews import IngestReport, IngestSettings, read_batch
from workflows_dagster.lib.sample.settings import HELD_OUT, SampleSettings
from workflows_dagster.lib.sample.writing import SOURCES_FILE, SampleReport, write_sample
from workflows_dagster.lib.sample.written import read_products, read_reviews

SETTINGS = SampleSettings()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SampleReport]:
    folder = tmp_path_factory.mktemp("sample")
    return folder, write_sample(folder, SETTINGS)


@dataclass(frozen=True)
class Batch:
    """One source of the sample after ingest and cleaning."""

    raw: Path
    ingest: IngestReport
    clean: Path
    cleaning: CleaningReport

    @property
    def reviews(self) -> pl.DataFrame:
        """The raw reviews."""
        return pl.read_parquet(self.raw / "reviews.parquet")


@pytest.fixture(scope="module")
def batches(sample: tuple[Path, SampleReport], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Batch]:
    read: dict[str, Batch] = {}
    for source in load_catalog(sample[0] / SOURCES_FILE).sources:
        raw, clean = (tmp_path_factory.mktemp(f"{step}-{source.name}") for step in ("raw", "clean"))
        manifest = Manifest(source=source.name, files=(stat_file(source, source.location),))
        ingest = read_batch(manifest, source, IngestSettings(), raw)
        artifact = Artifact("raw_reviews", source.name, "c", "d", raw)
        read[source.name] = Batch(raw, ingest, clean, clean_batch(artifact, CleaningSettings(), clean))
    return read


@pytest.fixture(scope="module")
def corpus(batches: dict[str, Batch], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CorpusReport]:
    folder = tmp_path_factory.mktemp("corpus")
    cleaned = [Artifact("cleaned_reviews", source, "c", "d", batch.clean) for source, batch in batches.items()]
    return folder, build_corpus(cleaned, set(batches), CorpusSettings.model_validate(HELD_OUT), folder)


def key(text: str) -> str:
    """The letters and digits of a text, without handles and the masks that cleaning puts in their place."""
    return re.sub(r"[\W_]+", "", re.sub(r"\[[A-Z]+\]|@\w+", "", text).casefold())


def test_report_counts_what_was_written(sample: tuple[Path, SampleReport]) -> None:
    folder, report = sample
    assert 2_400 <= sum(report.rows.values()) <= 2_600
    assert report.size_bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert report.size_bytes < 1_000_000
    mess = ("card", "email", "emoji", "entity", "handle", "html", "mojibake", "order", "phone", "unlabelled", "url")
    assert all(report.planted[kind] >= 5 for kind in mess)
    assert report.planted["wrong_label"] == pytest.approx(len(read_reviews()) * SETTINGS.wrong_label_ratio, rel=0.3)


def test_same_settings_write_the_same_bytes(sample: tuple[Path, SampleReport], tmp_path: Path) -> None:
    again = write_sample(tmp_path, SETTINGS)
    assert again == sample[1]
    assert digest_folder(tmp_path) == digest_folder(sample[0])


def test_another_seed_writes_another_sample_of_the_same_reviews(
    sample: tuple[Path, SampleReport], tmp_path: Path
) -> None:
    report = write_sample(tmp_path, SampleSettings(seed=SETTINGS.seed + 1))
    ours, theirs = digest_folder(sample[0]), digest_folder(tmp_path)
    assert [name for name in ours if ours[name] == theirs[name]] == [SOURCES_FILE]
    assert report.rows == sample[1].rows


def test_no_wrong_labels_where_none_are_asked_for(tmp_path: Path) -> None:
    assert write_sample(tmp_path, SampleSettings(wrong_label_ratio=0)).planted["wrong_label"] == 0


def test_every_broken_row_is_rejected_for_its_reason_and_no_other(
    sample: tuple[Path, SampleReport], batches: dict[str, Batch]
) -> None:
    planted = sample[1]
    assert {source: batch.ingest.rows_in for source, batch in batches.items()} == planted.rows
    assert {source: dict(batch.ingest.reasons) for source, batch in batches.items()} == planted.rejects
    assert sum(batch.ingest.dates_unreadable for batch in batches.values()) == 0


def test_labels_are_read_as_counted(sample: tuple[Path, SampleReport], batches: dict[str, Batch]) -> None:
    for source, batch in batches.items():
        from_stars = (
            pl.when(pl.col("stars") < 3)
            .then(pl.lit("negative"))
            .when(pl.col("stars") == 3)
            .then(pl.lit("neutral"))
            .when(pl.col("stars") > 3)
            .then(pl.lit("positive"))
        )
        labels = batch.reviews.select(label=pl.coalesce("label", from_stars)).drop_nulls()["label"]
        counts = {label: labels.eq(label).sum() for label in ("negative", "neutral", "positive")}
        assert counts == sample[1].labels[source]


def test_products_are_shared_by_the_platforms(batches: dict[str, Batch]) -> None:
    groups = [set(batch.reviews["group_key"]) for batch in batches.values()]
    assert len(set[str]().union(*groups)) == len(read_products())


def test_cleaning_rejects_the_junk_and_masks_every_contact(
    sample: tuple[Path, SampleReport], batches: dict[str, Batch]
) -> None:
    planted = sample[1].planted
    assert sum(batch.cleaning.rows_rejected for batch in batches.values()) == planted["junk"]
    for kind in ("card", "email", "order", "phone", "url"):
        assert sum(batch.cleaning.masked.get(kind, 0) for batch in batches.values()) == planted[kind]
    assert all(audit.judge(batch.clean).passed for batch in batches.values() for audit in CLEANED_REVIEWS[:2])


def test_cleaning_gives_back_what_was_written(batches: dict[str, Batch]) -> None:
    cleaned = "\n".join(
        key(text) for batch in batches.values() for text in pl.read_parquet(batch.clean / "reviews.parquet")["text"]
    )
    lost = [review.text for review in read_reviews() if key(review.text) not in cleaned]
    assert lost == []


def test_corpus_drops_the_copies_that_were_planted(
    sample: tuple[Path, SampleReport], corpus: tuple[Path, CorpusReport]
) -> None:
    planted, report = sample[1].planted, corpus[1]
    assert report.rows_duplicate == {
        "same_id": planted["same_id_duplicate"],
        "exact": planted["exact_duplicate"] + planted["conflicting_duplicate"],
        "near": planted["near_duplicate"],
    }
    assert sum(report.conflicts.values()) == planted["conflicting_duplicate"]
    assert report.rows_kept == len(read_reviews())


def test_no_wording_is_in_two_splits(corpus: tuple[Path, CorpusReport]) -> None:
    rows = pl.read_parquet(corpus[0] / "reviews.parquet", columns=["text", "split"])
    texts = {split: "\n".join(map(key, rows.filter(split=split)["text"])) for split in ("train", "validation", "test")}
    # A review of three words may be part of another one without being its copy.
    written = [key(review.text) for review in read_reviews() if len(review.text.split()) > 3]
    assert [text for text in written if sum(text in other for other in texts.values()) > 1] == []


def test_corpus_passes_its_audits(corpus: tuple[Path, CorpusReport]) -> None:
    assert [audit.name for audit in REVIEW_CORPUS if not audit.judge(corpus[0]).passed] == []
    rows = pl.read_parquet(corpus[0] / "reviews.parquet", columns=["split"])
    assert 350 <= rows.filter(split="test").height <= 450
