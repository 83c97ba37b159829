"""What the search needs beyond SQL: text queries of the search box, and cosine similarity of vectors."""

import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_TOKEN = re.compile(r'([+-]?)"([^"]*)"|(\S+)')
_OPERATORS = re.compile(r'[|()"]|~\d*$')


@dataclass(frozen=True)
class TextQuery:
    """Patterns that must all occur in a text, and patterns that must not."""

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
    """The patterns of a query: every word and "phrase" must occur, no -word and no -"phrase" may.

    A word also matches inside longer words; word* matches only at the start of one.

    Raises:
        ValueError: It uses an operator of Elasticsearch that is not supported here.
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
    """The text of a field, or all texts within a chat or a custom field."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "\n".join(map(_text, value.values()))
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    return "" if value is None else str(value)


def most_similar(
    rows: Sequence[tuple[object, str]], target: Sequence[float], *, limit: int, threshold: float | None = None
) -> list[tuple[object, float]]:
    """The records closest to a vector, with Elasticsearch's score for it: (1 + cosine) / 2.

    Args:
        rows: Id and vector, a JSON list, of each candidate. Vectors of length zero have no direction: left out.
        target: The vector; the negated one finds the least similar.
        limit: How many at most.
        threshold: Least score.

    Returns:
        Id and score, best first; equals in the order given.

    Raises:
        ValueError: The target has another number of dimensions than the candidates, or no direction.
    """
    wanted = np.asarray(target, dtype=np.float64)
    if not np.linalg.norm(wanted):
        raise ValueError("a vector of zeros has no direction. Expected: at least one number other than 0.")
    if not rows:
        return []
    vectors = np.asarray([json.loads(vector) for _, vector in rows], dtype=np.float64)
    if vectors.shape[1] != wanted.size:
        raise ValueError(f"the vector has {wanted.size} dimensions. Expected: {vectors.shape[1]}.")
    lengths = np.linalg.norm(vectors, axis=1)
    scores = np.full(len(rows), -np.inf)
    pointing = lengths > 0
    scores[pointing] = (1 + vectors[pointing] @ wanted / (lengths[pointing] * np.linalg.norm(wanted))) / 2
    least = -np.inf if threshold is None else threshold
    best = np.argsort(-scores, kind="stable")[:limit]
    return [(rows[at][0], float(scores[at])) for at in best if pointing[at] and scores[at] >= least]
