"""Statements say what their sign says, whatever their words."""

import random

import pytest

from workflows_dagster.lib.sample.phrases import Aspect, Discourse, Domain, Frames, Irony, Phrases, Social, Survey
from workflows_dagster.lib.sample.statements import Product, Speaker

PRODUCT = Product("KI-0001", "kitchen", "kettle", "Alderby", "Wexcombe")


def phrases(frames: Frames) -> Phrases:
    """Banks in which every choice but that of the frame is forced."""
    aspect = Aspect(subjects=("the lid",), good=("close tight",), bad=("leak",), neutral=("have a vent",))
    domain = Domain(products={"kettle": ("lid",)}, aspects={"lid": aspect}, contexts=())
    discourse = Discourse(
        inline=frames,
        standalone=frames,
        event=frames,
        irony=Irony(bad=("Lovely how {S} {Vs}",), good=("Sure, {S} {Vs}",)),
        mock_complaint=("I hate that {S} {Vs}",),
        neutral=("{S} {Vs}",),
        hedged=("{S} more or less {Vs}",),
        concession=(),
        concession_negative=(),
        concession_positive=(),
        balance=(),
        aside=(),
        joins=(),
        verdicts={},
        openings=(),
        social=Social(openings=(), neutral=(), tags=()),
        survey=Survey(openings=(), neutral=()),
        titles={},
        slots={"person": ("my dad",)},
        brands=("Alderby", "Wexcombe"),
    )
    return Phrases(domains={"kitchen": domain, "shop": domain}, discourse=discourse, foreign={})


def say(frames: Frames, sign: int, indirect_ratio: float, seed: int = 0) -> str:
    return Speaker(random.Random(seed), phrases(frames), PRODUCT, indirect_ratio).statement(sign, inline=True)


@pytest.mark.parametrize(
    ("sign", "indirect_ratio", "said"),
    [
        (1, 0.0, "the lid closes tight"),
        (-1, 0.0, "the lid leaks"),
        (1, 1.0, "the lid does not leak"),
        (-1, 1.0, "the lid does not close tight"),
    ],
)
def test_statement_means_its_sign(sign: int, indirect_ratio: float, said: str) -> None:
    frames = Frames(keep=("{S} {Vs}", "{S} {Vs}"), flip=("{S} {does} not {V}", "{S} {does} not {V}"))
    assert say(frames, sign, indirect_ratio) == said


def test_statement_ends_with_what_counts_when_it_turns() -> None:
    frames = Frames(keep=("-", "-"), flip=("-", "-"), turns=("at first {S} {Ad}, now {it} {Bs}",))
    said = {say(frames, -1, 1.0, seed) for seed in range(20)}
    assert said == {"-", "at first the lid closed tight, now it leaks"}


def test_subject_is_a_pronoun_when_the_frame_names_the_product() -> None:
    frames = Frames(keep=("unlike my old {p}, {S} {Vs}", "-"), flip=("-", "-"))
    bank = phrases(frames)
    aspect = bank.domains["kitchen"].aspects["lid"].model_copy(update={"subjects": ("this {p}",)})
    domain = bank.domains["kitchen"].model_copy(update={"aspects": {"lid": aspect}})
    bank = bank.model_copy(update={"domains": {"kitchen": domain, "shop": domain}})
    said = {Speaker(random.Random(seed), bank, PRODUCT, 0).statement(1, inline=True) for seed in range(20)}
    assert said == {"-", "unlike my old kettle, it closes tight"}
