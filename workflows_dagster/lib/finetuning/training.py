"""Training an adapter with transformers' Trainer: weighted loss, length groups, early stopping, resuming."""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.accelerator import Accelerator
from workflows_dagster.lib.finetuning.checkpoints import damage_of, last_whole
from workflows_dagster.lib.finetuning.head import Row, start_head
from workflows_dagster.lib.finetuning.lora import load_weights, trained_parameters
from workflows_dagster.lib.finetuning.lower_layers import compute_states, lower_layers, upper_layers_alone
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster.lib.metrics import confusion, macro_f1_of
from workflows_dagster.lib.progress import Progress
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.schema import LABELS

if TYPE_CHECKING:
    from workflows_dagster.lib.model.text import TextEncoder

EVALUATED_AT_ONCE: Final = 4
"""Rows that fit in memory without gradients for each row that fits with them."""

_STATES_FILE: Final = "lower_layers.float16"
# Few distinct shapes: oneDNN keeps a compiled kernel for each, which takes time to make and memory to keep.
_SHAPE_TOKENS: Final = 8
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoded:
    """Tokenized rows of one split.

    Attributes:
        tokens: Token ids of each row.
        classes: Class id of each row, shape (rows,).
        weights: How much each row counts in the loss, shape (rows,).
    """

    tokens: Sequence[Sequence[int]]
    classes: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]

    def weighted(self, class_weights: npt.NDArray[np.float32]) -> "Encoded":
        """The same rows, each weight multiplied by that of its class."""
        return replace(self, weights=self.weights * class_weights[self.classes])

    def __add__(self, other: "Encoded") -> "Encoded":
        return Encoded(
            [*self.tokens, *other.tokens],
            np.concatenate([self.classes, other.classes]),
            np.concatenate([self.weights, other.weights]),
        )


@dataclass(frozen=True)
class CurvePoint:
    """What was logged at one step: the training loss, or the figures of an evaluation on the validation rows."""

    step: int
    epoch: float
    loss: float | None = None
    learning_rate: float | None = None
    eval_loss: float | None = None
    eval_macro_f1: float | None = None


class TrainingRun(Record):
    """How a training went; kept beside its checkpoints once it has ended.

    Attributes:
        steps: Optimizer steps that were made, those before an interruption included.
        kept: Name of the checkpoint with the weights that were kept.
        best_step: Step of the weights that were kept.
        best_macro_f1: Their macro-F1 on the validation rows.
        resumed_from_step: Step that it went on from after an interruption, or None.
        curve: What was logged.
    """

    FILE: ClassVar[str] = "finished.json"

    steps: int
    kept: str
    best_step: int
    best_macro_f1: float
    resumed_from_step: int | None
    curve: tuple[CurvePoint, ...]


def train(
    model: Any,
    encoder: "TextEncoder",
    train_rows: Encoded,
    sentences: Encoded,
    validation_rows: Encoded,
    settings: FineTuningSettings,
    accelerator: Accelerator,
    folder: Path,
    rows_at_once: int,
) -> TrainingRun:
    """Trains the adapted model in place and leaves it with the weights of its best evaluation.

    Args:
        model: The adapted model.
        encoder: Pads the batches.
        train_rows: What is learned from.
        sentences: What the start of the head is fitted to besides.
        validation_rows: What decides when to stop and which weights are kept.
        settings: The recipe.
        accelerator: Where to train.
        folder: Holds the checkpoints; an interrupted training with the same folder goes on from the last whole one.
        rows_at_once: Most rows on the device at once, where memory is short; the rows of a step stay the same.
    """
    if (finished := finished_run(folder)) is not None:
        _logger.warning("training had ended before the interruption; its weights are taken from %s", finished.kept)
        load_weights(model, folder / finished.kept)
        return finished
    starting = train_rows + sentences
    rows = [*starting.tokens, *validation_rows.tokens]
    base = model.get_base_model()
    layers = lower_layers(base, settings.adapted_layers)
    inputs = compute_states(base, rows, encoder, layers, folder / _STATES_FILE) if layers else rows
    first = len(starting.tokens)
    # The Trainer takes whatever has a length and items for a dataset, and says otherwise in its types.
    data: dict[str, Any] = {
        "start": _Rows(inputs, range(first), starting),
        "train": _Rows(inputs, range(len(train_rows.tokens)), train_rows),
        "validation": _Rows(inputs, range(first, len(rows)), validation_rows),
    }
    with upper_layers_alone(base, layers) if layers else nullcontext():
        return _train(model, encoder, data, train_rows, settings, accelerator, folder, rows_at_once)


def _train(
    model: Any,
    encoder: "TextEncoder",
    data: dict[str, Any],
    train_rows: Encoded,
    settings: FineTuningSettings,
    accelerator: Accelerator,
    folder: Path,
    rows_at_once: int,
) -> TrainingRun:
    from transformers import EarlyStoppingCallback, PrinterCallback, Trainer

    batch_of = partial(_batch, encoder=encoder)

    class LengthGroupedTrainer(Trainer):
        # The Trainer's own length groups draw from the global generator: resumed within an epoch, the order of its
        # rows would be another one, and some would be seen twice, others never.
        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return length_groups(train_rows.tokens, settings.batch_size, settings.seed)

    trainer = LengthGroupedTrainer(
        model=model,
        args=_arguments(settings, accelerator, folder, rows_at_once, len(train_rows.tokens)),
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        data_collator=batch_of,
        compute_loss_func=weighted_loss(settings.label_smoothing),
        compute_metrics=_macro_f1,
        optimizers=(_optimizer(model, settings), None),
        callbacks=[progress_callback(), EarlyStoppingCallback(settings.patience)],
    )
    trainer.remove_callback(PrinterCallback)
    checkpoint = last_whole(folder)
    if checkpoint is None and settings.head_start == "probe":
        start_head(model, data["start"], batch_of)
    if checkpoint is not None:
        _logger.warning("training goes on from %s, left by an interrupted run", checkpoint.name)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    # Under bfloat16 the Trainer leaves autocast on the model; what is judged and published is full precision.
    trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    state: Any = trainer.state
    run = TrainingRun(
        steps=state.global_step,
        kept=Path(state.best_model_checkpoint).name,
        best_step=int(state.best_global_step),
        best_macro_f1=float(state.best_metric),
        resumed_from_step=int(checkpoint.name.rpartition("-")[2]) if checkpoint else None,
        curve=_curve(state.log_history),
    )
    mark_finished(folder, run)
    return run


def finished_run(folder: Path) -> TrainingRun | None:
    """The training that ended in this folder, where a later part of the step was interrupted; else None."""
    if not (folder / TrainingRun.FILE).is_file():
        return None
    run = TrainingRun.read(folder)
    return run if (folder / run.kept).is_dir() and damage_of(folder / run.kept) is None else None


def mark_finished(folder: Path, run: TrainingRun) -> None:
    """Records that training ended, in one atomic step."""
    with TemporaryDirectory(dir=folder) as scratch:
        run.write(Path(scratch))
        (Path(scratch) / run.FILE).replace(folder / run.FILE)


def length_groups(rows: Sequence[Sequence[int]], batch_size: int, seed: int) -> Any:
    """A sampler that puts rows of similar length into one batch, in an order that seed and epoch alone decide.

    Args:
        rows: Token ids of each row.
        batch_size: Rows of one optimizer step.
        seed: Seed of the order.
    """
    import torch
    from torch.utils.data import Sampler
    from transformers.trainer_pt_utils import get_length_grouped_indices

    lengths = [len(row) for row in rows]

    class LengthGroups(Sampler[int]):
        epoch = 0

        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch

        def __len__(self) -> int:
            return len(lengths)

        def __iter__(self) -> Any:
            generator = torch.Generator().manual_seed(seed * 100_003 + self.epoch)
            return iter(get_length_grouped_indices(lengths, batch_size, generator=generator))

    return LengthGroups()


def progress_callback() -> Any:
    """A Trainer callback that reports steps, with the last loss and validation macro-F1 beside them."""
    from transformers import TrainerCallback

    class ProgressCallback(TrainerCallback):
        def __init__(self) -> None:
            self.figures: dict[str, float] = {}
            self.progress: Progress | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.progress = Progress("training the adapter", state.max_steps, "steps")

        def on_log(
            self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
        ) -> None:
            names = {"loss": "loss", "eval_macro_f1": "validation macro-F1"}
            self.figures |= {names[key]: float(value) for key, value in (logs or {}).items() if key in names}

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if self.progress is not None:
                note = ", ".join(f"{name} {value:.3f}" for name, value in self.figures.items())
                self.progress.at(state.global_step, note)

    return ProgressCallback()


def weighted_loss(smoothing: float) -> Callable[..., Any]:
    """Cross-entropy in which each row counts by its weight, as a mean over the rows of a step."""
    from torch.nn.functional import cross_entropy

    def loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        classes, weights = labels[:, 0].long(), labels[:, 1]
        each = cross_entropy(outputs["logits"].float(), classes, reduction="none", label_smoothing=smoothing)
        # Divided by the rows of the whole step, so that smaller batches with accumulation give the same gradient. The
        # Trainer counts numbers, and a row has two.
        rows = len(labels) if num_items_in_batch is None else num_items_in_batch / 2
        return (each * weights).sum() / rows

    return loss


def _arguments(
    settings: FineTuningSettings, accelerator: Accelerator, folder: Path, rows_at_once: int, rows: int
) -> Any:
    from transformers import TrainingArguments

    # Every small batch is whole, so that a step has the rows that were asked for.
    whole = max(size for size in range(1, rows_at_once + 1) if settings.batch_size % size == 0)
    steps_per_epoch = -(-rows // settings.batch_size)
    every = max(1, steps_per_epoch // settings.evaluations_per_epoch)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=whole,
        gradient_accumulation_steps=settings.batch_size // whole,
        per_device_eval_batch_size=EVALUATED_AT_ONCE * whole,
        warmup_steps=max(1, int(settings.warmup_ratio * settings.epochs * steps_per_epoch)),
        max_grad_norm=1.0,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        # The best one, the last one, and one to fall back on where the last one is damaged.
        save_total_limit=3,
        load_best_model_at_end=True,
        restore_callback_states_from_checkpoint=True,
        metric_for_best_model="macro_f1",
        greater_is_better=True,
        logging_steps=max(1, every // 8),
        bf16=accelerator.dtype == "bfloat16",
        use_cpu=accelerator.kind == "cpu",
        dataloader_pin_memory=accelerator.kind == "cuda",
        disable_tqdm=True,
        remove_unused_columns=False,
        report_to="none",
        seed=settings.seed,
        label_names=["labels"],
    )
    if accelerator.kind == "cuda":
        # The device that was probed: on several, the Trainer would multiply the rows of a step by their number.
        arguments._n_gpu = 1  # noqa: SLF001 - there is no public way  # pyright: ignore[reportPrivateUsage]
    return arguments


def _optimizer(model: Any, settings: FineTuningSettings) -> Any:
    from torch.optim import AdamW

    adapter, head = trained_parameters(model)
    return AdamW(
        [
            {"params": adapter, "lr": settings.learning_rate},
            {"params": head, "lr": settings.head_learning_rate},
        ],
        weight_decay=settings.weight_decay,
    )


class _Rows:
    """The rows of one split as the Trainer asks for them: tokens or their states, class and weight."""

    def __init__(self, inputs: Any, places: range, rows: Encoded) -> None:
        self._inputs = inputs
        self._places = places
        self._rows = rows

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, row: int) -> Row:
        return self._inputs[self._places[row]], int(self._rows.classes[row]), float(self._rows.weights[row])


def _batch(rows: Sequence[Row], encoder: "TextEncoder") -> dict[str, Any]:
    """The rows as tensors, padded to a multiple of _SHAPE_TOKENS; labels are class and weight, shape (rows, 2)."""
    import torch

    inputs = encoder.collate([row for row, _, _ in rows], multiple_of=_SHAPE_TOKENS)
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    return {**tensors, "labels": torch.tensor([(label, weight) for _, label, weight in rows])}


def _macro_f1(predictions: Any) -> dict[str, float]:
    classes = predictions.label_ids[:, 0].astype(np.int64)
    matrix = confusion(classes, predictions.predictions.argmax(-1), len(LABELS))
    return {"macro_f1": float(macro_f1_of(matrix))}


def _curve(history: Sequence[dict[str, Any]]) -> tuple[CurvePoint, ...]:
    """The logged figures without the times, which differ from run to run."""
    wanted = ("epoch", "loss", "learning_rate", "eval_loss", "eval_macro_f1")
    return tuple(
        CurvePoint(logged["step"], **{key: round(float(logged[key]), 6) for key in wanted if key in logged})
        for logged in history
        if "loss" in logged or "eval_loss" in logged
    )
