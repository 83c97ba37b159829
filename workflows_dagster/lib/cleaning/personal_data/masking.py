"""All rules that put typed tokens in place of personal data, in their order."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.cleaning.personal_data.addresses import ADDRESS_GUARD, addresses
from workflows_dagster.lib.cleaning.personal_data.contacts import (
    HANDLE_GUARD,
    contact_rules,
    told_handles,
    url_rule,
)
from workflows_dagster.lib.cleaning.personal_data.masks import Mask, Recognizer, put_masks, put_masks_near
from workflows_dagster.lib.cleaning.personal_data.names import NAME_GUARD, introductions
from workflows_dagster.lib.cleaning.personal_data.numbers import NUMBER_GUARD, near_numbers, number_recognizers
from workflows_dagster.lib.cleaning.personal_data.phones import DISGUISED_PHONE_GUARD, disguised_phones, phone_rule
from workflows_dagster.lib.cleaning.personal_data.words import (
    NUMBER_WORD_GUARD,
    PASSWORD_GUARD,
    WORD_GUARD,
    numbers_after_words,
    passwords,
    words_after_words,
)
from workflows_dagster.lib.cleaning.rules import TEXT, Rule, RuleGroup, by_row, substitute

if TYPE_CHECKING:
    from workflows_dagster.lib.cleaning.settings import CleaningSettings


def personal_data_rules(settings: "CleaningSettings") -> Sequence[Rule | RuleGroup]:
    """Masking rules, the most certain shapes first: a URL may hold an @, an order number a card's digits."""
    return (
        url_rule(settings),
        *contact_rules(),
        RuleGroup(
            TEXT.str.contains(r"\d"),
            (
                _order_rule(settings),
                RuleGroup(
                    TEXT.str.contains(NUMBER_GUARD),
                    (
                        _numbers(r"\d", number_recognizers),
                        _numbers(NUMBER_WORD_GUARD, numbers_after_words),
                        phone_rule(settings),
                    ),
                ),
                _rule(ADDRESS_GUARD, addresses),
                _rule(WORD_GUARD, words_after_words),
            ),
        ),
        _rule(HANDLE_GUARD, told_handles),
        _rule(f"{DISGUISED_PHONE_GUARD}|{PASSWORD_GUARD}|{NAME_GUARD}", disguised_phones, passwords, introductions),
    )


_ALL: Final = {mask.kind: mask.value for mask in Mask}


def _rule(guard: str, *recognizers: Callable[[], Sequence[Recognizer]]) -> Rule:
    """A rule that runs recognizers on the rows that pass a guard; they are compiled when a row first needs them."""

    def change(text: str) -> str:
        for each in recognizers:
            text = put_masks(text, each())
        return text

    return Rule("masked", TEXT.str.contains(guard), by_row(change), _ALL)


def _numbers(guard: str, recognizers: Callable[[], Sequence[Recognizer]]) -> Rule:
    def change(text: str) -> str:
        return put_masks_near(text, near_numbers(), recognizers())

    return Rule("masked", TEXT.str.contains(guard), by_row(change), _ALL)


def _order_rule(settings: "CleaningSettings") -> Rule:
    patterns = settings.order_patterns
    kept = ((pattern, ("${keep}" if "(?P<keep>" in pattern else "") + Mask.ORDER.value) for pattern in patterns)
    # One pattern to look for all: the engine keeps few compiled.
    any_of_them = "|".join(f"(?:{pattern.replace('(?P<keep>', '(?:')})" for pattern in patterns)
    guard = TEXT.str.contains(r"\d{3}") & TEXT.str.contains(any_of_them)
    return Rule(Mask.ORDER.kind, guard, substitute(*kept), Mask.ORDER.counted)
