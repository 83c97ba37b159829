"""The step that makes lora_adapter: rows in; adapter, predictions, quality and curve out."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from workflows_dagster.lib.accelerator import Accelerator, Session, device_of, with_backoff
from workflows_dagster.lib.artifact import Artifact, Markdown, write_table
from workflows_dagster.lib.finetuning import baseline, checkpoints
from workflows_dagster.lib.finetuning.golden import write_golden
from workflows_dagster.lib.finetuning.lora import load_base, save_adapter, with_adapter
from workflows_dagster.lib.finetuning.sampling import Rows, choose_rows, class_weights, sentence_rows
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster.lib.finetuning.training import (
    EVALUATED_AT_ONCE,
    CurvePoint,
    Encoded,
    TrainingRun,
    train,
)
from workflows_dagster.lib.metrics import Estimate, softmax
from workflows_dagster.lib.model.figures import learning_curve, to_markdown
from workflows_dagster.lib.model.inference import BATCH_TOKENS, Classifier, infer
from workflows_dagster.lib.model.pretrained import ModelSource, resolve_model
from workflows_dagster.lib.model.quality import (
    PREDICTION,
    Quality,
    class_ids,
    judge,
    macro_f1_gain,
    prediction_table,
)
from workflows_dagster.lib.model.text import TextEncoder, Truncation, load_tokenizer
from workflows_dagster.lib.model.torch_network import TorchNetwork, silenced
from workflows_dagster.lib.model.vocabulary import write_smaller_tokenizer
from workflows_dagster.lib.process_guard import exclusive
from workflows_dagster.lib.progress import Progress
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.schema import LABELS

CODE_VERSION: Final = "4"
"""Raised whenever training with the same rows and settings would give another adapter."""

ADAPTER_FOLDER: Final = "adapter"
TEST_PREDICTIONS_FILE: Final = "test_predictions.parquet"
BASELINE_PREDICTIONS_FILE: Final = "baseline_predictions.parquet"
ROWS_FILE: Final = "rows.parquet"


@dataclass(frozen=True)
class BaseModelReference:
    """The pretrained model that an adapter belongs to.

    Attributes:
        reference: The reference that it was resolved from.
        sha256: Digest of its weights.
        origin: Where it comes from.
    """

    reference: str
    sha256: str
    origin: str


@dataclass(frozen=True)
class SplitRows:
    """The rows of one split.

    Attributes:
        used: Rows that were trained or judged on.
        available: Labelled rows to choose from.
        labels: Used rows by label.
        label_sources: Used rows by origin of the label.
    """

    used: int
    available: int
    labels: dict[str, int]
    label_sources: dict[str, int]


class AdapterRecord(Record):
    """What came out of fine-tuning.

    Attributes:
        base_model: What was adapted.
        recipe: The settings.
        sentences: Sentences of training rows that the start of the head was fitted to besides.
        tokens: Tokens that the model knows.
        parameters: Number of its weights, the adapter's included.
        trained_parameters: Number of those that were trained.
        class_weights: Weight of each class in the loss.
        rows: Rows by split.
        truncation: What the longest input cut off, by split.
        steps: Optimizer steps that were made.
        best_step: Step of the weights that were kept.
        best_validation_macro_f1: Their macro-F1 on the validation rows.
        curve: What was logged during training.
        model: Quality of the adapted model on the test rows.
        baseline_name: What the linear baseline is.
        baseline: Its quality on the same rows.
        baseline_validation_macro_f1: Its macro-F1 on the validation rows.
        macro_f1_gain: How much higher the macro-F1 of the model is, paired on the test rows.
    """

    base_model: BaseModelReference
    recipe: FineTuningSettings
    sentences: int
    tokens: int
    parameters: int
    trained_parameters: int
    class_weights: dict[str, float]
    rows: dict[str, SplitRows]
    truncation: dict[str, Truncation]
    steps: int
    best_step: int
    best_validation_macro_f1: float
    curve: tuple[CurvePoint, ...]
    model: Quality
    baseline_name: str
    baseline: Quality
    baseline_validation_macro_f1: float
    macro_f1_gain: Estimate

    @property
    def losses(self) -> list[tuple[float, float]]:
        """Step and training loss."""
        return [(point.step, point.loss) for point in self.curve if point.loss is not None]

    @property
    def validation_scores(self) -> list[tuple[float, float]]:
        """Step and macro-F1 on the validation rows."""
        return [(point.step, point.eval_macro_f1) for point in self.curve if point.eval_macro_f1 is not None]

    def to_metadata(self) -> Mapping[str, object]:
        """Metadata of the asset."""
        curve = learning_curve(
            self.losses,
            self.validation_scores,
            self.best_step,
            self.baseline_validation_macro_f1,
            ("tab:gray", "tab:blue"),
        )
        metadata: dict[str, object] = {
            "finetuning/gain_over_baseline": str(self.macro_f1_gain),
            "finetuning/scores": scores_table(self.model, self.baseline),
            "finetuning/learning_curve": to_markdown(curve, "learning curve"),
            "finetuning/macro_f1": self.model.macro_f1.value,
            "finetuning/baseline_macro_f1": self.baseline.macro_f1.value,
            "finetuning/macro_f1_gain": self.macro_f1_gain.value,
            "finetuning/validation_macro_f1": self.best_validation_macro_f1,
            "finetuning/base_model": self.base_model.reference,
            "finetuning/steps_count": self.steps,
            "finetuning/trained_weights_ratio": self.trained_parameters / self.parameters,
            "finetuning/rows": {
                split: {"used": rows.used, "available": rows.available, "cut": self.truncation[split].rows_truncated}
                for split, rows in self.rows.items()
            },
        }
        if gold := self.model.gold:
            metadata["finetuning/gold_macro_f1"] = gold.value
        return metadata


@dataclass(frozen=True)
class AdapterReport:
    """A fine-tuning as its asset shows it.

    Attributes:
        record: What came out, which is published.
        accelerator: Where it ran.
        run: Figures that another run would not repeat: times, memory, batch size.
    """

    record: AdapterRecord
    accelerator: Accelerator
    run: Mapping[str, int | float]

    def to_metadata(self) -> Mapping[str, object]:
        """Metadata of the asset."""
        run = {f"finetuning/{key}": value for key, value in self.run.items()}
        return {**self.record.to_metadata(), **run, **self.accelerator.to_metadata()}


def build_adapter(
    reviews: Artifact, settings: FineTuningSettings, session: Session, checkpoint_root: Path, folder: Path
) -> AdapterReport:
    """Trains an adapter on the training rows of a corpus and judges it, and a linear baseline, on its test rows.

    Args:
        reviews: augmented_reviews.
        settings: The recipe.
        session: The device to use.
        checkpoint_root: Where checkpoints of unfinished trainings are kept.
        folder: Receives adapter/, the predictions, the golden rows, the ids of the rows used, and report.json.

    Raises:
        NotEnoughDataError: A split has no labelled rows, or the training rows lack a class.
        ModelReferenceError: The model cannot be loaded.
        AlreadyRunningError: Another process trains on the same rows with the same settings.
    """
    source = resolve_model(settings.model)
    rows = choose_rows(reviews.scan(), settings)
    checkpoint_folder = _checkpoint_folder(reviews, settings, source, session.accelerator, checkpoint_root)
    with exclusive(checkpoint_folder), silenced():
        return _train_and_judge(source, rows, settings, session, checkpoint_folder, folder)


def _train_and_judge(
    source: ModelSource,
    rows: Rows,
    settings: FineTuningSettings,
    session: Session,
    checkpoint_folder: Path,
    folder: Path,
) -> AdapterReport:
    splits = rows.splits()
    tokenizer = _tokenizer(source, rows.train["text"].to_list(), settings.vocabulary)
    encoder = TextEncoder.of(tokenizer, settings.max_length)
    encoded: dict[str, Encoded] = {}
    truncation: dict[str, Truncation] = {}
    for split, table in splits.items():
        tokens, truncation[split] = encoder.encode_and_count(table["text"].to_list())
        encoded[split] = Encoded(tokens, class_ids(table["label"]), np.ones(table.height, dtype=np.float32))
    weights = class_weights(np.bincount(encoded["train"].classes).tolist(), settings.class_weights)
    sentences = sentence_rows(rows.train, settings.sentence_weight)
    class_weight = np.asarray(weights, dtype=np.float32)
    encoded["train"] = encoded["train"].weighted(class_weight)
    short = Encoded(
        encoder.encode(sentences["text"].to_list()),
        class_ids(sentences["label"]),
        sentences["weight"].to_numpy().astype(np.float32),
    ).weighted(class_weight)

    def attempt(rows_at_once: int) -> tuple[Any, TrainingRun]:
        from transformers import set_seed

        # The head and the adapter start from random weights.
        set_seed(settings.seed)
        base = load_base(source, settings.max_length, tokenizer)
        model = with_adapter(base, settings).to(device_of(session.accelerator))
        run = train(
            model,
            encoder,
            encoded["train"],
            short,
            encoded["validation"],
            settings,
            session.accelerator,
            checkpoint_folder,
            rows_at_once,
        )
        return model, run

    started = time.monotonic()
    (model, run), rows_at_once = with_backoff(attempt, settings.batch_size, session.accelerator)
    train_s = time.monotonic() - started

    started = time.monotonic()
    network = TorchNetwork(model)
    # Where memory was short in training, it is short here too.
    budget = min(BATCH_TOKENS, EVALUATED_AT_ONCE * rows_at_once * settings.max_length)
    test = encoded["test"].tokens
    logits = infer(
        network,
        test,
        [len(row) for row in test],
        encoder.collate,
        outputs=len(LABELS),
        budget=budget,
        advance=Progress("judging on the test rows", len(test), "rows").advance,
    )
    predictions = prediction_table(rows.test, softmax(logits))
    evaluation_s = time.monotonic() - started

    linear = baseline.train_baseline(rows.train)
    linear_predictions = baseline.baseline_predictions(linear, rows.test)
    linear_validation = baseline.baseline_predictions(linear, rows.validation)

    save_adapter(model, tokenizer, source, folder / ADAPTER_FOLDER)
    write_table(folder / TEST_PREDICTIONS_FILE, predictions, PREDICTION)
    write_table(folder / BASELINE_PREDICTIONS_FILE, linear_predictions, PREDICTION)
    pl.concat(
        table.select("review_id", "group_key", "label_source", split=pl.lit(split)) for split, table in splits.items()
    ).write_parquet(folder / ROWS_FILE)
    write_golden(folder, Classifier(network, encoder, LABELS, budget), rows.test, settings.seed)
    record = AdapterRecord(
        base_model=BaseModelReference(source.reference, source.sha256, source.origin),
        recipe=settings,
        sentences=sentences.height,
        tokens=len(tokenizer),
        parameters=sum(value.numel() for value in model.parameters()),
        trained_parameters=sum(value.numel() for value in model.parameters() if value.requires_grad),
        class_weights=dict(zip(LABELS, weights, strict=True)),
        rows={
            split: SplitRows(
                table.height, rows.available[split], _counts(table["label"]), _counts(table["label_source"])
            )
            for split, table in splits.items()
        },
        truncation=truncation,
        steps=run.steps,
        best_step=run.best_step,
        best_validation_macro_f1=run.best_macro_f1,
        curve=run.curve,
        model=judge(predictions),
        baseline_name=baseline.NAME,
        baseline=judge(linear_predictions),
        baseline_validation_macro_f1=judge(linear_validation).macro_f1.value,
        macro_f1_gain=macro_f1_gain(predictions, linear_predictions),
    )
    record.write(folder)
    rows_seen = min(run.steps * settings.batch_size, round(settings.epochs * len(encoded["train"].tokens)))
    return AdapterReport(
        record=record,
        accelerator=session.accelerator,
        run={
            "train_s": train_s,
            "evaluation_s": evaluation_s,
            "rows_per_s": rows_seen / train_s,
            "rows_at_once_count": rows_at_once,
            "resumed_from_step": run.resumed_from_step or 0,
            **session.to_metadata(),
        },
    )


def _tokenizer(source: ModelSource, texts: Sequence[str], vocabulary: int | None) -> Any:
    """The tokenizer of the base model, with the vocabulary that the settings ask for."""
    with tempfile.TemporaryDirectory() as scratch:
        if vocabulary and write_smaller_tokenizer(source.folder, texts, vocabulary, Path(scratch)):
            return load_tokenizer(Path(scratch))
    return load_tokenizer(source.folder)


def discard_checkpoints(
    reviews: Artifact, settings: FineTuningSettings, session: Session, checkpoint_root: Path
) -> None:
    """Removes the checkpoints of a training whose adapter is published."""
    source = resolve_model(settings.model)
    checkpoints.discard(_checkpoint_folder(reviews, settings, source, session.accelerator, checkpoint_root))


def scores_table(model: Quality, linear: Quality) -> Markdown:
    """Model and baseline side by side, as a Markdown table."""
    pairs = {"all: macro-F1": (model.macro_f1, linear.macro_f1), "all: accuracy": (model.accuracy, linear.accuracy)}
    for kind, metric in {
        "class": "F1",
        "source": "macro-F1",
        "language": "macro-F1",
        "label_source": "macro-F1",
    }.items():
        ours, theirs = getattr(model, f"per_{kind}"), getattr(linear, f"per_{kind}")
        pairs |= {f"{kind.replace('_', ' ')} {name}: {metric}": (ours[name], theirs.get(name)) for name in ours}
    lines = [
        f"| {what} | {ours.n:,} | {ours.interval} | {theirs.interval if theirs else 'never said'} |"
        for what, (ours, theirs) in pairs.items()
    ]
    return Markdown("\n".join(["| test rows | n | model | linear baseline |", "|---|---:|---|---|", *lines]))


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


def _counts(values: pl.Series) -> dict[str, int]:
    return {str(value): count for value, count in sorted(values.value_counts().iter_rows(), key=str)}
