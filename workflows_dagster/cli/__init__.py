"""The command line: runs the chain, scores reviews, shows and deploys releases, serves annotation, tidies up the store.

`--help` and `predict` must be quick: no module here imports Dagster, or a library for tables or models, at its top.
"""

from typing import Annotated

import typer

from workflows_dagster.cli import argilla, chain, predict, releases, report, upkeep
from workflows_dagster.cli.screen import Commands, show_version

app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take raw retail reviews to a benchmarked, quantized sentiment model."""


for panel, commands in {
    "Run the chain": (chain.demo, chain.run, chain.sample),
    "Use what it made": (predict.predict, report.report, releases.deploy, releases.rollback),
    "People": (argilla.argilla, argilla.argilla_webhook),
    "Store": (upkeep.prune, upkeep.sweep),
}.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(releases.app, rich_help_panel="Use what it made")
