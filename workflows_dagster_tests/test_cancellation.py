"""A run cancelled from the UI in the middle of publishing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from workflows_dagster.resources.store import EmbeddedStore
from workflows_dagster_tests.dagster_dev import Query, dagster_dev, launch, wait_for

PROJECT = """
import time
from dataclasses import dataclass
from pathlib import Path
import dagster as dg
from workflows_dagster.jobs import MULTIPROCESS
from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.publishing import published_asset
from workflows_dagster.resources.store import EmbeddedStore

@dataclass
class Nothing:
    def to_metadata(self):
        return {}

def write(folder: Path):
    (folder / "note.txt").write_text(Path("content").read_text())
    return Nothing()

def judge(folder: Path):
    Path("judging").touch()
    while Path("wait").exists():
        time.sleep(0.1)
    return Verdict(True, "it is")

AUDITS = [Audit("note_is_patient", "It is patient.", judge)]

@published_asset(audits=AUDITS)
def note():
    return write

defs = dg.Definitions(
    assets=[note], jobs=[dg.define_asset_job("publish", executor_def=MULTIPROCESS)],
    resources={"store": EmbeddedStore(home=str(Path("home").absolute()))},
)
"""
TERMINATE = """mutation($id: String!) {
    terminateRun(runId: $id) {__typename ... on TerminateRunFailure {message}}
}"""
STATUS = "query($id: ID!) {runOrError(runId: $id) {... on Run {status}}}"


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Query]:
    """`dagster dev` in a project of its own; yields its GraphQL."""
    with dagster_dev(tmp_path, PROJECT) as query:
        yield query


@pytest.mark.slow
def test_cancelled_run_publishes_nothing_and_leaves_only_what_is_swept(dev: Query, tmp_path: Path) -> None:
    store = EmbeddedStore(home=str(tmp_path / "home")).store()
    staging = tmp_path / "home" / "work" / "staging"

    def status(run_id: str) -> str:
        return str(dev(STATUS, id=run_id)["runOrError"]["status"])

    (tmp_path / "content").write_text("first")
    first = launch(dev, "publish")
    wait_for(lambda: status(first) == "SUCCESS", "the first run has published")
    published = store.head("note")
    assert published is not None
    (tmp_path / "judging").unlink()

    (tmp_path / "content").write_text("second")
    (tmp_path / "wait").touch()
    cancelled = launch(dev, "publish")
    wait_for((tmp_path / "judging").exists, "the output is written and being audited")
    assert dev(TERMINATE, id=cancelled)["terminateRun"]["__typename"] == "TerminateRunSuccess"
    wait_for(lambda: status(cancelled) == "CANCELED", "the run is cancelled")

    assert store.head("note") == published
    assert [version.commit for version in store.log("note")] == [published.commit]
    assert store.repository.branches("tx-") == []
    (left,) = staging.glob("tx-*")
    assert f"-{cancelled}-" in left.name
    wait_for(lambda: store.sweep(older_than_s=-1) == [left.name], "the step's process has let go of its folder")
    assert list(staging.glob("tx-*")) == []

    (tmp_path / "wait").unlink()
    again = launch(dev, "publish")
    wait_for(lambda: status(again) == "SUCCESS", "the next run has published")
    assert [(store.folder("note", version.commit) / "note.txt").read_text() for version in store.log("note")] == [
        "second",
        "first",
    ]
