"""The catalog: all sources of a sources.yaml, checked before anything is read; an error names source and field."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.ingest.formats import FORMATS, AnySource
from workflows_dagster.lib.ingest.lakefs_locations import is_in_lakefs, with_defaults
from workflows_dagster.lib.ingest.source import Described, Source
from workflows_dagster.lib.ingest.storage_options import resolve_references

_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


class Batching(Described):
    """How files are grouped into batches."""

    max_files: int = Field(default=500, ge=1, description="Most files in one batch.")
    max_bytes: int = Field(
        default=256 * 1024**2, ge=1, description="Most bytes in one batch; a larger file is a batch of its own."
    )
    settle_s: float = Field(
        default=30.0, ge=0, description="Seconds that a file must be left alone before the sensor takes it."
    )
    max_runs_per_tick: int = Field(default=100, ge=1, description="Most runs that one tick of the sensor requests.")


class Catalog(Described):
    """All sources, and how their files are batched."""

    sources: tuple[AnySource, ...] = Field(description="The sources.")
    batching: Batching = Field(default_factory=Batching, description="How files are grouped into batches.")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"several sources are called {', '.join(twice)}: expected distinct names")
        return self

    def source(self, name: str) -> Source:
        """The source of that name.

        Raises:
            LookupError: The catalog holds no such source.
        """
        for source in self.sources:
            if source.name == name:
                return source
        raise LookupError(name)


def load_catalog(path: Path, environment: Mapping[str, str] | None = None) -> Catalog:
    """The catalog that a sources.yaml describes.

    Args:
        path: The file. Relative locations in it are taken from its folder.
        environment: Variables that `${NAME}` in a location and `{env: NAME}` in storage_options may name.

    Raises:
        ConfigurationError: The file is missing, not YAML, or says something that cannot be; names source and field.
    """
    variables = environment or {}
    document = _parse(path)
    for number, source in enumerate(document["sources"]):
        _resolve(path, source, _name(source, number), variables)
    try:
        catalog = Catalog.model_validate(document)
    except ValidationError as error:
        raise _explain(path, document, error) from error
    sources = tuple(_with_lakefs_defaults(source, variables) for source in catalog.sources)
    return catalog.model_copy(update={"sources": sources})


def _parse(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"{path} cannot be read",
            given=str(error),
            expected="a YAML file in UTF-8 that lists sources",
            remedy="check the path in WORKFLOWS_DAGSTER_SOURCES or --sources, and the file's syntax",
        ) from error
    if not isinstance(document, dict):
        raise _refused(path, "the file", type(document).__name__, "a mapping with the key sources")
    sources = document.get("sources")
    if not isinstance(sources, list) or not sources or not all(isinstance(source, dict) for source in sources):
        raise _refused(path, "sources", type(sources).__name__, "a list of mappings, one for each source")
    return document


def _resolve(path: Path, source: dict[str, Any], name: str, environment: Mapping[str, str]) -> None:
    """Replaces references to the environment and makes the location absolute, in place."""
    try:
        if isinstance(location := source.get("location"), str):
            expanded = _VARIABLE.sub(lambda match: environment[match[1]], location)
            source["location"] = expanded if "://" in expanded else str(path.absolute().parent / expanded)
        if "storage_options" in source:
            source["storage_options"] = resolve_references(source["storage_options"], environment)
    except KeyError as error:
        variable = error.args[0]
        raise ConfigurationError(
            f"{path}: source {name} names an environment variable that is not set",
            given=variable,
            expected="the name of a variable that is set",
            remedy=f"set {variable}, or correct its name in {path.name}",
        ) from error


def _with_lakefs_defaults(source: Source, environment: Mapping[str, str]) -> Source:
    """A source in lakeFS with the server and keys that the environment names for the whole project."""
    if not is_in_lakefs(source.location):
        return source
    return source.model_copy(update={"storage_options": with_defaults(source.storage_options, environment)})


def _explain(path: Path, document: dict[str, Any], error: ValidationError) -> ConfigurationError:
    first, *others = error.errors(include_url=False)
    where, context = [str(part) for part in first["loc"]], first.get("ctx", {})
    given, expected = first["input"], first["msg"]
    if where[:1] == ["sources"] and len(where) > 1:
        number = int(where[1])
        # The third part is the format, by which pydantic chose the class of the source.
        where = [f"source {_name(document['sources'][number], number)}", *where[3:]]
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        where.append("format")
        given, expected = context.get("tag"), f"one of {', '.join(FORMATS)}"
    elif "storage_options" in where or not isinstance(given, str | int | float | bool | None):
        # A whole source or its storage options may hold secrets; the value of any other field does not.
        given = context.get("given", "(see the file)")
    more = f" ({len(others)} more problems in this file)" if others else ""
    subject, field = where[0] if where else "the file", ".".join(where[1:])
    return _refused(path, f"{subject}: {field}" if field else subject, given, expected + more)


def _refused(path: Path, where: str, given: object, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{path}: {where}", given=given, expected=expected, remedy=f"correct {path.name}")


def _name(source: Mapping[str, Any], number: int) -> str:
    return str(source.get("name", f"number {number + 1}"))
