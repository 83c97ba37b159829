"""How commands talk: results on standard output, everything else on standard error, errors without a traceback."""

import os
import sys
from typing import Any, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from workflows_dagster.lib.errors import WorkflowError

REFUSED: Final = 2
INTERRUPTED: Final = 130
PIPED_WIDTH: Final = 160
"""Columns of what is not written to a terminal: tables there are cut by no screen."""


def _console(*, stderr: bool) -> Console:
    """A console that does not break long lines: paths are printed to be copied."""
    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, soft_wrap=True, width=None if is_terminal else PIPED_WIDTH)


console = _console(stderr=False)
"""Results."""

messages = _console(stderr=True)
"""Progress, notes and errors: what a pipe must not carry on."""


class Commands(TyperGroup):
    """Ends a command whose input is refused, or that is interrupted, with a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that was asked for."""
        try:
            return super().invoke(ctx)
        except WorkflowError as error:
            refuse(error)
        except KeyboardInterrupt:
            messages.print("[yellow]Interrupted.[/]")
            raise typer.Exit(INTERRUPTED) from None


def refuse(error: WorkflowError) -> NoReturn:
    """Ends the command with what was given, what was expected and what to do next."""
    said = "\n".join([str(error), *getattr(error, "__notes__", [])])
    messages.print(f"[red]{type(error).__name__}:[/] {escape(said)}", highlight=False)
    raise typer.Exit(REFUSED)


def note(text: str) -> None:
    """Says what the reader has to know besides the result."""
    messages.print(f"[yellow]Note:[/] {escape(text)}", highlight=False)


def quieten() -> None:
    """Keeps what libraries print, and no user can change, from the terminal."""
    import logging

    # Dagster prints these records. A handler that a library adds to the root logger would print them a second time.
    logging.getLogger("workflows_dagster").propagate = False
    # torchao registers classes in a way that torch 2.15 warns of.
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)


def show_version(asked: bool) -> None:
    """Prints the version of the package and ends, where it is asked for."""
    if asked:
        from importlib.metadata import version

        typer.echo(f"workflows-dagster {version('workflows-dagster')}")
        raise typer.Exit


def progress_console() -> Console:
    """The console that progress is drawn on.

    While a step runs, Dagster redirects the standard streams to its log, and bars with them. So they are drawn on the
    terminal itself, where there is one.
    """
    if not sys.stderr.isatty():
        return messages
    return Console(file=os.fdopen(os.dup(sys.stderr.fileno()), "w"), force_terminal=True)
