"""Rules that rewrite texts: a cheap columnar guard picks the rows, and only those pay for the change.

polars evaluates both branches of `when` on every row, so a conditional expression saves nothing. Here the rows
that pass the guard are taken out, changed and put back.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

TEXT: Final = pl.col("text")
MAX_PASSES: Final = 64
"""Nothing that people write takes more than five passes; a text of nested escapes loses one level in each."""


@dataclass(frozen=True)
class Rule:
    """One change to texts.

    Attributes:
        name: Key under which the changed rows, or the masks, are counted.
        guard: Cheap expression over TEXT; true for every row that the change could alter, and for few others.
        change: Texts to texts, row by row alike.
        masks: The tokens that the change puts in place of personal data, by kind; their occurrences are counted.
    """

    name: str
    guard: pl.Expr
    change: Callable[[pl.Series], pl.Series]
    masks: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class RuleGroup:
    """Rules that share a guard, so that their own guards look only at the rows that pass it."""

    guard: pl.Expr
    rules: "Sequence[Rule | RuleGroup]"


@dataclass(frozen=True)
class Rewritten:
    """Texts after the rules.

    Attributes:
        texts: One per input row.
        masked: int32; pieces of personal data masked in each row.
        repaired: Rows that each rule changed.
        masks: Pieces that each masking rule masked.
    """

    texts: pl.Series
    masked: pl.Series
    repaired: Counter[str] = field(default_factory=Counter[str])
    masks: Counter[str] = field(default_factory=Counter[str])


def rewrite_until_stable(
    texts: pl.Series, rules: Sequence[Rule | RuleGroup], more: Sequence[Rule | RuleGroup] = ()
) -> Rewritten:
    """Applies the rules in order, again to the rows that changed, until nothing changes.

    A change can reveal work for an earlier rule ("&amp;lt;br&gt;", an e-mail address split by a zero-width space).
    Because the result is a fixed point, cleaning a cleaned text changes nothing.

    Args:
        texts: Already a fixed point of `more`.
        rules: What is applied to all of them.
        more: What is applied too, and first, to those that the rules change.
    """
    result = _rewrite(texts, rules)
    pending = texts != result.texts
    for _ in range(MAX_PASSES):
        if not pending.any():
            break
        before = result.texts.filter(pending)
        again = _rewrite(before, (*more, *rules))
        result = _merge(result, pending, again)
        pending = spread(before != again.texts, pending, pending)
    return result


def replace_distinct(texts: pl.Series, pattern: str, replacement: Callable[[str], str]) -> pl.Series:
    """Replaces what a pattern matches by a function of the match, called once for each distinct match.

    The matched strings are then replaced wherever they stand, the leftmost and longest first. Only for patterns whose
    matches mean the same in every context, and of which none can begin inside another.
    """
    found = texts.str.extract_all(pattern).explode().drop_nulls().unique().to_list()
    pairs = {match: replacement(match) for match in sorted(found, key=lambda match: (-len(match), match))}
    # A match that stays is still listed: a shorter one within it must not be replaced.
    if all(match == new for match, new in pairs.items()):
        return texts
    return texts.str.replace_many(list(pairs), list(pairs.values()), leftmost=True)


def change_where(texts: pl.Series, guard: pl.Expr, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """The texts with a change made to the rows that pass the guard, and no work done on the others."""
    rows = texts.to_frame("text").select(guard).to_series()
    return spread(change(texts.filter(rows)), rows, texts) if rows.any() else texts


def spread(values: pl.Series, rows: pl.Series, otherwise: pl.Series) -> pl.Series:
    """The values at the rows that are true, in order, and `otherwise` elsewhere."""
    if rows.all():
        return values
    if values.is_empty():
        return otherwise
    position = (rows.cast(pl.UInt32).cum_sum().cast(pl.Int64) - 1).clip(lower_bound=0)
    return values.gather(position).zip_with(rows, otherwise)


def substitute(*pairs: tuple[str, str]) -> Callable[[pl.Series], pl.Series]:
    """A change that replaces what each pattern matches, one pattern after the other.

    Args:
        pairs: A regular expression in Rust syntax and what is put in place of its matches; ${1} stands for a group.
    """

    def change(texts: pl.Series) -> pl.Series:
        for pattern, replacement in pairs:
            texts = texts.str.replace_all(pattern, replacement)
        return texts

    return change


def by_row(function: Callable[[str], str]) -> Callable[[pl.Series], pl.Series]:
    """A change that calls a Python function on each row: only behind a guard that few rows pass."""
    return lambda texts: pl.Series(texts.name, [function(text) for text in texts], pl.String)


def _rewrite(texts: pl.Series, rules: Sequence[Rule | RuleGroup]) -> Rewritten:
    result = Rewritten(texts, pl.zeros(len(texts), pl.Int32, eager=True))
    for rule in rules:
        candidates = result.texts.to_frame("text").select(rule.guard).to_series()
        if not candidates.any():
            continue
        before = result.texts.filter(candidates)
        part = _rewrite(before, rule.rules) if isinstance(rule, RuleGroup) else _apply(before, rule)
        result = _merge(result, candidates, part)
    return result


def _apply(texts: pl.Series, rule: Rule) -> Rewritten:
    after = rule.change(texts)
    masked = pl.zeros(len(texts), pl.Int32, eager=True)
    if not rule.masks:
        return Rewritten(after, masked, Counter({rule.name: int((texts != after).sum())}))
    counts = Counter[str]()
    for kind, token in rule.masks.items():
        new = _occurrences(after, token) - _occurrences(texts, token)
        masked += new
        counts[kind] = int(new.sum())
    return Rewritten(after, masked, masks=+counts)


def _occurrences(texts: pl.Series, token: str) -> pl.Series:
    return texts.str.count_matches(token, literal=True).cast(pl.Int32)


def _merge(whole: Rewritten, rows: pl.Series, part: Rewritten) -> Rewritten:
    return Rewritten(
        spread(part.texts, rows, whole.texts),
        whole.masked + spread(part.masked, rows, pl.zeros(len(rows), pl.Int32, eager=True)),
        whole.repaired + part.repaired,
        whole.masks + part.masks,
    )
