"""`releases` and `rollback`: what was released, what changed between releases, and which one is deployed."""

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from workflows_dagster.checks.release import DEPLOYED_RELEASE
from workflows_dagster.cli import release_tables as tables
from workflows_dagster.cli.opening import open_settings, open_store, open_store_resource
from workflows_dagster.cli.screen import console, refusing, terminal
from workflows_dagster.console import TerminalHandler
from workflows_dagster.instance import project_instance
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.release.checkout import check_out
from workflows_dagster.lib.release.deployment import deploy, deployment, deployments
from workflows_dagster.lib.release.diff import compare
from workflows_dagster.lib.release.releases import release, releases
from workflows_dagster.rerun import UNTIL, Remade
from workflows_dagster.rerun import rerun as rerun_release

app = typer.Typer(
    name="releases", invoke_without_command=True, help="List, show, compare, check out and rerun releases."
)

Tag = Annotated[str, typer.Argument(help="Tag of a release, as `releases` lists it.")]


@app.callback()
def main(context: typer.Context) -> None:
    """List the releases. The commands below show, compare, check out and rerun them."""
    if context.invoked_subcommand is None:
        list_releases()


@app.command("list")
def list_releases() -> None:
    """List the releases with their model, its quality and its data; * marks the deployed one."""
    with refusing():
        store = open_store()
        found, deployed = releases(store), deployment(store)
    if not found:
        console.print("No release was made yet: `workflows-dagster demo` or `run` ends with one.", highlight=False)
        return
    console.print(tables.listed(found, deployed.tag if deployed else None))


@app.command()
def show(tag: Tag) -> None:
    """Show what a release consists of: its model, figures and rows, and each version with its commit."""
    with refusing():
        store = open_store()
        chosen, deployed = release(store, tag), deployment(store)
        link = store.link(chosen.version.commit)
    console.print(tables.overview(chosen, deployed))
    console.print(f"\n{escape(link)}", highlight=False)
    console.print(tables.members(chosen))


@app.command()
def diff(before: Tag, after: Tag) -> None:
    """Show what changed from one release to another: rows, figures with intervals, versions."""
    with refusing():
        store = open_store()
        found = compare(store, release(store, before), release(store, after))
    for table in (tables.row_changes(found), tables.metric_changes(found), tables.version_changes(found)):
        console.print(table)


@app.command()
def log() -> None:
    """List which release was deployed when, and why, newest first."""
    with refusing():
        changes = list(deployments(open_store()))
    if not changes:
        console.print("No release was deployed yet.", highlight=False)
        return
    console.print(tables.deployed(changes))


@app.command()
def checkout(tag: Tag, folder: Annotated[Path, typer.Argument(help="A new or empty folder.")]) -> None:
    """Write the files of every version of a release into a folder, each checked against its digest."""
    with refusing():
        store = open_store()
        chosen = release(store, tag)
        size_bytes = check_out(store, chosen, folder)
    console.print(
        f"{tag}: {len(chosen.record.chain)} versions, {size_bytes / 1e6:,.1f} MB, verified: {escape(str(folder))}",
        highlight=False,
    )


@app.command()
def rerun(
    tag: Tag,
    home: Annotated[Path, typer.Option(help="A new or empty folder, for what is made and its own store.")],
    until: Annotated[
        str,
        typer.Option(
            help="Asset to stop at. From lora_adapter on, results depend on the order of float operations and on time, "
            "so they may differ."
        ),
    ] = UNTIL,
) -> None:
    """Make a release again from its raw reviews, and compare the data versions of each asset."""
    settings = open_settings()
    logging.getLogger("workflows_dagster").propagate = False
    found: list[Remade] = []
    with refusing():
        store = open_store(settings)
        chosen = release(store, tag)
        with TerminalHandler(terminal()):
            found.extend(rerun_release(chosen, store, settings, home, until))
    console.print(tables.remade(found))
    for one in found:
        if one.failure:
            console.print(f"[red]Failed:[/] {escape(one.member.path)}: {escape(one.failure)}", highlight=False)
    unequal = sum(not one.is_equal for one in found)
    verdict = f"{unequal} of {len(found)} data versions differ." if unequal else "Every data version is the same."
    console.print(f"{verdict} What was made: {escape(str(home))}", highlight=False)
    if unequal:
        raise typer.Exit(1)


def rollback(tag: Tag, reason: Annotated[str, typer.Option(help="Why; kept in the log.")] = "rollback by hand") -> None:
    """Deploy an earlier release: `predict` and scoring use it from now on."""
    settings = open_settings()
    with refusing():
        resource = open_store_resource(settings)
        store = resource.store()
        chosen, before = release(store, tag), deployment(store)
        if before is not None and before.tag == tag:
            console.print(f"{tag} is deployed already, since {tables.local_time(before.deployed_at)}.", highlight=False)
            return
        version = deploy(store, chosen, reason, [tag], DEPLOYED_RELEASE)
    was = f" instead of {before.tag}" if before else ""
    console.print(f"{tag} ({chosen.pick.technique}) is deployed{was}: {escape(reason)}", highlight=False)
    # The store is what scoring reads. Dagster is told afterwards, so that a broken instance keeps nobody from it.
    released = resource.artifact(chosen.version.path, None, chosen.version.commit)
    try:
        with project_instance(settings) as instance:
            instance.report_runless_asset_event(resource.materialization(version, [released]))
    except ConfigurationError as error:
        console.print(f"[yellow]Note:[/] the Dagster UI does not show it: {escape(str(error))}", highlight=False)
    if before:
        console.print(f"To undo it: workflows-dagster rollback {before.tag}", highlight=False)
