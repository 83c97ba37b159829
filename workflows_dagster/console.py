"""Runs in the terminal: one line for each asset, with a bar while it works."""

import logging
from dataclasses import dataclass
from typing import Any, Final

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

TERMINAL: Final = logging.getLogger("workflows_dagster_terminal")
TERMINAL.propagate = False
TERMINAL.setLevel(logging.DEBUG)

terminal_logger = dg.LoggerDefinition(
    lambda _context: TERMINAL, description="The terminal of `workflows-dagster`; silent outside its commands."
)


@dataclass
class _Step:
    task: TaskID
    rows: int | None = None


class TerminalHandler(logging.Handler):
    """Draws the runs of this process: when an asset starts, how far it is, and when it ends.

    Where the output is no terminal, it only prints a line when an asset ends.

    Args:
        console: Where to draw.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._steps: dict[str, _Step] = {}
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.fields[state]}{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=12, table_column=Column(min_width=12)),
            MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=11)),
            # The only column that shrinks in a narrow terminal.
            TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
            expand=True,
            console=console,
            disable=not console.is_terminal,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "TerminalHandler":
        TERMINAL.addHandler(self)
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()
        TERMINAL.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Draws a record that is an event of a step, its progress or a warning; others are for the event log only."""
        meta: dict[str, Any] = getattr(record, "dagster_meta", {})
        step = meta.get("step_key")
        event: dg.DagsterEvent | None = meta.get("dagster_event")
        if step is None:
            return
        if event is not None:
            self._draw_event(step, meta["job_tags"].get("dagster/partition"), event)
        elif hasattr(record, "done"):
            self._draw_progress(step, record)
        elif record.levelno >= logging.WARNING:
            self._console.print(f"[yellow]{step}: {meta['orig_message']}", highlight=False)

    def _draw_event(self, step: str, partition: str | None, event: dg.DagsterEvent) -> None:
        match event.event_type:
            case dg.DagsterEventType.STEP_START:
                name = f"{step} {partition}" if partition else step
                self._steps[step] = _Step(self._progress.add_task(name, total=None, state="", note=""))
            case dg.DagsterEventType.ASSET_MATERIALIZATION:
                count = event.step_materialization_data.materialization.metadata.get("dagster/row_count")
                self._steps[step].rows = count.value if isinstance(count, dg.IntMetadataValue) else None
            case dg.DagsterEventType.STEP_SUCCESS:
                self._end(step, "[green]✓[/] ")
            case dg.DagsterEventType.STEP_FAILURE:
                self._end(step, "[red]✗[/] ")
            case _:
                pass

    def _draw_progress(self, step: str, record: logging.LogRecord) -> None:
        if step not in self._steps:
            return
        done, total = getattr(record, "done", 0), getattr(record, "total", None)
        note = getattr(record, "note", "") or getattr(record, "stage", "")
        self._progress.update(self._steps[step].task, completed=done, total=total, note=note)

    def _end(self, step: str, state: str) -> None:
        ended = self._steps.pop(step)
        task = self._progress.tasks[self._progress.task_ids.index(ended.task)]
        note = f"{ended.rows:,} rows" if ended.rows is not None else ""
        self._progress.update(ended.task, total=1, completed=1, state=state, note=note)
        self._progress.stop_task(ended.task)
        if not self._console.is_terminal:
            self._console.print(f"{state}{task.description}  {task.elapsed or 0:.1f} s  {note}", highlight=False)
