"""The part of the lakeFS API that the clients of this project use, with the statuses and words of lakeFS 1.84."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import unquote

from workflows_dagster_tests.lakefs_server.state import Commit, Entry, Lake, Refused, Repository, differences

_MOST = 1000
"""The most results of a page, and the most objects that one request may remove."""

_METADATA = "x-lakefs-meta-"


@dataclass(frozen=True)
class Request:
    """A request: the parameters of its query, its headers by their names in lower case, and its body."""

    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    def text(self, name: str) -> str:
        """The first value of a parameter; empty where it is missing."""
        return self.query.get(name, [""])[0]

    @property
    def amount(self) -> int:
        """How many results a page holds."""
        amount = int(self.text("amount") or 100)
        if amount > _MOST:
            raise Refused(400, f'parameter "amount" in query has an error: number must be at most {_MOST}')
        return amount

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    """An answer."""

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def answer(status: int, body: object) -> Response:
    """An answer of JSON."""
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def respond(lake: Lake, method: str, path: str, request: Request) -> Response:
    """The answer to a request whose user is known."""
    for verb, pattern, handler in _ROUTES:
        found = pattern.fullmatch(path)
        if verb == method and found:
            try:
                with lake.lock:
                    return handler(lake, request, *map(unquote, found.groups()))
            except Refused as error:
                return answer(error.status, error.body or {"message": error.message})
    return answer(501, {"message": f"the lakeFS of the tests does not know {method} {path}"})


_Handler = Callable[..., Response]
_ROUTES: list[tuple[str, re.Pattern[str], _Handler]] = []


def _route(method: str, path: str) -> Callable[[_Handler], _Handler]:
    """Has a handler answer requests; it gets what the path names in the place of each asterisk."""
    pattern = re.compile("/api/v1" + path.replace("*", "([^/]*)"))

    def register(handler: _Handler) -> _Handler:
        _ROUTES.append((method, pattern, handler))
        return handler

    return register


# The server and its repositories


@_route("GET", "/config")
def _config(lake: Lake, request: Request) -> Response:
    # The wrapper asks before it reads an object: with pre_sign_support it would go to the block store.
    storage = {
        "blockstore_type": "local",
        "blockstore_namespace_example": "local://example-bucket/",
        "blockstore_namespace_ValidityRegex": "^local://",
        "pre_sign_support": False,
        "pre_sign_support_ui": False,
        "import_support": False,
        "import_validity_regex": "^local://",
    }
    return answer(200, {"storage_config": storage, "version_config": {"version": "1.84.0"}})


@_route("POST", "/repositories")
def _create_repository(lake: Lake, request: Request) -> Response:
    given = request.json
    made = lake.create(given["name"], given["storage_namespace"], given.get("default_branch") or "main")
    return answer(201, _repository(made))


@_route("GET", "/repositories/*")
def _get_repository(lake: Lake, request: Request, name: str) -> Response:
    return answer(200, _repository(lake.repository(name)))


def _repository(repository: Repository) -> dict[str, Any]:
    return {
        "id": repository.name,
        "creation_date": repository.created_s,
        "default_branch": repository.default_branch,
        "storage_namespace": repository.namespace,
    }


# Branches and tags


@_route("GET", "/repositories/*/branches")
def _list_branches(lake: Lake, request: Request, name: str) -> Response:
    return _refs(request, lake.repository(name).branches)


@_route("POST", "/repositories/*/branches")
def _create_branch(lake: Lake, request: Request, name: str) -> Response:
    commit = lake.repository(name).create_branch(request.json["name"], request.json["source"])
    return Response(201, commit.encode(), {"Content-Type": "text/plain; charset=utf-8"})


@_route("GET", "/repositories/*/branches/*")
def _get_branch(lake: Lake, request: Request, name: str, branch: str) -> Response:
    return answer(200, {"id": branch, "commit_id": lake.repository(name).head(branch).id})


@_route("DELETE", "/repositories/*/branches/*")
def _delete_branch(lake: Lake, request: Request, name: str, branch: str) -> Response:
    lake.repository(name).delete_branch(branch)
    return Response(204)


@_route("GET", "/repositories/*/tags")
def _list_tags(lake: Lake, request: Request, name: str) -> Response:
    return _refs(request, lake.repository(name).tags)


@_route("POST", "/repositories/*/tags")
def _create_tag(lake: Lake, request: Request, name: str) -> Response:
    tag = request.json["id"]
    return answer(201, {"id": tag, "commit_id": lake.repository(name).create_tag(tag, request.json["ref"])})


@_route("GET", "/repositories/*/tags/*")
def _get_tag(lake: Lake, request: Request, name: str, tag: str) -> Response:
    tags = lake.repository(name).tags
    if tag not in tags:
        raise Refused(404, "tag not found")
    return answer(200, {"id": tag, "commit_id": tags[tag]})


def _refs(request: Request, commits: Mapping[str, str]) -> Response:
    return _page(request, _named(request, {name: {"id": name, "commit_id": commits[name]} for name in commits}))


# Commits


@_route("POST", "/repositories/*/branches/*/commits")
def _commit(lake: Lake, request: Request, name: str, branch: str) -> Response:
    repository, given = lake.repository(name), request.json
    if branch not in repository.branches:
        # lakeFS looks for hooks first.
        raise Refused(404, "prepare-commit hook aborted: list actions from commit: listing actions: not found")
    return answer(201, _shown(repository.commit_staged(branch, given["message"], given.get("metadata") or {})))


@_route("GET", "/repositories/*/commits/*")
def _get_commit(lake: Lake, request: Request, name: str, ref: str) -> Response:
    return answer(200, _shown(lake.repository(name).commit(ref)))


@_route("GET", "/repositories/*/refs/*/commits")
def _log(lake: Lake, request: Request, name: str, ref: str) -> Response:
    repository = lake.repository(name)
    objects, prefixes = request.query.get("objects", []), request.query.get("prefixes", [])
    found = repository.log(ref)
    if after := request.text("after"):
        next(commit for commit in found if commit.id == after)
    chosen = (each for each in found if not (objects or prefixes) or repository.touches(each, objects, prefixes))
    # With a limit lakeFS gives that many commits and does not look whether there are more.
    limit = request.amount if request.text("limit").lower() == "true" else None
    return _page(request, ((commit.id, _shown(commit)) for commit in islice(chosen, limit)))


@_route("GET", "/repositories/*/refs/*/diff/*")
def _diff(lake: Lake, request: Request, name: str, left: str, right: str) -> Response:
    if request.text("type") != "two_dot":
        raise Refused(501, "the lakeFS of the tests compares states only: type=two_dot")
    before, after = (lake.repository(name).commit(ref).entries for ref in (left, right))
    found = differences(before, after)
    shown = {path: {"type": found[path], "path": path, "path_type": "object"} for path in found}
    return _page(request, _named(request, shown))


@_route("POST", "/repositories/*/refs/*/merge/*")
def _merge(lake: Lake, request: Request, name: str, source: str, destination: str) -> Response:
    given = request.json
    message = given.get("message") or f"Merge '{source}' into '{destination}'"
    made = lake.repository(name).merge(source, destination, message, given.get("metadata") or {})
    return answer(200, {"reference": made.id})


@_route("GET", "/repositories/*/refs/*/merge/*")
def _merge_base(lake: Lake, request: Request, name: str, source: str, destination: str) -> Response:
    repository = lake.repository(name)
    found = {
        # lakeFS has these two the wrong way round.
        "source_commit_id": repository.commit(destination).id,
        "destination_commit_id": repository.commit(source).id,
        "base_commit_id": repository.merge_base(source, destination).id,
    }
    return answer(200, found)


def _shown(commit: Commit) -> dict[str, Any]:
    return {
        "id": commit.id,
        "parents": commit.parents,
        "committer": "admin",
        "message": commit.message,
        "creation_date": commit.created_s,
        "meta_range_id": "",
        "metadata": commit.metadata,
    }


# Objects


@_route("POST", "/repositories/*/branches/*/objects")
def _upload(lake: Lake, request: Request, name: str, branch: str) -> Response:
    path = request.text("path")
    metadata = {key.removeprefix(_METADATA): text for key, text in request.headers.items() if key.startswith(_METADATA)}
    entry = lake.write(request.body, request.headers.get("content-type", "application/octet-stream"), metadata)
    lake.repository(name).stage(branch, path, entry)
    return answer(201, _stats(lake.repository(name), path, entry))


@_route("DELETE", "/repositories/*/branches/*/objects")
def _delete(lake: Lake, request: Request, name: str, branch: str) -> Response:
    lake.repository(name).stage(branch, request.text("path"), None)
    return Response(204)


@_route("POST", "/repositories/*/branches/*/objects/delete")
def _delete_many(lake: Lake, request: Request, name: str, branch: str) -> Response:
    paths = request.json["paths"]
    if len(paths) > _MOST:
        raise Refused(400, f"request size exceeded, max paths is set to {_MOST}")
    # To lakeFS it is no error that there is no such object, nor that there is no such branch.
    if branch in lake.repository(name).branches:
        for path in paths:
            lake.repository(name).stage(branch, path, None)
    return answer(200, {"errors": []})


@_route("HEAD", "/repositories/*/refs/*/objects")
@_route("GET", "/repositories/*/refs/*/objects")
def _get(lake: Lake, request: Request, name: str, ref: str) -> Response:
    entry = lake.repository(name).entry(ref, request.text("path"))
    content, headers = lake.read(entry), {"Content-Type": entry.content_type, "ETag": f'"{entry.checksum}"'}
    part = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if part is None:
        return Response(200, content, headers)
    start, end = int(part[1]), min(int(part[2] or len(content)), len(content) - 1)
    if start > end:
        raise Refused(416, "Requested Range Not Satisfiable")
    headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
    return Response(206, content[start : end + 1], headers)


@_route("GET", "/repositories/*/refs/*/objects/stat")
def _stat(lake: Lake, request: Request, name: str, ref: str) -> Response:
    path = request.text("path")
    return answer(200, _stats(lake.repository(name), path, lake.repository(name).entry(ref, path)))


@_route("GET", "/repositories/*/refs/*/objects/ls")
def _list_objects(lake: Lake, request: Request, name: str, ref: str) -> Response:
    repository = lake.repository(name)
    entries, prefix, delimiter = repository.entries(ref), request.text("prefix"), request.text("delimiter")
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(path for path in entries if path.startswith(prefix)):
        below, separator, _ = path.removeprefix(prefix).partition(delimiter) if delimiter else (path, "", "")
        if separator:
            folder = f"{prefix}{below}{separator}"
            nothing = {"checksum": "", "mtime": 0, "physical_address": ""}
            found[folder] = nothing | {"path": folder, "path_type": "common_prefix"}
        else:
            found[path] = _stats(repository, path, entries[path])
    return _page(request, _named(request, found))


def _stats(repository: Repository, path: str, entry: Entry) -> dict[str, Any]:
    return {
        "path": path,
        "path_type": "object",
        "physical_address": f"{repository.namespace}/data/{entry.address}",
        "checksum": entry.checksum,
        "size_bytes": entry.size_bytes,
        "mtime": entry.mtime,
        "content_type": entry.content_type,
        "metadata": entry.metadata,
    }


def _named(request: Request, results: Mapping[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The results whose names begin with the prefix of a request and come after the end of the page before."""
    prefix, after = request.text("prefix"), request.text("after")
    return ((name, results[name]) for name in sorted(results) if name.startswith(prefix) and name > after)


def _page(request: Request, results: Iterable[tuple[str, dict[str, Any]]]) -> Response:
    """A page of as many results as a request asks for; each comes with what the next page begins after."""
    found = list(islice(results, request.amount + 1))
    shown, more = found[: request.amount], len(found) > request.amount
    pagination = {
        "has_more": more,
        "next_offset": shown[-1][0] if more else "",
        "results": len(shown),
        "max_per_page": _MOST,
    }
    return answer(200, {"pagination": pagination, "results": [result for _, result in shown]})
