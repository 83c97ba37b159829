"""Text queries of the search box, matched against the fields of a record without a search index."""

import functools
import json
import re
from dataclasses import dataclass

_TOKEN = re.compile(r'([+-]?)"([^"]*)"|(\S+)')
_OPERATORS = re.compile(r'[|()"]|~\d*$')


@dataclass(frozen=True)
class TextQuery:
    """Patterns that must all be found in a text, and patterns of which none may be."""

    required: tuple[re.Pattern[str], ...]
    forbidden: tuple[re.Pattern[str], ...]

    def matches(self, text: str) -> bool:
        """Whether a text fits; case does not count."""
        folded = text.casefold()
        return all(pattern.search(folded) for pattern in self.required) and not any(
            pattern.search(folded) for pattern in self.forbidden
        )


@functools.lru_cache(maxsize=64)
def parse(query: str) -> TextQuery:
    """The meaning of a query: every word and every "phrase" is contained, no -word and no -"phrase" is.

    A word is found inside longer words too; word* only at the start of one.

    Raises:
        ValueError: It uses an operator of Elasticsearch that has no meaning here.
    """
    required: list[re.Pattern[str]] = []
    forbidden: list[re.Pattern[str]] = []
    for sign, phrase, word in _TOKEN.findall(query):
        negated = sign == "-" or word.startswith("-")
        pattern = r"\s+".join(map(re.escape, phrase.casefold().split())) if not word else _word(word, query)
        if pattern:
            (forbidden if negated else required).append(re.compile(pattern))
    return TextQuery(tuple(required), tuple(forbidden))


def _word(word: str, query: str) -> str:
    if _OPERATORS.search(word):
        raise ValueError(
            f"the text query {query!r} uses {word!r}, which the local Argilla does not support. "
            'Expected: words, prefix*, "phrases", and - before what must not occur. '
            "Next: put the text in double quotes to find it as it stands."
        )
    bare = word.lstrip("+-")
    stem = bare.rstrip("*")
    prefix = r"(?<!\w)" if stem != bare else ""
    return prefix + re.escape(stem.casefold()) if stem else ""


def record_matches(fields: str, names: str, query: str) -> bool:
    """Whether a record fits a text query, as a function of SQL.

    Args:
        fields: All fields of the record, JSON.
        names: Names of the fields to look into, a JSON list.
        query: As it was typed.
    """
    values = json.loads(fields)
    return parse(query).matches("\n".join(_text(values.get(name)) for name in json.loads(names)))


def _text(value: object) -> str:
    """What can be read in a field: the text itself, or every text within a chat or a custom field."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "\n".join(map(_text, value.values()))
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    return "" if value is None else str(value)
