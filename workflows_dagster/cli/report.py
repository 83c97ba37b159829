"""`report`: where the report of a release is, and opening it."""

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workflows_dagster.cli.opening import open_settings, open_store
from workflows_dagster.cli.screen import note
from workflows_dagster.lib.errors import NotPublishedError, StorePermissionError

if TYPE_CHECKING:
    from workflows_dagster.lib.store.versioned import VersionedStore


def report(
    tag: Annotated[str | None, typer.Argument(help="Tag of a release. Default: the newest report.")] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Print the path of the newest report, or that of a release. `reports/` in the home folder holds them by name."""
    from workflows_dagster.lib.release.releases import release, releases
    from workflows_dagster.lib.release.reports import REPORT, keep_page

    settings = open_settings()
    store = open_store(settings)
    made = [release(store, tag)] if tag else releases(store)
    commits = {one.tag: one.record.require(REPORT).commit for one in made}
    newest = None if tag else store.head(REPORT)
    if newest is not None and newest.commit not in commits.values():
        note("no release was made of the newest report.")
        commits["unreleased"] = newest.commit
    if not commits:
        raise NotPublishedError(
            "no report was made yet",
            given="the store of this home",
            expected="a report",
            remedy="run the chain: `workflows-dagster demo` or `run`",
        )
    pages = {settings.reports / f"{name}.html": commit for name, commit in commits.items()}
    named, commit = pages.popitem()
    path = _kept(store, commit, named)
    with suppress(StorePermissionError):
        for other, earlier in pages.items():
            keep_page(store, earlier, other)
    typer.echo(path)
    if open_it and typer.launch(path.as_uri()) != 0:
        note("no browser could be started: open the file yourself.")


def _kept(store: "VersionedStore", commit: str, named: Path) -> Path:
    """A report under its name; where that may not be written, in a temporary folder, which stays."""
    from workflows_dagster.lib.release.reports import keep_page

    try:
        return keep_page(store, commit, named)
    except StorePermissionError:
        return keep_page(store, commit, Path(tempfile.mkdtemp(prefix="workflows_dagster-report-")) / named.name)
