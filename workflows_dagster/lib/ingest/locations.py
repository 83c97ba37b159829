"""The files of a source, wherever fsspec reaches: listed, watched for changes, opened and decompressed."""

import gzip
import io
import shutil
import sys
import tempfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from glob import has_magic
from pathlib import PurePosixPath
from typing import Annotated, Any, BinaryIO, Final, cast

import pyarrow as pa
from fsspec.core import url_to_fs
from pydantic import Field

from workflows_dagster.lib.errors import ConfigurationError, MissingExtraError, SourceUnreadableError
from workflows_dagster.lib.ingest.lakefs_locations import at_commit, is_in_lakefs, newest_commit, without_ref
from workflows_dagster.lib.ingest.source import Source

_VERSION_KEYS: Final = ("ETag", "etag", "md5Hash", "content_md5", "checksum", "generation")
_CLIENT_ERRORS: Final = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("aiohttp", "ClientError"),
    ("gcsfs.retry", "HttpError"),
    ("azure.core.exceptions", "AzureError"),
    ("lakefs.exceptions", "LakeFSException"),
    ("lakefs_sdk.exceptions", "OpenApiException"),
    ("urllib3.exceptions", "HTTPError"),
)
_TIME_KEYS: Final = ("mtime", "LastModified", "last_modified", "updated", "created")
_MAGIC: Final = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_SUFFIXES: Final = {"gzip": (".gz", ".gzip"), "zstd": (".zst", ".zstd")}

Identity = tuple[str, int, str]
"""URI, size and version. Where any of it changes, it is another file. In lakeFS the URI is without ref."""


@dataclass(frozen=True, order=True)
class FileVersion:
    """One state of one file.

    Attributes:
        uri: Where it is.
        size: Bytes.
        version: Checksum where the file system keeps one, else the time it was last modified.
        modified_s: That time in seconds since 1970, 0 where the file system does not say. It is neither compared nor
            recorded: where there is a checksum, another time is no other file.
    """

    uri: str
    size: int
    version: str
    modified_s: Annotated[float, Field(exclude=True)] = field(default=0.0, compare=False)

    @property
    def identity(self) -> Identity:
        """URI, size and version."""
        return without_ref(self.uri), self.size, self.version


def list_files(source: Source) -> list[FileVersion]:
    """The files that a source's location names now, sorted by URI.

    A folder stands for the files directly in it; names that begin with a dot or an underscore are passed over.

    Raises:
        SourceUnreadableError: The location cannot be listed, or names one file that is not there.
    """
    with reaching(source, source.location, TypeError):
        fs, path = _filesystem(source, source.location)
        fs.invalidate_cache()  # file systems are kept for the life of the process, and with them old listings
        if is_in_lakefs(source.location):
            path = at_commit(fs, path)
        if has_magic(path):
            entries = list(fs.glob(path, detail=True).values())
        elif fs.isdir(path):
            entries = fs.ls(path, detail=True)
        else:
            entries = [fs.info(path)]
        # Listings describe a local link itself; what is read is the file behind it.
        entries = [fs.info(entry["name"]) if entry.get("islink") else entry for entry in entries]
        found = [_version(fs, entry) for entry in entries if entry["type"] == "file" and _wanted(entry["name"], path)]
    return sorted(found)


def last_commit(source: Source) -> str | None:
    """The commit from elsewhere that last changed what a location in lakeFS names; None where there is none.

    Raises:
        SourceUnreadableError: The server does not say.
    """
    with reaching(source, source.location, TypeError):
        return newest_commit(*_filesystem(source, source.location))


def stat_file(source: Source, uri: str) -> FileVersion:
    """The state of one file now.

    Raises:
        SourceUnreadableError: It is not there or cannot be reached.
    """
    with reaching(source, uri, TypeError):
        fs, path = _filesystem(source, uri)
        fs.invalidate_cache()
        return _version(fs, fs.info(path))


@contextmanager
def open_file(source: Source, uri: str) -> Generator[BinaryIO]:
    """The decompressed content of a file; one that can be sought in where the source's format needs that.

    Reading a cut or damaged archive to its end raises EOFError, OSError or zlib.error; see `reaching`.

    Raises:
        SourceUnreadableError: The name says that it is an archive, and the bytes do not.
    """
    fs, path = _filesystem(source, uri)
    with fs.open(path, "rb") as stored:
        content = _decompressed(stored, source, short_name(source, uri))
        if content is stored or not source.SEEKS:
            yield content
            return
        with tempfile.TemporaryFile() as unpacked:
            shutil.copyfileobj(content, unpacked, length=1024**2)
            unpacked.seek(0)
            yield cast("BinaryIO", unpacked)


def _decompressed(stored: BinaryIO, source: Source, file: str) -> BinaryIO:
    match _archive_kind(stored, source, file) if source.compression == "infer" else source.compression:
        case "gzip":
            return cast("BinaryIO", gzip.GzipFile(fileobj=stored))
        case "zstd":
            # pyarrow, because zstandard's stream reader takes a cut archive for a whole one.
            return cast("BinaryIO", io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stored, "r"), "zstd")))
        case _:
            return stored


def _archive_kind(stored: BinaryIO, source: Source, file: str) -> str:
    """The compression that the first bytes tell; a name that tells another one is refused."""
    head = stored.read(4)
    stored.seek(0)
    found = next((kind for kind, magic in _MAGIC.items() if head.startswith(magic)), "none")
    named = next((kind for kind, suffixes in _SUFFIXES.items() if file.endswith(suffixes)), found)
    if named != found:
        raise SourceUnreadableError(
            f"{file} of source {source.name} is not the archive that its name says",
            given=f"first bytes {head.hex(' ') or '(none)'}",
            expected=f"{named}, which begins with {_MAGIC[named].hex(' ')}",
            remedy="write the file again, or set compression of the source",
        )
    return found


def short_name(source: Source, uri: str) -> str:
    """Short name of a file: its path below the part of the location that has no wildcards."""
    root = str(PurePosixPath(without_ref(source.location).split("://")[-1]))
    parts = PurePosixPath(root).parts
    fixed = next((number for number, part in enumerate(parts) if has_magic(part)), len(parts))
    path = PurePosixPath(without_ref(uri).split("://")[-1])
    folder = PurePosixPath(*parts[:fixed]) if fixed else PurePosixPath()
    return path.relative_to(folder).as_posix() if path != folder and path.is_relative_to(folder) else path.name


@contextmanager
def reaching(source: Source, what: str, *also: type[Exception]) -> Generator[None]:
    """Turns the errors of a file system, its decompressors included, into SourceUnreadableError.

    Args:
        source: The source that is read.
        what: The file or location that is reached for.
        also: Further errors to turn: some file systems meet an option that they do not know with a TypeError.
    """
    try:
        yield
    except (SourceUnreadableError, MissingExtraError):
        raise
    except (*_transport_errors(), *also) as error:
        raise SourceUnreadableError(
            f"{what} of source {source.name} cannot be read",
            given=f"{type(error).__name__}: {error}",
            expected="a file that is there, may be read, and is whole",
            remedy="check location, storage_options and compression of the source, and the file itself",
        ) from error


def _transport_errors() -> tuple[type[Exception], ...]:
    """What file systems and decompressors raise where bytes cannot be read; not all of it is an OSError."""
    kinds: list[type[Exception]] = [OSError, EOFError, zlib.error, pa.ArrowException]
    # Only a client that was imported can have raised.
    kinds += [getattr(sys.modules[module], name) for module, name in _CLIENT_ERRORS if module in sys.modules]
    return tuple(kinds)


def _filesystem(source: Source, uri: str) -> tuple[Any, str]:
    try:
        return url_to_fs(uri, **source.storage_options.reveal())
    except ImportError as error:
        raise MissingExtraError(
            f"source {source.name} needs a package for its location",
            given=uri,
            expected=f"the fsspec implementation of {uri.split('://')[0]} ({error})",
            remedy="install it; for S3: pip install 'workflows-dagster[s3]', for lakeFS: [lakefs]",
        ) from error
    except (ValueError, TypeError) as error:
        # The text of a TypeError may quote options: name the source only.
        raise ConfigurationError(
            f"source {source.name} has a location or storage_options that no file system takes",
            given=uri,
            expected="a path or an fsspec URI, and options that its file system knows",
            remedy="correct location or storage_options in sources.yaml",
        ) from error


def _version(fs: Any, entry: dict[str, Any]) -> FileVersion:
    modified = next((entry[key] for key in _TIME_KEYS if entry.get(key) is not None), 0.0)
    modified_s = modified.timestamp() if isinstance(modified, datetime) else float(modified)
    version = next((str(entry[key]) for key in _VERSION_KEYS if entry.get(key)), repr(modified_s))
    uri = fs.unstrip_protocol(entry["name"])
    return FileVersion(uri.removeprefix("file://"), int(entry["size"]), version.strip('"'), modified_s)


def _wanted(name: str, location: str) -> bool:
    return name == location or not PurePosixPath(name).name.startswith((".", "_"))
