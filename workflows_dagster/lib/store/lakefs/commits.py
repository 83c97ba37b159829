"""What commits of a lakeFS repository hold, and which of them made it so."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from workflows_dagster.lib.errors import NotPublishedError, StoreError
from workflows_dagster.lib.store.lakefs.connection import PAGE, LakeFSConnection

_LONGEST_VALUE = 2000

_Look = Callable[[LakeFSConnection, str, str], object]


def entries(connection: LakeFSConnection, commit: str, prefix: str) -> Iterator[Any]:
    """The files of a commit whose names begin with a prefix, as the generated client's ObjectStats, sorted by name."""
    objects = connection.sdk.objects_api
    request = partial(
        objects.list_objects, connection.repository, commit, prefix=prefix, user_metadata=False, amount=PAGE
    )
    return connection.pages(f"list the files of {commit}", lambda after: request(after=after))


def last_change(connection: LakeFSConnection, commit: str, name: str) -> str | None:
    """Id of the commit that gave a file, or the files below a folder, the content that a commit has; None: no such."""
    file = _file(connection, commit, name)
    if file is not None:
        return _origin(connection, commit, name, file, _file, objects=[name])
    below = _below(connection, commit, name)
    if below:
        return _origin(connection, commit, name, below, _below, prefixes=[f"{name}/"])
    return None


def commit_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata as lakeFS holds and shows it: long values cut, addresses as buttons of the commit's page."""
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
    look: _Look,
    **named: list[str],
) -> str:
    """The newest commit in the history of another that changed what is named, and left it with its content."""
    request = partial(connection.sdk.refs_api.log_commits, connection.repository, commit, limit=True, amount=1, **named)
    after = ""
    while changes := connection.call(f"read the log of {name}", partial(request, after=after)).results:
        after = str(changes[0].id)
        # The server leaves merge commits out of such a log, and orders it by the clocks of its instances: where those
        # differ, the newest change need not come first.
        if after == commit or look(connection, after, name) == content:
            return after
    raise StoreError(
        f"no commit of the log made {name} what it is",
        given=commit,
        expected="a commit, not a merge, that wrote the file",
        remedy="look at the log of the file in the lakeFS UI",
    )


def _file(connection: LakeFSConnection, commit: str, name: str) -> object:
    """What tells the content of a file from any other; None: there is no such file."""
    request = partial(connection.sdk.objects_api.stat_object, connection.repository, commit, name, user_metadata=False)
    try:
        file = connection.call(f"look at {name}", request)
    except NotPublishedError:
        return None
    return file.checksum, file.size_bytes


def _below(connection: LakeFSConnection, commit: str, name: str) -> object:
    """As `_file`, for all files below a folder."""
    return [(entry.path, entry.checksum) for entry in entries(connection, commit, f"{name}/")]


def _shortened(value: str) -> str:
    """A value of commit metadata: DynamoDB, which may hold the commits of lakeFS, takes 400 KB for a whole commit."""
    return value if len(value) <= _LONGEST_VALUE else f"{value[: _LONGEST_VALUE - 3]}..."
