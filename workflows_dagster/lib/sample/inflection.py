"""English verb forms and agreement, as far as the phrase banks need them."""

import re
from typing import Final, NamedTuple

_PRESENT: Final = {"be": "is", "have": "has", "do": "does", "go": "goes"}
# fmt: off
_PAST: Final = {
    "bleed": "bled", "cling": "clung", "forget": "forgot", "freeze": "froze", "reset": "reset", "slide": "slid",
    "answer": "answered", "be": "was", "bear": "bore", "bring": "brought", "burst": "burst", "buy": "bought",
    "catch": "caught", "come": "came", "cover": "covered", "cut": "cut", "dig": "dug", "do": "did", "eat": "ate",
    "fall": "fell", "feed": "fed", "feel": "felt", "find": "found", "fit": "fitted", "get": "got", "give": "gave",
    "go": "went", "hang": "hung", "have": "had", "hide": "hid", "hit": "hit", "hold": "held", "hurt": "hurt",
    "keep": "kept", "leave": "left", "let": "let", "lie": "lay", "light": "lit", "lose": "lost", "make": "made",
    "offer": "offered", "open": "opened", "overflow": "overflowed", "read": "read", "ride": "rode", "run": "ran",
    "say": "said", "send": "sent", "shed": "shed", "show": "showed", "shrink": "shrank", "sit": "sat",
    "split": "split", "stand": "stood", "stick": "stuck", "stink": "stank", "suffer": "suffered", "swell": "swelled",
    "take": "took", "tell": "told", "trigger": "triggered", "turn": "turned", "wake": "woke", "wear": "wore",
}
# fmt: on
_DOUBLES: Final = re.compile(r"[^aeiou]*[aeiou][bdgklmnprt]")
_PLURAL: Final = {"is": "are", "was": "were"}


class Subject(NamedTuple):
    """A noun phrase and its number."""

    words: str
    plural: bool

    def agreement(self) -> dict[str, str]:
        """The words of a frame that depend on the subject."""
        if self.plural:
            plural = {"it": "they", "It": "They", "them": "them", "was": "were", "has": "have"}
            return plural | {"does": "do", "Does": "Do"}
        return {word: word for word in ("it", "It", "was", "has", "does", "Does")} | {"them": "it"}


def subject(phrase: str) -> Subject:
    """The subject that a phrase of the banks stands for: `~` marks a plural."""
    return Subject(phrase.removeprefix("~"), phrase.startswith("~"))


def forms(predicate: str, of: Subject, letter: str = "V") -> dict[str, str]:
    """Base (`V`), present (`Vs`) and past (`Vd`) of a predicate whose first word is its verb."""
    verb, _, rest = predicate.partition(" ")
    rest = f" {rest}" if rest else ""
    if of.plural:
        rest = re.sub(r"\bits\b", "their", rest)
    present, past = _present(verb), _past(verb)
    if of.plural:
        present, past = _PLURAL.get(present, verb), _PLURAL.get(past, past)
    return {letter: verb + rest, f"{letter}s": present + rest, f"{letter}d": past + rest}


def _present(verb: str) -> str:
    if verb in _PRESENT:
        return _PRESENT[verb]
    if verb.endswith(("s", "sh", "ch", "x", "z", "o")):
        return verb + "es"
    return verb[:-1] + "ies" if _ends_in_consonant_y(verb) else verb + "s"


def _past(verb: str) -> str:
    if verb in _PAST:
        return _PAST[verb]
    if verb.endswith("e"):
        return verb + "d"
    if _ends_in_consonant_y(verb):
        return verb[:-1] + "ied"
    return verb + verb[-1] + "ed" if _DOUBLES.fullmatch(verb) else verb + "ed"


def _ends_in_consonant_y(verb: str) -> bool:
    return verb.endswith("y") and not verb.endswith(("ay", "ey", "oy", "uy"))
