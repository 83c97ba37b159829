"""Options of a file system: plain values, and secrets that are only ever named."""

from collections.abc import Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler, SecretStr
from pydantic_core import CoreSchema, core_schema

SECRET_WORDS = ("secret", "password", "token", "key", "credential", "connection_string", "sas")
"""An option whose name holds one of these must be a reference to an environment variable."""


class Options:
    """The storage options of one source; its repr never shows a value."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = dict(values or {})

    def reveal(self) -> dict[str, Any]:
        """The options as the file system wants them, secrets included: never log or store the result."""
        return {name: _reveal(value) for name, value in self._values.items()}

    def __repr__(self) -> str:
        return f"Options({', '.join(sorted(self._values))})"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._validate)

    @classmethod
    def _validate(cls, value: object) -> "Options":
        if isinstance(value, Options):
            return value
        if not isinstance(value, dict):
            raise ValueError("expected a mapping of option names to values")  # noqa: TRY004  # pydantic wants ValueError
        _refuse_literal_secrets(value)
        return cls(value)


def resolve_references(value: object, environment: Mapping[str, str]) -> object:
    """The options with every `{env: NAME}` replaced by the variable's value, held as a SecretStr.

    Raises:
        KeyError: The environment has no such variable; its argument is the name.
    """
    if isinstance(value, dict):
        if set(value) == {"env"}:
            return SecretStr(environment[str(value["env"])])
        return {name: resolve_references(item, environment) for name, item in value.items()}
    if isinstance(value, list):
        return [resolve_references(item, environment) for item in value]
    return value


def _refuse_literal_secrets(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if isinstance(value, dict):
            _refuse_literal_secrets(value)
        elif isinstance(value, str) and any(word in str(name).lower() for word in SECRET_WORDS):
            raise ValueError(f"{name} is written out: expected {{env: NAME}}, the variable that holds it")


def _reveal(value: Any) -> Any:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case dict():
            return {name: _reveal(item) for name, item in value.items()}
        case list():
            return [_reveal(item) for item in value]
        case _:
            return value
