"""Loads a sources.yaml; every error names the file, the source and the field."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.ingest.catalog import Catalog, Source
from workflows_dagster.lib.ingest.lakefs_locations import is_in_lakefs, with_defaults
from workflows_dagster.lib.ingest.options import resolve_references

_VARIABLE = re.compile(r"\$\{(\w+)\}")


def load_catalog(path: Path, environment: Mapping[str, str] | None = None) -> Catalog:
    """The catalog that a sources.yaml describes.

    Args:
        path: The file. Relative locations in it are taken from its folder.
        environment: Variables that `${NAME}` in a location and `{env: NAME}` in storage_options may name.

    Raises:
        ConfigurationError: The file is missing, not YAML, or says something that cannot be; names source and field.
    """
    document = _parse(path)
    for number, source in enumerate(_sources(path, document)):
        _resolve(path, source, _name(source, number), environment or {})
    try:
        catalog = Catalog.model_validate(document)
    except ValidationError as error:
        raise _explain(path, document, error) from error
    sources = tuple(_completed(source, environment or {}) for source in catalog.sources)
    return catalog.model_copy(update={"sources": sources})


def _completed(source: Source, environment: Mapping[str, str]) -> Source:
    """The source with the options that its location needs and that the environment names for the whole project."""
    if not is_in_lakefs(source.location):
        return source
    return source.model_copy(update={"storage_options": with_defaults(source.storage_options, environment)})


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
    return document


def _sources(path: Path, document: dict[str, Any]) -> list[dict[str, Any]]:
    sources = document.get("sources")
    if not isinstance(sources, list) or not all(isinstance(source, dict) for source in sources):
        raise _refused(path, "sources", type(sources).__name__, "a list of mappings, one for each source")
    return sources


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


def _explain(path: Path, document: dict[str, Any], error: ValidationError) -> ConfigurationError:
    first, *others = error.errors(include_url=False)
    where = [str(part) for part in first["loc"]]
    if where[:1] == ["sources"] and len(where) > 1:
        number = int(where[1])
        where = [f"source {_name(document['sources'][number], number)}", *where[2:]]
    # The input of a whole source or of its options may hold secrets; a single field's does not.
    given = first["input"] if isinstance(first["input"], str | int | float | bool | None) else "(see the file)"
    more = f" ({len(others)} more problems in this file)" if others else ""
    subject, field = where[0] if where else "the file", ".".join(where[1:])
    return _refused(path, f"{subject}: {field}" if field else subject, given, first["msg"] + more)


def _refused(path: Path, where: str, given: object, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{path}: {where}", given=given, expected=expected, remedy=f"correct {path.name}")


def _name(source: Mapping[str, Any], number: int) -> str:
    return str(source.get("name", f"number {number + 1}"))
