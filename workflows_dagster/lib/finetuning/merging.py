"""The step that makes merged_model: the adapter merged into full-precision weights, as a plain model folder."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from workflows_dagster.lib.accelerator import Accelerator, Session
from workflows_dagster.lib.artifact import Artifact, write_report
from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.finetuning.adapter import ADAPTER_FOLDER
from workflows_dagster.lib.finetuning.classifier import load_adapted, load_classifier
from workflows_dagster.lib.finetuning.golden import GOLDEN_FILE
from workflows_dagster.lib.finetuning.models import ModelSource, resolve_model
from workflows_dagster.lib.finetuning.quiet import quiet
from workflows_dagster.lib.finetuning.tokens import load_tokenizer, save_tokenizer
from workflows_dagster.lib.hashing import digest_file

MODEL_FOLDER: Final = "model"
REFERENCE_FILE: Final = "model.json"
WEIGHTS_FILE: Final = "model.safetensors"


@dataclass(frozen=True)
class MergedReport:
    """What was merged.

    Attributes:
        base: Reference of the base model.
        sha256: Digest of the merged weights.
        parameters: Number of weights.
        size_bytes: Bytes of the weights file.
        max_length: Longest input in tokens.
        memory: Most memory held; empty where the device does not say.
    """

    base: str
    sha256: str
    parameters: int
    size_bytes: int
    max_length: int
    memory: Mapping[str, int]

    def to_metadata(self) -> dict[str, object]:
        """Metadata of the asset."""
        return {
            "finetuning/base_model": self.base,
            "finetuning/weights_sha256": self.sha256,
            "finetuning/parameters_count": self.parameters,
            "finetuning/weights_size_bytes": self.size_bytes,
            "finetuning/max_length_tokens": self.max_length,
            **{f"finetuning/{key}": value for key, value in self.memory.items()},
        }


def build_merged(adapter: Artifact, session: Session, folder: Path) -> MergedReport:
    """Merges an adapter into its base model.

    Args:
        adapter: lora_adapter.
        session: The device to use.
        folder: Receives model/ (config.json, model.safetensors, tokenizer), model.json, golden.parquet, report.json.

    Raises:
        IntegrityError: The base model is not the one that the adapter was trained on.
        ModelReferenceError: The base model cannot be loaded.
    """
    report: dict[str, Any] = adapter.report()
    source = _same_base(report["base_model"])
    max_length = int(report["recipe"]["max_length"])
    with quiet():
        merged = _merge(adapter, source, session.accelerator, max_length)
        _save(merged, load_tokenizer(adapter.file(ADAPTER_FOLDER)), folder / MODEL_FOLDER, source)
    shutil.copyfile(adapter.file(GOLDEN_FILE), folder / GOLDEN_FILE)
    weights = folder / MODEL_FOLDER / WEIGHTS_FILE
    sha256 = digest_file(weights)
    reference = {
        "path": MODEL_FOLDER,
        "format": "safetensors",
        "sha256": sha256,
        "max_length": max_length,
        "base_model": report["base_model"],
        "adapter_commit": adapter.commit,
    }
    (folder / REFERENCE_FILE).write_text(json.dumps(reference, indent=2, sort_keys=True) + "\n", "utf-8")
    found = MergedReport(
        base=source.reference,
        sha256=sha256,
        parameters=sum(parameter.numel() for parameter in merged.parameters()),
        size_bytes=weights.stat().st_size,
        max_length=max_length,
        memory=session.to_metadata(),
    )
    write_report(
        folder,
        {
            "base_model": report["base_model"],
            "sha256": found.sha256,
            "parameters": found.parameters,
            "size_bytes": found.size_bytes,
            "max_length": max_length,
            "validation_macro_f1": report["training"]["best_validation_macro_f1"],
            "test_macro_f1": report["model"]["macro_f1"],
        },
    )
    return found


def _merge(adapter: Artifact, source: ModelSource, accelerator: Accelerator, max_length: int) -> Any:
    base = load_classifier(source, accelerator, max_length)
    adapted = load_adapted(base, adapter.file(ADAPTER_FOLDER), accelerator)
    # safe_merge refuses weights that became NaN or infinite.
    return adapted.merge_and_unload(safe_merge=True).cpu()


def _same_base(recorded: dict[str, str]) -> ModelSource:
    source = resolve_model(recorded["reference"])
    if source.sha256 != recorded["sha256"]:
        raise IntegrityError(
            f"{source.reference} is not the base model that the adapter was trained on",
            given=f"sha256 {source.sha256}",
            expected=f"sha256 {recorded['sha256']}",
            remedy="bring that version of the base model back, or materialize lora_adapter again",
        )
    return source


def _save(model: Any, tokenizer: Any, folder: Path, source: ModelSource) -> None:
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    # transformers writes the folder that the base model was loaded from.
    config["_name_or_path"] = source.reference
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
