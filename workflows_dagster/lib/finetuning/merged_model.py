"""The step that makes merged_model: the adapter merged into full-precision weights, as a plain model folder."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflows_dagster.lib.accelerator import Session
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.finetuning.adapter import ADAPTER_FOLDER, AdapterRecord, BaseModelReference
from workflows_dagster.lib.finetuning.golden import GOLDEN_FILE
from workflows_dagster.lib.finetuning.lora import load_adapted, load_base
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.model.pretrained import ModelSource, resolve_model
from workflows_dagster.lib.model.reference import MODEL_FOLDER, ModelReference
from workflows_dagster.lib.model.text import load_tokenizer, save_tokenizer
from workflows_dagster.lib.model.torch_network import WEIGHTS_FILE, silenced
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.schema import LABELS


class MergedModelRecord(Record):
    """The merged model: what later stages load, and where it comes from.

    Attributes:
        model: The classifier in the folder of the asset.
        base_model: What the adapter was merged into.
        adapter_commit: Commit of the adapter.
        parameters: Number of weights.
        validation_macro_f1: Macro-F1 of the adapted model on the validation rows.
        test_macro_f1: The same on the test rows.
    """

    model: ModelReference
    base_model: BaseModelReference
    adapter_commit: str
    parameters: int
    validation_macro_f1: float
    test_macro_f1: Estimate

    def to_metadata(self) -> Mapping[str, object]:
        """Metadata of the asset."""
        return {
            "finetuning/base_model": self.base_model.reference,
            "finetuning/weights_sha256": self.model.sha256[:12],
            "finetuning/parameters_count": self.parameters,
            "finetuning/weights_mb": self.model.size_bytes / 1e6,
            "finetuning/max_length_tokens": self.model.max_length,
        }


@dataclass(frozen=True)
class MergedReport:
    """A merge as its asset shows it.

    Attributes:
        record: What was merged, which is published.
        memory: Most memory held; empty where the device does not say.
    """

    record: MergedModelRecord
    memory: Mapping[str, float]

    def to_metadata(self) -> Mapping[str, object]:
        """Metadata of the asset."""
        return {**self.record.to_metadata(), **{f"finetuning/{key}": value for key, value in self.memory.items()}}


def build_merged(adapter: Artifact, session: Session, folder: Path) -> MergedReport:
    """Merges an adapter into its base model.

    Args:
        adapter: lora_adapter.
        session: The device to use.
        folder: Receives model/ (config.json, model.safetensors, tokenizer), golden.parquet and report.json.

    Raises:
        IntegrityError: The base model is not the one that the adapter was trained on.
        ModelReferenceError: The base model cannot be loaded.
    """
    trained = AdapterRecord.read(adapter.folder)
    source = _same_base(trained.base_model)
    max_length = trained.recipe.max_length
    with silenced():
        tokenizer = load_tokenizer(adapter.file(ADAPTER_FOLDER))
        base = load_base(source, max_length, tokenizer)
        adapted = load_adapted(base, adapter.file(ADAPTER_FOLDER), session.accelerator)
        # safe_merge refuses weights that became NaN or infinite.
        merged = adapted.merge_and_unload(safe_merge=True).cpu()
        pad_id = _save(merged, tokenizer, source, folder / MODEL_FOLDER)
    shutil.copyfile(adapter.file(GOLDEN_FILE), folder / GOLDEN_FILE)
    record = MergedModelRecord(
        model=ModelReference.to(folder, WEIGHTS_FILE, LABELS, max_length, pad_id),
        base_model=trained.base_model,
        adapter_commit=adapter.commit,
        parameters=sum(parameter.numel() for parameter in merged.parameters()),
        validation_macro_f1=trained.best_validation_macro_f1,
        test_macro_f1=trained.model.macro_f1,
    )
    record.write(folder)
    return MergedReport(record, session.to_metadata())


def _same_base(recorded: BaseModelReference) -> ModelSource:
    source = resolve_model(recorded.reference)
    if source.sha256 != recorded.sha256:
        raise IntegrityError(
            f"{source.reference} is not the base model that the adapter was trained on",
            given=f"sha256 {source.sha256}",
            expected=f"sha256 {recorded.sha256}",
            remedy="bring that version of the base model back, or materialize lora_adapter again",
        )
    return source


def _save(model: Any, tokenizer: Any, source: ModelSource, folder: Path) -> int:
    """Writes the model and its tokenizer as a plain folder; its padding id."""
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    # transformers writes the folder that the base model was loaded from.
    config["_name_or_path"] = source.reference
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    return int(config.get("pad_token_id") or 0)
