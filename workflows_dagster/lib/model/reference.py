"""A reference to a published classifier: where it is, what it needs, and the digests it is checked against.

A process that serves a model imports this module: no library beyond numpy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.hashing import digest_file

MODEL_FOLDER: Final = "model"
"""Folder of the model below the folder of the asset that published it."""


@dataclass(frozen=True)
class ModelReference:
    """A classifier on disk.

    Attributes:
        file: Path of the weights below the folder of the asset.
        sha256: Digest of that file.
        size_bytes: Size of that file.
        total_bytes: Size of everything needed to serve the model: weights, configuration, tokenizer.
        files: Digest of each of those files, by path below the folder of the asset.
        labels: Names of the outputs, in their order.
        max_length: Longest input in tokens; longer ones are cut.
        pad_id: Token id that fills short rows of a batch; masked out.
    """

    file: str
    sha256: str
    size_bytes: int
    total_bytes: int
    files: dict[str, str]
    labels: tuple[str, ...]
    max_length: int
    pad_id: int

    @classmethod
    def to(cls, folder: Path, weights: str, labels: Sequence[str], max_length: int, pad_id: int) -> "ModelReference":
        """A reference to the model in an asset's folder.

        Args:
            folder: Folder of the asset.
            weights: Name of the weights below the model's folder.
            labels: Names of the outputs, in their order.
            max_length: Longest input in tokens.
            pad_id: Token id that fills short rows of a batch.
        """
        file = f"{MODEL_FOLDER}/{weights}"
        files = {name: digest_file(folder / name) for name in files_below(folder)}
        return cls(
            file=file,
            sha256=files[file],
            size_bytes=(folder / file).stat().st_size,
            total_bytes=sum((folder / name).stat().st_size for name in files),
            files=files,
            labels=tuple(labels),
            max_length=max_length,
            pad_id=pad_id,
        )

    def verify(self, folder: Path) -> None:
        """Passes only when the asset's folder holds exactly the model that is referred to.

        Raises:
            IntegrityError: A file is missing, added or changed.
        """
        present = files_below(folder)
        if set(present) != self.files.keys():
            raise IntegrityError(
                "the folder does not hold the files that its record lists; nothing was loaded",
                given=present,
                expected=str(sorted(self.files)),
                remedy="materialize the asset that wrote it again",
            )
        for name, expected in self.files.items():
            if (actual := digest_file(folder / name)) != expected:
                raise IntegrityError(
                    f"{Path(name).name} is not the file that was recorded; it was not loaded",
                    given=f"sha256 {actual}",
                    expected=f"sha256 {expected}",
                    remedy="materialize the asset that wrote it again, and find out who changed the file",
                )


def files_below(folder: Path) -> list[str]:
    """Paths of the model's files below an asset's folder, sorted."""
    files = (path for path in (folder / MODEL_FOLDER).rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)
