"""`predict`: scores texts with the model of a release."""

import sys
from typing import Annotated, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from workflows_dagster.cli.opening import open_settings, open_store
from workflows_dagster.cli.screen import console, refusing
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.release.deployment import deployed
from workflows_dagster.lib.release.prediction import Prediction
from workflows_dagster.lib.release.prediction import predict as predict_texts
from workflows_dagster.lib.release.releases import Release, release

SHOWN_CHARACTERS: Final = 60


def predict(
    texts: Annotated[list[str] | None, typer.Argument(help="Reviews. Default: the lines of standard input.")] = None,
    tag: Annotated[str | None, typer.Option("--release", help="Tag of a release. Default: the deployed one.")] = None,
) -> None:
    """Score reviews with the model of the deployed release. Piped, it prints tab-separated values."""
    settings = open_settings()
    with refusing():
        given = texts or _lines()
        store = open_store(settings)
        chosen = release(store, tag) if tag else deployed(store)
        _show(chosen, predict_texts(store, chosen, given, settings.threads))


def _lines() -> list[str]:
    lines = [] if sys.stdin.isatty() else [line.strip() for line in sys.stdin if line.strip()]
    if not lines:
        raise ConfigurationError(
            "there is no review to score",
            given="no argument and nothing on standard input",
            expected="texts as arguments, or one a line on standard input",
            remedy='try `workflows-dagster predict "The kettle broke after a week."`',
        )
    return lines


def _show(chosen: Release, predictions: list[Prediction]) -> None:
    names = list(predictions[0].probabilities)
    if not console.is_terminal:
        typer.echo("\t".join(["release", "label", *names, "text"]))
        for found in predictions:
            figures = [f"{value:.4f}" for value in found.probabilities.values()]
            typer.echo("\t".join([chosen.tag, found.label, *figures, " ".join(found.text.split())]))
        return
    title = f"{chosen.tag}, {chosen.pick.technique}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("label")
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("text")
    for found in predictions:
        shortened = found.text if len(found.text) <= SHOWN_CHARACTERS else f"{found.text[:SHOWN_CHARACTERS]}..."
        table.add_row(found.label, *(f"{value:.3f}" for value in found.probabilities.values()), escape(shortened))
    console.print(table)
