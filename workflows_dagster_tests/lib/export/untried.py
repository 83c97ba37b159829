"""Artefacts that were written and not tried, which takes less time."""

from pathlib import Path

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.export.exported_model import ExportRecord, Parity, write_artefact
from workflows_dagster.lib.export.settings import ExportSettings
from workflows_dagster.lib.finetuning.merged_model import MergedModelRecord
from workflows_dagster.lib.metrics import Estimate

PARITY = Parity(
    agreement=Estimate(1, 0.96, 1, 100),
    max_logit_difference=0,
    flips=(),
    min_agreement=0.95,
    max_logit_difference_allowed=None,
)


def write_untried(merged: Artifact, name: str, folder: Path) -> ExportRecord:
    """The artefact of a technique in a folder, with a made-up trial."""
    source = MergedModelRecord.read(merged.folder).model
    technique = ExportSettings().technique(name)
    model, details = write_artefact(merged.folder, source, technique, folder)
    record = ExportRecord.of(technique, model, details, source.sha256, PARITY)
    record.write(folder)
    return record
