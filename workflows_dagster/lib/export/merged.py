"""The merged model that every technique starts from: a plain Hugging Face folder with its digest."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from workflows_dagster.lib.errors import IntegrityError, ModelReferenceError
from workflows_dagster.lib.hashing import digest_file

REFERENCE_FILE: Final = "model.json"
WEIGHTS_FILE: Final = "model.safetensors"
TOKENIZER_FILES: Final = ("tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True)
class MergedModel:
    """A verified sequence classifier on disk.

    Attributes:
        folder: Folder with config.json, model.safetensors and the tokenizer.
        sha256: Digest of its weights.
        max_length: Longest input in tokens, special tokens included.
        labels: Names of its outputs, in their order.
        adapter_commit: Commit of the adapter that was merged into it; None where its reference does not say.
    """

    folder: Path
    sha256: str
    max_length: int
    labels: tuple[str, ...]
    adapter_commit: str | None = None

    @classmethod
    def open(cls, artifact: Path) -> "MergedModel":
        """The model that an artifact folder's model.json refers to, checked against its digest.

        Raises:
            ModelReferenceError: model.json, or a file of the model, is missing or says too little.
            IntegrityError: The weights are not the recorded ones.
        """
        reference = _read_json(artifact / REFERENCE_FILE)
        missing = {"path", "sha256", "max_length"} - reference.keys()
        if missing:
            raise ModelReferenceError(
                "the reference of the merged model says too little",
                given=sorted(reference),
                expected="path, sha256 and max_length",
                remedy="materialize merged_model again with this version of the code",
            )
        folder = artifact / str(reference["path"])
        weights = folder / WEIGHTS_FILE
        for path in (weights, folder / "config.json", *(folder / name for name in TOKENIZER_FILES)):
            if not path.is_file():
                raise ModelReferenceError(
                    "a file of the merged model is missing",
                    given=path.name,
                    expected="config.json, model.safetensors, tokenizer.json, tokenizer_config.json",
                    remedy="materialize merged_model again",
                )
        check_digest(weights, str(reference["sha256"]))
        labels = _read_json(folder / "config.json")["id2label"]
        return cls(
            folder,
            str(reference["sha256"]),
            int(reference["max_length"]),
            tuple(labels[str(index)] for index in range(len(labels))),
            reference.get("adapter_commit"),
        )

    def config(self) -> dict[str, Any]:
        """Its config.json."""
        return _read_json(self.folder / "config.json")


def check_digest(path: Path, expected: str) -> None:
    """Passes only when a file's bytes have the recorded digest.

    Raises:
        IntegrityError: They have another one.
    """
    actual = digest_file(path)
    if actual != expected:
        raise IntegrityError(
            f"{path.name} is not the file that was recorded; it was not loaded",
            given=f"sha256 {actual}",
            expected=f"sha256 {expected}",
            remedy="materialize the asset that wrote it again, and find out who changed the file",
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelReferenceError(
            f"{path.name} cannot be read",
            given=str(error),
            expected="a JSON file of a published model",
            remedy="materialize merged_model again",
        ) from error
