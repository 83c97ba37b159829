"""Files of a commit, the commit that wrote them, and the metadata of commits."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from workflows_dagster.lib.errors import NotPublishedError, StoreError
from workflows_dagster.lib.store.lakefs.connection import PAGE, LakeFSConnection

_LONGEST_VALUE = 2000

_Content = Callable[[LakeFSConnection, str, str], object]
"""Tells the content of a file or folder at a commit from any other."""


def entries(connection: LakeFSConnection, commit: str, prefix: str) -> Iterator[Any]:
    """The files of a commit whose names begin with a prefix: the generated client's ObjectStats, sorted by name."""
    objects = connection.sdk.objects_api
    request = partial(
        objects.list_objects, connection.repository, commit, prefix=prefix, user_metadata=False, amount=PAGE
    )
    return connection.pages(f"list the files of {commit}", lambda after: request(after=after))


def last_change(connection: LakeFSConnection, commit: str, name: str) -> str | None:
    """Id of the commit that wrote a file, or the files below a folder, as they are at a commit; None: no such file."""
    file = _file(connection, commit, name)
    if file is not None:
        return _origin(connection, commit, name, file, _file, objects=[name])
    below = _below(connection, commit, name)
    if below:
        return _origin(connection, commit, name, below, _below, prefixes=[f"{name}/"])
    return None


def commit_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata for a commit: long values are cut, and addresses also become buttons on the page of the commit."""
    buttons = {
        f"::lakefs::{key.removesuffix('_url')}::url[url:ui]": value
        for key, value in metadata.items()
        if key.endswith("_url") and value.startswith(("http://", "https://"))
    }
    return {key: _shortened(value) for key, value in metadata.items()} | buttons


def _origin(
    connection: LakeFSConnection,
    commit: str,
    name: str,
    content: object,
    content_at: _Content,
    **named: list[str],
) -> str:
    """Id of the newest commit, up to another, that changed a file or folder and left it with this content."""
    request = partial(connection.sdk.refs_api.log_commits, connection.repository, commit, limit=True, amount=1, **named)
    after = ""
    while changes := connection.call(f"read the log of {name}", partial(request, after=after)).results:
        after = str(changes[0].id)
        # The server leaves merge commits out of this log. It sorts the log by the clocks of its instances: where they
        # differ, the newest change need not come first.
        if after == commit or content_at(connection, after, name) == content:
            return after
    raise StoreError(
        f"no commit in the log wrote {name} as it is",
        given=commit,
        expected="a commit, not a merge, that wrote the file",
        remedy="look at the log of the file in the lakeFS UI",
    )


def _file(connection: LakeFSConnection, commit: str, name: str) -> object:
    """Checksum and size of a file; None: there is no such file."""
    request = partial(connection.sdk.objects_api.stat_object, connection.repository, commit, name, user_metadata=False)
    try:
        file = connection.call(f"look at {name}", request)
    except NotPublishedError:
        return None
    return file.checksum, file.size_bytes


def _below(connection: LakeFSConnection, commit: str, name: str) -> object:
    """Names and checksums of the files below a folder."""
    return [(entry.path, entry.checksum) for entry in entries(connection, commit, f"{name}/")]


def _shortened(value: str) -> str:
    """A value, cut: lakeFS may keep commits in DynamoDB, which takes 400 KB for a whole commit."""
    return value if len(value) <= _LONGEST_VALUE else f"{value[: _LONGEST_VALUE - 3]}..."
