"""One technique from merged model to tried artefact."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.export.agreement import agreement
from workflows_dagster.lib.export.classifier import load_merged
from workflows_dagster.lib.export.manifest import MODEL_FOLDER, ExportManifest, files_below
from workflows_dagster.lib.export.merged import MergedModel
from workflows_dagster.lib.export.process import run_fresh
from workflows_dagster.lib.export.registry import technique
from workflows_dagster.lib.export.rows import held_out_rows
from workflows_dagster.lib.export.settings import ExportSettings
from workflows_dagster.lib.export.technique import Logits, Technique
from workflows_dagster.lib.export.tokens import copy_tokenizer
from workflows_dagster.lib.hashing import digest_file
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.progress import Progress

PARITY_FILE: Final = "parity.json"
TRIAL: Final = "workflows_dagster.lib.export.trial"


@dataclass(frozen=True)
class ExportReport:
    """An exported artefact and how it answered after it was loaded again.

    Attributes:
        manifest: What export.json says.
        agreement: Share of the trial's rows with the merged model's class.
        max_logit_difference: Largest absolute difference of a logit.
    """

    manifest: ExportManifest
    agreement: Estimate
    max_logit_difference: float

    def to_metadata(self) -> Mapping[str, object]:
        """What the asset shows."""
        return {
            "export/format": self.manifest.format,
            "export/runtime": self.manifest.runtime,
            "export/weights_bytes": self.manifest.size_bytes,
            "export/served_bytes": self.manifest.total_bytes,
            "export/weights_sha256": self.manifest.sha256,
            "export/agreement_ratio": self.agreement.value,
            "export/agreement_low_ratio": self.agreement.low,
            "export/trial_rows": self.agreement.n,
            "export/max_logit_difference": self.max_logit_difference,
            "export/details": dict(self.manifest.details),
            "export/versions": dict(self.manifest.versions),
        }


def export_model(
    merged: Artifact, reviews: Artifact, name: str, settings: ExportSettings, folder: Path
) -> ExportReport:
    """Writes model/, export.json and parity.json of one technique.

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
    chosen = technique(name)
    source = MergedModel.open(merged.folder)
    progress = Progress(f"exporting {name}", 2, "steps")
    manifest = write_artefact(source, chosen, settings, folder)
    progress.advance(note=f"{manifest.size_bytes / 1e6:.1f} MB")
    rows = held_out_rows(reviews, settings.parity_rows)
    parity = _try(merged.folder, folder, manifest, rows, settings)
    (folder / PARITY_FILE).write_text(json.dumps(parity, indent=2, sort_keys=True) + "\n", "utf-8")
    progress.advance(note="reloaded and tried")
    return ExportReport(manifest, Estimate(**parity["agreement"]), parity["max_logit_difference"])


def write_artefact(source: MergedModel, chosen: Technique, settings: ExportSettings, folder: Path) -> ExportManifest:
    """Writes model/ and export.json."""
    model = folder / MODEL_FOLDER
    copy_tokenizer(source.folder, model, source.max_length)
    details = chosen.write(source, model, settings)
    files = {name: digest_file(folder / name) for name in sorted(files_below(folder))}
    weights = f"{MODEL_FOLDER}/{chosen.file}"
    manifest = ExportManifest(
        technique=chosen.name,
        format=chosen.format,
        runtime=chosen.runtime,
        file=weights,
        sha256=files[weights],
        size_bytes=(folder / weights).stat().st_size,
        total_bytes=sum((folder / name).stat().st_size for name in files),
        files=files,
        labels=source.labels,
        max_length=source.max_length,
        pad_id=int(source.config().get("pad_token_id") or 0),
        lossless=chosen.lossless,
        opset=settings.opset if chosen.format == "onnx" else None,
        merged_sha256=source.sha256,
        details=dict(details),
        versions={package: version(package) for package in chosen.packages},
    )
    manifest.write(folder)
    return manifest


def _merged_logits(merged: Path, rows: pl.DataFrame, settings: ExportSettings) -> Logits:
    """What the merged model says; in this process, which exporting has loaded torch into already."""
    import torch

    threads = torch.get_num_threads()
    try:
        classifier = load_merged(merged, threads=settings.threads, batch_tokens=settings.batch_tokens)
        return classifier.logits(rows["text"].to_list())
    finally:
        torch.set_num_threads(threads)


def _try(
    merged: Path, exported: Path, manifest: ExportManifest, rows: pl.DataFrame, settings: ExportSettings
) -> dict[str, Any]:
    request = {
        "technique": manifest.technique,
        "exported": str(exported),
        "texts": rows["text"].to_list(),
        "threads": settings.threads,
        "batch_tokens": settings.batch_tokens,
    }
    response = run_fresh(TRIAL, request, timeout_s=settings.timeout_s, threads=settings.threads)
    before, after = _merged_logits(merged, rows, settings), np.asarray(response["logits"], dtype=np.float32)
    classes_before, classes_after = before.argmax(1), after.argmax(1)
    return {
        "technique": manifest.technique,
        "lossless": manifest.lossless,
        "agreement": asdict(agreement(classes_before, classes_after)),
        "max_logit_difference": float(np.abs(before - after).max()),
        "flips": [
            {
                "review_id": rows["review_id"][int(row)],
                "merged": manifest.labels[int(classes_before[row])],
                "exported": manifest.labels[int(classes_after[row])],
            }
            for row in np.flatnonzero(classes_before != classes_after)
        ],
        "min_agreement": 1.0 if manifest.lossless else settings.min_agreement,
        "max_logit_difference_allowed": settings.max_logit_difference if manifest.lossless else None,
    }
