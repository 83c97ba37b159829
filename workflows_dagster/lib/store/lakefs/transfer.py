"""Files to and from a lakeFS server, in bounded memory.

Bodies go directly over the client's connections. The generated client holds uploads and downloads in memory. The
wrapper's writer copies the file once more and sends it without its length, so that the object store has to buffer it.
"""

import hashlib
import mimetypes
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path, PurePosixPath

from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.store.lakefs.connection import LakeFSConnection

_BLOCK_BYTES = 1 << 20
_CONTENT_TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".jsonl": "application/x-ndjson",
    ".md": "text/markdown",
}


def upload(connection: LakeFSConnection, branch: str, name: str, source: Path) -> None:
    """Writes a local file to a branch.

    The object's metadata names the branch. To lakeFS an object with the same content and metadata as the committed one
    is no change, and it keeps the committed one: without the name a damaged object could not be replaced.

    Raises:
        IntegrityError: The server received other bytes.
    """
    connection.call(f"take {name}", partial(_send, connection, branch, name, source))


def download(connection: LakeFSConnection, commit: str, name: str, target: Path) -> None:
    """Writes a file of a commit to a local file, which is there whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial_file = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        connection.call(f"give {name}", partial(_receive, connection, commit, name, partial_file))
        partial_file.replace(target)
    finally:
        partial_file.unlink(missing_ok=True)


def target_in(folder: Path, name: str) -> Path:
    """Where a file belongs below a folder.

    Raises:
        IntegrityError: The name leads out of the folder.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise IntegrityError(
            "a stored name leads out of its folder",
            given=name,
            expected="a relative path without ..",
            remedy="find out who wrote it; it was not fetched",
        )
    return folder.joinpath(*parts)


def in_parallel(parallel: int, jobs: Iterable[Callable[[], None]]) -> None:
    """Runs jobs in threads; after the first error no further job begins."""
    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="lakefs") as pool:
        running = [pool.submit(job) for job in jobs]
        try:
            for job in as_completed(running):
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _send(connection: LakeFSConnection, branch: str, name: str, source: Path) -> None:
    from lakefs.exceptions import handle_http_error
    from lakefs_sdk.models.object_stats import ObjectStats

    # The server's checksum of an upload.
    md5 = hashlib.md5(usedforsecurity=False)
    with source.open("rb") as stream:
        response = connection.pool.request(
            "POST",
            connection.objects_url("branches", branch, name),
            body=_blocks(stream.read, md5.update),
            headers=connection.authorization
            | {
                "Content-Type": _content_type(name),
                "Content-Length": str(source.stat().st_size),
                "X-Lakefs-Meta-Transaction": branch,
            },
            redirect=False,
        )
    handle_http_error(response)  # pyright: ignore[reportArgumentType]  # annotated with a subclass; reads status and data
    stored = ObjectStats.parse_raw(response.data)
    if stored.checksum != md5.hexdigest():
        raise IntegrityError(
            f"lakeFS received other bytes of {name} than were sent",
            given=f"md5 {stored.checksum}, {stored.size_bytes} bytes",
            expected=f"md5 {md5.hexdigest()}",
            remedy="run the step again; if it fails again, look at the proxies between here and the server",
        )


def _receive(connection: LakeFSConnection, commit: str, name: str, target: Path) -> None:
    from lakefs.exceptions import handle_http_error

    response = connection.pool.request(
        "GET",
        connection.objects_url("refs", commit, name),
        headers=connection.authorization,
        preload_content=False,
        redirect=False,
    )
    try:
        handle_http_error(response)  # pyright: ignore[reportArgumentType]  # as above
        with target.open("wb") as sink:
            # urllib3 raises when the body is shorter than its Content-Length.
            for block in response.stream(_BLOCK_BYTES, decode_content=False):
                sink.write(block)
    finally:
        # After a complete read the connection is back in the pool already.
        response.close()


def _blocks(read: Callable[[int], bytes], look: Callable[[bytes], None]) -> Iterator[bytes]:
    while block := read(_BLOCK_BYTES):
        look(block)
        yield block


def _content_type(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    return _CONTENT_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
