"""The step that makes lora_adapter: rows in, adapter, predictions, scores and curve out."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from workflows_dagster.lib.accelerator import Accelerator, Session, device_of, with_backoff
from workflows_dagster.lib.artifact import Artifact, Markdown, write_report, write_table
from workflows_dagster.lib.finetuning import baseline, checkpoints
from workflows_dagster.lib.finetuning.classifier import load_classifier, logits, with_adapter
from workflows_dagster.lib.finetuning.curve import learning_curve
from workflows_dagster.lib.finetuning.evaluation import PREDICTION, Scores, macro_f1_gain, prediction_table, score
from workflows_dagster.lib.finetuning.golden import write_golden
from workflows_dagster.lib.finetuning.models import ModelSource, resolve_model
from workflows_dagster.lib.finetuning.quiet import quiet
from workflows_dagster.lib.finetuning.sampling import Rows, choose_rows, class_ids, class_weights
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster.lib.finetuning.tokens import Truncation, encode, load_tokenizer, save_tokenizer
from workflows_dagster.lib.finetuning.training import EVALUATED_AT_ONCE, Encoded, TrainingRun, train
from workflows_dagster.lib.metrics import Estimate, softmax
from workflows_dagster.lib.process_guard import exclusive
from workflows_dagster.lib.schema import LABELS

CODE_VERSION: Final = "2"
"""Raised whenever training with the same rows and settings would give another adapter."""

ADAPTER_FOLDER: Final = "adapter"
CURVE_FILE: Final = "curve.json"
TEST_PREDICTIONS_FILE: Final = "test_predictions.parquet"
BASELINE_PREDICTIONS_FILE: Final = "baseline_predictions.parquet"
ROWS_FILE: Final = "rows.parquet"
EVALUATION_BATCH: Final = 32
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AdapterReport:
    """What came out of fine-tuning.

    Attributes:
        record: The content of report.json.
        model: Scores of the adapted model on the test rows.
        baseline: Scores of the linear baseline on the same rows.
        gain: How much higher the model's macro-F1 is, paired on those rows.
        curve: The learning curve as a picture.
        accelerator: Where it ran.
        run: Figures of this run that another run would not repeat: times, memory, batch size.
    """

    record: Mapping[str, Any]
    model: Scores
    baseline: Scores
    gain: Estimate
    curve: Markdown
    accelerator: Accelerator
    run: Mapping[str, int | float | str]

    def to_metadata(self) -> dict[str, object]:
        """Metadata of the asset."""
        training = self.record["training"]
        return {
            "finetuning/learning_curve": self.curve,
            "finetuning/macro_f1": self.model.macro_f1.value,
            "finetuning/macro_f1_interval": str(self.model.macro_f1),
            **_gold_metadata(self.model.gold),
            "finetuning/baseline_macro_f1": self.baseline.macro_f1.value,
            "finetuning/baseline_macro_f1_interval": str(self.baseline.macro_f1),
            "finetuning/macro_f1_gain": self.gain.value,
            "finetuning/macro_f1_gain_interval": str(self.gain),
            "finetuning/validation_macro_f1": training["best_validation_macro_f1"],
            "finetuning/scores": scores_table(self.model, self.baseline),
            "finetuning/steps_count": training["steps"],
            "finetuning/base_model": self.record["base_model"]["reference"],
            "finetuning/truncation": self.record["truncation"],
            "finetuning/rows": self.record["rows"],
            **{f"finetuning/{key}": value for key, value in self.run.items()},
            **self.accelerator.to_metadata(),
        }


def build_adapter(
    reviews: Artifact, settings: FineTuningSettings, session: Session, checkpoint_root: Path, folder: Path
) -> AdapterReport:
    """Trains an adapter on the training rows of a corpus and judges it, and a linear baseline, on its test rows.

    Args:
        reviews: augmented_reviews.
        settings: The recipe.
        session: The device to use.
        checkpoint_root: Where checkpoints of unfinished trainings are kept.
        folder: Receives adapter/, curve.json, the predictions, the ids of the rows used, and report.json.

    Raises:
        NotEnoughDataError: A split has no labelled rows, or the training rows lack a class.
        ModelReferenceError: The model cannot be loaded.
        AlreadyRunningError: Another process trains on the same rows with the same settings.
    """
    source = resolve_model(settings.model)
    rows = choose_rows(reviews.scan(), settings)
    checkpoint_folder = _checkpoint_folder(reviews, settings, source, session.accelerator, checkpoint_root)
    with exclusive(checkpoint_folder), quiet():
        return _Step(settings, source, rows, session, checkpoint_folder, folder).build()


def discard_checkpoints(
    reviews: Artifact, settings: FineTuningSettings, session: Session, checkpoint_root: Path
) -> None:
    """Removes the checkpoints of a training whose adapter is published."""
    source = resolve_model(settings.model)
    checkpoints.discard(_checkpoint_folder(reviews, settings, source, session.accelerator, checkpoint_root))


def _checkpoint_folder(
    reviews: Artifact, settings: FineTuningSettings, source: ModelSource, accelerator: Accelerator, root: Path
) -> Path:
    """The folder of the checkpoints of one training: the same for a rerun with the same inputs, settings and code."""
    identity = {
        "code_version": CODE_VERSION,
        "reviews": reviews.digest,
        "model": source.sha256,
        "settings": settings.model_dump(mode="json"),
        "device": [accelerator.kind, accelerator.dtype],
    }
    return checkpoints.folder_for(root, identity)


@dataclass(frozen=True)
class _Step:
    """The parts of build_adapter and what they share."""

    settings: FineTuningSettings
    source: ModelSource
    rows: Rows
    session: Session
    checkpoints: Path
    folder: Path

    def build(self) -> AdapterReport:
        tokenizer = load_tokenizer(self.source.folder)
        encoded, truncation = self._encode(tokenizer)
        started = time.monotonic()
        model, run, rows_at_once = self._train(tokenizer, encoded)
        train_s = time.monotonic() - started
        started = time.monotonic()
        probabilities = softmax(
            logits(
                model,
                tokenizer,
                encoded["test"].tokens,
                min(EVALUATION_BATCH, EVALUATED_AT_ONCE * rows_at_once),
                "judging on the test rows",
            )
        )
        predictions = prediction_table(self.rows.test, probabilities)
        evaluation_s = time.monotonic() - started
        validation_f1, linear_predictions = self._baseline()
        self._write(model, tokenizer, run, predictions, linear_predictions)
        write_golden(self.folder, model, tokenizer, self.rows.test, self.settings)
        seed = self.settings.seed
        scores, linear = score(predictions, seed), score(linear_predictions, seed)
        gain = macro_f1_gain(predictions, linear_predictions, seed)
        record = self._record(run, truncation, scores, linear, gain)
        write_report(self.folder, record)
        seen = min(run.steps * self.settings.batch_size, round(self.settings.epochs * self.rows.train.height))
        return AdapterReport(
            record=record,
            model=scores,
            baseline=linear,
            gain=gain,
            curve=learning_curve(run.curve, run.best_step, validation_f1),
            accelerator=self.session.accelerator,
            run={
                "train_s": train_s,
                "evaluation_s": evaluation_s,
                "rows_per_s": seen / train_s,
                "rows_at_once_count": rows_at_once,
                "resumed_from_step": run.resumed_from_step or 0,
                **self.session.to_metadata(),
            },
        )

    def _encode(self, tokenizer: Any) -> tuple[dict[str, Encoded], dict[str, Truncation]]:
        encoded: dict[str, Encoded] = {}
        truncation: dict[str, Truncation] = {}
        for split, table in self.rows.splits().items():
            tokens, truncation[split] = encode(tokenizer, table["text"].to_list(), self.settings.max_length)
            encoded[split] = Encoded(tokens, class_ids(table))
        return encoded, truncation

    def _train(self, tokenizer: Any, encoded: dict[str, Encoded]) -> tuple[Any, TrainingRun, int]:
        accelerator = self.session.accelerator

        def attempt(rows_at_once: int) -> tuple[Any, TrainingRun]:
            model = self._adapted()
            run = train(
                model,
                tokenizer,
                encoded["train"],
                encoded["validation"],
                self._weights(),
                self.settings,
                accelerator,
                self.checkpoints,
                rows_at_once,
            )
            return model, run

        (model, run), rows_at_once = with_backoff(attempt, self.settings.batch_size, accelerator)
        return model, run, rows_at_once

    def _adapted(self) -> Any:
        from transformers import set_seed

        # The head and the adapter start from random weights.
        set_seed(self.settings.seed)
        model = load_classifier(self.source, self.session.accelerator, self.settings.max_length)
        return with_adapter(model, self.settings).to(device_of(self.session.accelerator))

    def _weights(self) -> list[float]:
        counts = [int((self.rows.train["label"] == label).sum()) for label in LABELS]
        return class_weights(counts, self.settings.class_weights)

    def _baseline(self) -> tuple[float, pl.DataFrame]:
        """Macro-F1 of the baseline on the validation rows, and its predictions for the test rows."""
        linear = baseline.train_baseline(self.rows.train)
        predict = partial(_predict_linear, linear)
        return score(predict(self.rows.validation), self.settings.seed).macro_f1.value, predict(self.rows.test)

    def _write(
        self, model: Any, tokenizer: Any, run: TrainingRun, predictions: pl.DataFrame, linear: pl.DataFrame
    ) -> None:
        save_adapter(model, tokenizer, self.source, self.folder / ADAPTER_FOLDER)
        (self.folder / CURVE_FILE).write_text(json.dumps(run.curve, indent=1) + "\n", "utf-8")
        write_table(self.folder / TEST_PREDICTIONS_FILE, predictions, PREDICTION)
        write_table(self.folder / BASELINE_PREDICTIONS_FILE, linear, PREDICTION)
        used = pl.concat(
            [
                table.select("review_id", "group_key", "label_source", split=pl.lit(split))
                for split, table in self.rows.splits().items()
            ]
        )
        used.write_parquet(self.folder / ROWS_FILE)

    def _record(
        self, run: TrainingRun, truncation: dict[str, Truncation], model: Scores, linear: Scores, gain: Estimate
    ) -> dict[str, Any]:
        splits = self.rows.splits()
        return {
            "base_model": {
                "reference": self.source.reference,
                "sha256": self.source.sha256,
                "origin": self.source.origin,
            },
            "recipe": self.settings.model_dump(mode="json"),
            "class_weights": dict(zip(LABELS, self._weights(), strict=True)),
            "rows": {
                split: {
                    "used": table.height,
                    "available": self.rows.available[split],
                    "labels": _counts(table, "label"),
                    "label_sources": _counts(table, "label_source"),
                }
                for split, table in splits.items()
            },
            "truncation": {split: found.to_record() for split, found in truncation.items()},
            "training": {
                "steps": run.steps,
                "best_step": run.best_step,
                "best_validation_macro_f1": round(run.best_macro_f1, 6),
            },
            "model": model.to_record(),
            "baseline": {"name": baseline.NAME, **linear.to_record()},
            "macro_f1_gain": {
                "value": round(gain.value, 6),
                "low": round(gain.low, 6),
                "high": round(gain.high, 6),
                "n": gain.n,
                "confidence": gain.confidence,
            },
        }


def save_adapter(model: Any, tokenizer: Any, source: ModelSource, folder: Path) -> None:
    """Writes the adapter as safetensors, and the tokenizer, without paths of this machine."""
    model.save_pretrained(folder, safe_serialization=True)
    save_tokenizer(tokenizer, folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card, with the local path of the base model
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text("utf-8"))
    # peft writes sets in arbitrary order.
    for key in ("target_modules", "modules_to_save"):
        config[key] = sorted(config[key])
    config["base_model_name_or_path"] = source.reference
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def scores_table(model: Scores, linear: Scores) -> Markdown:
    """Model and baseline side by side, as a Markdown table."""
    lines = ["| rows | model | linear baseline |", "|---|---|---|"]
    lines.append(f"| all, macro-F1 | {model.macro_f1} | {linear.macro_f1} |")
    lines.append(f"| all, accuracy | {model.accuracy} | {linear.accuracy} |")
    for kind in ("per_class", "per_source", "per_language", "per_label_source"):
        ours, theirs = getattr(model, kind), getattr(linear, kind)
        lines.extend(
            f"| {kind.removeprefix('per_')} {name} | {ours[name]} | {theirs.get(name, '-')} |" for name in ours
        )
    return Markdown("\n".join(lines))


def _gold_metadata(gold: Estimate | None) -> dict[str, object]:
    """The score on the rows that people labelled, where they have."""
    if gold is None:
        return {}
    return {"finetuning/gold_macro_f1": gold.value, "finetuning/gold_macro_f1_interval": str(gold)}


def _predict_linear(linear: baseline.LinearBaseline, rows: pl.DataFrame) -> pl.DataFrame:
    return prediction_table(rows, linear.probabilities(rows["text"]))


def _counts(table: pl.DataFrame, column: str) -> dict[str, int]:
    return {str(value): count for value, count in sorted(table[column].value_counts().iter_rows(), key=str)}
