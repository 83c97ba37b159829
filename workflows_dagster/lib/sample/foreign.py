"""Reviews in other languages than English: few, so simple ones do."""

import random

from workflows_dagster.lib.sample.phrases import Phrases
from workflows_dagster.lib.schema import NEUTRAL, POSITIVE


def foreign_review(rng: random.Random, phrases: Phrases, language: str, label: str) -> str:
    """A review in the language; its sentiment is the label."""
    bank = phrases.foreign[language]
    own, other = (bank.good, bank.bad) if label == POSITIVE else (bank.bad, bank.good)
    at, beside, against = rng.sample(range(len(own)), 3)  # good and bad at one index say the opposite of one thing
    first, second = own[at], own[beside]
    if label == NEUTRAL or rng.random() < 0.4:
        body = other[against] + rng.choice(bank.but) + first
    else:
        body = f"{first}. {second[0].upper()}{second[1:]}"
    opening = rng.choice(bank.openings)
    parts = [*([opening] if opening else []), body[0].upper() + body[1:], rng.choice(bank.verdicts[label])]
    return ". ".join(parts) + "."
