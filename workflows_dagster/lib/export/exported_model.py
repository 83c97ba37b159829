"""The step that makes exported_models: one technique, from the merged model to an artefact that was tried.

A process that serves a model imports this module: what only the step needs is imported inside of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import numpy as np

from workflows_dagster.lib.export.process import run_fresh
from workflows_dagster.lib.export.registry import REFERENCE, open_classifier
from workflows_dagster.lib.export.technique import Details, Technique
from workflows_dagster.lib.metrics import Estimate, agreement
from workflows_dagster.lib.model.inference import BATCH_TOKENS, Classifier, Values
from workflows_dagster.lib.model.reference import MODEL_FOLDER, ModelReference
from workflows_dagster.lib.model.text import copy_tokenizer
from workflows_dagster.lib.progress import Progress
from workflows_dagster.lib.record import Record

if TYPE_CHECKING:
    import polars as pl

    from workflows_dagster.lib.artifact import Artifact
    from workflows_dagster.lib.export.settings import ExportSettings

TRIAL: Final = "workflows_dagster.lib.export.trial"


@dataclass(frozen=True)
class Flip:
    """A test row that the artefact puts into another class than the merged model does."""

    review_id: str
    merged: str
    exported: str


@dataclass(frozen=True)
class Parity:
    """How an artefact answered when it was loaded again, beside the merged model.

    Attributes:
        agreement: Share of the rows with the merged model's class.
        max_logit_difference: Largest absolute difference of a logit.
        flips: The rows with another class.
        min_agreement: The share that is needed.
        max_logit_difference_allowed: The difference that is allowed; None for a lossy technique.
    """

    agreement: Estimate
    max_logit_difference: float
    flips: tuple[Flip, ...]
    min_agreement: float
    max_logit_difference_allowed: float | None


class ExportRecord(Record):
    """An exported artefact, and how it answered after it was loaded again.

    Attributes:
        technique: Name in the registry of techniques.
        format: Container of the weights.
        runtime: What executes it.
        lossless: Whether answers must equal the merged model's up to float noise.
        model: The classifier in the folder of the asset.
        merged_sha256: Digest of the weights it was made from.
        details: What the technique did.
        versions: Versions of the libraries that made it.
        parity: How it answered.
    """

    FILE: ClassVar[str] = "export.json"

    technique: str
    format: Literal["safetensors", "onnx"]
    runtime: Literal["torch", "onnxruntime"]
    lossless: bool
    model: ModelReference
    merged_sha256: str
    details: dict[str, str | int | float | bool]
    versions: dict[str, str]
    parity: Parity

    @classmethod
    def of(
        cls, technique: Technique, model: ModelReference, details: Details, merged_sha256: str, parity: Parity
    ) -> "ExportRecord":
        """The record of what a technique wrote."""
        return cls(
            technique=technique.name,
            format=technique.format,
            runtime=technique.runtime,
            lossless=technique.lossless,
            model=model,
            merged_sha256=merged_sha256,
            details=dict(details),
            versions={package: version(package) for package in technique.packages},
            parity=parity,
        )

    def to_metadata(self) -> Mapping[str, object]:
        """Metadata of the asset."""
        return {
            "export/same_class_as_merged": str(self.parity.agreement),
            "export/agreement_ratio": self.parity.agreement.value,
            "export/max_logit_difference": self.parity.max_logit_difference,
            "export/weights_mb": self.model.size_bytes / 1e6,
            "export/served_mb": self.model.total_bytes / 1e6,
            "export/format": f"{self.format}, run by {self.runtime}",
            "export/weights_sha256": self.model.sha256[:12],
            "export/details": self.details,
            "export/versions": self.versions,
        }


def export_model(
    merged: "Artifact", reviews: "Artifact", name: str, settings: "ExportSettings", folder: Path
) -> ExportRecord:
    """Writes model/ and export.json of one technique.

    The artefact is loaded again in a fresh process and classifies test rows beside the merged model.

    Args:
        merged: The merged_model artifact.
        reviews: Holds the test rows.
        name: Name of the technique.
        settings: Settings of the stage.
        folder: Where to write.

    Raises:
        ConfigurationError: There is no technique of that name.
        IntegrityError: The merged model, or what was written, does not have its recorded digest.
        WorkerFailedError: The artefact could not be loaded or run.
    """
    from workflows_dagster.lib.export.rows import held_out_rows
    from workflows_dagster.lib.finetuning.merged_model import MergedModelRecord

    technique = settings.technique(name)
    source = MergedModelRecord.read(merged.folder).model
    source.verify(merged.folder)
    progress = Progress(f"exporting {name}", 2, "steps")
    model, details = write_artefact(merged.folder, source, technique, folder)
    progress.advance(note=f"{model.size_bytes / 1e6:.1f} MB")
    rows = held_out_rows(reviews, settings.parity_rows)
    before = _merged_logits(merged.folder, source, rows, settings)
    after = _exported_logits(folder, model, technique, rows, settings)
    parity = _parity(technique, rows, before, after, model.labels, settings)
    record = ExportRecord.of(technique, model, details, source.sha256, parity)
    record.write(folder)
    progress.advance(note="reloaded and tried")
    return record


def write_artefact(
    merged: Path, source: ModelReference, technique: Technique, folder: Path
) -> tuple[ModelReference, Details]:
    """Writes model/ with its tokenizer; a reference to it, and what the technique did.

    Args:
        merged: Folder of merged_model.
        source: The model in it.
        technique: What to write.
        folder: Where to write.
    """
    model = folder / MODEL_FOLDER
    copy_tokenizer(merged / MODEL_FOLDER, model, source.max_length)
    details = technique.write(merged / MODEL_FOLDER, model)
    reference = ModelReference.to(folder, technique.file, source.labels, source.max_length, source.pad_id)
    return reference, details


def load_exported(folder: Path, *, threads: int = 2, batch_tokens: int = BATCH_TOKENS) -> Classifier:
    """The classifier of a published artefact; every file is checked against its digest first.

    Args:
        folder: Folder of one partition of exported_models.
        threads: Threads of the runtime. For torch this is a setting of the process.
        batch_tokens: Padded tokens computed at once.

    Raises:
        IntegrityError: A file is not the one that was exported.
        DataContractError: The record cannot be read.
        ConfigurationError: This version of the code does not know the technique.
    """
    record = ExportRecord.read(folder)
    return open_classifier(record.technique, folder, record.model, threads=threads, batch_tokens=batch_tokens)


def _merged_logits(folder: Path, source: ModelReference, rows: "pl.DataFrame", settings: "ExportSettings") -> Values:
    """What the merged model says; in this process, which has loaded torch already in order to export."""
    import torch

    threads = torch.get_num_threads()
    try:
        classifier = open_classifier(
            REFERENCE.name, folder, source, threads=settings.threads, batch_tokens=settings.batch_tokens
        )
        return classifier.logits(rows["text"].to_list())
    finally:
        torch.set_num_threads(threads)


def _exported_logits(
    folder: Path, model: ModelReference, technique: Technique, rows: "pl.DataFrame", settings: "ExportSettings"
) -> Values:
    request = {
        "technique": technique.name,
        "folder": str(folder),
        "model": asdict(model),
        "texts": rows["text"].to_list(),
        "threads": settings.threads,
        "batch_tokens": settings.batch_tokens,
    }
    response = run_fresh(TRIAL, request, timeout_s=settings.timeout_s, threads=settings.threads)
    return np.asarray(response["logits"], dtype=np.float32)


def _parity(
    technique: Technique,
    rows: "pl.DataFrame",
    before: Values,
    after: Values,
    labels: Sequence[str],
    settings: "ExportSettings",
) -> Parity:
    merged, exported = before.argmax(1), after.argmax(1)
    return Parity(
        agreement=agreement(merged, exported),
        max_logit_difference=float(np.abs(before - after).max()),
        flips=tuple(
            Flip(rows["review_id"][int(row)], labels[int(merged[row])], labels[int(exported[row])])
            for row in np.flatnonzero(merged != exported)
        ),
        min_agreement=1.0 if technique.lossless else settings.min_agreement,
        max_logit_difference_allowed=settings.max_logit_difference if technique.lossless else None,
    )
