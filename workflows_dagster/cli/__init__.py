"""The command line: the chain without a server, its releases, and the room it takes."""

import typer

from workflows_dagster.cli import chain, predicting, releases, upkeep

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Takes raw retail reviews to a benchmarked, quantized sentiment model."""


for command in (
    chain.demo,
    chain.run,
    chain.sample,
    predicting.predict,
    releases.rollback,
    upkeep.prune,
    upkeep.sweep,
):
    app.command()(command)
app.add_typer(releases.app)
