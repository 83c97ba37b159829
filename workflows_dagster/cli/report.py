"""`report`: where the report of a release is, and opening it."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workflows_dagster.cli.opening import open_settings, open_store
from workflows_dagster.cli.screen import note
from workflows_dagster.lib.errors import NotPublishedError, StorePermissionError, StoreUnavailableError

if TYPE_CHECKING:
    from workflows_dagster.lib.release.releases import Release
    from workflows_dagster.lib.store.versioned import VersionedStore


def report(
    tag: Annotated[str | None, typer.Argument(help="Tag of a release. Default: the newest report.")] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Print the path of the newest report, or that of a release. `reports/` in the home folder holds them by name."""
    from workflows_dagster.lib.release.releases import release, releases

    settings = open_settings()
    store = open_store(settings)
    made = [release(store, tag)] if tag else releases(store)
    path: Path | None = None
    for one in made:
        path = _kept(store, one, settings.reports)
    if tag is None:
        path = _unreleased(store, made) or path
    if path is None:
        raise NotPublishedError(
            "no report was made yet",
            given="the store of this home",
            expected="a report",
            remedy="run the chain: `workflows-dagster demo` or `run`",
        )
    typer.echo(path)
    if open_it and typer.launch(path.as_uri()) != 0:
        note("no browser could be started: open the file yourself.")


def _kept(store: "VersionedStore", chosen: "Release", folder: Path) -> Path:
    """The report of a release by its name; where the home may only be read, in the store."""
    from workflows_dagster.lib.release.reports import keep_report, report_page

    with suppress(StorePermissionError, StoreUnavailableError):
        return keep_report(store, chosen, folder)
    return report_page(store, chosen)


def _unreleased(store: "VersionedStore", made: "list[Release]") -> Path | None:
    """The newest report, where no release was made of it."""
    from workflows_dagster.lib.release.reports import REPORT, page_at

    newest = store.head(REPORT)
    members = [one.record.member(REPORT) for one in made]
    if newest is None or any(member and member.commit == newest.commit for member in members):
        return None
    note("no release was made of the newest report.")
    return page_at(store, newest.commit)
