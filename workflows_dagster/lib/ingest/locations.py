"""The files of a source, wherever fsspec reaches: listed and watched for changes."""

import lzma
import sys
import zipfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from glob import has_magic
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, BinaryIO, Final, cast

import pyarrow as pa
from fsspec.core import url_to_fs
from pydantic import Field

from workflows_dagster.lib.errors import ConfigurationError, MissingExtraError, SourceUnreadableError
from workflows_dagster.lib.ingest import local_files
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
    ("backports.zstd", "ZstdError"),
)
_TIME_KEYS: Final = ("mtime", "LastModified", "last_modified", "updated", "created")

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


@dataclass(frozen=True)
class Listing:
    """What a location names now.

    Attributes:
        files: The files that can be read, sorted by URI.
        failures: Why the others cannot be read, by name.
        passed_over: Names of files that lie beside those files and do not fit the pattern.
    """

    files: list[FileVersion]
    failures: dict[str, SourceUnreadableError] = field(default_factory=dict[str, SourceUnreadableError])
    passed_over: tuple[str, ...] = ()


def list_files(source: Source) -> list[FileVersion]:
    """The files of a source that can be read; see `look`."""
    return look(source).files


def look(source: Source) -> Listing:
    """What a source's location names now.

    A folder stands for the files directly in it. Names that begin with a dot or an underscore are passed over. A part
    of the location that is there under exactly that name is no pattern.

    Raises:
        SourceUnreadableError: The location cannot be listed, or names one file that is not there.
    """
    with reaching(source, source.location, TypeError, ValueError):
        if (path := local_files.path_of(source.location)) is not None:
            return _look_locally(source, path)
        fs, path = _filesystem(source)
        fs.invalidate_cache()  # file systems are kept for the life of the process, and with them old listings
        if is_in_lakefs(source.location):
            path = at_commit(fs, path)
        if has_magic(path.partition("?")[0] if "://" in path else path) and not fs.exists(path):
            entries = list(fs.glob(path, detail=True).values())
        elif fs.isdir(path):
            entries = fs.ls(path, detail=True)
        else:
            entries = [fs.info(path)]
        found = [entry for entry in entries if entry["type"] == "file" and _wanted(entry["name"], path)]
        return Listing(sorted(_version(source, fs, entry) for entry in found))


def _look_locally(source: Source, location: Path) -> Listing:
    found = local_files.find(location)
    files: list[FileVersion] = []
    failures: dict[str, SourceUnreadableError] = {}
    for path in found.files:
        try:
            files.append(_local_version(source, Path(path)))
        except (OSError, UnicodeEncodeError) as error:
            failures[_storable(short_name(source, path))] = _unusable(source, path, error)
    failures |= {_storable(path): _unusable(source, path, error) for path, error in found.failures.items()}
    return Listing(sorted(files), failures, tuple(_storable(name) for name in found.passed_over))


def _local_version(source: Source, path: Path) -> FileVersion:
    str(path).encode()  # a name that is not UTF-8 could be stored in no manifest and no table
    size, modified_s = local_files.state(path)
    return FileVersion(source.credentials.hide_uri(str(path)), size, repr(modified_s), modified_s)


def _unusable(source: Source, path: str, error: Exception) -> SourceUnreadableError:
    if isinstance(error, UnicodeEncodeError):
        given, expected, remedy = "a name with bytes that are not UTF-8", "a name in UTF-8", "rename the file"
    else:
        given = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        expected, remedy = "a file that is there and may be read", "mend or remove the file or link"
    return SourceUnreadableError(
        f"{_storable(path)} of source {source.name} cannot be read", given=given, expected=expected, remedy=remedy
    )


def _storable(name: str) -> str:
    """A name in a form that can be shown and stored; bytes that are not UTF-8 as backslash escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def last_commit(source: Source) -> str | None:
    """The commit from elsewhere that last changed what a location in lakeFS names; None where there is none.

    Raises:
        SourceUnreadableError: The server does not say.
    """
    with reaching(source, source.location, TypeError):
        return newest_commit(*_filesystem(source))


def stat_file(source: Source, uri: str) -> FileVersion:
    """The state of one file now.

    Raises:
        SourceUnreadableError: It is not there or cannot be reached.
    """
    uri = source.credentials.reveal(uri)
    with reaching(source, uri, TypeError, ValueError):
        if (path := local_files.path_of(uri)) is not None:
            return _local_version(source, path)
        fs, _ = _filesystem(source)
        fs.invalidate_cache()
        return _version(source, fs, fs.info(uri))


@contextmanager
def stored(source: Source, uri: str) -> Generator[BinaryIO]:
    """The bytes of a file as they are stored. Its name is no pattern, whatever signs it holds."""
    uri = source.credentials.reveal(uri)
    if (path := local_files.path_of(uri)) is not None:
        with path.open("rb") as file:
            yield file
    else:
        fs, _ = _filesystem(source)
        with fs.open(uri, "rb") as file:
            yield cast("BinaryIO", file)


def short_name(source: Source, uri: str) -> str:
    """Short name of a file: its path below the part of the location that is the same in all its files."""
    location, path = (
        PurePosixPath(without_ref(one).split("://")[-1]).parts
        for one in (source.location, source.credentials.reveal(uri))
    )
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(location, path, strict=False)))
    return source.credentials.hide(PurePosixPath(*path[min(same, len(path) - 1) :]).as_posix())


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
    except (SourceUnreadableError, MissingExtraError, ConfigurationError):
        raise
    except (*_transport_errors(), *also) as error:
        said, hide = f"{type(error).__name__}: {error}", source.credentials.hide
        unreadable = SourceUnreadableError(
            f"{hide(what)} of source {source.name} cannot be read",
            given=hide(said),
            expected="a file that is there, may be read, and is whole",
            remedy="check location, storage_options and compression of the source, and the file itself",
        )
        # A traceback shows the cause too, so a cause that quotes a secret is left out.
        raise unreadable from (error if hide(said) == said else None)


def _transport_errors() -> tuple[type[Exception], ...]:
    """What file systems and decompressors raise where bytes cannot be read; not all of it is an OSError."""
    kinds: list[type[Exception]] = [
        OSError,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        pa.ArrowException,
    ]
    # Only a client that was imported can have raised.
    kinds += [getattr(sys.modules[module], name) for module, name in _CLIENT_ERRORS if module in sys.modules]
    return tuple(kinds)


def _filesystem(source: Source) -> tuple[Any, str]:
    """The file system of a source, and the path of its location there."""
    try:
        return url_to_fs(source.location, **source.storage_options.reveal())
    except ImportError as error:
        raise MissingExtraError(
            f"source {source.name} needs a package for its location",
            given=source.credentials.hide(source.location),
            expected=f"the fsspec implementation of {source.location.split('://')[0]} ({error})",
            remedy="install it; for S3: pip install 'workflows-dagster[s3]', for lakeFS: [lakefs]",
        ) from error
    except (ValueError, TypeError) as error:
        # The text of a TypeError may quote options: name the source only.
        raise ConfigurationError(
            f"source {source.name} has a location or storage_options that no file system takes",
            given=source.credentials.hide(source.location),
            expected="a path or an fsspec URI, and options that its file system knows",
            remedy="correct location or storage_options in sources.yaml",
        ) from error


def _version(source: Source, fs: Any, entry: dict[str, Any]) -> FileVersion:
    modified = next((entry[key] for key in _TIME_KEYS if entry.get(key) is not None), 0.0)
    modified_s = modified.timestamp() if isinstance(modified, datetime) else float(modified)
    version = next((str(entry[key]) for key in _VERSION_KEYS if entry.get(key)), repr(modified_s))
    uri = source.credentials.hide_uri(fs.unstrip_protocol(entry["name"]))
    return FileVersion(uri, int(entry["size"]), version.strip('"'), modified_s)


def _wanted(name: str, location: str) -> bool:
    return name == location or not PurePosixPath(name).name.startswith((".", "_"))
