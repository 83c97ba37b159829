"""Objects of a git repository, read as streams, so that memory stays bounded whatever a file's size.

Why our own code: dulwich holds a whole blob in memory, several times over while it writes, and a model of some
gigabytes must not need as much memory to be published. The format of a loose object is one line of specification: the
zlib stream of `<kind> <size>`, a zero byte and the content, in a file named after the SHA-1 of what was compressed.
Loose objects are written by `writer`; objects in packs are read by `packs`.
"""

import hashlib
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from workflows_dagster.lib.store.git.errors import MissingObjectError, damaged
from workflows_dagster.lib.store.git.packs import KINDS, GitPacks, inflated

if TYPE_CHECKING:
    from dulwich.objects import Commit, ObjectID, Tree

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
