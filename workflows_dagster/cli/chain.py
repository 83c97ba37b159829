"""`demo`, `run` and `sample`: the chain without a server, and the bundled sample."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from workflows_dagster.cli.opening import open_settings
from workflows_dagster.cli.screen import INTERRUPTED, console, messages, note, progress_console, quieten
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.sample.settings import HELD_OUT

if TYPE_CHECKING:
    from workflows_dagster.chain import ChainResult
    from workflows_dagster.lib.artifact import Artifact
    from workflows_dagster.lib.benchmark.report import ReportRecord
    from workflows_dagster.lib.store.versioned import VersionedStore
    from workflows_dagster.settings import Settings

DEMO: Final[dict[str, dict[str, Any]]] = {
    "review_corpus": {**HELD_OUT},
    "lora_adapter": {
        "vocabulary": 100_000,
        "epochs": 1,
        "evaluations_per_epoch": 1,
        "batch_size": 16,
        "learning_rate": 1.5e-4,
        "head_learning_rate": 5e-4,
        "max_validation_rows": 250,
    },
    # So small a model is unsure of many rows. What agrees less than 0.95 is shown, and not picked.
    "exported_models": {"parity_rows": 100, "min_agreement": 0.8},
    "export_benchmarks": {"throughput_rows": 48, "latency_rows": 20},
}
"""Run configuration of the demo, which keeps it within four minutes on two cores."""


def demo() -> None:
    """Run the whole chain on the bundled sample of made-up reviews: no server, no GPU, no network."""
    from workflows_dagster.lib.sample.settings import SampleSettings
    from workflows_dagster.lib.sample.writing import write_sample

    settings = open_settings().model_copy(update={"sources": None})
    report = write_sample(settings.sample, SampleSettings())
    messages.print(f"Bundled sample: {sum(report.rows.values()):,} made-up reviews in {escape(str(settings.sample))}")
    _run(settings, DEMO)


def run(
    sources: Annotated[
        Path | None,
        typer.Option(help="The sources.yaml to read. Default: that of WORKFLOWS_DAGSTER_SOURCES."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most rows to read of each file. Default: all.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="YAML of run configuration by asset, such as `lora_adapter: {epochs: 2}`."),
    ] = None,
) -> None:
    """Run the whole chain on your own sources."""
    settings = open_settings()
    chosen = sources or settings.sources
    if chosen is None:
        raise ConfigurationError(
            "no sources were named",
            given=None,
            expected="a sources.yaml",
            remedy="pass --sources FILE or set WORKFLOWS_DAGSTER_SOURCES; `workflows-dagster demo` needs neither",
        )
    chosen_config = _read_config(config) if config else {}
    if limit:
        chosen_config["raw_reviews"] = {**chosen_config.get("raw_reviews", {}), "limit": limit}
    _run(settings.model_copy(update={"sources": chosen}), chosen_config)


def sample(
    folder: Annotated[Path | None, typer.Argument(help="Folder to write to. Default: where `demo` reads it.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed writes the same bytes.")] = 2_024,
) -> None:
    """Write the bundled sample: made-up reviews of three platforms, as messy as real ones."""
    from workflows_dagster.lib.sample.settings import SampleSettings
    from workflows_dagster.lib.sample.writing import SOURCES_FILE, write_sample

    target = folder or open_settings().sample
    report = write_sample(target, SampleSettings(seed=seed))
    console.print(
        f"{sum(report.rows.values()):,} reviews, {report.size_bytes:,} bytes: {escape(str(target / SOURCES_FILE))}"
    )


def _run(settings: "Settings", config: dict[str, dict[str, Any]]) -> None:
    from workflows_dagster.chain import Chain
    from workflows_dagster.console import TerminalHandler
    from workflows_dagster.definitions import build_definitions
    from workflows_dagster.instance import project_instance
    from workflows_dagster.resources.sources import SourcesResource
    from workflows_dagster.resources.store import StoreResource

    quieten()
    definitions = build_definitions(settings)
    resources = definitions.resources or {}
    found, store = resources["sources"], resources["store"]
    if not isinstance(found, SourcesResource) or not isinstance(store, StoreResource):
        raise TypeError("the registry holds other resources under the keys sources and store")
    try:
        with project_instance(settings) as instance, TerminalHandler(progress_console()):
            result = Chain(definitions.resolve_job_def, found, store, instance, _without_people(config)).run()
    except KeyboardInterrupt:
        messages.print("[yellow]Interrupted.[/] What was published before stays; run again to go on.")
        raise typer.Exit(INTERRUPTED) from None
    show(result)
    tell_release(store.store(), result.report, settings.reports)
    if result.failures:
        raise typer.Exit(1)


def _without_people(config: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The run configuration; unless it says otherwise, the run does not wait for people."""
    from workflows_dagster.jobs import GO_ON_WITHOUT_PEOPLE

    names = config.keys() | GO_ON_WITHOUT_PEOPLE.keys()
    return {name: {**GO_ON_WITHOUT_PEOPLE.get(name, {}), **config.get(name, {})} for name in sorted(names)}


def _read_config(path: Path) -> dict[str, dict[str, Any]]:
    import yaml

    try:
        found: Any = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        found = error
    if not isinstance(found, dict) or not all(isinstance(config, dict) for config in found.values()):
        raise ConfigurationError(
            f"{path} is not a run configuration",
            given=found,
            expected="YAML that maps names of assets to mappings of their settings",
            remedy="see docs/run_configuration.md",
        )
    return found


def show(result: "ChainResult") -> None:
    """Prints the summary of a chain: data, quality, exports, and what a reader has to know."""
    from workflows_dagster.lib.benchmark.report import ReportRecord

    report = ReportRecord.read(result.report.folder)
    for table in (_overview(report), _exports(report)):
        console.print(table)
    for notice in [*report.notices, *report.missing]:
        note(notice)
    for what, why in result.failures.items():
        messages.print(f"[red]Failed:[/] {escape(what)}: {escape(why)}", highlight=False)


def tell_release(store: "VersionedStore", report: "Artifact", reports: Path) -> None:
    """Prints the release that was made of a report, whether it is deployed or why not, and where the report is."""
    from workflows_dagster.lib.benchmark.page import HTML_FILE
    from workflows_dagster.lib.release.deployment import DeploymentSettings, deployment, why_not
    from workflows_dagster.lib.release.releases import releases
    from workflows_dagster.lib.release.reports import REPORT, keep_report

    page = report.file(HTML_FILE)
    for made in releases(store):
        if made.record.require(REPORT).commit != report.commit:
            continue
        deployed = deployment(store)
        is_deployed = deployed is not None and deployed.tag == made.tag
        refusal = "" if is_deployed else why_not(store, made, deployed, DeploymentSettings())
        state = "deployed" if is_deployed else f"not deployed: {refusal or 'the configuration says not to'}"
        console.print(f"Release: {made.tag}, {made.pick.technique}, {escape(state)}", highlight=False)
        page = keep_report(store, made, reports)
    here = Path.cwd()
    console.print(
        f"Report: {escape(str(page.relative_to(here) if page.is_relative_to(here) else page))}", highlight=False
    )


def _overview(report: "ReportRecord") -> Table:
    from workflows_dagster.lib.benchmark.page import in_order

    model, baseline = report.adapter.model, report.adapter.baseline
    dropped = f"rejected {report.rows_rejected:,}, duplicates {report.rows_duplicate:,}"
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("rows in", f"{report.total('rows_in'):,}")
    table.add_row("kept", f"{report.corpus.rows_kept:,}  ({dropped})")
    table.add_row("labels", ", ".join(f"{label} {rows:,}" for label, rows in in_order(report.corpus.labels).items()))
    table.add_row("label sources", ", ".join(f"{name} {rows:,}" for name, rows in report.label_sources.items()))
    table.add_row("macro-F1, model", str(model.macro_f1))
    table.add_row("macro-F1, baseline", f"{baseline.macro_f1}  ({report.adapter.baseline_name})")
    if model.gold and baseline.gold:
        table.add_row("macro-F1, people's labels", f"{model.gold}  (baseline {baseline.gold})")
    return table


def _exports(report: "ReportRecord") -> Table:
    tested = f", n={report.benchmarks[0].rows:,} test rows" if report.benchmarks else ""
    table = Table(title=f"Exports{tested} (* the pick)", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("technique", no_wrap=True)
    for heading in ("MB", "rows/s", "speed", "p50 ms", "RAM MB", "macro-F1", "agrees"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in report.benchmarks:
        picked = " *" if one.technique == report.pick.technique else ""
        table.add_row(
            one.technique + picked,
            f"{one.size_bytes / 1e6:.1f}",
            f"{one.throughput.median_reviews_per_s:.0f}",
            f"{one.speed_ratio.value:.2f}x",
            f"{one.latency.p50_ms:.1f}",
            f"{one.peak_memory_bytes / 1e6:.0f}",
            one.quality.macro_f1.interval,
            f"{one.agreement.value:.3f}",
        )
    return table
