"""Whole reviews: statements arranged so that their order and scope decide the sentiment."""

import random
from typing import Final, Literal

from workflows_dagster.lib.sample.phrases import Phrases
from workflows_dagster.lib.sample.statements import Product, Speaker
from workflows_dagster.lib.schema import NEGATIVE, NEUTRAL, POSITIVE

Genre = Literal["shop", "social", "survey"]
SIGNS: Final = {POSITIVE: 1, NEUTRAL: 0, NEGATIVE: -1}

# How likely a review of the genre has an opening, a context sentence and a verdict.
_EXTRAS: Final[dict[Genre, tuple[float, float, float]]] = {
    "shop": (0.2, 0.25, 0.55),
    "social": (0.4, 0.0, 0.4),
    "survey": (0.2, 0.05, 0.4),
}
# Share of the decided reviews that also say something undecided, as the neutral ones do.
_FILLER_RATIO: Final = 0.16
# Weights of: statements of one kind, a concession, an aside, irony.
_SHAPES: Final[dict[Genre, tuple[int, int, int, int]]] = {
    "shop": (42, 34, 16, 8),
    "social": (56, 24, 8, 12),
    "survey": (56, 28, 10, 6),
}


class Composer:
    """Writes reviews of one genre about one product.

    Args:
        rng: Where every choice comes from.
        phrases: The phrase banks.
        genre: Which kind of platform the review is for.
        indirect_ratio: Share of statements whose words point away from what they mean.
    """

    def __init__(self, rng: random.Random, phrases: Phrases, genre: Genre, indirect_ratio: float) -> None:
        self._rng = rng
        self._phrases = phrases
        self._genre: Genre = genre
        self._indirect_ratio = indirect_ratio

    def title(self, product: Product, label: str) -> str:
        """A headline; many are the same whatever the label."""
        titles = self._phrases.discourse.titles
        bank = titles["any"] if self._rng.random() < 0.4 else titles[label]
        return _sentence(Speaker(self._rng, self._phrases, product, 0).pick(bank))

    def text(self, product: Product, label: str) -> str:
        """A review whose sentiment is the label."""
        speaker = Speaker(self._rng, self._phrases, product, self._indirect_ratio)
        opening, context, verdict = _EXTRAS[self._genre]
        parts: list[str] = []
        if self._rng.random() < opening:
            parts.append(self._opening(speaker))
        if self._rng.random() < context:
            parts.append(speaker.pick(self._phrases.domains[product.domain].contexts))
        sign = SIGNS[label]
        parts += self._undecided(speaker) if sign == 0 else self._decided(speaker, sign)
        if sign and self._rng.random() < _FILLER_RATIO:
            parts.append(self._rng.choice((speaker.fact, speaker.hedge))())
        if self._rng.random() < verdict:
            parts.append(speaker.pick(self._phrases.discourse.verdicts[label]))
        return " ".join(_sentence(part) for part in parts)

    def _opening(self, speaker: Speaker) -> str:
        discourse = self._phrases.discourse
        bank = discourse.social.openings if self._genre == "social" else discourse.openings
        return speaker.pick(bank)

    def _decided(self, speaker: Speaker, sign: int) -> list[str]:
        shape = self._rng.choices(("plain", "concession", "aside", "irony"), _SHAPES[self._genre])[0]
        if shape == "irony":
            ironic = speaker.irony() if sign < 0 else speaker.mock_complaint()
            return [ironic, self._run(speaker, sign, 1)] if self._rng.random() < 0.6 else [ironic]
        if shape == "plain":
            return [self._run(speaker, sign, self._length())]
        if shape == "aside":
            aside = speaker.fill(
                self._rng.choice(self._phrases.discourse.aside),
                {"x": speaker.statement(-sign, inline=True, granted=True)},
            )
            return [self._run(speaker, sign, self._length()), aside]
        conceded = self._concession(speaker, sign)
        if self._genre == "shop" and self._rng.random() < 0.5:
            return [conceded, self._run(speaker, sign, 1)]
        return [conceded]

    def _concession(self, speaker: Speaker, sign: int) -> str:
        discourse = self._phrases.discourse
        one_sided = discourse.concession_positive if sign > 0 else discourse.concession_negative
        granted = speaker.statement(-sign, inline=True, granted=True)
        decisive = speaker.statement(sign, inline=True)
        return speaker.fill(self._rng.choice(discourse.concession + one_sided), {"x": granted, "y": decisive})

    def _undecided(self, speaker: Speaker) -> list[str]:
        discourse = self._phrases.discourse
        shape = self._rng.choices(("balance", "facts", "hedges", "genre"), (46, 16, 24, 14))[0]
        if shape == "balance":
            good, bad = (speaker.statement(side, inline=True, granted=True) for side in (1, -1))
            first, second = (good, bad) if self._rng.random() < 0.5 else (bad, good)
            values = {"x": first, "y": second, "g": good, "b": bad}
            return [speaker.fill(self._rng.choice(discourse.balance), values)]
        if shape == "facts":
            return [speaker.fact() for _ in range(self._length())]
        if shape == "hedges":
            return [speaker.hedge() for _ in range(min(2, self._length()))]
        if self._genre == "social":
            return [speaker.pick(discourse.social.neutral)]
        if self._genre == "survey":
            return [speaker.pick(discourse.survey.neutral), speaker.fact()]
        return [speaker.fact(), speaker.hedge()]

    def _run(self, speaker: Speaker, sign: int, length: int) -> str:
        """Statements of one polarity in a row."""
        statements = [speaker.statement(sign, inline=index > 0) for index in range(length)]
        if self._genre == "survey" and self._rng.random() < 0.3:
            because = self._rng.choice(self._phrases.discourse.survey.openings)
            statements[0] = f"{because} {speaker.statement(sign, inline=True)}"
        text = statements[0]
        for statement in statements[1:]:
            join = self._rng.choice(self._phrases.discourse.joins)
            text += ". " + statement if text.endswith("?") else join + statement
        return text

    def _length(self) -> int:
        weights = {"shop": (30, 52, 18), "social": (60, 40, 0), "survey": (45, 45, 10)}[self._genre]
        return self._rng.choices((1, 2, 3), weights)[0]


def _sentence(text: str) -> str:
    """The text with a capital at the start of each sentence and a mark at its end."""
    capital, letters = True, list(text)
    for index, letter in enumerate(letters):
        if capital and letter.isalnum():
            letters[index], capital = letter.upper(), False
        elif letter in ".?!" and text[index + 1 : index + 2] == " ":
            capital = True
    text = "".join(letters)
    return text if text.endswith((".", "?", "!", ":")) else text + "."
