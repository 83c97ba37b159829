"""Decompression that notices a cut archive, and knows an archive by its bytes."""

import gzip
import io
from typing import BinaryIO, cast

import pyarrow as pa

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.catalog import Source

_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_SUFFIXES = {"gzip": (".gz", ".gzip"), "zstd": (".zst", ".zstd")}


def decompress(stream: BinaryIO, source: Source, file: str) -> BinaryIO:
    """The content of a file; reading a cut or damaged archive to its end raises EOFError, OSError or zlib.error.

    Raises:
        SourceUnreadableError: The name says it is an archive, and the bytes do not.
    """
    kind = _inferred(stream, source, file) if source.compression == "infer" else source.compression
    match kind:
        case "gzip":
            return cast("BinaryIO", gzip.GzipFile(fileobj=stream))
        case "zstd":
            # pyarrow, because zstandard's stream reader takes a cut archive for a whole one.
            return cast("BinaryIO", io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")))
        case _:
            return stream


def _inferred(stream: BinaryIO, source: Source, file: str) -> str:
    head = stream.read(4)
    stream.seek(0)
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
