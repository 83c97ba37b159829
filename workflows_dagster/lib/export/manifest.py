"""export.json: what an exported artefact is, and the digests it is checked against before anything is loaded."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from workflows_dagster.lib.errors import DataContractError, IntegrityError
from workflows_dagster.lib.export.merged import check_digest

MANIFEST_FILE: Final = "export.json"
MODEL_FOLDER: Final = "model"


@dataclass(frozen=True)
class ExportManifest:
    """One exported artefact.

    Attributes:
        technique: Name in the registry of techniques.
        format: Container of the weights. Never a pickle.
        runtime: What executes it.
        file: Path of the weights below the artefact's folder.
        sha256: Digest of that file.
        size_bytes: Size of that file.
        total_bytes: Size of everything needed to serve it: weights, configuration, tokenizer.
        files: Digest of each of those files, by path below the artefact's folder.
        labels: Names of the outputs, in their order.
        max_length: Longest input in tokens; longer ones are cut.
        pad_id: Token id that fills short rows of a batch; masked out.
        lossless: Whether answers must equal the merged model's up to float noise.
        opset: ONNX operator set, None for other formats.
        merged_sha256: Digest of the weights it was made from.
        details: What the technique did, in its own words.
        versions: Versions of the libraries that made it.
    """

    technique: str
    format: Literal["safetensors", "onnx"]
    runtime: Literal["torch", "onnxruntime"]
    file: str
    sha256: str
    size_bytes: int
    total_bytes: int
    files: dict[str, str]
    labels: tuple[str, ...]
    max_length: int
    pad_id: int
    lossless: bool
    opset: int | None
    merged_sha256: str
    details: dict[str, str | int | float | bool]
    versions: dict[str, str]

    def write(self, folder: Path) -> None:
        """Writes it as export.json."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True)
        (folder / MANIFEST_FILE).write_text(text + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> "ExportManifest":
        """The manifest of an artefact folder.

        Raises:
            DataContractError: It is missing, not JSON, or lacks or exceeds the fields of this version.
        """
        try:
            fields: dict[str, Any] = json.loads((folder / MANIFEST_FILE).read_text("utf-8"))
            fields["labels"] = tuple(fields["labels"])
            return cls(**fields)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataContractError(
                f"{MANIFEST_FILE} cannot be read",
                given=f"{type(error).__name__}: {error}",
                expected="the manifest that the export wrote",
                remedy="materialize exported_models again with this version of the code",
            ) from error

    def verify(self, folder: Path) -> None:
        """Passes only when every file below the model folder is there with its recorded digest, and no other.

        Raises:
            IntegrityError: A file is missing, added or changed.
        """
        present = files_below(folder)
        if present != self.files.keys():
            raise IntegrityError(
                "the artefact does not hold the files that its manifest lists; nothing was loaded",
                given=sorted(present),
                expected=str(sorted(self.files)),
                remedy="materialize exported_models again",
            )
        for name, digest in self.files.items():
            check_digest(folder / name, digest)


def files_below(folder: Path) -> set[str]:
    """Paths of the files of an artefact's model, relative to the artefact's folder."""
    return {path.relative_to(folder).as_posix() for path in (folder / MODEL_FOLDER).rglob("*") if path.is_file()}
