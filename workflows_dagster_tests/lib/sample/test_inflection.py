"""Verb forms and agreement of the made-up reviews."""

import pytest

from workflows_dagster.lib.sample.inflection import Subject, forms, subject
from workflows_dagster.lib.sample.phrases import load_phrases

FIT = Subject("the fit", plural=False)
SEAMS = Subject("the seams", plural=True)


@pytest.mark.parametrize(
    ("predicate", "present", "past"),
    [
        ("run a size small", "runs a size small", "ran a size small"),
        ("pinch", "pinches", "pinched"),
        ("dry overnight", "dries overnight", "dried overnight"),
        ("stay put", "stays put", "stayed put"),
        ("snag", "snags", "snagged"),
        ("freeze on start", "freezes on start", "froze on start"),
        ("leak over the counter", "leaks over the counter", "leaked over the counter"),
        ("glide", "glides", "glided"),
        ("be quiet", "is quiet", "was quiet"),
        ("have weight", "has weight", "had weight"),
    ],
)
def test_predicate_is_inflected_at_its_verb(predicate: str, present: str, past: str) -> None:
    assert forms(predicate, FIT) == {"V": predicate, "Vs": present, "Vd": past}


def test_predicate_agrees_with_a_plural_subject() -> None:
    assert forms("be true to its size", SEAMS, "B") == {
        "B": "be true to their size",
        "Bs": "are true to their size",
        "Bd": "were true to their size",
    }
    assert SEAMS.agreement()["does"] == "do"


def test_subject_is_plural_when_marked() -> None:
    assert subject("~the keys") == Subject("the keys", plural=True)
    assert subject("the dial") == Subject("the dial", plural=False)


def test_product_names_only_aspects_of_its_domain() -> None:
    for name, domain in load_phrases().domains.items():
        for product, aspects in domain.products.items():
            assert set(aspects) <= set(domain.aspects), f"{name}: {product}"
