"""The content of stored files: decompressed, members of an archive one by one, within the source's limits."""

import bz2
import gzip
import io
import lzma
import shutil
import struct
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Final, NamedTuple, Protocol, cast

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.locations import FileVersion, short_name, stored
from workflows_dagster.lib.ingest.source import Source

ALWAYS_ALLOWED_BYTES: Final = 64 * 1024**2
"""What any file may unpack to, however small it is."""

MOST_MEMBERS: Final = 100_000
"""Most members of an archive: each costs memory before the first is read."""

_XZ_MEMORY_BYTES: Final = 256 * 1024**2
_ZSTD_WINDOW_LOG: Final = 30
_BLOCK_BYTES: Final = 256 * 1024
_HEAD_BYTES: Final = 512
_ZIP_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_ENCRYPTED: Final = 0x1

_SUFFIXES: Final = {
    "gzip": (".gz", ".gzip"),
    "zstd": (".zst", ".zstd"),
    "bz2": (".bz2",),
    "xz": (".xz",),
    "zip": (".zip",),
}
_MAGIC: Final = {
    "gzip": (b"\x1f\x8b",),
    # A frame, or a frame to skip before it.
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes((low, 0x2A, 0x4D, 0x18)) for low in range(0x50, 0x60))),
    "bz2": tuple(b"BZh%d1AY&SY" % level for level in range(1, 10)),
    "xz": (b"\xfd7zXZ\0",),
    "zip": (b"PK\x03\x04", b"PK\x05\x06"),
}


class Part(NamedTuple):
    """A file, or one member of an archive.

    Attributes:
        name: Short name of the file; of a member `<archive>/<member>`.
        open: Gives its content, decompressed; one that can be sought in where the source's format needs that.
    """

    name: str
    open: Callable[[], AbstractContextManager[BinaryIO]]


@contextmanager
def parts_of(source: Source, file: FileVersion) -> Generator[Iterator[Part]]:
    """The parts of a file: itself, or the members of the archive that it is.

    Reading a cut or damaged archive to its end raises one of the errors that `locations.reaching` turns.

    Raises:
        SourceUnreadableError: The name says that it is an archive and the bytes do not, or it cannot be opened.
    """
    name, budget = short_name(source, file.uri), Budget(source, file)
    with stored(source, file.uri) as content:
        kind = _kind(content, source, name)
        if kind == "zip":
            yield _members(content, source, name, budget)
        else:
            yield iter([Part(name, partial(_content, content, kind, source, name, budget))])


class Budget:
    """How much a file may still unpack to, in bytes or characters."""

    def __init__(self, source: Source, file: FileVersion) -> None:
        self._source, self._file = source, file
        self.allowed = max(ALWAYS_ALLOWED_BYTES, source.max_expansion * file.size)
        self._left = self.allowed

    def spend(self, size: int) -> None:
        """Takes what was unpacked off the budget.

        Raises:
            SourceUnreadableError: It is used up.
        """
        self._left -= size
        if self._left < 0:
            raise SourceUnreadableError(
                f"{short_name(self._source, self._file.uri)} of source {self._source.name} unpacks to too much",
                given=f"{self._file.size:,} bytes that unpack to more than {self.allowed:,}",
                expected=f"at most {self._source.max_expansion} times its size",
                remedy="if the file is what it should be, raise max_expansion of the source",
            )


def _kind(content: BinaryIO, source: Source, name: str) -> str:
    """The compression: as configured, or told by the first bytes; a name that tells another one is refused."""
    if source.compression != "infer":
        return source.compression
    head = _head(content)
    found = next((kind for kind, magic in _MAGIC.items() if head.startswith(magic)), "none")
    if found == "zip" and source.IS_ZIP and not name.lower().endswith(".zip"):
        return "none"
    named = next((kind for kind, suffixes in _SUFFIXES.items() if name.lower().endswith(suffixes)), found)
    if named != found:
        refuse_what_is_something_else(head, source, name)
        raise SourceUnreadableError(
            f"{name} of source {source.name} is not the archive that its name says",
            given=f"first bytes {head[:4].hex(' ') or '(none)'}",
            expected=f"{named}, which begins with {_MAGIC[named][0].hex(' ')}",
            remedy="write the file again, or set compression of the source",
        )
    return found


def _head(content: BinaryIO) -> bytes:
    if isinstance(content, io.BufferedReader):
        return content.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    head = content.read(_HEAD_BYTES)
    content.seek(0)
    return head


@contextmanager
def _content(content: BinaryIO, kind: str, source: Source, name: str, budget: Budget) -> Generator[BinaryIO]:
    if kind == "none":
        refuse_what_is_something_else(_head(content), source, name)
        yield content
        return
    unpacked = io.BufferedReader(_Counted(_decompressed(content, kind), budget), _BLOCK_BYTES)
    refuse_what_is_something_else(_head(cast("BinaryIO", unpacked)), source, name)
    if not source.SEEKS:
        yield cast("BinaryIO", unpacked)
        return
    with tempfile.TemporaryFile() as aside:
        shutil.copyfileobj(unpacked, aside, _BLOCK_BYTES)
        aside.seek(0)
        yield cast("BinaryIO", aside)


def _decompressed(content: BinaryIO, kind: str) -> Any:
    match kind:
        case "gzip":
            return gzip.GzipFile(fileobj=content)
        case "bz2":
            return _Decompressed(content, bz2.BZ2Decompressor)
        case "xz":
            return _Decompressed(content, partial(lzma.LZMADecompressor, memlimit=_XZ_MEMORY_BYTES))
        case "zstd":
            from backports.zstd import DecompressionParameter, ZstdDecompressor

            options: dict[int, int] = {DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
            return _Decompressed(content, partial(ZstdDecompressor, options=options))
        case _:
            return content


def _members(content: BinaryIO, source: Source, archive: str, budget: Budget) -> Iterator[Part]:
    """The members of a zip archive, but for those whose name or folder begins with a dot or an underscore."""
    _require_few_members(content, source, archive)
    names = Counter[str]()
    with zipfile.ZipFile(content) as opened:
        members = opened.infolist()
        if workbook := next((one for one in members if one.filename in ("[Content_Types].xml", "mimetype")), None):
            kind = "ods" if workbook.filename == "mimetype" else "xlsx"
            raise _something_else(source, archive, "a workbook or office document", f"set format: {kind}")
        for member in members:
            hidden = any(part.startswith((".", "_")) for part in PurePosixPath(member.filename).parts)
            if member.is_dir() or hidden:
                continue
            names[member.filename] += 1
            again = f"#{names[member.filename]}" if names[member.filename] > 1 else ""
            name = f"{archive}/{member.filename}{again}"
            yield Part(name, partial(_member, opened, member, source, name, budget))


@contextmanager
def _member(
    opened: zipfile.ZipFile, member: zipfile.ZipInfo, source: Source, name: str, budget: Budget
) -> Generator[BinaryIO]:
    if member.flag_bits & _ENCRYPTED:
        raise _something_else(source, name, "encrypted", "unpack the archive with its password")
    if member.compress_type not in _ZIP_METHODS:
        raise _something_else(source, name, f"packed by method {member.compress_type}", "pack it again, as deflate")
    with opened.open(member) as packed:
        content = cast("BinaryIO", io.BufferedReader(cast("Any", packed), _BLOCK_BYTES))
        kind = _kind(content, source, name)
        if kind == "zip" and source.compression == "infer":
            raise _something_else(source, name, "an archive inside an archive", "unpack the outer one")
        with _content(content, "stored" if kind in ("none", "zip") else kind, source, name, budget) as unpacked:
            yield unpacked


def _require_few_members(content: BinaryIO, source: Source, archive: str) -> None:
    """Reads how many members an archive says it has, before its directory is read whole."""
    size = content.seek(0, io.SEEK_END)
    content.seek(max(0, size - 2**16))
    tail = content.read()
    end, end64 = tail.rfind(b"PK\x05\x06"), tail.rfind(b"PK\x06\x06")
    members = struct.unpack_from("<H", tail, end + 10)[0] if 0 <= end <= len(tail) - 22 else 0
    if 0 <= end64 <= len(tail) - 40:
        members = struct.unpack_from("<Q", tail, end64 + 32)[0]
    content.seek(0)
    if members > MOST_MEMBERS:
        raise SourceUnreadableError(
            f"{archive} of source {source.name} holds too many files",
            given=f"{members:,} members",
            expected=f"at most {MOST_MEMBERS:,}",
            remedy="unpack the archive, or pack it in parts",
        )


class _Decompressor(Protocol):
    """One stream, as bz2, lzma and zstd decompress it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Decompressed(io.RawIOBase):
    """The content of one stream after the other; raises EOFError where the last one is cut."""

    def __init__(self, content: BinaryIO, new: Callable[[], Any]) -> None:
        self._content, self._new = content, new
        self._stream: _Decompressor = new()
        self._begun = False

    def readable(self) -> bool:
        """True: this is a stream to read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fills the buffer, and returns how many bytes it took."""
        while True:
            if self._stream.eof:
                rest = self._stream.unused_data.lstrip(b"\0") or self._content.read(_BLOCK_BYTES).lstrip(b"\0")
                if not rest:
                    return 0
                self._stream, self._begun = self._new(), False
            else:
                rest = self._content.read(_BLOCK_BYTES) if self._stream.needs_input else b""
                if self._stream.needs_input and not rest:
                    raise EOFError("the compressed data end before their end mark")
            data = self._stream.decompress(rest, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)


class _Counted(io.RawIOBase):
    """A stream that counts what is read against the budget of its file."""

    def __init__(self, content: Any, budget: Budget) -> None:
        self._content, self._budget = content, budget

    def readable(self) -> bool:
        """True: this is a stream to read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fills the buffer, and returns how many bytes it took."""
        size = self._content.readinto(buffer)
        self._budget.spend(size)
        return size


@dataclass(frozen=True)
class _Kind:
    """A kind of file that is often met in place of another.

    Attributes:
        begins: Its first bytes.
        what: What it is.
        remedy: What to do with it.
        formats: Formats that it is no surprise in.
    """

    begins: tuple[bytes, ...]
    what: str
    remedy: str
    formats: tuple[str, ...] = ()


_KINDS: Final = (
    _Kind(
        (b"version https://git-lfs.github.com/spec/",),
        "a Git LFS pointer, not the file that it stands for",
        "run git lfs pull where the file was checked out",
    ),
    _Kind((b"PAR1",), "a Parquet file", "set format: parquet", ("parquet",)),
    _Kind((b"PK\x03\x04",), "a zip archive or a workbook", "set compression: zip, or format: xlsx", ("xlsx", "ods")),
    _Kind((b"\xd0\xcf\x11\xe0",), "an old or encrypted Office document", "save it as .xlsx without a password"),
    _Kind((b"ARROW1",), "an Arrow file", "write it as Parquet"),
    _Kind((b"ORC",), "an ORC file", "write it as Parquet"),
    _Kind((b"Obj\x01",), "an Avro file", "write it as Parquet"),
    _Kind((b"SQLite format 3\0",), "an SQLite database", "export its table as csv"),
    _Kind((b"%PDF-",), "a PDF document", "export its table as csv"),
    _Kind((b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x04\x22\x4d\x18"), "an archive of another kind", "unpack it"),
    _Kind((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), "a Python pickle", "write it as Parquet"),
    _Kind((b"<!doctype html", b"<html"), "a web page, such as a login or error page", "download the file itself"),
    _Kind((b"<?xml",), "an XML document", "convert it to csv or jsonl"),
    _Kind((b"{\\rtf",), "a rich text document", "save it as plain text"),
)
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_UTF_8: Final = ("utf-8", "utf8")


def refuse_what_is_something_else(head: bytes, source: Source, name: str) -> None:
    """Refuses content that is plainly of another kind than the source's format.

    Args:
        head: The first bytes.
        source: The source.
        name: Name of the file or member.

    Raises:
        SourceUnreadableError: It is; says what it is and what to do.
    """
    fields = source.model_dump(include={"format", "encoding"})
    if fields.get("encoding", "").lower() in _UTF_8 and head.startswith(_UTF_16):
        raise _something_else(source, name, "text in UTF-16", "set encoding: utf-16")
    lowered = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for kind in _KINDS:
        if fields["format"] not in kind.formats and (head.startswith(kind.begins) or lowered.startswith(kind.begins)):
            raise _something_else(source, name, kind.what, kind.remedy)
    if head[257:262] == b"ustar":
        raise _something_else(source, name, "a tar archive", "unpack it")


def _something_else(source: Source, name: str, given: str, remedy: str) -> SourceUnreadableError:
    return SourceUnreadableError(
        f"{name} of source {source.name} is not what the source says",
        given=given,
        expected=f"format {source.model_dump(include={'format'})['format']}",
        remedy=remedy,
    )
