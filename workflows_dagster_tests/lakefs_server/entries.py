"""What a commit or a branch holds under each path, and how two or three such states are compared."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

ADDED, REMOVED, CHANGED, CONFLICT = "added", "removed", "changed", "conflict"
PREFIX_CHANGED = "prefix_changed"


@dataclass(frozen=True)
class Entry:
    """One object.

    Attributes:
        blob: Id of the git blob with its content.
        size_bytes: Length of the content.
        checksum: MD5 of the content.
        mtime: Unix time of the upload.
        content_type: As the client gave it.
        address: Tells two uploads of one content apart, as in lakeFS the place of their content does.
        metadata: User metadata.
    """

    blob: str
    size_bytes: int
    checksum: str
    mtime: int
    content_type: str
    address: str
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def identity(self) -> tuple[Any, ...]:
        """What makes two objects the same: not where their content is, nor when it was written."""
        return self.size_bytes, self.checksum, self.content_type, tuple(sorted(self.metadata.items()))

    def to_record(self) -> dict[str, Any]:
        return vars(self) | {"metadata": dict(self.metadata)}


Entries = Mapping[str, Entry]


class ConflictFound(Exception):
    """Both sides of a merge changed one path."""


def differences(before: Entries, after: Entries) -> dict[str, str]:
    """What happened to each path on the way from one state to another, by path, sorted."""
    found: dict[str, str] = {}
    for path in sorted({*before, *after}):
        if not same(before.get(path), after.get(path)):
            found[path] = ADDED if path not in before else REMOVED if path not in after else CHANGED
    return found


def compared(base: Entries, destination: Entries, source: Entries) -> dict[str, str]:
    """What a merge of `source` would bring to `destination`, by path, sorted."""
    found: dict[str, str] = {}
    for path, kind in differences(destination, source).items():
        was, there, comes = base.get(path), destination.get(path), source.get(path)
        if same(comes, was):
            continue
        found[path] = kind if same(there, was) else CONFLICT
    return found


def merged(base: Entries, destination: Entries, source: Entries, strategy: str) -> dict[str, Entry]:
    """The three-way merge, object by object.

    lakeFS 1.70 overlooks a conflict that this reports: where both sides add a path, and the object that follows that
    path in the base has the content of one side, it takes the other side's.

    Raises:
        ConflictFound: A path was changed on both sides, and no strategy says which one wins.
    """
    result = dict(destination)
    for path, kind in compared(base, destination, source).items():
        if kind == CONFLICT and not strategy:
            raise ConflictFound(path)
        if kind == CONFLICT and strategy == "dest-wins":
            continue
        if path in source:
            result[path] = source[path]
        else:
            del result[path]
    return result


def listed(paths: Iterable[str], *, prefix: str, delimiter: str, after: str) -> Iterator[tuple[str, bool]]:
    """Sorted paths after another one, those below a delimiter as one; each with whether it is such a common prefix."""
    last = ""
    for path in paths:
        if path < after or not path.startswith(prefix):
            continue
        head, found, _ = path[len(prefix) :].partition(delimiter) if delimiter else (path, "", "")
        shown = f"{prefix}{head}{found}" if found else path
        if shown not in (after, last):
            yield shown, bool(found)
        last = shown


def same(one: Entry | None, other: Entry | None) -> bool:
    """Whether two states hold the same object, or both none."""
    return (one and one.identity) == (other and other.identity)
