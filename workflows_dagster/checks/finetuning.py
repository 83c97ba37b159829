"""What must hold of an adapter and of the merged model before they are published."""

import json
import math
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.finetuning.adapter import (
    ADAPTER_FOLDER,
    BASELINE_PREDICTIONS_FILE,
    ROWS_FILE,
    TEST_PREDICTIONS_FILE,
    AdapterRecord,
)
from workflows_dagster.lib.finetuning.golden import read_golden
from workflows_dagster.lib.finetuning.lora import ADAPTER_WEIGHTS
from workflows_dagster.lib.finetuning.merged_model import MergedModelRecord
from workflows_dagster.lib.model.inference import Classifier
from workflows_dagster.lib.model.reference import MODEL_FOLDER
from workflows_dagster.lib.model.text import TextEncoder
from workflows_dagster.lib.model.torch_network import TorchNetwork, load_classifier, silenced
from workflows_dagster.lib.schema import LABELS

PLAIN_SUFFIXES: Final = frozenset({".json", ".safetensors", ".parquet", ".txt", ".jinja"})
"""Files that hold data only; pickled weights (*.bin, *.pt, *.pth, *.pkl) run code when they are loaded."""

MOST_LOGIT_DIFFERENCE: Final = 1e-3
"""Merging reorders float32 sums: differences near 1e-5 are expected, a wrong weight gives more than 1e-1."""


def splits_disjoint(folder: Path) -> Verdict:
    """Counts the review ids and groups that training shares with validation or test."""
    rows = pl.read_parquet(folder / ROWS_FILE, glob=False)
    train, held_out = rows.filter(pl.col("split") == "train"), rows.filter(pl.col("split") != "train")
    shared = {key: len(set(train[key]) & set(held_out[key])) for key in ("review_id", "group_key")}
    return Verdict(
        not any(shared.values()),
        f"{shared['review_id']:,} review ids and {shared['group_key']:,} groups are both in the {train.height:,} "
        f"training rows and in the {held_out.height:,} validation and test rows",
        {"shared_review_ids": shared["review_id"], "shared_groups": shared["group_key"], "threshold": 0},
    )


def every_test_row_predicted(folder: Path) -> Verdict:
    """Compares the rows that were predicted, by the model and by the baseline, with the test rows."""
    rows = pl.read_parquet(folder / ROWS_FILE, glob=False).filter(pl.col("split") == "test")
    wanted = set(rows["review_id"])
    missing = {
        name: len(wanted ^ set(table["review_id"])) + table.height - table["review_id"].n_unique()
        for name in (TEST_PREDICTIONS_FILE, BASELINE_PREDICTIONS_FILE)
        for table in [pl.read_parquet(folder / name, glob=False)]
    }
    return Verdict(
        bool(wanted) and not any(missing.values()),
        f"{len(wanted):,} test rows; missing, foreign or doubled predictions: {missing}",
        {"test_rows": len(wanted), "predictions_off": sum(missing.values()), "threshold": 0},
    )


def plain_files_only(folder: Path) -> Verdict:
    """Lists the files whose format could carry code."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    foreign = sorted(path.relative_to(folder).as_posix() for path in files if path.suffix not in PLAIN_SUFFIXES)
    weights = sum(path.suffix == ".safetensors" for path in files)
    return Verdict(
        not foreign and weights > 0,
        f"{len(files)} files, {weights} of them safetensors; of other formats: {foreign or 'none'}",
        {"foreign_files": len(foreign), "safetensors_files": weights, "threshold": 0},
    )


def metrics_finite(folder: Path) -> Verdict:
    """Looks for figures that are not finite numbers, and for weights that are not."""
    from safetensors.numpy import load_file

    figures = _numbers(AdapterRecord.read(folder).model_dump())
    broken = sum(not math.isfinite(figure) for figure in figures)
    weights = load_file(folder / ADAPTER_FOLDER / ADAPTER_WEIGHTS)
    broken_weights = sum(int((~np.isfinite(weight)).sum()) for weight in weights.values())
    return Verdict(
        broken == 0 and broken_weights == 0,
        f"{broken} of {len(figures)} figures and {broken_weights:,} weights of the adapter are not finite",
        {"figures_not_finite": broken, "weights_not_finite": broken_weights, "threshold": 0},
    )


def beats_linear_baseline(folder: Path) -> Verdict:
    """Compares model and baseline in macro-F1 on the same test rows, paired."""
    record = AdapterRecord.read(folder)
    ours, theirs, gain = record.model.macro_f1, record.baseline.macro_f1, record.macro_f1_gain
    return Verdict(
        gain.low > 0,
        f"macro-F1 {ours} against {theirs} of {record.baseline_name}; gain {gain}, paired",
        {
            "macro_f1": ours.value,
            "baseline_macro_f1": theirs.value,
            "gain": gain.value,
            "gain_low": gain.low,
            "threshold": 0,
        },
    )


def reference_true(folder: Path) -> Verdict:
    """Compares the files of the model with their recorded digests, and its classes with LABELS."""
    model = MergedModelRecord.read(folder).model
    try:
        model.verify(folder)
    except IntegrityError as error:
        return Verdict(False, str(error))
    classes = json.loads((folder / MODEL_FOLDER / "config.json").read_text("utf-8"))["id2label"]
    right_classes = classes == {str(index): label for index, label in enumerate(LABELS)}
    return Verdict(
        right_classes, f"every file has its recorded digest; the classes are {classes}", {"sha256": model.sha256}
    )


def repeats_adapter(folder: Path) -> Verdict:
    """Loads the merged model from its folder and compares its scores on the golden rows with the recorded ones."""
    model = MergedModelRecord.read(folder).model
    texts, recorded = read_golden(folder)
    with silenced():
        network = TorchNetwork(load_classifier(folder / MODEL_FOLDER))
        encoder = TextEncoder.open(folder / MODEL_FOLDER, model.max_length, model.pad_id)
        scores = Classifier(network, encoder, model.labels).logits(texts)
    difference = float(np.abs(scores - recorded).max())
    agreement = float((scores.argmax(1) == recorded.argmax(1)).mean())
    return Verdict(
        difference <= MOST_LOGIT_DIFFERENCE,
        f"scores of {len(texts)} golden rows differ by {difference:.2g} at most, {agreement:.1%} get the same class",
        {"logit_difference": difference, "agreement_ratio": agreement, "threshold": MOST_LOGIT_DIFFERENCE},
    )


def _numbers(value: object) -> list[float]:
    match value:
        case bool():
            return []
        case int() | float():
            return [float(value)]
        case dict():
            return [number for inner in value.values() for number in _numbers(inner)]
        case list() | tuple():
            return [number for inner in value for number in _numbers(inner)]
        case _:
            return []


LORA_ADAPTER: Final = (
    Audit(
        "trained_apart_from_test",
        "No training row shares its review id or its group with a validation or test row.",
        splits_disjoint,
    ),
    Audit(
        "predicts_every_test_row",
        "Model and baseline predicted each test row once.",
        every_test_row_predicted,
    ),
    Audit("plain_files_only", "Weights are safetensors; no file can carry code.", plain_files_only),
    Audit("numbers_finite", "Every figure and every weight is a finite number.", metrics_finite),
    Audit(
        "beats_linear_baseline",
        "Macro-F1 on the test rows is above that of a linear baseline trained on the same rows, beyond chance.",
        beats_linear_baseline,
        blocking=False,
    ),
)

MERGED_MODEL: Final = (
    Audit("plain_files_only", "Weights are safetensors; no file can carry code.", plain_files_only),
    Audit("digest_matches", "The record lists every file with its digest; the classes are ours.", reference_true),
    Audit(
        "repeats_adapter",
        f"Reloaded from disk, it scores the golden rows as base and adapter did, within {MOST_LOGIT_DIFFERENCE:g}.",
        repeats_adapter,
    ),
)
