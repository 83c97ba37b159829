"""Loose objects of a git repository, written as streams in one pass: `objects` says why, and what they look like."""

import hashlib
import os
import zlib
from collections.abc import Callable, Collection, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final
from uuid import uuid4

from workflows_dagster.lib.errors import IntegrityError, StoreError
from workflows_dagster.lib.store.durable import sync
from workflows_dagster.lib.store.git.errors import MissingObjectError
from workflows_dagster.lib.store.git.objects import GitObjects
from workflows_dagster.lib.store.git.packs import BLOCK_BYTES

if TYPE_CHECKING:
    from dulwich.objects import ObjectID, ShaFile

TEMPORARY_PREFIX: Final = "tmp_obj_"
"""How the names of half-written objects begin: git's own, so that `git gc` removes them too."""

_THREADS: Final = 4
_STORED: Final = 0
_FAST: Final = 1


@contextmanager
def batch(objects: GitObjects) -> Generator["ObjectWriter"]:
    """A batch of objects, all of them on disk once it is left without an error."""
    writer = ObjectWriter(objects)
    yield writer
    writer.settle()


class ObjectWriter:
    """Writes objects; none of them counts as written before `settle`.

    Args:
        objects: Where to.
    """

    def __init__(self, objects: GitObjects) -> None:
        self._objects = objects
        self._touched: set[Path] = set()

    def add(self, *made: "ShaFile") -> None:
        """Writes commits and trees."""
        for each in made:
            text = each.as_raw_string()
            self._write(each.type_name, len(text), lambda text=text: iter((text,)), _FAST)

    def add_files(self, files: Collection[tuple[Path, "ObjectID | None"]]) -> "list[ObjectID]":
        """Writes files as blobs, several at a time; their ids.

        Args:
            files: Each file, and the blob that is said to have its content already. That one is read, and left alone
                where it is in order: an object that a crash or a bad disk has damaged is replaced.

        Raises:
            StoreError: A file changed meanwhile.
        """
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(lambda each: self._add_file(*each), files))

    def settle(self) -> None:
        """Waits until all that was written is on disk under its name."""
        folders = sorted(self._touched)
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(sync, [*folders, self._objects.folder]))
        self._touched.clear()

    def _add_file(self, file: Path, known: "ObjectID | None") -> "ObjectID":
        if known is not None and self._holds(known, file):
            return known
        return self._write(b"blob", file.stat().st_size, lambda: _blocks_of(file), _STORED)

    def _holds(self, oid: "ObjectID", file: Path) -> bool:
        try:
            with file.open("rb") as given, closing(self._objects.content(oid, b"blob", file.name)) as blocks:
                same = all(block == given.read(len(block)) for block in blocks)
                same = same and not given.read(1)
        except (MissingObjectError, IntegrityError):
            return False
        if same and self._objects.place(oid).exists():
            # As git does: what is in use again must not look like old rubbish to a `git gc`.
            os.utime(self._objects.place(oid))
        return same

    def _write(self, kind: bytes, size: int, blocks: Callable[[], Iterator[bytes]], level: int) -> "ObjectID":
        """Writes one object in one pass.

        An object of that id is replaced, not kept: the copy is made by then, and the one that stands may be damaged.
        """
        from dulwich.objects import ObjectID

        temporary = self._objects.folder / f"{TEMPORARY_PREFIX}{uuid4().hex}"
        try:
            with temporary.open("xb") as file:
                oid = ObjectID(_pack(file, kind, size, blocks(), level).encode("ascii"))
                file.flush()
                os.fchmod(file.fileno(), 0o444)
                os.fsync(file.fileno())
            place = self._objects.place(oid)
            place.parent.mkdir(exist_ok=True)
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)
        self._touched.add(place.parent)
        return oid


def _pack(file: BinaryIO, kind: bytes, size: int, blocks: Iterator[bytes], level: int) -> str:
    digest, packer = hashlib.sha1(usedforsecurity=False), zlib.compressobj(level)
    header = b"%s %d\0" % (kind, size)
    digest.update(header)
    file.write(packer.compress(header))
    found = 0
    for block in blocks:
        digest.update(block)
        file.write(packer.compress(block))
        found += len(block)
    file.write(packer.flush())
    if found != size:
        raise StoreError(
            "a file changed while it was published",
            given=f"{found} bytes",
            expected=f"the {size} bytes that it had before",
            remedy="have the step finish its files before it returns",
        )
    return digest.hexdigest()


def _blocks_of(file: Path) -> Iterator[bytes]:
    with file.open("rb", buffering=0) as source:
        while block := source.read(BLOCK_BYTES):
            yield block
