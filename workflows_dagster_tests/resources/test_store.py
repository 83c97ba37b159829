"""Publishing from assets: what Dagster is told, and what readers can see."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from workflows_dagster.lib.artifact import Artifact, Markdown, write_table
from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.errors import (
    DataContractError,
    SourceUnreadableError,
    StorePermissionError,
    StoreUnavailableError,
    WorkflowError,
)
from workflows_dagster.lib.schema import CORPUS_REVIEW
from workflows_dagster.resources.metadata import report_metadata, table_metadata
from workflows_dagster.resources.store import (
    COMMIT_KEY,
    UPSTREAM_KEY,
    Published,
    StoreResource,
)


@dataclass(frozen=True)
class Found:
    """A report with given metadata."""

    metadata: dict[str, object] = field(default_factory=dict[str, object])

    def to_metadata(self) -> dict[str, object]:
        return self.metadata


def write(text: str, folder: Path) -> Found:
    (folder / "note.txt").write_text(text)
    return Found({"test/characters": len(text)})


def says(text: str, folder: Path) -> Verdict:
    found = (folder / "note.txt").read_text()
    return Verdict(found == text, f"the note says {found}", {"test/found": found, "test/expected": text})


SAYS_GOOD = Audit("note_says_good", "The note says good", partial(says, "good"))
SAYS_GREAT = Audit("note_says_great", "The note says great", partial(says, "great"), blocking=False)
Build = Callable[[Path], Found]


def note_asset(
    build: Build,
    audits: list[Audit] | None = None,
    *,
    inputs: list[Artifact] | None = None,
    retries: int = 0,
) -> dg.AssetsDefinition:
    audits = [SAYS_GOOD, SAYS_GREAT] if audits is None else audits

    @dg.asset(
        name="note",
        code_version="7",
        check_specs=[dg.AssetCheckSpec(audit.name, asset="note", blocking=audit.blocking) for audit in audits],
        retry_policy=dg.RetryPolicy(max_retries=retries) if retries else None,
    )
    def note(context: dg.AssetExecutionContext, store: StoreResource) -> Published:
        """A note."""
        yield from store.publish(context, build, audits=audits, inputs=inputs or [])

    return note


@pytest.fixture
def store(any_store: StoreResource) -> StoreResource:
    """Assets publish the same, whichever store it is."""
    return any_store


@pytest.fixture
def run(store: StoreResource, instance: dg.DagsterInstance) -> Callable[..., dg.ExecuteInProcessResult]:
    """Materializes an asset and hands back the result, failed or not."""

    def _run(asset: dg.AssetsDefinition, **arguments: Any) -> dg.ExecuteInProcessResult:
        return dg.materialize([asset], instance=instance, resources={"store": store}, raise_on_error=False, **arguments)

    return _run


Run = Callable[..., dg.ExecuteInProcessResult]


def checks(result: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, dg.AssetCheckSeverity]]:
    return {check.check_name: (check.passed, check.severity) for check in result.get_asset_check_evaluations()}


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node("note")
    return {key: value.value for key, value in event.metadata.items()}


def failure(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    (event,) = result.get_step_failure_events()
    failed = event.step_failure_data.user_failure_data
    assert failed is not None, "not a dg.Failure"
    return str(failed.description)


def newest(store: StoreResource, path: str = "note") -> str | None:
    head = store.store().head(path)
    return None if head is None else (store.store().folder(path, head.commit) / "note.txt").read_text()


def kept_branches(store: StoreResource) -> list[str]:
    return store.store().repository.branches("tx-")


def test_check_results_are_of_the_version_that_was_judged(run: Run, store: StoreResource) -> None:
    for _ in range(2):
        result = run(note_asset(partial(write, "good")))
        targets = [check.target_materialization_data for check in result.get_asset_check_evaluations()]
        assert [target.run_id for target in targets if target] == [result.run_id] * 2
    assert newest(store) == "good"


def test_failed_check_that_does_not_block_is_a_warning_of_a_published_version(run: Run, store: StoreResource) -> None:
    result = run(note_asset(partial(write, "good")))
    assert result.success
    assert checks(result) == {
        "note_says_good": (True, dg.AssetCheckSeverity.ERROR),
        "note_says_great": (False, dg.AssetCheckSeverity.WARN),
    }
    assert newest(store) == "good"


def test_failed_blocking_check_is_recorded_and_nothing_is_published(run: Run, store: StoreResource) -> None:
    run(note_asset(partial(write, "good")))
    before = store.store().head("note")

    result = run(note_asset(partial(write, "bad")))

    (branch,) = kept_branches(store)
    assert branch.startswith(f"tx-note-{result.run_id}-0-")
    assert failure(result) == (
        "note was not published: note_says_good failed. Given: 'the note says bad'. Expected: The note says good. "
        f"Next: look at the output on the branch {branch}, mend its cause and run the asset again.\n"
        f"What was written is on the branch {branch}: {store.store().link(branch)}"
    )
    assert checks(result)["note_says_good"] == (False, dg.AssetCheckSeverity.ERROR)
    assert result.asset_materializations_for_node("note") == []
    assert store.store().head("note") == before
    assert (store.store().folder("note", branch) / "note.txt").read_text() == "bad"
    assert store.store().version("note", branch).metadata["audit/note_says_good"] == "failed"


def test_check_carries_what_was_measured(run: Run) -> None:
    result = run(note_asset(partial(write, "bad")))
    check = next(check for check in result.get_asset_check_evaluations() if check.check_name == "note_says_good")
    assert check.description == "the note says bad"
    assert {key: value.value for key, value in check.metadata.items()} == {
        "test/found": "bad",
        "test/expected": "good",
    }


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (DataContractError, False),
        (SourceUnreadableError, True),
        (StoreUnavailableError, True),
        (StorePermissionError, False),
    ],
)
def test_error_of_the_step_is_a_failure_that_is_retried_only_where_that_may_help(
    run: Run, store: StoreResource, error: type[WorkflowError], retried: bool
) -> None:
    calls: list[Path] = []

    def build(folder: Path) -> Found:
        calls.append(folder)
        raise error("column text is missing", given=["a"], expected="text", remedy="map it")

    result = run(note_asset(build, retries=2))
    assert failure(result) == "column text is missing. Given: ['a']. Expected: text. Next: map it."
    assert len(calls) == (3 if retried else 1)
    assert len(set(calls)) == len(calls)
    assert newest(store) is None
    # Nothing was written, so that there is nothing to look at.
    assert kept_branches(store) == []


def test_foreign_error_is_not_dressed_up_as_a_failure(run: Run, store: StoreResource) -> None:
    def build(folder: Path) -> Found:
        raise ZeroDivisionError

    result = run(note_asset(build))
    (event,) = result.get_step_failure_events()
    assert event.step_failure_data.user_failure_data is None
    assert newest(store) is None


def test_retry_publishes_from_a_branch_of_its_own(run: Run, store: StoreResource) -> None:
    calls: list[str] = []

    def build(folder: Path) -> Found:
        calls.append("call")
        write("half", folder)
        if len(calls) == 1:
            raise SourceUnreadableError("gone for now", given="x", expected="y", remedy="wait")
        return write("good", folder)

    result = run(note_asset(build, retries=1))
    assert result.success
    assert newest(store) == "good"
    (branch,) = kept_branches(store)
    assert branch.startswith(f"tx-note-{result.run_id}-0-")
    assert (store.store().folder("note", branch) / "note.txt").read_text() == "half"


def test_same_content_keeps_commit_and_data_version(
    run: Run, store: StoreResource, instance: dg.DagsterInstance
) -> None:
    first, second = run(note_asset(partial(write, "good"))), run(note_asset(partial(write, "good")))
    assert metadata(first)[COMMIT_KEY] == metadata(second)[COMMIT_KEY]
    version = store.store().version("note", metadata(first)[COMMIT_KEY])
    assert _data_version(first) == _data_version(second) == version.digest
    assert len(list(store.store().log("note"))) == 1
    assert [metadata(result)["store/is_new_version"] for result in (first, second)] == [True, False]
    third = run(note_asset(partial(write, "better"), []))
    assert _data_version(third) != _data_version(first)
    assert [version.commit for version in store.store().log("note")] == [
        metadata(third)[COMMIT_KEY],
        metadata(first)[COMMIT_KEY],
    ]


def test_materialization_names_commit_digest_size_files_and_upstream(run: Run, store: StoreResource) -> None:
    inputs = [
        Artifact("raw", "b-1", "c1", "d1", Path("unused")),
        Artifact("corpus", None, "c2", "d2", Path("unused")),
    ]
    found = metadata(run(note_asset(partial(write, "good"), [], inputs=inputs)))
    version = store.store().version("note", found[COMMIT_KEY])
    upstream = [record.data for record in found.pop(UPSTREAM_KEY).records]
    assert upstream == [{"path": "raw/b-1", "commit": "c1"}, {"path": "corpus", "commit": "c2"}]
    (file,) = found.pop("store/files").records
    assert file.data == {"name": "note.txt", "size_bytes": 4}
    assert found == {
        "test/characters": 4,
        COMMIT_KEY: version.commit,
        "store/commit": store.store().link(version.commit),
        "store/kind": store.store().repository.kind,
        "store/base_branch": "main",
        "store/is_new_version": True,
        "store/size_bytes": 4,
    }


def test_commit_records_where_it_came_from(run: Run, store: StoreResource) -> None:
    upstream = Artifact("raw", "b-1", "c1", "d1", Path("unused"))
    result = run(note_asset(partial(write, "good"), [], inputs=[upstream]))
    version = store.store().version("note", metadata(result)[COMMIT_KEY])
    assert version.message == "Materialize note"
    assert version.metadata == {
        "asset": "note",
        "partition": "",
        "run_id": result.run_id,
        "run_url": f"http://127.0.0.1:3000/runs/{result.run_id}",
        "code_version": "7",
        "config": "",
        "upstream/raw/b-1": "c1",
    }


def test_commit_of_a_server_is_a_link_and_one_of_git_a_command(run: Run, store: StoreResource) -> None:
    (event,) = run(note_asset(partial(write, "good"), [])).asset_materializations_for_node("note")
    kind = dg.UrlMetadataValue if store.store().repository.kind == "lakefs" else dg.TextMetadataValue
    assert isinstance(event.metadata["store/commit"], kind)


def test_commit_records_the_configuration_but_no_value_of_a_variable(
    run: Run, store: StoreResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoteConfig(dg.Config):
        text: str = "good"
        tokens: list[str]
        copies: int = 3

    @dg.asset
    def note(context: dg.AssetExecutionContext, config: NoteConfig, store: StoreResource) -> Published:
        yield from store.publish(context, partial(write, config.text))

    monkeypatch.setenv("TOKEN", "very-secret")
    given = {"tokens": ["b", {"env": "TOKEN"}], "text": {"env": "TOKEN"}}
    result = run(note, run_config={"ops": {"note": {"config": given}}})
    recorded = store.store().version("note", metadata(result)[COMMIT_KEY]).metadata["config"]
    assert json.loads(recorded) == {"copies": 3, "text": {"env": "TOKEN"}, "tokens": ["b", {"env": "TOKEN"}]}


def _corpus(texts: Sequence[str]) -> pl.DataFrame:
    row = {"source": "s", "batch": "b", "stars": 5, "label": "positive", "label_source": "rating", "language": "en"}
    rest = {"product_id": None, "group_key": "s:jane.doe@example.com", "created_at": None, "split": "train"}
    return pl.DataFrame(
        [{**row, **rest, "review_id": f"s:{number}", "text": text} for number, text in enumerate(texts)]
    )


def test_table_metadata_are_rows_described_columns_and_a_masked_sample(run: Run) -> None:
    texts = ["Write to jane.doe@example.com or call +44 20 7946 0958.", "x" * 300, *"abcdefghij"]

    def build(folder: Path) -> Found:
        write_table(folder / "corpus.parquet", _corpus(texts), CORPUS_REVIEW)
        return Found()

    @dg.asset
    def note(context: dg.AssetExecutionContext, store: StoreResource) -> Published:
        yield from store.publish(context, build, table="corpus.parquet")

    found = metadata(run(note))
    assert found["dagster/row_count"] == 12
    columns = {column.name: column for column in found["dagster/column_schema"].columns}
    assert list(columns) == CORPUS_REVIEW.names
    assert (columns["source"].type, columns["source"].constraints.nullable) == ("string", False)
    assert (columns["stars"].type, columns["stars"].constraints.nullable) == ("int8", True)
    assert columns["stars"].description == "Rating, 1 to 5"
    sample = [record.data for record in found["table/sample"].records]
    rest = {"label": "positive", "stars": 5, "language": "en"}
    assert sample[:2] == [
        {"text": "Write to [EMAIL] or call [PHONE].", **rest},
        {"text": "x" * 199 + "…", **rest},
    ]
    assert [one["text"] for one in sample[2:]] == list("abcdefgh")


@pytest.mark.parametrize("rows", [0, 3])
def test_sample_is_as_long_as_there_are_rows(tmp_path: Path, rows: int) -> None:
    write_table(
        tmp_path / "t.parquet",
        _corpus(["a"] * rows) if rows else pl.DataFrame(CORPUS_REVIEW.empty_table()),
        CORPUS_REVIEW,
    )
    shown = table_metadata(tmp_path / "t.parquet", sample_rows=10)["table/sample"].value
    assert isinstance(shown, dg.TableMetadataValue)
    assert len(shown.records) == rows


def test_no_row_is_shown_where_the_deployment_says_so(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", _corpus(["a"]), CORPUS_REVIEW)
    assert set(table_metadata(tmp_path / "t.parquet", sample_rows=0)) == {"dagster/row_count", "dagster/column_schema"}


def test_runs_on_a_branch_of_ones_own_leave_main_untouched(
    run: Run, store: StoreResource, instance: dg.DagsterInstance
) -> None:
    run(note_asset(partial(write, "good")))
    published = store.store().head("note")
    fields: dict[str, Any] = {name: getattr(store, name) for name in type(store).model_fields}
    fields["base_branch"] = "jane"
    own = type(store)(**fields)
    better = note_asset(partial(write, "better"), [])
    result = dg.materialize([better], instance=instance, resources={"store": own})
    assert metadata(result)["store/base_branch"] == "jane"
    assert newest(own) == "better"
    assert store.store().head("note") == published


def test_partition_is_a_path_of_its_own(run: Run, store: StoreResource) -> None:
    @dg.asset(name="note", partitions_def=dg.StaticPartitionsDefinition(["x", "y"]))
    def note(context: dg.AssetExecutionContext, store: StoreResource) -> Published:
        """A note."""
        yield from store.publish(context, partial(write, context.partition_key))

    assert run(note, partition_key="x").success
    assert run(note, partition_key="y").success
    assert [newest(store, path) for path in ("note/x", "note/y", "note")] == ["x", "y", None]


def test_run_over_a_range_of_partitions_is_refused(run: Run, store: StoreResource) -> None:
    @dg.asset(name="note", partitions_def=dg.StaticPartitionsDefinition(["x", "y"]))
    def note(context: dg.AssetExecutionContext, store: StoreResource) -> Published:
        """A note."""
        yield from store.publish(context, partial(write, "both"))

    edges = {"dagster/asset_partition_range_start": "x", "dagster/asset_partition_range_end": "y"}
    assert "note is published one partition at a time" in failure(run(note, tags=edges))
    assert newest(store) is None


def test_asset_called_directly_publishes_under_a_branch_called_direct(store: StoreResource) -> None:
    branches: list[str] = []

    def build(folder: Path) -> Found:
        branches.append(folder.parent.name)
        return write("good", folder)

    events = list(note_asset(build)(dg.build_asset_context(), store=store))  # pyright: ignore[reportArgumentType]
    assert [type(event).__name__ for event in events] == ["MaterializeResult", "AssetCheckResult", "AssetCheckResult"]
    assert newest(store) == "good"
    assert [branch.rpartition("-")[0] for branch in branches] == ["tx-note-direct-0"]


def test_events_of_refused_output_that_nobody_reads_on_publish_nothing(store: StoreResource) -> None:
    events: Iterator[Any] = note_asset(partial(write, "bad"))(dg.build_asset_context(), store=store)  # pyright: ignore[reportAssignmentType]
    assert type(next(events)).__name__ == "AssetCheckResult"
    events.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert newest(store) is None


def test_conflict_is_a_failure_that_names_the_next_step(run: Run, store: StoreResource) -> None:
    def build(folder: Path) -> Found:
        with store.store().transaction("note", "m", label=["other"], metadata={}) as transaction:
            write("quicker", transaction.folder)
        return write("good", folder)

    assert "published on main by another writer" in failure(run(note_asset(build)))
    assert newest(store) == "quicker"


def test_retry_after_a_conflict_starts_from_the_newer_version(run: Run, store: StoreResource) -> None:
    calls: list[str] = []

    def build(folder: Path) -> Found:
        calls.append("call")
        if len(calls) == 1:
            with store.store().transaction("note", "m", label=["other"], metadata={}) as transaction:
                write("quicker", transaction.folder)
        return write("good", folder)

    assert run(note_asset(build, retries=1)).success
    assert newest(store) == "good"
    assert len(list(store.store().log("note"))) == 2


def test_artifact_is_one_commit_of_an_asset(run: Run, store: StoreResource) -> None:
    commit = metadata(run(note_asset(partial(write, "good"))))[COMMIT_KEY]
    run(note_asset(partial(write, "better"), []))
    artifact = store.artifact("note", None, commit)
    assert artifact.file("note.txt").read_text() == "good"
    assert (artifact.asset, artifact.partition, artifact.commit) == ("note", None, commit)
    assert artifact.digest == store.store().version("note", commit).digest


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", dg.MetadataValue.text("text")),
        (True, dg.MetadataValue.bool(True)),
        (3, dg.MetadataValue.int(3)),
        (2 / 3, dg.MetadataValue.float(0.6667)),
        (123_456_789.0, dg.MetadataValue.float(123_500_000.0)),
        (
            {"a": 1, "b": 20_000, "c": "x", "d": 2 / 3, "e": True},
            dg.MetadataValue.text("a 1, b 20,000, c x, d 0.6667, e True"),
        ),
        ({}, dg.MetadataValue.text("none")),
        (("x", "y"), dg.MetadataValue.text("x; y")),
        ([], dg.MetadataValue.text("none")),
        (Markdown("**b**"), dg.MetadataValue.md("**b**")),
    ],
)
def test_metadata_value_by_type(value: object, expected: dg.MetadataValue) -> None:
    assert report_metadata(Found({"k": value})) == {"k": expected}


def test_mapping_that_is_no_line_is_a_table() -> None:
    long = {f"a long name of number {number}": number for number in range(7)}
    nested = {"train": {"rows": 3, "labels": {"negative": 1, "positive": 2}}, "test": {"rows": 1}}
    shown: dict[str, Any] = report_metadata(Found({"long": long, "nested": nested}))
    assert [record.data for record in shown["long"].records][6] == {"name": "a long name of number 6", "value": 6}
    assert [column.name for column in shown["nested"].schema.columns] == ["name", "rows", "labels"]
    assert [record.data for record in shown["nested"].records] == [
        {"name": "train", "rows": 3, "labels": "negative 1, positive 2"},
        {"name": "test", "rows": 1, "labels": None},
    ]


@pytest.mark.parametrize("value", [None, b"bytes", Path("x"), {1}])
def test_metadata_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected str, int, float, bool, dict, list, Markdown"):
        report_metadata(Found({"k": value}))


def _data_version(result: dg.ExecuteInProcessResult) -> str:
    (event,) = result.asset_materializations_for_node("note")
    assert event.tags is not None
    return event.tags["dagster/data_version"]
