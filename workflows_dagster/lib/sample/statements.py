"""Single statements: a subject, a predicate and the frame that decides which way it points."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from workflows_dagster.lib.sample.inflection import Subject, forms, subject
from workflows_dagster.lib.sample.phrases import SHOP, Aspect, Phrases

_SLOT: Final = re.compile(r"\{(\w+)\}")
_PLAIN_RATIO: Final = 0.5  # of direct and of negated statements, those in the plainest frame
_INLINE_RATIO: Final = 0.75  # of the statements that may be several sentences, those that are not
_GRANTED_INDIRECT_RATIO: Final = 0.4  # how much of the indirectness is left in what another statement outweighs
_SHOP_RATIO: Final = 0.14  # of all statements, those about the purchase rather than the product
_TURN_RATIO: Final = 0.3  # of the indirect statements, those that set one predicate against another


@dataclass(frozen=True)
class Product:
    """A made-up product: what all platforms know it by."""

    sku: str
    domain: str
    noun: str
    brand: str
    other_brand: str


class _Topic(NamedTuple):
    subject: Subject
    aspect: Aspect
    once: bool  # something that happened, not a lasting property


class Speaker:
    """Says things about one product, never the same thing twice.

    Args:
        rng: Where every choice comes from.
        phrases: The phrase banks.
        product: What is spoken of.
        indirect_ratio: Share of statements whose words point away from what they mean.
    """

    def __init__(self, rng: random.Random, phrases: Phrases, product: Product, indirect_ratio: float) -> None:
        self._rng = rng
        self._phrases = phrases
        self._product = product
        self._indirect_ratio = indirect_ratio
        self._said: set[str] = set()

    def statement(self, sign: int, *, inline: bool, granted: bool = False) -> str:
        """A statement that praises or faults.

        Args:
            sign: 1 praises, -1 faults.
            inline: Whether it must fit inside a sentence.
            granted: Whether another one outweighs it; such are mostly said straight out.
        """
        discourse = self._phrases.discourse
        topic = self._topic(SHOP if self._rng.random() < _SHOP_RATIO else self._product.domain)
        if topic.once:
            frames = discourse.event
        else:
            frames = discourse.inline if inline or self._rng.random() < _INLINE_RATIO else discourse.standalone
        indirect_ratio = self._indirect_ratio * (_GRANTED_INDIRECT_RATIO if granted else 1)
        if self._rng.random() >= indirect_ratio:
            one_sided = frames.keep_good if sign > 0 else frames.keep_bad
            return self._frame(self._plain_or(frames.keep, one_sided), sign, topic)
        if frames.turns and self._rng.random() < _TURN_RATIO:
            return self._turn(self._fresh(frames.turns), sign, topic)
        one_sided = frames.flip_bad if sign > 0 else frames.flip_good
        return self._frame(self._plain_or(frames.flip, one_sided), -sign, topic)

    def irony(self) -> str:
        """A complaint in the words of praise."""
        irony = self._phrases.discourse.irony
        if self._rng.random() < 0.7:
            return self._frame(self._rng.choice(irony.bad), -1)
        return self._frame(self._rng.choice(irony.good), 1)

    def mock_complaint(self) -> str:
        """Praise in the words of a complaint."""
        return self._frame(self._rng.choice(self._phrases.discourse.mock_complaint), 1)

    def fact(self) -> str:
        """A statement without an opinion."""
        return self._frame(self._rng.choice(self._phrases.discourse.neutral), 0)

    def hedge(self) -> str:
        """An opinion toned down until it says little."""
        return self._frame(self._rng.choice(self._phrases.discourse.hedged), self._rng.choice((-1, 1)))

    def pick(self, bank: Sequence[str]) -> str:
        """One of these templates, filled."""
        return self.fill(self._rng.choice(bank), {})

    def fill(self, template: str, values: Mapping[str, str]) -> str:
        """The template with its slots filled: from the values, the product, else by chance."""

        def value(match: re.Match[str]) -> str:
            name = match[1]
            return values[name] if name in values else self._slot(name)

        return _SLOT.sub(value, template)

    def _slot(self, name: str) -> str:
        product = self._product
        known = {"p": product.noun, "brand": product.brand, "brand2": product.other_brand}
        if name in known:
            return known[name]
        if name == "person_cap":
            person = self._slot("person")
            return person[0].upper() + person[1:]
        return self._rng.choice(self._phrases.discourse.slots[name])

    def _plain_or(self, frames: Sequence[str], one_sided: Sequence[str]) -> str:
        """The plainest frame, or any other one that was not used yet."""
        return frames[0] if self._rng.random() < _PLAIN_RATIO else self._fresh([*frames[1:], *one_sided])

    def _frame(self, frame: str, sign: int, topic: "_Topic | None" = None) -> str:
        of, aspect, _ = _beside(frame, topic or self._topic(self._product.domain), self._product.noun)
        return self.fill(frame, {"S": of.words, **of.agreement(), **self._forms(aspect, sign, of, "V")})

    def _turn(self, frame: str, sign: int, topic: "_Topic") -> str:
        of, aspect, _ = _beside(frame, topic, self._product.noun)
        values = {**self._forms(aspect, -sign, of, "A"), **self._forms(aspect, sign, of, "B")}
        return self.fill(frame, {"S": of.words, **of.agreement(), **values})

    def _forms(self, aspect: Aspect, sign: int, of: Subject, letter: str) -> dict[str, str]:
        return forms(self.fill(self._fresh(aspect.predicates(sign)), {}), of, letter)

    def _topic(self, domain_name: str) -> "_Topic":
        domain = self._phrases.domains[domain_name]
        names = domain.products.get(self._product.noun) or tuple(domain.aspects)
        aspect = domain.aspects[self._fresh(names)]
        phrase = subject(self._rng.choice(aspect.subjects))
        return _Topic(Subject(self.fill(phrase.words, {}), phrase.plural), aspect, domain_name == SHOP)

    def _fresh(self, options: Sequence[str]) -> str:
        unsaid = [option for option in options if option not in self._said] or list(options)
        choice = self._rng.choice(unsaid)
        self._said.add(choice)
        return choice


def _beside(frame: str, topic: _Topic, noun: str) -> _Topic:
    """The topic as "it" where the frame names the product, or another maker's, and the subject would name it again."""
    names_it = "{p}" in frame or "{brand}" in frame
    return topic._replace(subject=Subject("it", plural=False)) if names_it and noun in topic.subject.words else topic
