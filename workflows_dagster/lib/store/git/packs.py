"""Objects in the packs of a git repository, which come into being when a person runs `git gc` or pushes much at once.

They are read through dulwich, whole in memory; but a blob that its pack holds whole is read as a stream. So git packs
every blob that is larger than core.bigFileThreshold, which `setup` makes small.
"""

import hashlib
import threading
import weakref
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from workflows_dagster.lib.store.git.errors import damaged

if TYPE_CHECKING:
    from dulwich.object_store import DiskObjectStore
    from dulwich.objects import ObjectID

KINDS: Final = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
"""What the numbers in packs stand for; others are differences to another entry."""

BLOCK_BYTES: Final = 2**20
"""How much of a file is in memory at once, for each thread."""

_BLOB: Final = 3


class GitPacks:
    """The packs of the objects below a folder.

    Args:
        folder: The folder `objects` of a repository.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # What dulwich keeps open of packs is not made for several threads.
        self._lock = threading.Lock()

    def __contains__(self, oid: "ObjectID") -> bool:
        with self._lock:
            return self._store.contains_packed(oid)

    def read(self, oid: "ObjectID", name: str) -> tuple[bytes, Generator[bytes]] | None:
        """The kind of an object and its content in blocks, or None if no pack holds it."""
        with self._lock:
            stream = self._blob(oid, name)
            if stream is not None:
                return KINDS[_BLOB], stream
            try:
                number, text = self._store.get_raw(oid)
            except KeyError:
                return None
        return KINDS[number], (block for block in (text,))

    def leading(self, kind_of: "Callable[[ObjectID], bytes]") -> "Iterator[ObjectID]":
        """The commits, trees and tags in packs: all packed objects that lead to others.

        Args:
            kind_of: Says what an object is that is stored as a difference to another.
        """
        from dulwich.object_format import DEFAULT_OBJECT_FORMAT
        from dulwich.objects import RawObjectID, sha_to_hex
        from dulwich.pack import load_pack_index

        for index in sorted(self._folder.glob("pack/*.idx")):
            with (
                index.with_suffix(".pack").open("rb") as pack,
                closing(load_pack_index(index, DEFAULT_OBJECT_FORMAT)) as ids,
            ):
                for raw, offset, _ in ids.iterentries():
                    oid = sha_to_hex(RawObjectID(raw))
                    kind = KINDS.get(_entry(pack, offset)[0]) or kind_of(oid)
                    if kind != b"blob":
                        yield oid

    def _blob(self, oid: "ObjectID", name: str) -> Generator[bytes] | None:
        """The content of a blob that a pack holds whole; None for any other object."""
        from dulwich.pack import PackFileDisappeared

        for pack in self._store.packs:
            # A `git gc` may remove a pack at any time; dulwich finds the object in the one that replaces it.
            with suppress(KeyError, FileNotFoundError, PackFileDisappeared):
                offset = pack.index.object_offset(oid)
                place = Path(pack.data.path)
                with place.open("rb") as file:
                    number, size = _entry(file, offset)
                return _streamed(place, offset, size, oid, name) if number == _BLOB else None
        return None

    @cached_property
    def _store(self) -> "DiskObjectStore":
        from dulwich.object_store import DiskObjectStore

        store = DiskObjectStore(self._folder)
        weakref.finalize(self, store.close)
        return store


def _entry(pack: BinaryIO, offset: int) -> tuple[int, int]:
    """Number of the kind of an entry, and its size; its zlib stream is what comes next in the file."""
    pack.seek(offset)
    byte = pack.read(1)[0]
    number, size, shift = byte >> 4 & 7, byte & 15, 4
    while byte & 128:
        byte = pack.read(1)[0]
        size |= (byte & 127) << shift
        shift += 7
    return number, size


def _streamed(place: Path, offset: int, size: int, oid: "ObjectID", name: str) -> Generator[bytes]:
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with place.open("rb") as file:
        _entry(file, offset)
        try:
            for block in inflated(file, alone=False):
                digest.update(block)
                yield block
        except zlib.error as error:
            raise damaged(name, oid, place, str(error)) from error
    if digest.hexdigest().encode("ascii") != oid:
        raise damaged(name, oid, place, f"content of id {digest.hexdigest()}")


def inflated(file: BinaryIO, *, alone: bool) -> Iterator[bytes]:
    """What a zlib stream holds, in blocks.

    Args:
        file: At the beginning of the stream.
        alone: Whether nothing else may follow it.

    Raises:
        zlib.error: It is no such stream, or ends early.
    """
    engine = zlib.decompressobj()
    while not engine.eof:
        packed = engine.unconsumed_tail or file.read(BLOCK_BYTES)
        block = engine.decompress(packed, BLOCK_BYTES)
        if not packed and not block:
            raise zlib.error("it ends early")
        yield block
    if alone and (engine.unused_data or file.read(1)):
        raise zlib.error("something else follows it")
