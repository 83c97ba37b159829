"""The sensor on commits of lakeFS: each commit from elsewhere is dealt with once, our own never."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
import pytest

from workflows_dagster.assets.ingest import raw_reviews
from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.manifests import Manifests
from workflows_dagster.resources.sources import SourcesResource
from workflows_dagster.resources.store import EmbeddedStore, LakeFSStore
from workflows_dagster.sensors.new_commits import ingest_new_commits_sensor
from workflows_dagster.sensors.new_files import ingest_new_files_sensor
from workflows_dagster_tests.lakefs_server.server import LoopbackLakeFS

if TYPE_CHECKING:
    import lakefs

CATALOG = """
batching: {max_files: 1, max_runs_per_tick: 2}
sources:
  - name: shop
    location: lakefs://reviews/main/incoming/*.csv
    format: csv
    columns: {text: text}
"""
POSTS = """
  - name: posts
    location: lakefs://reviews/main/posts/
    format: csv
    columns: {text: text}
"""


class Deployment:
    """A lakeFS repository that others commit to, and an instance on which the sensor ticks."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, server: LoopbackLakeFS) -> None:
        self.sources = SourcesResource(path=str(folder / "sources.yaml"), manifests=str(folder / "manifests"))
        self.store = LakeFSStore(
            home=str(folder),
            endpoint=server.endpoint,
            access_key_id=server.access_key_id,
            secret_access_key=server.secret_access_key,
            repository_name="reviews",
            storage_namespace="local://reviews",
            create=True,
        )
        self.store.store().repository.prepare("main")
        self.instance = instance
        self.cursor: str | None = None
        self.describe()
        self.repository = dg.Definitions(
            assets=[raw_reviews],
            jobs=[dg.define_asset_job("ingest_job", [raw_reviews])],
            sensors=[ingest_new_commits_sensor, ingest_new_files_sensor],
            resources={"sources": self.sources, "store": self.store},
        ).get_repository_def()

    def describe(self, more: str = "") -> None:
        Path(self.sources.path).write_text(CATALOG + more)

    def branch(self, name: str) -> "lakefs.Branch":
        """A branch as others see it."""
        from lakefs import Client, Repository

        keys = {"username": self.store.access_key_id, "password": self.store.secret_access_key}
        return Repository("reviews", Client(host=self.store.endpoint, **keys)).branch(name)

    def commit(self, branch: str = "main", **files: str | None) -> str:
        """Somebody else's commit of files `incoming/<name>.csv` (None: removed); returns its id."""
        remote = self.branch(branch)
        for name, text in files.items():
            place = remote.object(f"{name.replace('__', '/')}.csv")
            if text is None:
                place.delete()
            else:
                place.upload(data=text.encode())
        return str(remote.commit("somebody else's", {"tool": "exporter"}).id)

    def look(self, sensor: dg.SensorDefinition = ingest_new_commits_sensor) -> dg.SensorResult | dg.SkipReason:
        with dg.build_sensor_context(
            self.instance, self.cursor, repository_def=self.repository, resources={"sources": self.sources}
        ) as context:
            answer: Any = sensor(context)
        assert isinstance(answer, dg.SensorResult | dg.SkipReason)
        return answer

    def tick(self) -> list[str]:
        """Evaluates the sensor and does what the daemon does with the answer; the run keys."""
        answer = self.look()
        if isinstance(answer, dg.SkipReason):
            return []
        for request in answer.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        for request in answer.run_requests or []:
            tags = {"dagster/partition": str(request.partition_key)}
            self.instance.create_run_for_job(self.repository.get_job("ingest_job"), tags=tags)
        self.cursor = answer.cursor
        return [str(request.run_key) for request in answer.run_requests or []]

    def why(self) -> str:
        answer = self.look()
        reason = answer if isinstance(answer, dg.SkipReason) else answer.skip_reason
        assert isinstance(reason, dg.SkipReason)
        return str(reason.skip_message)

    def files(self, *run_keys: str) -> list[str]:
        manifests = Manifests(Path(self.sources.manifests))
        return [file.uri for key in run_keys for file in manifests.read(key.partition("/")[2]).files]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackLakeFS]:
    with LoopbackLakeFS(tmp_path / "lakefs") as server:
        monkeypatch.setenv("LAKEFS_ENDPOINT", server.endpoint)
        monkeypatch.setenv("LAKEFS_ACCESS_KEY_ID", server.access_key_id)
        monkeypatch.setenv("LAKEFS_SECRET_ACCESS_KEY", server.secret_access_key)
        yield server


@pytest.fixture
def deployment(tmp_path: Path, server: LoopbackLakeFS) -> Iterator[Deployment]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Deployment(tmp_path, instance, server)


def test_new_commit_is_dealt_with_once_at_that_commit(deployment: Deployment) -> None:
    commit = deployment.commit(incoming__a="text\ngood\n")
    (key,) = deployment.tick()
    assert key.startswith(f"{commit}/shop-")
    assert deployment.files(key) == [f"lakefs://reviews/{commit}/incoming/a.csv"]
    assert json.loads(deployment.cursor or "") == {"shop": commit}
    assert deployment.tick() == []
    assert deployment.why() == f"no new commit: shop at {commit[:12]}"


def test_run_reads_the_commit_although_the_branch_has_moved_on(deployment: Deployment, tmp_path: Path) -> None:
    deployment.commit(incoming__a="text\nas committed\n")
    (key,) = deployment.tick()
    deployment.commit(incoming__a="text\nlater\n")
    partition = key.partition("/")[2]
    store = EmbeddedStore(home=str(tmp_path / "home"))
    result = dg.materialize(
        [raw_reviews],
        instance=deployment.instance,
        partition_key=partition,
        resources={"sources": deployment.sources, "store": store},
    )
    assert result.success
    table = pl.read_parquet(store.store().file(f"raw_reviews/{partition}", "reviews.parquet"))
    assert table["text"].to_list() == ["as committed"]
    assert table["file"].to_list() == ["a.csv"]


def test_later_commit_brings_only_what_it_changed(deployment: Deployment) -> None:
    deployment.commit(incoming__a="text\ngood\n", incoming__b="text\nbad\n")
    assert len(deployment.tick()) == 2
    commit = deployment.commit(incoming__b="text\nbetter\n")
    (key,) = deployment.tick()
    assert deployment.files(key) == [f"lakefs://reviews/{commit}/incoming/b.csv"]


def test_commit_elsewhere_in_the_repository_starts_nothing(deployment: Deployment) -> None:
    commit = deployment.commit(incoming__a="text\ngood\n")
    deployment.tick()
    deployment.commit(outgoing__x="text\nother\n")
    assert deployment.why() == f"no new commit: shop at {commit[:12]}"


def test_commit_that_only_removes_says_that_nothing_is_new(deployment: Deployment) -> None:
    deployment.commit(incoming__a="text\ngood\n", incoming__b="text\ngood\n")
    deployment.tick()
    commit = deployment.commit(incoming__b=None)
    assert deployment.why() == f"no new files: shop at {commit[:12]}"
    assert deployment.tick() == []
    assert deployment.why() == f"no new commit: shop at {commit[:12]}"


def test_own_publication_starts_nothing_even_at_the_location(deployment: Deployment) -> None:
    commit = deployment.commit(incoming__a="text\ngood\n")
    deployment.tick()
    own = {"asset": "incoming", "run_id": "direct"}
    with deployment.store.store().transaction("incoming", "Materialize", label=["x"], metadata=own) as transaction:
        transaction.write("a.csv", b"text\nours\n")
    assert deployment.why() == f"no new commit: shop at {commit[:12]}"


def test_merged_branch_counts_by_the_commit_that_was_merged(deployment: Deployment) -> None:
    branch = deployment.branch("export").create("main")
    commit = deployment.commit("export", incoming__a="text\ngood\n")
    assert deployment.tick() == []
    branch.merge_into("main")
    assert [key.partition("/")[0] for key in deployment.tick()] == [commit]


def test_uncommitted_files_are_not_seen(deployment: Deployment) -> None:
    deployment.commit(incoming__a="text\ngood\n")
    deployment.branch("main").object("incoming/half.csv").upload(data=b"text\nha")
    assert [uri.rpartition("/")[2] for uri in deployment.files(*deployment.tick())] == ["a.csv"]


def test_many_batches_are_spread_over_ticks(deployment: Deployment) -> None:
    commit = deployment.commit(**{f"incoming__{name}": f"text\n{name}\n" for name in "abcde"})
    assert [len(deployment.tick()) for _ in range(4)] == [2, 2, 1, 0]
    assert json.loads(deployment.cursor or "") == {"shop": commit}


def test_request_that_was_lost_is_made_again_under_the_same_key(deployment: Deployment) -> None:
    deployment.commit(incoming__a="text\ngood\n")
    lost = deployment.look()
    assert isinstance(lost, dg.SensorResult)
    assert deployment.tick() == [request.run_key for request in lost.run_requests or []]


def test_sources_are_told_apart(deployment: Deployment) -> None:
    deployment.describe(POSTS)
    first = deployment.commit(incoming__a="text\ngood\n")
    second = deployment.commit(posts__b="text\nbad\n")
    assert sorted(key.partition("/")[0] for key in deployment.tick()) == sorted([first, second])
    assert json.loads(deployment.cursor or "") == {"posts": second, "shop": first}


def test_repository_without_commits_is_a_reason_to_skip(deployment: Deployment) -> None:
    assert deployment.why() == "no source has a lakefs:// location, or nothing was committed there yet"


def test_server_that_refuses_is_named(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEFS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(SourceUnreadableError, match="lakefs://reviews/main/incoming") as refused:
        deployment.look()
    assert "wrong" not in str(refused.value)


def test_new_files_sensor_leaves_lakefs_alone(deployment: Deployment, server: LoopbackLakeFS) -> None:
    deployment.commit(incoming__a="text\ngood\n")
    before = len(server.requests)
    answer = deployment.look(ingest_new_files_sensor)
    assert isinstance(answer, dg.SkipReason)
    assert answer.skip_message == "no new files in 0 sources; shop left to ingest_new_commits_sensor"
    assert len(server.requests) == before


def test_everything_that_is_there_is_collected_by_the_command_line(deployment: Deployment) -> None:
    commit = deployment.commit(incoming__a="text\ngood\n")
    (batch,) = deployment.sources.collect(deployment.instance).batches
    assert [file.uri for file in batch.files] == [f"lakefs://reviews/{commit}/incoming/a.csv"]
