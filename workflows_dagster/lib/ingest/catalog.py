"""The catalog: all sources of a sources.yaml, checked before anything is read; an error names source and field."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field, PrivateAttr, SecretStr, TypeAdapter, ValidationError

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.ingest.credentials import Credentials
from workflows_dagster.lib.ingest.description import read_description
from workflows_dagster.lib.ingest.formats import FORMATS, AnySource
from workflows_dagster.lib.ingest.lakefs_locations import SECRET_VARIABLE, is_in_lakefs, with_defaults
from workflows_dagster.lib.ingest.source import Described, Source
from workflows_dagster.lib.ingest.storage_options import resolve_references

_SOURCE: Final[TypeAdapter[Source]] = TypeAdapter(AnySource)
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


class Batching(Described):
    """How files are grouped into batches."""

    max_files: int = Field(default=500, ge=1, description="Most files in one batch.")
    max_bytes: int = Field(
        default=256 * 1024**2, ge=1, description="Most bytes in one batch; a larger file is a batch of its own."
    )
    settle_s: float = Field(
        default=30.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds that a file must be left alone before the sensor takes it.",
    )
    max_runs_per_tick: int = Field(default=100, ge=1, description="Most runs that one tick of the sensor requests.")


class Catalog(Described):
    """All sources, and how their files are batched."""

    sources: tuple[AnySource, ...] = Field(description="The sources.")
    batching: Batching = Field(default_factory=Batching, description="How files are grouped into batches.")

    _refused: dict[str, ConfigurationError] = PrivateAttr(default_factory=dict[str, ConfigurationError])

    @property
    def refused(self) -> Mapping[str, ConfigurationError]:
        """Why further sources of the file cannot be used, by name."""
        return self._refused

    def beside(self, refused: Mapping[str, ConfigurationError]) -> Self:
        """This catalog, and why further sources of its file cannot be used."""
        self._refused.update(refused)
        return self

    def names(self) -> frozenset[str]:
        """Names of all sources of the file, also of those that cannot be used now."""
        return frozenset((*(source.name for source in self.sources), *self._refused))

    def source(self, name: str) -> Source:
        """The source of that name.

        Raises:
            ConfigurationError: Its description cannot be used.
            LookupError: The catalog holds no such source.
        """
        if name in self._refused:
            raise self._refused[name]
        for source in self.sources:
            if source.name == name:
                return source
        raise LookupError(name)


def load_catalog(path: Path, environment: Mapping[str, str] | None = None) -> Catalog:
    """The catalog that a sources.yaml describes.

    A source whose description cannot be used costs itself: it is among `refused`.

    Args:
        path: The file. Relative locations in it are taken from its folder.
        environment: Variables that `${NAME}` in a location and `{env: NAME}` in storage_options may name.

    Raises:
        ConfigurationError: The file is missing, not YAML, or says something that cannot be, or no source in it can be
            used; names source and field.
    """
    variables, document = environment or {}, read_description(path)
    names = [_name(source, number) for number, source in enumerate(document["sources"])]
    sources: list[Source] = []
    refused: dict[str, ConfigurationError] = {}
    for name, described in zip(names, document.pop("sources"), strict=True):
        try:
            if names.count(name) > 1:
                raise _refused(path, f"several sources are called {name}", name, "distinct names")
            secrets = _resolve(path, described, name, variables)
            try:
                source = _with_lakefs_defaults(_SOURCE.validate_python(described), variables)
                sources.append(source.with_credentials(secrets))
            except ValidationError as error:
                # Not as its cause: pydantic's text quotes the location.
                raise _explain(path, name, error, secrets) from None
        except ConfigurationError as error:
            refused[name] = error
    if not sources:
        raise next(iter(refused.values()))
    try:
        catalog = Catalog.model_validate({**document, "sources": sources})
    except ValidationError as error:
        raise _explain(path, None, error, Credentials()) from None
    return catalog.beside(refused)


def _resolve(path: Path, source: dict[str, Any], name: str, environment: Mapping[str, str]) -> Credentials:
    """Replaces references to the environment and makes the location absolute, in place; tells what to keep secret."""
    named: dict[str, str] = {}
    try:
        if isinstance(location := source.get("location"), str):
            named = {name: environment[name] for name in _VARIABLE.findall(location)}
            expanded = _VARIABLE.sub(lambda match: named[match[1]], location)
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
    options = [source.get("storage_options"), SecretStr(environment.get(SECRET_VARIABLE, ""))]
    return Credentials.of(str(source.get("location", "")), named, options)


def _with_lakefs_defaults(source: Source, environment: Mapping[str, str]) -> Source:
    """A source in lakeFS with the server and keys that the environment names for the whole project."""
    if not is_in_lakefs(source.location):
        return source
    return source.model_copy(update={"storage_options": with_defaults(source.storage_options, environment)})


def _explain(path: Path, source: str | None, error: ValidationError, secrets: Credentials) -> ConfigurationError:
    """Why a source, or what stands beside the sources, cannot be used."""
    first, *others = error.errors(include_url=False)
    where, context = [str(part) for part in first["loc"]], first.get("ctx", {})
    given, expected = first["input"], secrets.hide(first["msg"].removeprefix("Value error, "))
    given = secrets.hide(given) if isinstance(given, str) else given
    if source is not None:
        where = where[1:]  # the first is the format, by which pydantic chose the class of the source
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        where.append("format")
        given, expected = context.get("tag"), f"one of {', '.join(FORMATS)}"
    elif first["type"] == "string_pattern_mismatch":
        expected = FORMATS[str(first["loc"][0])].model_fields[where[0]].description or expected
    elif "storage_options" in where or not isinstance(given, str | int | float | bool | None):
        # A whole source or its storage options may hold secrets; the value of any other field does not.
        given = context.get("given", "(see the file)")
    more = f" ({len(others)} more problems there)" if others else ""
    subject, *field = where if source is None else (f"source {source}", *where)
    return _refused(path, ": ".join([subject, ".".join(field)] if field else [subject]), given, expected + more)


def _refused(path: Path, where: str, given: object, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{path}: {where}", given=given, expected=expected, remedy=f"correct {path.name}")


def _name(source: Mapping[str, Any], number: int) -> str:
    return str(source.get("name", f"number {number + 1}"))
