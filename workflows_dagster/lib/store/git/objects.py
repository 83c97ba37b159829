"""Objects of a git repository: written and read as streams, so that memory stays bounded whatever a file's size.

Why our own code: dulwich holds a whole blob in memory, several times over while it writes, and a model of some
gigabytes must not need as much memory to be published. The format of a loose object is one line of specification: the
zlib stream of `<kind> <size>`, a zero byte and the content, in a file named after the SHA-1 of what was compressed.
Objects in packs are read by `packs`.
"""

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
from workflows_dagster.lib.store.git.errors import MissingObjectError, damaged
from workflows_dagster.lib.store.git.packs import BLOCK_BYTES, KINDS, GitPacks, inflated

if TYPE_CHECKING:
    from dulwich.objects import Commit, ObjectID, ShaFile, Tree

TEMPORARY_PREFIX: Final = "tmp_obj_"
"""How the names of half-written objects begin: git's own, so that `git gc` removes them too."""

_THREADS: Final = 4
_STORED: Final = 0
_FAST: Final = 1
_MAX_HEADER_BYTES: Final = 32
_MAX_PREFIX_BYTES: Final = 1024  # the code tables that a zlib stream may begin with are smaller


class GitObjects:
    """The objects below the folder `objects` of a bare repository.

    Args:
        folder: That folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._packs = GitPacks(folder)

    @contextmanager
    def writing(self) -> Generator["ObjectWriter"]:
        """A batch of objects, all of them on disk once it is left without an error."""
        writer = ObjectWriter(self)
        yield writer
        writer.settle()

    def place(self, oid: "ObjectID") -> Path:
        """Where an object is kept while it is loose."""
        name = oid.decode("ascii")
        return self.folder / name[:2] / name[2:]

    def __contains__(self, oid: "ObjectID") -> bool:
        return self.place(oid).exists() or oid in self._packs

    def commit(self, oid: "ObjectID") -> "Commit":
        """A commit.

        Raises:
            MissingObjectError: There is no such object.
            IntegrityError: It is damaged.
        """
        from dulwich.objects import Commit

        return Commit.from_string(self._text(oid, b"commit"))

    def tree(self, oid: "ObjectID") -> "Tree":
        """A tree; errors as `commit`."""
        from dulwich.objects import Tree

        return Tree.from_string(self._text(oid, b"tree"))

    def kind(self, oid: "ObjectID") -> bytes:
        """What an object is: b"commit", b"tree", b"blob" or b"tag"; errors as `commit`."""
        kind = self.kind_of(self.place(oid))
        if kind is None:
            kind, blocks = self._open(oid, "an object")
            blocks.close()
        return kind

    def kind_of(self, place: Path) -> bytes | None:
        """What a loose object is, by its beginning alone; None where it is missing or damaged."""
        try:
            with place.open("rb") as file:
                header = zlib.decompressobj().decompress(file.read(_MAX_PREFIX_BYTES), _MAX_HEADER_BYTES)
        except (FileNotFoundError, zlib.error):
            return None
        kind = header.partition(b" ")[0]
        return kind if kind in KINDS.values() else None

    def peeled(self, oid: "ObjectID") -> "ObjectID":
        """The object that an annotated tag stands for; another object stands for itself; errors as `commit`."""
        while self.kind(oid) == b"tag":
            oid = self.tagged(oid)
        return oid

    def tagged(self, oid: "ObjectID") -> "ObjectID":
        """What an annotated tag names; errors as `commit`."""
        from dulwich.objects import Tag

        return Tag.from_string(self._text(oid, b"tag")).object[1]

    def loose(self) -> "Iterator[tuple[ObjectID, Path]]":
        """The objects that are not in packs, and the file of each."""
        from dulwich.objects import ObjectID

        for folder in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            for place in sorted(folder.glob("[0-9a-f]" * 38)):
                yield ObjectID((folder.name + place.name).encode("ascii")), place

    def packed_leading(self) -> "Iterator[ObjectID]":
        """The commits, trees and tags in packs: all packed objects that lead to others."""
        return self._packs.leading(self.kind)

    def content(self, oid: "ObjectID", kind: bytes, name: str) -> Generator[bytes]:
        """The content of an object in blocks, checked against its id once the last one was taken.

        Args:
            oid: Its id.
            kind: What it must be.
            name: What it is the content of, for messages.

        Raises:
            MissingObjectError: There is no such object.
            IntegrityError: It is damaged.
        """
        found, blocks = self._open(oid, name)
        if found != kind:
            blocks.close()
            raise damaged(name, oid, self.place(oid), f"a {found.decode('ascii', 'replace')}")
        return blocks

    def _text(self, oid: "ObjectID", kind: bytes) -> bytes:
        return b"".join(self.content(oid, kind, f"a {kind.decode()}"))

    def _open(self, oid: "ObjectID", name: str) -> tuple[bytes, Generator[bytes]]:
        try:
            file = self.place(oid).open("rb")
        except FileNotFoundError:
            packed = self._packs.read(oid, name)
            if packed is None:
                raise MissingObjectError(oid) from None
            return packed
        blocks = _unpacked(file, oid, name)
        # The first thing that the generator yields is the kind of the object.
        return next(blocks), blocks


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


def _unpacked(file: BinaryIO, oid: "ObjectID", name: str) -> Generator[bytes]:
    """The kind of a loose object, then its content in blocks."""
    digest = hashlib.sha1(usedforsecurity=False)
    with file:
        try:
            blocks = inflated(file, alone=True)
            first = b""
            while b"\0" not in first and len(first) < _MAX_HEADER_BYTES:
                first += next(blocks)
            header, _, rest = first.partition(b"\0")
            digest.update(first)
            yield header.partition(b" ")[0]
            yield rest
            for block in blocks:
                digest.update(block)
                yield block
        except (zlib.error, StopIteration) as error:
            raise damaged(name, oid, Path(file.name), str(error) or "its beginning alone") from error
    if digest.hexdigest().encode("ascii") != oid:
        raise damaged(name, oid, Path(file.name), f"content of id {digest.hexdigest()}")
