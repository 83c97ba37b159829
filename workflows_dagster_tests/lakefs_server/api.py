"""The API of lakeFS under /api/v1, as far as clients of this project use it: answers and words of lakeFS 1.70."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from workflows_dagster_tests.lakefs_server import comparison, objects
from workflows_dagster_tests.lakefs_server.entries import PREFIX_CHANGED, Entries, listed
from workflows_dagster_tests.lakefs_server.exchange import Request, Response, answer, page
from workflows_dagster_tests.lakefs_server.installation import Installation
from workflows_dagster_tests.lakefs_server.references import commit_of, compared_commit, resolve
from workflows_dagster_tests.lakefs_server.refusal import Refused

VERSION = "1.70.1"
PREFIX = "/api/v1"

_STORAGE = {
    "blockstore_id": "",
    "blockstore_description": "",
    "blockstore_type": "local",
    "blockstore_namespace_example": "local://example-bucket/",
    "blockstore_namespace_ValidityRegex": "^local://",
    "default_namespace_prefix": "local://",
    "pre_sign_support": False,
    "pre_sign_support_ui": False,
    "pre_sign_multipart_upload": False,
    "import_support": False,
    "import_validity_regex": "^local://",
}
_VERSION = {"version": VERSION, "version_context": "lakeFS"}

Handler = Callable[[Installation, Request], Response]


def health(all_: Installation, request: Request) -> Response:
    return answer(204)


def page_of_ui(all_: Installation, request: Request) -> Response:
    """Any page: in lakeFS too it is one document, which then asks the API."""
    document = b"<!doctype html><title>lakeFS</title>"
    return Response(200, {"Content-Type": "text/html; charset=utf-8"}, (document,), len(document))


def config(all_: Installation, request: Request) -> Response:
    return answer(
        200, {"storage_config": _STORAGE, "version_config": _VERSION, "storage_config_list": [], "ui_config": None}
    )


def storage(all_: Installation, request: Request) -> Response:
    return answer(200, _STORAGE)


def version(all_: Installation, request: Request) -> Response:
    return answer(200, _VERSION)


def user(all_: Installation, request: Request) -> Response:
    return answer(200, {"user": {"id": all_.user, "creation_date": 0}})


def list_repositories(all_: Installation, request: Request) -> Response:
    known = all_.descriptions()
    return page([known[name].to_answer() for name in _chosen(request, known)], request.amount, "id")


def create_repository(all_: Installation, request: Request) -> Response:
    body = request.json("name", "storage_namespace")
    made = all_.create(body["name"], body["storage_namespace"], body.get("default_branch", ""))
    return answer(201, made.to_answer())


def get_repository(all_: Installation, request: Request) -> Response:
    return answer(200, all_.repository(request.names["repository"]).description.to_answer())


def delete_repository(all_: Installation, request: Request) -> Response:
    all_.delete(request.names["repository"])
    return answer(204)


def list_branches(all_: Installation, request: Request) -> Response:
    return _refs(request, all_.repository(request.names["repository"]).history.branches())


def create_branch(all_: Installation, request: Request) -> Response:
    body = request.json("name", "source")
    commit = all_.repository(request.names["repository"]).create_branch(body["name"], body["source"]).encode()
    return Response(201, {"Content-Type": "text/plain; charset=utf-8"}, (commit,), len(commit))


def get_branch(all_: Installation, request: Request) -> Response:
    branch = request.names["branch"]
    return answer(200, {"id": branch, "commit_id": all_.repository(request.names["repository"]).head(branch)})


def delete_branch(all_: Installation, request: Request) -> Response:
    all_.repository(request.names["repository"]).delete_branch(request.names["branch"])
    return answer(204)


def reset_branch(all_: Installation, request: Request) -> Response:
    body = request.json("type")
    path = body.get("path", "")
    chosen: dict[str, Callable[[str], bool]] = {
        "reset": lambda name: True,
        "object": lambda name: name == path,
        "common_prefix": lambda name: name.startswith(path),
    }
    if body["type"] not in chosen:
        raise Refused(400, "unknown reset type")
    all_.repository(request.names["repository"]).reset(request.names["branch"], chosen[body["type"]])
    return answer(204)


def commit(all_: Installation, request: Request) -> Response:
    body = request.json("message")
    made = all_.repository(request.names["repository"]).commit(
        request.names["branch"],
        body["message"],
        body.get("metadata") or {},
        all_.user,
        date_s=body.get("date"),
        allow_empty=bool(body.get("allow_empty")),
    )
    return answer(201, made.to_answer())


def get_commit(all_: Installation, request: Request) -> Response:
    history = all_.repository(request.names["repository"]).history
    try:
        found = history.commit(commit_of(history, request.names["commit"]))
    except Refused as error:
        if error.status == 404:
            raise Refused(404, "commit not found") from error
        raise Refused(500, error.message) from error
    return answer(200, found.to_answer())


def log(all_: Installation, request: Request) -> Response:
    history = all_.repository(request.names["repository"]).history
    paths = [path for path in request.query.get("objects", []) if path]
    prefixes = [path for path in request.query.get("prefixes", []) if path]
    since, stop_at = request.text("since"), request.text("stop_at")
    stop = commit_of(history, stop_at) if stop_at else ""
    found: list[dict[str, Any]] = []
    for each in comparison.log(
        history,
        request.names["ref"],
        first_parent=request.flag("first_parent"),
        since_ns=int(datetime.fromisoformat(since).timestamp() * 10**9) if since else 0,
        after=request.text("after"),
    ):
        if (paths or prefixes) and not comparison.touched(history, each, paths, prefixes):
            continue
        found.append(each.to_answer())
        if len(found) >= request.amount + (not request.flag("limit")) or each.id == stop:
            break
    return page(found, request.amount, "id")


def diff_branch(all_: Installation, request: Request) -> Response:
    return _differences(request, *all_.repository(request.names["repository"]).uncommitted(request.names["branch"]))


def diff_refs(all_: Installation, request: Request) -> Response:
    repository = all_.repository(request.names["repository"])
    left, right = request.names["left"], request.names["right"]
    if request.text("type") != "two_dot":
        return _differences(request, *comparison.three_dot(repository.history, left, right))
    before = repository.history.entries(compared_commit(repository.history, left))
    # What is staged on the right is seen by right$ alone.
    at = resolve(repository.history, right)
    after = repository.entries(right) if at.staging else repository.history.entries(at.commit)
    return _differences(request, *comparison.two_dot(before, after))


def merge(all_: Installation, request: Request) -> Response:
    body = request.json()
    reference = all_.repository(request.names["repository"]).merge(
        request.names["source"],
        request.names["destination"],
        body.get("message") or "",
        body.get("metadata") or {},
        all_.user,
        strategy=body.get("strategy") or "",
        allow_empty=bool(body.get("allow_empty") or body.get("force")),
        squash=bool(body.get("squash_merge")),
    )
    return answer(200, {"reference": reference})


def merge_base(all_: Installation, request: Request) -> Response:
    history = all_.repository(request.names["repository"]).history
    # lakeFS gives the two the wrong way round.
    destination, source, base = comparison.merge_base(history, request.names["source"], request.names["destination"])
    return answer(200, {"source_commit_id": source, "destination_commit_id": destination, "base_commit_id": base})


def list_tags(all_: Installation, request: Request) -> Response:
    return _refs(request, all_.repository(request.names["repository"]).history.tags())


def create_tag(all_: Installation, request: Request) -> Response:
    body = request.json("id", "ref")
    made = all_.repository(request.names["repository"]).create_tag(body["id"], body["ref"])
    return answer(201, {"id": body["id"], "commit_id": made})


def get_tag(all_: Installation, request: Request) -> Response:
    tag = request.names["tag"]
    return answer(200, {"id": tag, "commit_id": all_.repository(request.names["repository"]).tag(tag)})


def delete_tag(all_: Installation, request: Request) -> Response:
    all_.repository(request.names["repository"]).delete_tag(request.names["tag"])
    return answer(204)


def _chosen(request: Request, names: Any) -> list[str]:
    """The names of a page, and one more if there is one."""
    prefix, after = request.text("prefix"), request.text("after")
    return [name for name in sorted(names) if name.startswith(prefix) and name > after][: request.amount + 1]


def _refs(request: Request, known: Any) -> Response:
    return page([{"id": name, "commit_id": known[name]} for name in _chosen(request, known)], request.amount, "id")


def _differences(request: Request, found: dict[str, str], held: Entries) -> Response:
    results: list[dict[str, Any]] = []
    shown = listed(
        found, prefix=request.text("prefix"), delimiter=request.text("delimiter"), after=request.text("after")
    )
    for path, is_prefix in shown:
        if is_prefix:
            results.append({"type": PREFIX_CHANGED, "path": path, "path_type": "common_prefix"})
        else:
            size = held[path].size_bytes if path in held else 0
            results.append({"type": found[path], "path": path, "path_type": "object", "size_bytes": size})
        if len(results) > request.amount:
            break
    return page(results, request.amount, "path")


_ROUTES: dict[str, dict[str, Handler]] = {
    "/healthcheck": {"GET": health},
    "/config": {"GET": config},
    "/config/storage": {"GET": storage},
    "/config/version": {"GET": version},
    "/user": {"GET": user},
    "/repositories": {"GET": list_repositories, "POST": create_repository},
    "/repositories/{repository}": {"GET": get_repository, "DELETE": delete_repository},
    "/repositories/{repository}/branches": {"GET": list_branches, "POST": create_branch},
    "/repositories/{repository}/branches/{branch}": {"GET": get_branch, "PUT": reset_branch, "DELETE": delete_branch},
    "/repositories/{repository}/branches/{branch}/commits": {"POST": commit},
    "/repositories/{repository}/branches/{branch}/diff": {"GET": diff_branch},
    "/repositories/{repository}/branches/{branch}/objects": {"POST": objects.upload, "DELETE": objects.delete},
    "/repositories/{repository}/branches/{branch}/objects/delete": {"POST": objects.delete_many},
    "/repositories/{repository}/branches/{branch}/objects/copy": {"POST": objects.copy},
    "/repositories/{repository}/commits/{commit}": {"GET": get_commit},
    "/repositories/{repository}/refs/{ref}/commits": {"GET": log},
    "/repositories/{repository}/refs/{ref}/objects": {"GET": objects.get, "HEAD": objects.head},
    "/repositories/{repository}/refs/{ref}/objects/stat": {"GET": objects.stat},
    "/repositories/{repository}/refs/{ref}/objects/ls": {"GET": objects.list_},
    "/repositories/{repository}/refs/{left}/diff/{right}": {"GET": diff_refs},
    "/repositories/{repository}/refs/{source}/merge/{destination}": {"POST": merge, "GET": merge_base},
    "/repositories/{repository}/tags": {"GET": list_tags, "POST": create_tag},
    "/repositories/{repository}/tags/{tag}": {"GET": get_tag, "DELETE": delete_tag},
}
_PATTERNS = [
    (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]*)", PREFIX + path) + "/?"), methods)
    for path, methods in _ROUTES.items()
]


def route(method: str, path: str) -> tuple[Handler, dict[str, str]]:
    """What answers a request, and the names in its path."""
    if not path.startswith("/api/") and method in ("GET", "HEAD"):
        return page_of_ui, {}
    for pattern, methods in _PATTERNS:
        found = pattern.fullmatch(path)
        if found and method in methods:
            return methods[method], {name: unquote(value) for name, value in found.groupdict().items()}
    raise Refused(500, "invalid API endpoint")


def needs_key(handler: Handler) -> bool:
    """Whether a request has to name its user."""
    return handler not in (health, page_of_ui)
