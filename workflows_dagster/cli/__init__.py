"""The command line: runs the chain, serves annotation, shows and deploys releases, and tidies up the store."""

import typer

from workflows_dagster.cli import argilla, chain, predicting, releases, upkeep
from workflows_dagster.settings import take_env_file

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Take raw retail reviews to a benchmarked, quantized sentiment model."""
    # Keys of servers and sources are read from the environment, here and in every process that is started.
    take_env_file()


for command in (
    chain.demo,
    chain.run,
    chain.sample,
    argilla.argilla,
    argilla.argilla_webhook,
    predicting.predict,
    releases.rollback,
    upkeep.prune,
    upkeep.sweep,
):
    app.command()(command)
app.add_typer(releases.app)
