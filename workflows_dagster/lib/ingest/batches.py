"""Which files make which batch: pure planning, the same for the same files."""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace

from workflows_dagster.lib.ingest.catalog import Batching
from workflows_dagster.lib.ingest.locations import FileVersion, Identity
from workflows_dagster.lib.ingest.manifests import Manifest


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
    new = sorted(file for file in files if file.identity not in known)
    return [Manifest(source, tuple(group)) for group in _groups(new, batching)]


def settled_files(
    files: Iterable[FileVersion], seen_before: Set[Identity], now_s: float, settle_s: float
) -> list[FileVersion]:
    """Files that were the same at the last look, and that nobody has written to for a while.

    Both are asked: a time of modification can be set by the writer, and two looks can fall between two writes.
    """
    return [file for file in files if file.identity in seen_before and now_s - file.modified_s >= settle_s]


def _groups(files: Sequence[FileVersion], batching: Batching) -> Iterator[list[FileVersion]]:
    group: list[FileVersion] = []
    size = 0
    for file in files:
        if group and (len(group) == batching.max_files or size + file.size > batching.max_bytes):
            yield group
            group, size = [], 0
        # The time is no part of a file's identity where a checksum is, and so no part of a manifest.
        group.append(replace(file, modified_s=0.0))
        size += file.size
    if group:
        yield group
