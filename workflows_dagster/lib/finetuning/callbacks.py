"""Progress of a training as the rest of the project reports it."""

from typing import Any

from workflows_dagster.lib.progress import Progress


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
