"""`argilla`: a real Argilla on this machine, for pilots."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from workflows_dagster.cli.opening import open_settings
from workflows_dagster.cli.screen import console, refusing
from workflows_dagster.local_argilla.launch import DEFAULT_PORT, run_argilla


def argilla(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0 takes a free one.")] = DEFAULT_PORT,
    home: Annotated[
        Path | None, typer.Option(help="Folder of its data. Default: `argilla` in this deployment's folder.")
    ] = None,
    annotators: Annotated[
        int | None, typer.Option(min=1, max=100, help="Accounts to make sure of. Default: 3 at first start.")
    ] = None,
    workspace: Annotated[
        str | None, typer.Option(help="Workspace to make sure of. Default: `reviews`, or that of last time.")
    ] = None,
) -> None:
    """Start a local Argilla with its web UI, for pilots of a few thousand records. Ctrl-C ends it."""
    folder = home or open_settings().home / "argilla"
    with refusing():
        run_argilla(
            folder,
            port=port,
            annotators=annotators,
            workspace=workspace,
            say=lambda line: console.print(escape(line), highlight=False),
        )
