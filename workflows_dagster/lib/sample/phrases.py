"""The phrase banks: what the made-up reviews are composed of, checked when loaded."""

from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict

DOMAINS = ("clothing", "kitchen", "electronics")
SHOP = "shop"


class _Bank(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Aspect(_Bank):
    """One side of a product, and what can be said of it.

    Attributes:
        subjects: Noun phrases; `~` marks a plural.
        good: Predicates in base form that praise it.
        bad: Predicates in base form that fault it.
        neutral: Predicates in base form that do neither.
    """

    subjects: tuple[str, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]
    neutral: tuple[str, ...]

    def predicates(self, sign: int) -> tuple[str, ...]:
        """Those that praise (sign above 0), fault (below) or do neither."""
        return self.good if sign > 0 else self.bad if sign < 0 else self.neutral


class Domain(_Bank):
    """Products of one department: the aspects of each, and what writers say around them."""

    products: dict[str, tuple[str, ...]]
    aspects: dict[str, Aspect]
    contexts: tuple[str, ...]


class Frames(_Bank):
    """Frames that keep or turn round the polarity of the predicate put into them.

    Attributes:
        keep: Those that say what the predicate says; the first is the plainest.
        flip: Those that say the opposite; the first is the plainest.
        keep_good: Further ones that keep, for predicates that praise.
        keep_bad: Further ones that keep, for predicates that fault.
        flip_good: Further ones that turn round, for predicates that praise.
        flip_bad: Further ones that turn round, for predicates that fault.
        turns: Frames of two predicates, of which one counts.
    """

    keep: tuple[str, ...]
    flip: tuple[str, ...]
    keep_good: tuple[str, ...] = ()
    keep_bad: tuple[str, ...] = ()
    flip_good: tuple[str, ...] = ()
    flip_bad: tuple[str, ...] = ()
    turns: tuple[str, ...] = ()


class Irony(_Bank):
    """Praise that is meant as a complaint, by the polarity of its predicate."""

    bad: tuple[str, ...]
    good: tuple[str, ...]


class Social(_Bank):
    """What only posts have."""

    openings: tuple[str, ...]
    neutral: tuple[str, ...]
    tags: tuple[str, ...]


class Survey(_Bank):
    """What only survey answers have."""

    openings: tuple[str, ...]
    neutral: tuple[str, ...]


class Discourse(_Bank):
    """How statements are framed, joined and concluded."""

    inline: Frames
    standalone: Frames
    event: Frames
    irony: Irony
    mock_complaint: tuple[str, ...]
    neutral: tuple[str, ...]
    hedged: tuple[str, ...]
    concession: tuple[str, ...]
    concession_negative: tuple[str, ...]
    concession_positive: tuple[str, ...]
    balance: tuple[str, ...]
    aside: tuple[str, ...]
    joins: tuple[str, ...]
    verdicts: dict[str, tuple[str, ...]]
    openings: tuple[str, ...]
    social: Social
    survey: Survey
    titles: dict[str, tuple[str, ...]]
    slots: dict[str, tuple[str, ...]]
    brands: tuple[str, ...]


class ForeignBank(_Bank):
    """Reviews of one other language."""

    openings: tuple[str, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]
    but: tuple[str, ...]
    verdicts: dict[str, tuple[str, ...]]


class Phrases(_Bank):
    """All phrase banks."""

    domains: dict[str, Domain]
    discourse: Discourse
    foreign: dict[str, ForeignBank]


@cache
def load_phrases() -> Phrases:
    """The phrase banks of this package."""
    return Phrases(
        domains={name: Domain.model_validate(_read(name)) for name in (*DOMAINS, SHOP)},
        discourse=Discourse.model_validate(_read("discourse")),
        foreign={name: ForeignBank.model_validate(bank) for name, bank in _read("foreign").items()},
    )


def _read(name: str) -> dict[str, object]:
    text = files("workflows_dagster.lib.sample").joinpath("phrases", f"{name}.yaml").read_text("utf-8")
    # The C loader takes a tenth of the time; wheels of PyYAML carry it on every platform this project runs on.
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
