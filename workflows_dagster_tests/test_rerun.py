"""A release made again from its raw reviews, on the bundled sample."""

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from workflows_dagster.chain import Chain
from workflows_dagster.definitions import build_definitions
from workflows_dagster.instance import project_instance
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.release.record import Member, ReleaseRecord
from workflows_dagster.lib.release.releases import Release
from workflows_dagster.lib.sample.settings import SampleSettings
from workflows_dagster.lib.sample.writing import SOURCES_FILE, write_sample
from workflows_dagster.lib.store.lineage import chain_of
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster.rerun import GIVEN, rerun
from workflows_dagster.resources.sources import SourcesResource
from workflows_dagster.resources.store import StoreResource
from workflows_dagster.settings import Settings

ROOT = Path(__file__).parents[1]
CONFIG: dict[str, dict[str, Any]] = {"raw_reviews": {"limit": 90}, "review_corpus": {"near_similarity": 0.7}}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A deployment on the sample, made up to the rows that are trained on."""
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    write_sample(tmp_path / "reviews", SampleSettings())
    return Settings(home=tmp_path / "home", sources=tmp_path / "reviews" / SOURCES_FILE)


def made_up_to_training(settings: Settings) -> tuple[VersionedStore, Release]:
    """A record of what leads to augmented_reviews, as a release holds it; nothing of it was trained on."""
    definitions = build_definitions(settings)
    resources = definitions.resources or {}
    sources, store = resources["sources"], resources["store"]
    assert isinstance(sources, SourcesResource)
    assert isinstance(store, StoreResource)
    with project_instance(settings) as instance:
        chain = Chain(definitions.resolve_job_def, sources, store, instance, CONFIG)
        for batch in sources.collect(instance).batches:
            assert chain._execute("ingest_job", batch.key).success  # pyright: ignore[reportPrivateUsage]
        assert chain._execute("corpus_job", None).success  # pyright: ignore[reportPrivateUsage]
    versioned = store.store()
    head = versioned.version("augmented_reviews")
    members = tuple(Member.of(version) for version in chain_of(versioned, [(head.path, head.commit)]))
    record = ReleaseRecord(chain=members, gates={}, pick=None, metrics={}, rows=(), code="0")
    return versioned, Release("release-1", head, record)


@pytest.mark.slow
def test_release_made_again_has_the_same_data_versions_with_the_recorded_configuration(
    settings: Settings, tmp_path: Path
) -> None:
    store, release = made_up_to_training(settings)
    shutil.rmtree(tmp_path / "reviews")  # only what was published counts
    found = list(rerun(release, store, settings, tmp_path / "again"))
    assert [one.member.path for one in found if one.failure or not one.is_equal] == []
    made = {one.member.asset for one in found if not one.given}
    assert {"cleaned_reviews", "review_corpus", "training_reviews", "augmented_reviews"} <= made
    assert {one.member.asset for one in found if one.given} <= GIVEN
    with pytest.raises(ConfigurationError, match="a folder of its own"):
        list(rerun(release, store, settings, tmp_path / "again"))


@pytest.mark.slow
def test_release_made_again_by_code_that_does_something_else_differs_and_says_where(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, release = made_up_to_training(settings)
    monkeypatch.setattr("workflows_dagster.lib.cleaning.corpus.split_column", lambda *_, **__: pl.lit("none"))  # pyright: ignore[reportUnknownLambdaType]
    found = {one.member.path: one for one in rerun(release, store, settings, tmp_path / "again")}
    assert all(one.is_equal for one in found.values() if one.member.asset in {"raw_reviews", "cleaned_reviews"})
    assert not found["review_corpus"].is_equal
