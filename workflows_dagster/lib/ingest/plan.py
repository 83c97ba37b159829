"""The plan: which files make which batch, so that no file is taken twice and none is lost."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

from workflows_dagster.lib.errors import WorkflowError
from workflows_dagster.lib.ingest.catalog import Batching, Catalog
from workflows_dagster.lib.ingest.lakefs_locations import is_in_lakefs
from workflows_dagster.lib.ingest.locations import FileVersion, Identity, last_commit, look
from workflows_dagster.lib.ingest.manifests import Manifest, Manifests
from workflows_dagster.lib.ingest.source import Source

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Discovery:
    """The files that are there now.

    Attributes:
        files: The files of each source that could be listed, by source.
        failures: Why others cannot be used, by source, or by source and file: `<source>/<file>`.
        passed_over: Names of files that lie beside those of a source and do not fit its pattern, by source.
    """

    files: Mapping[str, list[FileVersion]]
    failures: Mapping[str, WorkflowError]
    passed_over: Mapping[str, Sequence[str]]


def discover(catalog: Catalog) -> Discovery:
    """Lists every source; a source or file that cannot be used does not keep the others from it."""
    listings, failures = _ask(catalog.sources, look)
    of_files = {
        f"{source}/{name}": error for source, found in listings.items() for name, error in found.failures.items()
    }
    return Discovery(
        {source: found.files for source, found in listings.items()},
        {**catalog.refused, **failures, **of_files},
        {source: found.passed_over for source, found in listings.items() if found.passed_over},
    )


def _ask(
    sources: Iterable[Source], question: Callable[[Source], _Answer]
) -> tuple[dict[str, _Answer], dict[str, WorkflowError]]:
    """The answer of each source, and the errors of those that failed, by source."""
    answers: dict[str, _Answer] = {}
    failures: dict[str, WorkflowError] = {}
    for source in sources:
        try:
            answers[source.name] = question(source)
        except WorkflowError as error:
            failures[source.name] = error
    return answers, failures


@dataclass(frozen=True)
class Plan:
    """What is to be read.

    Attributes:
        batches: Every batch that can be read now, whether it was or not.
        waiting: Files that are in no batch yet, because they may still be growing.
        listed: Number of sources that could be listed.
        empty: Those of them whose location holds no file at all.
        failures: Why some sources or files cannot be used, by source, or by source and file: `<source>/<file>`.
        passed_over: Names of files that lie beside those of a source and do not fit its pattern, by source.
    """

    batches: Sequence[Manifest]
    waiting: Sequence[FileVersion]
    listed: int
    empty: Sequence[str]
    failures: Mapping[str, WorkflowError]
    passed_over: Mapping[str, Sequence[str]]


def plan_all(catalog: Catalog, manifests: Manifests, materialized: Set[str]) -> Plan:
    """Puts all files that are there into batches, however new they are.

    Args:
        catalog: The sources, and the caps of a batch.
        manifests: The record of batches; new ones are written before this returns.
        materialized: Keys of batches that were read.
    """
    found = discover(catalog)
    with manifests.lock():
        return _plan(catalog, found, found.files, manifests, materialized)


def plan_settled(catalog: Catalog, manifests: Manifests, materialized: Set[str], now_s: float) -> Plan:
    """Puts the files that have stopped growing into batches; see `plan_all`.

    Args:
        catalog: The sources, and the caps of a batch.
        manifests: The record of batches, and of the files that were seen at the last look.
        materialized: Keys of batches that were read.
        now_s: The time, in seconds since 1970.
    """
    found = discover(catalog)
    with manifests.lock():
        seen, settle_s = manifests.last_look(), catalog.batching.settle_s
        ready = {source: settled_files(files, seen, now_s, settle_s) for source, files in found.files.items()}
        plan = _plan(catalog, found, ready, manifests, materialized)
        manifests.note_look(file.identity for file in plan.waiting)
    return plan


def settled_files(
    files: Iterable[FileVersion], seen_before: Set[Identity], now_s: float, settle_s: float
) -> list[FileVersion]:
    """Files that were the same at the last look, and that nobody has written to for a while.

    Both are asked: the writer can set the time of modification, and two looks can fall between two writes.
    """
    return [file for file in files if file.identity in seen_before and now_s - file.modified_s >= settle_s]


def _plan(
    catalog: Catalog,
    found: Discovery,
    ready: Mapping[str, Iterable[FileVersion]],
    manifests: Manifests,
    materialized: Set[str],
) -> Plan:
    """Plans batches of the ready files that are in none.

    A batch that was never materialized can no longer be read once one of its files has changed or gone. Its other
    files then count as being in no batch, so that they are not lost with it.
    """
    recorded = manifests.all()
    there = [file for files in found.files.values() for file in files]
    now = {file.identity for file in there}
    current = [manifest for manifest in recorded if all(file.identity in now for file in manifest.files)]
    known = known_files(current) | known_files(batch for batch in recorded if batch.key in materialized)
    new = [
        manifest for source, files in ready.items() for manifest in plan_batches(source, files, known, catalog.batching)
    ]
    manifests.write(new)
    taken = known | known_files(new)
    waiting = [file for file in there if file.identity not in taken]
    empty = [source for source, files in found.files.items() if not files]
    return Plan(current + new, waiting, len(found.files), empty, found.failures, found.passed_over)


def known_files(manifests: Iterable[Manifest]) -> set[Identity]:
    """Identity of every file state that some batch holds."""
    return {file.identity for manifest in manifests for file in manifest.files}


def plan_batches(source: str, files: Iterable[FileVersion], known: Set[Identity], batching: Batching) -> list[Manifest]:
    """Batches of those files that no batch holds yet, within the caps, in the order of their URIs.

    A file that has changed is another file: its new state goes into a new batch.

    Args:
        source: Name of the source.
        files: Its files, settled, each once.
        known: Identities of file states that are in a batch.
        batching: The caps.
    """
    groups: list[list[FileVersion]] = []
    size = 0
    for file in sorted(file for file in files if file.identity not in known):
        if not groups or len(groups[-1]) == batching.max_files or size + file.size > batching.max_bytes:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.size
    return [Manifest(source=source, files=tuple(group)) for group in groups]


@dataclass(frozen=True)
class Commits:
    """Where the locations in lakeFS stand now.

    Attributes:
        newest: The commit that last changed each source's location, by source; those without any left out.
        failures: Why it is not known of others, by source.
    """

    newest: Mapping[str, str]
    failures: Mapping[str, WorkflowError]


def look_for_commits(catalog: Catalog) -> Commits:
    """Asks for the newest commit of every location in lakeFS; a server that fails does not hide the others."""
    found, failures = _ask(in_lakefs(catalog).sources, last_commit)
    return Commits({source: commit for source, commit in found.items() if commit}, failures)


def in_lakefs(catalog: Catalog) -> Catalog:
    """The catalog with the sources in lakeFS only: commits tell when to look at them."""
    return only(catalog, lambda source: is_in_lakefs(source.location))


def outside_lakefs(catalog: Catalog) -> Catalog:
    """The catalog with all other sources: only listing them shows what is new."""
    return only(catalog, lambda source: not is_in_lakefs(source.location))


def only(catalog: Catalog, wanted: Callable[[Source], bool]) -> Catalog:
    """The catalog with the sources that are wanted."""
    return catalog.model_copy(update={"sources": tuple(filter(wanted, catalog.sources))})
