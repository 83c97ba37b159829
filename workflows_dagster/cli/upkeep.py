"""`prune` and `sweep`: keeping the size of the store in hand."""

from typing import Annotated, Final

import typer

from workflows_dagster.cli.opening import open_settings, open_store
from workflows_dagster.cli.screen import REFUSED, console, messages

HOUR_S: Final = 3_600.0


def prune(
    keep: Annotated[
        int | None, typer.Option(min=1, help="Versions of each path to keep. Default: the setting.")
    ] = None,
    older_than_hours: Annotated[
        float,
        typer.Option("--older-than", min=0, help="Hours. What was written later stays. Name more than any run takes."),
    ] = 48.0,
) -> None:
    """Forget the content of versions that no release and nothing published needs, except the last N of each path."""
    from workflows_dagster.lib.release.retention import prune_store

    settings = open_settings()
    kept = keep or settings.keep_versions
    store = open_store(settings)
    pruned = prune_store(store, kept, older_than_s=older_than_hours * HOUR_S)
    if pruned is None:
        messages.print(
            f"{store.repository.describe()} is not pruned from here: the garbage collection of lakeFS decides what "
            "goes. Set its rules for the repository and run it on the server: see docs/lakefs.md.",
            highlight=False,
        )
        raise typer.Exit(REFUSED)
    console.print(
        f"Removed {pruned.contents:,} files of old versions, freed {pruned.freed_bytes / 1e6:,.1f} MB. Kept: the last "
        f"{kept} versions of each path, what a release or a published version needs, what is younger than "
        f"{older_than_hours:g} hours, and the history.",
        highlight=False,
    )


def sweep(
    older_than_days: Annotated[
        float | None, typer.Option("--older-than", min=0, help="Days. Default: the setting.")
    ] = None,
) -> None:
    """Remove the branches of refused and lost outputs."""
    settings = open_settings()
    days = settings.stale_branch_days if older_than_days is None else older_than_days
    branches = open_store(settings).sweep(days * 24 * HOUR_S)
    for branch in branches:
        console.print(branch, highlight=False)
    console.print(f"Removed {len(branches):,} branches older than {days:g} days.", highlight=False)
