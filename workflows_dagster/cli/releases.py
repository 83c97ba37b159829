"""`releases`, `deploy` and `rollback`: what was released, what changed between releases, and which one is deployed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from workflows_dagster.cli import release_tables as tables
from workflows_dagster.cli.opening import open_settings, open_store
from workflows_dagster.cli.screen import console, messages, note, progress_console, quieten
from workflows_dagster.lib.errors import ConfigurationError, QualityGateError

if TYPE_CHECKING:
    from workflows_dagster.lib.release.releases import Release
    from workflows_dagster.lib.store.version import Version
    from workflows_dagster.settings import Settings

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
    """List the releases with their model, its quality and its gain over the baseline; * marks the deployed one."""
    from workflows_dagster.lib.release.deployment import DeploymentSettings, deployment, why_not
    from workflows_dagster.lib.release.releases import releases

    store = open_store()
    found, deployed = releases(store), deployment(store)
    if not found:
        messages.print("No release was made yet: `workflows-dagster demo` or `run` ends with one.", highlight=False)
        return
    console.print(tables.listed(found, deployed.tag if deployed else None))
    newest = found[-1]
    if refusal := why_not(store, newest, deployed, DeploymentSettings()):
        note(f"{newest.tag} is not deployed: {refusal}.")


@app.command()
def show(tag: Tag) -> None:
    """Show what a release consists of: its model, figures and rows, and each version with its commit."""
    from workflows_dagster.lib.release.deployment import deployment
    from workflows_dagster.lib.release.releases import release

    store = open_store()
    chosen = release(store, tag)
    console.print(tables.overview(chosen, deployment(store)))
    console.print(f"\n{escape(store.link(chosen.version.commit))}", highlight=False)
    console.print(tables.members(chosen))


@app.command()
def diff(before: Tag, after: Tag) -> None:
    """Show what changed from one release to another: rows, figures with intervals, versions."""
    from workflows_dagster.lib.release.diff import compare
    from workflows_dagster.lib.release.releases import release

    store = open_store()
    found = compare(store, release(store, before), release(store, after))
    for table in (tables.row_changes(found), tables.metric_changes(found), tables.version_changes(found)):
        console.print(table)


@app.command()
def log() -> None:
    """List which release was deployed when, and why, newest first."""
    from workflows_dagster.lib.release.deployment import deployments

    changes = list(deployments(open_store()))
    if not changes:
        messages.print("No release was deployed yet.", highlight=False)
        return
    console.print(tables.deployed(changes))


@app.command()
def checkout(tag: Tag, folder: Annotated[Path, typer.Argument(help="A new or empty folder.")]) -> None:
    """Write the files of every version of a release into a folder, each checked against its digest."""
    from workflows_dagster.lib.release.checkout import check_out
    from workflows_dagster.lib.release.releases import release

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
    ] = "augmented_reviews",
) -> None:
    """Make a release again from its raw reviews, and compare the data versions of each asset."""
    from workflows_dagster.console import TerminalHandler
    from workflows_dagster.lib.release.releases import release
    from workflows_dagster.rerun import rerun as rerun_release

    quieten()
    settings = open_settings()
    store = open_store(settings)
    chosen = release(store, tag)
    with TerminalHandler(progress_console()):
        found = list(rerun_release(chosen, store, settings, home, until))
    console.print(tables.remade(found))
    for one in found:
        if one.failure:
            messages.print(f"[red]Failed:[/] {escape(one.member.path)}: {escape(one.failure)}", highlight=False)
    unequal = sum(not one.is_equal for one in found)
    verdict = f"{unequal} of {len(found)} data versions differ." if unequal else "Every data version is the same."
    console.print(f"{verdict} What was made: {escape(str(home))}", highlight=False)
    if unequal:
        raise typer.Exit(1)


def deploy(
    tag: Tag,
    reason: Annotated[str, typer.Option(help="Why; kept in the log.")] = "deployed by hand",
    below_baseline: Annotated[
        bool, typer.Option("--below-baseline", help="Also where the model is not shown to beat the linear baseline.")
    ] = False,
) -> None:
    """Deploy a release: `predict` and scoring use it from now on."""
    from workflows_dagster.lib.release.releases import release

    settings = open_settings()
    _deploy(settings, release(open_store(settings), tag), reason, gated=not below_baseline)


def rollback(tag: Tag, reason: Annotated[str, typer.Option(help="Why; kept in the log.")] = "rollback by hand") -> None:
    """Deploy an earlier release again, whatever its figures say: for when the deployed one does harm."""
    from workflows_dagster.lib.release.releases import release

    settings = open_settings()
    _deploy(settings, release(open_store(settings), tag), reason, gated=False)


def _deploy(settings: "Settings", chosen: "Release", reason: str, *, gated: bool) -> None:
    from workflows_dagster.checks.release import DEPLOYED_RELEASE
    from workflows_dagster.lib.release.deployment import deploy, deployment

    store, tag = open_store(settings), chosen.tag
    before = deployment(store)
    if before is not None and before.tag == tag:
        console.print(f"{tag} is deployed already, since {tables.local_time(before.deployed_at)}.", highlight=False)
        return
    if gated and chosen.record.shortfall:
        raise QualityGateError(
            f"{tag} is not deployed: {chosen.record.shortfall}",
            given=tag,
            expected="a gain over the baseline whose 95 % interval is above zero",
            remedy="improve the model, or deploy it all the same with --below-baseline",
        )
    version = deploy(store, chosen, reason, [tag], DEPLOYED_RELEASE)
    was = f" instead of {before.tag}" if before else ""
    console.print(f"{tag} ({chosen.pick.technique}) is deployed{was}: {escape(reason)}", highlight=False)
    if chosen.record.shortfall:
        note(f"{chosen.record.shortfall}.")
    # The store is what scoring reads. Dagster is told afterwards, so that a broken instance keeps nobody from it.
    try:
        _tell_dagster(settings, version, chosen)
    except ConfigurationError as error:
        note(f"the Dagster UI does not show it: {error}")
    if before:
        messages.print(f"To undo it: workflows-dagster rollback {before.tag}", highlight=False)


def _tell_dagster(settings: "Settings", version: "Version", chosen: "Release") -> None:
    """Reports the deployment as a materialization of deployed_release."""
    from workflows_dagster.instance import project_instance
    from workflows_dagster.resources.registry import build_store
    from workflows_dagster.resources.store import StoreResource

    # Initialized as Dagster would: fields that name an environment variable get its value.
    resource: object = build_store(settings).process_config_and_initialize()
    if not isinstance(resource, StoreResource):
        raise TypeError(f"{type(resource).__name__}: expected the resource of a store")
    released = resource.artifact(chosen.version.path, None, chosen.version.commit)
    with project_instance(settings) as instance:
        instance.report_runless_asset_event(resource.materialization(version, [released]))
