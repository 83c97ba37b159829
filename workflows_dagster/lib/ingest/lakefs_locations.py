"""Locations in lakeFS: `lakefs://<repository>/<branch>/<path>`.

Files are listed and read at a commit, which never changes. A file is identified by its path and checksum, so that it
stays the same file in a later commit.
"""

from collections.abc import Iterator, Mapping
from glob import has_magic
from typing import Any, Final

from workflows_dagster.lib.ingest.storage_options import Options

SCHEME: Final = "lakefs://"
TIMEOUT_S: Final = 60.0
"""Longest wait for an answer of the server."""

SECRET_VARIABLE: Final = "LAKEFS_SECRET_ACCESS_KEY"
_OPTIONS: Final = {
    "host": "LAKEFS_ENDPOINT",
    "username": "LAKEFS_ACCESS_KEY_ID",
    "password": SECRET_VARIABLE,
}
_OWN: Final = {"asset", "run_id"}
"""Metadata keys that together mark a commit as a publication of this project."""


def is_in_lakefs(location: str) -> bool:
    """Whether a location is in lakeFS."""
    return location.startswith(SCHEME)


def with_defaults(options: Options, environment: Mapping[str, str]) -> Options:
    """The storage options, completed by the server and the keys that the environment names."""
    given = options.reveal()
    known: dict[str, Any] = {"create_branch_ok": False, "request_config": {"request_timeout": TIMEOUT_S}}
    if not given.keys() & _OPTIONS.keys():
        known |= {name: environment[key] for name, key in _OPTIONS.items() if environment.get(key)}
    return Options(known | given)


def at_commit(fs: Any, path: str) -> str:
    """The path with its branch replaced by the newest commit of that branch."""
    from lakefs.exceptions import api_exception_handler

    repository, ref, rest = _split(path)
    with api_exception_handler():
        commit = fs.client.sdk_client.commits_api.get_commit(repository, ref, _request_timeout=TIMEOUT_S)
    return f"{repository}/{commit.id}/{rest}"


def without_ref(uri: str) -> str:
    """The URI of a file without the branch or commit, if the file is in lakeFS."""
    if not is_in_lakefs(uri):
        return uri
    repository, _, rest = _split(uri.removeprefix(SCHEME))
    return f"{SCHEME}{repository}/{rest}"


def newest_commit(fs: Any, path: str) -> str | None:
    """Id of the newest commit that changed anything at a location; None where there is none.

    Publications of this project do not count: each run publishes, and would start the next run.
    """
    repository, ref, rest = _split(path)
    parts = rest.split("/")
    fixed = next((number for number, part in enumerate(parts) if has_magic(part)), None)
    prefix = rest if fixed is None else "".join(f"{part}/" for part in parts[:fixed])
    for commit in _log(fs.client.sdk_client.refs_api, repository, ref, prefix):
        is_own, is_merge = commit.metadata.keys() >= _OWN, len(commit.parents) > 1
        if not is_own and not is_merge:
            return str(commit.id)
    return None


def _log(refs: Any, repository: str, ref: str, prefix: str) -> Iterator[Any]:
    from lakefs.exceptions import api_exception_handler

    # One at a time, as the server walks its history for each, and the first is nearly always the one.
    named = {"prefixes": [prefix], "limit": True} if prefix else {}
    after = ""
    while True:
        with api_exception_handler():
            page = refs.log_commits(repository, ref, amount=1, after=after, _request_timeout=TIMEOUT_S, **named).results
        if not page:
            return
        yield from page
        after = page[-1].id


def _split(path: str) -> tuple[str, str, str]:
    repository, _, below = path.partition("/")
    ref, _, rest = below.partition("/")
    return repository, ref, rest
