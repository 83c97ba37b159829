"""How commands talk: one console, errors without a traceback."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from workflows_dagster.lib.errors import WorkflowError

PIPED_WIDTH: Final = 100
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)
"""Does not break long lines: paths are printed to be copied."""


def refuse(error: WorkflowError) -> NoReturn:
    """Ends the command with what was given, what was expected and what to do next."""
    said = "\n".join([str(error), *getattr(error, "__notes__", [])])
    console.print(f"[red]{type(error).__name__}:[/] {escape(said)}", highlight=False)
    raise typer.Exit(2)


def terminal() -> Console:
    """The console that progress is drawn on.

    While a step runs, Dagster redirects standard output to its log, and bars with it. So they are drawn on the terminal
    itself, where there is one.
    """
    if not sys.stdout.isatty():
        return console
    return Console(file=os.fdopen(os.dup(sys.stdout.fileno()), "w"), force_terminal=True)


@contextmanager
def refusing() -> Generator[None]:
    """Ends the command by `refuse` when an error of this project is raised inside."""
    try:
        yield
    except WorkflowError as error:
        refuse(error)
