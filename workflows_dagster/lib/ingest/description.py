"""sources.yaml as it is written: every value as the text that stands there, and nothing that grows without bound."""

from pathlib import Path
from typing import Any, Final

import yaml

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.ingest.credentials import hide_urls

MOST_BYTES: Final = 1024**2
MOST_VALUES: Final = 20_000
MOST_LEVELS: Final = 20
_TYPED: Final = "storage_options"
_NULL: Final = "tag:yaml.org,2002:null"
_MERGE: Final = "tag:yaml.org,2002:merge"
_BOOL: Final = "tag:yaml.org,2002:bool"
_NUMBERS: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


# libyaml's, where it is there; it is safe from deep nesting only because that is refused before.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Words(_Loader):
    """Takes every plain value but null for text: `no`, `5` and `true` are as often words of a shop as anything else."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping; a key that is there twice is refused, as one of its values would be lost."""
        keys = [key for key, _ in node.value if key.tag != _MERGE and isinstance(key, yaml.ScalarNode)]
        for number, key in enumerate(keys):
            if any(other.value == key.value for other in keys[:number]):
                problem = f"{key.value} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        return super().construct_mapping(node, deep)


class _Values(_Loader):
    """Tells numbers, true and false from text, as YAML 1.2 does; there are no dates."""


def _keep(loader: Any, *tags: str) -> None:
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers.items()
    loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if tag in tags and (tag != _BOOL or first in "tTfF")]
        for first, found in resolvers
    }


_keep(_Words, _NULL, _MERGE)
_keep(_Values, _NULL, _MERGE, _BOOL, *_NUMBERS)


def read_description(path: Path) -> dict[str, Any]:
    """The mapping that a sources.yaml holds: text, lists and mappings, but for the values of storage_options.

    Raises:
        ConfigurationError: It is missing, not YAML, not a mapping that lists sources, or larger than any such file.
    """
    text = _text(path)
    try:
        _require_small(path, text)
        words, values = yaml.load(text, _Words), yaml.load(text, _Values)
    except yaml.MarkedYAMLError as error:
        # Not as its cause: its text quotes the line, which may hold a credential.
        raise _broken(path, text, error) from None
    except yaml.YAMLError as error:
        raise _refused(path, "the file", hide_urls(str(error)), "YAML that lists sources") from None
    except ConfigurationError:
        raise
    except ValueError as error:
        raise _refused(path, "the file", "a number with thousands of digits", "numbers of a few digits") from error
    if not isinstance(words, dict):
        raise _refused(path, "the file", _kind(words), "a mapping with the key sources")
    sources = words.get("sources")
    if not isinstance(sources, list) or not sources or not all(isinstance(source, dict) for source in sources):
        raise _refused(path, "sources", _kind(sources), "a list of mappings, one for each source")
    for source, typed in zip(sources, values["sources"], strict=True):
        if _TYPED in source:
            source[_TYPED] = typed[_TYPED]
    return words


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise _refused(path, "the file", f"more than {MOST_BYTES:,} bytes", "a description of sources")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(
            f"{path} cannot be read",
            given=str(error),
            expected="a YAML file in UTF-8 that lists sources",
            remedy="check the path in WORKFLOWS_DAGSTER_SOURCES or --sources",
        ) from error


def _require_small(path: Path, text: str) -> None:
    """Counts values and levels, those behind aliases each time they stand for, before anything is built of them."""
    sizes: dict[str, int] = {}
    levels: list[tuple[str | None, int]] = []  # of each open list or mapping: its anchor, and the values so far
    for event in yaml.parse(text, _Loader):
        match event:
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                levels.append((event.anchor, 1))
                anchor, size = None, 0
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                anchor, size = levels.pop()
            case yaml.AliasEvent():
                anchor, size = None, sizes.get(event.anchor or "", 1)
            case yaml.ScalarEvent():
                anchor, size = event.anchor, 1
            case _:
                continue
        if anchor:
            sizes[anchor] = size
        if levels:
            levels[-1] = (levels[-1][0], levels[-1][1] + size)
            if levels[-1][1] > MOST_VALUES or len(levels) > MOST_LEVELS:
                line = event.start_mark.line + 1 if event.start_mark else 1
                given = f"over {MOST_VALUES:,} values or {MOST_LEVELS} levels"
                raise _refused(path, f"line {line}", given, "a description of sources")


def _broken(path: Path, text: str, error: yaml.MarkedYAMLError) -> ConfigurationError:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return _refused(path, "the file", str(error), "YAML")
    lines = text.splitlines()
    line = lines[mark.line].strip()[:120] if mark.line < len(lines) else "the end of the file"
    return ConfigurationError(
        f"{path} cannot be read: line {mark.line + 1}, column {mark.column + 1}: {error.problem}",
        given=hide_urls(line),
        expected="YAML: the same indentation on one level, quotes around values that hold : # or begin with a sign",
        remedy=f"correct {path.name}",
    )


def _refused(path: Path, where: str, given: str, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{path}: {where}", given=given, expected=expected, remedy=f"correct {path.name}")


def _kind(value: object) -> str:
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case None:
            return "nothing"
        case _:
            return "a text"
