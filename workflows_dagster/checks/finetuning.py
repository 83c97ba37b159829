"""What must hold of an adapter and of the merged model before they are published."""

import json
import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from workflows_dagster.lib.accelerator import probe
from workflows_dagster.lib.artifact import REPORT_FILE
from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.finetuning.adapter import BASELINE_PREDICTIONS_FILE, ROWS_FILE, TEST_PREDICTIONS_FILE
from workflows_dagster.lib.finetuning.classifier import load_classifier
from workflows_dagster.lib.finetuning.golden import golden_logits, read_golden
from workflows_dagster.lib.finetuning.merging import MODEL_FOLDER, REFERENCE_FILE, WEIGHTS_FILE
from workflows_dagster.lib.finetuning.models import resolve_model
from workflows_dagster.lib.finetuning.quiet import quiet
from workflows_dagster.lib.finetuning.tokens import load_tokenizer
from workflows_dagster.lib.hashing import digest_file
from workflows_dagster.lib.schema import LABELS

PLAIN_SUFFIXES: Final = frozenset({".json", ".safetensors", ".parquet", ".txt", ".jinja"})
"""Files that hold data only; pickled weights (*.bin, *.pt, *.pth, *.pkl) run code when they are loaded."""

MOST_LOGIT_DIFFERENCE: Final = 1e-3
"""Merging reorders float32 sums: differences near 1e-5 are expected, a wrong weight gives more than 1e-1."""


def splits_disjoint(folder: Path) -> Verdict:
    """Counts the review ids and groups that training shares with validation or test."""
    rows = pl.read_parquet(folder / ROWS_FILE)
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
    rows = pl.read_parquet(folder / ROWS_FILE).filter(pl.col("split") == "test")
    wanted = set(rows["review_id"])
    missing = {
        name: len(wanted ^ set(table["review_id"])) + table.height - table["review_id"].n_unique()
        for name in (TEST_PREDICTIONS_FILE, BASELINE_PREDICTIONS_FILE)
        for table in [pl.read_parquet(folder / name)]
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

    report: dict[str, Any] = json.loads((folder / REPORT_FILE).read_text("utf-8"))
    curve: list[dict[str, float]] = json.loads((folder / "curve.json").read_text("utf-8"))
    figures = [*_numbers(report), *_numbers(curve)]
    broken = sum(not math.isfinite(figure) for figure in figures)
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")
    broken_weights = sum(int((~np.isfinite(weight)).sum()) for weight in weights.values())
    return Verdict(
        broken == 0 and broken_weights == 0,
        f"{broken} of {len(figures)} figures and {broken_weights:,} weights of the adapter are not finite",
        {"figures_not_finite": broken, "weights_not_finite": broken_weights, "threshold": 0},
    )


def beats_linear_baseline(folder: Path) -> Verdict:
    """Compares model and baseline in macro-F1 on the same test rows, paired."""
    report = json.loads((folder / REPORT_FILE).read_text("utf-8"))
    ours, theirs, gain = report["model"]["macro_f1"], report["baseline"]["macro_f1"], report["macro_f1_gain"]
    return Verdict(
        gain["low"] > 0,
        f"macro-F1 {_interval(ours)} against {_interval(theirs)} of {report['baseline']['name']}; "
        f"gain {_interval(gain)} on {gain['n']:,} test rows",
        {
            "macro_f1": ours["value"],
            "baseline_macro_f1": theirs["value"],
            "gain": gain["value"],
            "gain_low": gain["low"],
            "threshold": 0,
        },
    )


def reference_true(folder: Path) -> Verdict:
    """Compares the weights with the digest in model.json, and the classes with LABELS."""
    reference = json.loads((folder / REFERENCE_FILE).read_text("utf-8"))
    digest = digest_file(folder / MODEL_FOLDER / WEIGHTS_FILE)
    classes = json.loads((folder / MODEL_FOLDER / "config.json").read_text("utf-8"))["id2label"]
    right_classes = classes == {str(index): label for index, label in enumerate(LABELS)}
    return Verdict(
        digest == reference["sha256"] and right_classes,
        f"weights have sha256 {digest}, model.json says {reference['sha256']}; classes {classes}",
        {"sha256": digest},
    )


def repeats_adapter(folder: Path) -> Verdict:
    """Loads the merged model from its folder and compares its scores on the golden rows with the recorded ones."""
    reference = json.loads((folder / REFERENCE_FILE).read_text("utf-8"))
    texts, recorded = read_golden(folder)
    accelerator = probe("cpu")
    with quiet():
        model = load_classifier(resolve_model(str(folder / MODEL_FOLDER)), accelerator, reference["max_length"])
    scores = golden_logits(model, load_tokenizer(folder / MODEL_FOLDER), texts, reference["max_length"])
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
        case list():
            return [number for inner in value for number in _numbers(inner)]
        case _:
            return []


def _interval(record: dict[str, float]) -> str:
    return f"{record['value']:.3f} [{record['low']:.3f}, {record['high']:.3f}]"


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
    Audit("digest_matches", "model.json names the digest of the weights and the classes.", reference_true),
    Audit(
        "repeats_adapter",
        f"Reloaded from disk, it scores the golden rows as base and adapter did, within {MOST_LOGIT_DIFFERENCE:g}.",
        repeats_adapter,
    ),
)
