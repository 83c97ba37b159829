"""The learning curve as a picture inside Markdown."""

import base64
import io
from collections.abc import Sequence

from workflows_dagster.lib.artifact import Markdown


def learning_curve(curve: Sequence[dict[str, float]], best_step: int, baseline_macro_f1: float) -> Markdown:
    """Training loss and validation macro-F1 over the steps, with the kept step and the baseline marked.

    Args:
        curve: Records with `step` and `loss` or `eval_macro_f1`.
        best_step: The step whose weights were kept.
        baseline_macro_f1: Macro-F1 of the linear baseline on the same validation rows.
    """
    from matplotlib.figure import Figure

    losses = [(record["step"], record["loss"]) for record in curve if "loss" in record]
    scores = [(record["step"], record["eval_macro_f1"]) for record in curve if "eval_macro_f1" in record]
    # A Figure of its own, not pyplot: no global state and no display is looked for.
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    left = figure.add_subplot()
    left.plot(*_columns(losses), color="tab:gray", label="training loss")
    left.set_xlabel("optimizer step")
    left.set_ylabel("training loss")
    right = left.twinx()
    right.plot(*_columns(scores), color="tab:blue", marker="o", label="validation macro-F1")
    right.axhline(baseline_macro_f1, color="tab:orange", linestyle="--", label="linear baseline")
    right.axvline(best_step, color="tab:green", linestyle=":", label=f"kept: step {best_step}")
    right.set_ylabel("macro-F1")
    figure.legend(loc="outside upper center", ncols=4, fontsize="small")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=90)
    return Markdown(f"![learning curve](data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()})")


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [step for step, _ in points], [value for _, value in points]
