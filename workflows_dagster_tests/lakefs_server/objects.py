"""The part of the API that reads and writes objects."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from email.message import Message
from email.utils import formatdate
from typing import Any
from uuid import uuid4

from workflows_dagster_tests.lakefs_server.entries import Entry, listed
from workflows_dagster_tests.lakefs_server.exchange import Request, Response, answer, blocks, page
from workflows_dagster_tests.lakefs_server.installation import Installation
from workflows_dagster_tests.lakefs_server.multipart import Form
from workflows_dagster_tests.lakefs_server.refusal import Refused, not_found
from workflows_dagster_tests.lakefs_server.repository import Repository

_METADATA = "x-lakefs-meta-"
_DEFAULT_TYPE = "application/octet-stream"
_MOST_DELETED = 1000
_RANGES = re.compile(r"bytes=((\d*-\d*,? ?)+)")
_RANGE = re.compile(r"bytes=\s*(\d*)\s*-\s*(\d*)\s*")


def upload(all_: Installation, request: Request) -> Response:
    repository, branch = all_.repository(request.names["repository"]), request.names["branch"]
    path = request.required("path")
    repository.require_branch(branch)
    condition = request.headers.get("If-None-Match")
    if condition is not None:
        _check_absent(repository, branch, path, condition)
    content_type = request.headers.get("Content-Type") or _DEFAULT_TYPE
    content = blocks(request.body)
    if request.headers.get_content_type() == "multipart/form-data":
        content_type, content = _part(request)
    received = repository.receive(content)
    entry = Entry(
        received.blob,
        received.size_bytes,
        received.checksum,
        int(time.time()),
        content_type or _DEFAULT_TYPE,
        uuid4().hex,
        _metadata(request.headers),
    )
    repository.put(branch, path, entry, absent=condition is not None)
    return answer(201, _stats(repository, path, entry))


def get(all_: Installation, request: Request) -> Response:
    repository = all_.repository(request.names["repository"])
    path = request.required("path")
    entry = repository.entry(request.names["ref"], path)
    headers = _headers(entry) | {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
        "Content-Security-Policy": "default-src 'none'",
        "Content-Disposition": "attachment",
    }
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(304)
    _refuse_presign(request)
    start, end, partial = _range(request.headers, entry, "Requested Range Not Satisfiable")
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{entry.size_bytes}"
    content = _slice(repository.history.content(entry.blob, path), start, end)
    return Response(206 if partial else 200, headers, content, end - start)


def head(all_: Installation, request: Request) -> Response:
    try:
        repository = all_.repository(request.names["repository"])
        entry = repository.entry(request.names["ref"], request.required("path"))
        start, end, partial = _range(request.headers, entry, "")
    except Refused as error:
        return Response(error.status)
    headers = _headers(entry) | {"Accept-Ranges": "bytes"}
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{entry.size_bytes}"
    return Response(206 if partial else 200, headers, (), end - start)


def stat(all_: Installation, request: Request) -> Response:
    repository = all_.repository(request.names["repository"])
    path = request.required("path")
    entry = repository.entry(request.names["ref"], path)
    _refuse_presign(request)
    shown = replace(entry, metadata={}) if request.text("user_metadata") == "false" else entry
    return answer(200, _stats(repository, path, shown))


def list_(all_: Installation, request: Request) -> Response:
    repository = all_.repository(request.names["repository"])
    entries = repository.entries(request.names["ref"])
    found: list[dict[str, Any]] = []
    shown = listed(
        sorted(entries), prefix=request.text("prefix"), delimiter=request.text("delimiter"), after=request.text("after")
    )
    for path, is_prefix in shown:
        if is_prefix:
            found.append(
                {"checksum": "", "mtime": 0, "path": path, "path_type": "common_prefix", "physical_address": ""}
            )
        else:
            found.append(_stats(repository, path, entries[path]))
            if request.text("user_metadata") == "false" or not entries[path].metadata:
                del found[-1]["metadata"]
        if len(found) > request.amount:
            break
    return page(found, request.amount, "path")


def delete(all_: Installation, request: Request) -> Response:
    repository = all_.repository(request.names["repository"])
    path = request.required("path")
    repository.delete(request.names["branch"], [path])
    return answer(204)


def delete_many(all_: Installation, request: Request) -> Response:
    paths = request.json("paths")["paths"]
    if len(paths) > _MOST_DELETED:
        raise Refused(500, f"request size exceeded, max paths is set to {_MOST_DELETED}")
    try:
        all_.repository(request.names["repository"]).delete(request.names["branch"], paths)
    except Refused as error:
        # Deleting what is not there is no error: not even where there is no such branch.
        if error.status == 404:
            return answer(200, {"errors": []})
        return answer(200, {"errors": [{"path": path, "status_code": 500, "message": error.message} for path in paths]})
    return answer(200, {"errors": []})


def copy(all_: Installation, request: Request) -> Response:
    repository, branch = all_.repository(request.names["repository"]), request.names["branch"]
    destination, body = request.required("dest_path"), request.json("src_path")
    repository.require_branch(branch)
    source = repository.entry(body.get("src_ref") or branch, body["src_path"])
    entry = replace(source, mtime=int(time.time()), address=uuid4().hex)
    repository.put(branch, destination, entry)
    return answer(201, _stats(repository, destination, entry))


def _refuse_presign(request: Request) -> None:
    """The local block storage of lakeFS has no addresses that need no key."""
    if request.flag("presign"):
        raise Refused(400, "local adapter presigned URL: operation not supported")


def _check_absent(repository: Repository, branch: str, path: str, condition: str) -> None:
    """Refuses before the body is read, to save that; `put` looks once more."""
    if condition != "*":
        raise Refused(400, 'Unsupported value for If-None-Match - Only "*" is supported')
    try:
        repository.entry(branch, path)
    except Refused as error:
        if error.status != not_found().status:
            raise
    else:
        raise Refused(412, "path already exists")


def _part(request: Request) -> tuple[str, Iterator[bytes]]:
    boundary = request.headers.get_boundary()
    if not boundary:
        raise Refused(500, "no multipart boundary param in Content-Type")
    form = Form(request.body, boundary)
    return form.open("content").get("Content-Type", ""), form.content()


def _metadata(headers: Message) -> dict[str, str]:
    names = [name for name in headers if name.lower().startswith(_METADATA)]
    return {name.lower().removeprefix(_METADATA): str(headers[name]) for name in names}


def _stats(repository: Repository, path: str, entry: Entry) -> dict[str, Any]:
    return {
        "path": path,
        "path_type": "object",
        "physical_address": f"{repository.description.storage_namespace}/data/{entry.address}",
        "checksum": entry.checksum,
        "size_bytes": entry.size_bytes,
        "mtime": entry.mtime,
        "content_type": entry.content_type,
        "metadata": dict(entry.metadata),
    }


def _headers(entry: Entry) -> dict[str, str]:
    return {
        "ETag": f'"{entry.checksum}"',
        "Last-Modified": formatdate(entry.mtime, usegmt=True),
        "Content-Type": entry.content_type,
        "Cache-Control": "no-store, must-revalidate",
        "Expires": "0",
    }


def _range(headers: Message, entry: Entry, message: str) -> tuple[int, int, bool]:
    """First byte, the one after the last, and whether the client asked for a part."""
    text, size = headers.get("Range"), entry.size_bytes
    if text is None:
        return 0, size, False
    if not _RANGES.fullmatch(text):
        why = f'string doesn\'t match the regular expression "^{_RANGES.pattern}$"'
        raise Refused(400, f'parameter "Range" in header has an error: {why}')
    found = _RANGE.fullmatch(text)
    first, last = found.groups() if found else ("", "")
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
    else:
        start, end = max(0, size - int(last or 0)), size
    if start >= end:
        raise Refused(416, message)
    return start, end, True


def _slice(content: Iterator[bytes], start: int, end: int) -> Iterator[bytes]:
    at = 0
    for block in content:
        wanted = block[max(0, start - at) : max(0, end - at)]
        at += len(block)
        if wanted:
            yield wanted
