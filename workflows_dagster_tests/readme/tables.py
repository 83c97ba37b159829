"""The tables of the documentation, read from what they describe."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import dagster as dg
import typer
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from workflows_dagster.cli import app
from workflows_dagster.cli.chain import DEMO
from workflows_dagster.lib.ingest.catalog import Batching
from workflows_dagster.lib.ingest.formats import FORMATS
from workflows_dagster.lib.ingest.source import Columns, Source
from workflows_dagster.settings import Settings
from workflows_dagster_tests.readme.graph import Graph


def blocks(definitions: dg.Definitions) -> Mapping[str, str]:
    """Every generated block by the name that its markers carry."""
    graph = Graph(definitions)
    return {
        "assets": assets(graph),
        "jobs": jobs(definitions),
        "schedules": schedules(definitions),
        "sensors": sensors(definitions),
        "settings": settings(),
        "demo": demo(),
        "checks": checks(graph),
        "commands": commands(),
        "run-configuration": run_configuration(graph),
        "source-fields": fields(Source),
        "format-fields": format_fields(),
        "column-fields": fields(Columns),
        "batching-fields": fields(Batching),
    }


def assets(graph: Graph) -> str:
    """Group, name, partitions, number of checks and first line of the description of each asset."""
    return table(
        ("group", "asset", "one per", "checks", "holds"),
        (
            (
                spec.group_name or "",
                code(name),
                graph.partitions(name),
                str(len(graph.audits(name))),
                (spec.description or "").splitlines()[0],
            )
            for name, spec in graph.specs.items()
        ),
    )


def checks(graph: Graph) -> str:
    """Each check with the asset that it judges."""
    return table(
        ("asset", "check", "what holds when it passes", "compared with", "a failure"),
        (
            (
                code(name),
                code(audit.name),
                audit.description,
                code(audit.against) if audit.against else "",
                "blocks" if audit.blocking else "warns",
            )
            for name in graph.specs
            for audit in graph.audits(name)
        ),
    )


def jobs(definitions: dg.Definitions) -> str:
    """Each job with what it does."""
    return table(("job", "does"), ((code(job.name), job.description or "") for job in definitions.jobs or []))


def schedules(definitions: dg.Definitions) -> str:
    """Each schedule with its job and time."""
    found = [one for one in definitions.schedules or [] if isinstance(one, dg.ScheduleDefinition)]
    return table(
        ("schedule", "starts", "cron", "does"),
        (
            (
                code(one.name),
                code(one.job_name),
                f"{code(str(one.cron_schedule))} {one.execution_timezone}",
                one.description or "",
            )
            for one in found
        ),
    )


def sensors(definitions: dg.Definitions) -> str:
    """Each sensor with its interval and whether it is on from the start."""
    return table(
        ("sensor", "every", "from the start", "does"),
        (
            (
                code(one.name),
                f"{one.minimum_interval_seconds} s",
                "on" if one.default_status is dg.DefaultSensorStatus.RUNNING else "off",
                one.description or "",
            )
            for one in definitions.sensors or []
        ),
    )


def settings() -> str:
    """Each setting by its environment variable."""
    return table(
        ("variable", "default", "means"),
        (
            (code(variable(name, field)), code(default_of(field)), field.description or "")
            for name, field in Settings.model_fields.items()
        ),
    )


def demo() -> str:
    """The run configuration of the demo, as YAML by asset."""
    return f"```yaml\n{yaml.safe_dump(DEMO, sort_keys=False)}```"


def commands() -> str:
    """Each command of the command line with its arguments and options."""
    group: Any = typer.main.get_command(app)
    return "\n\n".join(_command(name, found) for name, found in sorted(_all_commands(group, "")))


def _all_commands(group: Any, above: str) -> Iterable[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _all_commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def _command(name: str, command: Any) -> str:
    parameters = [
        (
            code(one.opts[0] if one.param_type_name == "option" else one.name.upper()),
            "needed" if one.required else code(_shown(one.default)),
            one.help or "",
        )
        for one in command.params
    ]
    described = [table(("argument or option", "default", "means"), parameters)] if parameters else []
    return "\n\n".join([f"## {name}", command.help, *described])


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable that a setting is read from."""
    alias = field.validation_alias
    return alias.upper() if isinstance(alias, str) else f"{Settings.model_config.get('env_prefix', '')}{name}".upper()


def run_configuration(graph: Graph) -> str:
    """For each asset that can be configured for a run: the fields, their defaults and what they mean."""
    parts: list[str] = []
    nodes = graph.definitions.resolve_asset_graph()
    for name, spec in graph.specs.items():
        if graph.is_external(name):
            continue
        shape: Any = nodes.get(spec.key).assets_def.op.config_schema.config_type
        if getattr(shape, "fields", None):
            parts.append(f"## {name}\n\n{table(('field', 'default', 'means'), _config_fields(shape))}")
    return "\n\n".join(parts)


def _config_fields(shape: Any, prefix: str = "") -> list[Sequence[str]]:
    """The fields of a configuration, those of a nested one as `outer.inner`."""
    rows: list[Sequence[str]] = []
    for key, field in shape.fields.items():
        if getattr(field.config_type, "fields", None):
            rows += _config_fields(field.config_type, f"{prefix}{key}.")
        else:
            rows.append((code(prefix + key), code(_shown(field.default_value)), field.description or ""))
    return rows


def fields(model: type[BaseModel]) -> str:
    """Fields of a part of sources.yaml."""
    return table(
        ("field", "value", "default", "means"),
        (
            (
                code(name),
                _values(field),
                "needed" if field.is_required() else code(default_of(field)),
                field.description or "",
            )
            for name, field in model.model_fields.items()
        ),
    )


def format_fields() -> str:
    """The formats, and the options that only some of them have; formats where an option is the same share a row."""
    formats: dict[tuple[str, ...], list[str]] = {}
    for format, kind in FORMATS.items():
        for name, field in kind.model_fields.items():
            if name not in Source.model_fields and name != "format":
                row = (code(name), _values(field), code(repr(default_of(field)).strip("'")), field.description or "")
                formats.setdefault(row, []).append(code(format))
    rows = [(name, " ".join(of), *rest) for (name, *rest), of in sorted(formats.items(), key=lambda item: item[0][0])]
    which = (code("format"), " ".join(map(code, FORMATS)), "", "needed", "Format of the files.")
    return table(("field", "format", "value", "default", "means"), [which, *rows])


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("|" + "".join(f" {_cell(value)} |" if value else " |" for value in line) for line in lines)


def code(text: str) -> str:
    """Text as code; nothing for nothing."""
    return f"`{text}`" if text else ""


def default_of(field: FieldInfo) -> str:
    """The default of a field as it is written in YAML or the environment; empty where there is none to write."""
    value = field.get_default(call_default_factory=True)
    return "" if isinstance(value, BaseModel) or value is None else _shown(value)


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case bool() | list() | tuple() | dict():
            text = json.dumps(value)
            return text if len(text) < 60 else f"{len(value)} entries" if not isinstance(value, bool) else text
        case Path():
            return value.as_posix()
        case float() if value >= 1 and value.is_integer():
            return f"{value:.0f}"
        case _:
            return str(value) if isinstance(value, str | int | float) else ""


def _values(field: FieldInfo) -> str:
    found = [value for value in _literals(field.annotation) if value is not None]
    return " ".join(code(str(value)) for value in found)


def _literals(annotation: object) -> list[object]:
    """The values of a Literal, inside a union or not."""
    if annotation is None or not (arguments := get_args(annotation)):
        return []
    if getattr(get_origin(annotation), "__name__", "") == "Literal" or str(annotation).startswith("typing.Literal"):
        return list(arguments)
    if get_origin(annotation) in (dict, tuple):
        return []
    return [value for argument in arguments for value in _literals(argument)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
