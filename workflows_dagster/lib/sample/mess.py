"""Mess as real exports have it: each kind is put into some texts and counted."""

import html
import random
from collections import Counter
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.sample.written import WrittenReview
from workflows_dagster.lib.schema import NEGATIVE, NEUTRAL, POSITIVE

if TYPE_CHECKING:
    from collections.abc import Callable

RATES: Final[dict[str, dict[str, float]]] = {
    "northgate_shop": {
        "email": 0.015,
        "phone": 0.015,
        "card": 0.01,
        "order": 0.03,
        "url": 0.01,
        "emoji": 0.03,
        "entity": 0.04,
        "html": 0.06,
        "mojibake": 0.03,
    },
    "pipit_posts": {"email": 0.005, "handle": 0.12, "url": 0.06, "emoji": 0.08, "mojibake": 0.02},
    "hearth_survey": {"email": 0.015, "phone": 0.02, "order": 0.02, "emoji": 0.02, "mojibake": 0.02},
}
"""Share of the reviews of each platform that each kind of mess is put into."""

_SENTENCES: Final = {
    "email": ("Write to me at {}.", "My address is {}.", "Mail: {}", "I can be reached under {}.", "E-mail me, {}."),
    "phone": ("My number is {}.", "Please ring {}.", "tel {}", "I am on {} in the evening.", "You may call {}."),
    "card": ("I paid with card {}.", "It went on the card {}.", "The card was {}."),
    "order": ("Order no. {}.", "My order number is {}.", "This was order {}.", "order #{}", "Invoice {}."),
}
"""Sentences of their own, in which personal data stand; they say nothing of the product."""

_EMOJI: Final = {
    POSITIVE: ("😍", "👍", "🙌", "❤️", "😊", "👌🏽", "😂"),
    NEUTRAL: ("🤷", "🤔", "😐", "👀"),
    NEGATIVE: ("😡", "👎", "🤦‍♀️", "😤", "🙃"),
}
_FIRST_NAMES: Final = ("ana", "ben", "carla", "deniz", "ella", "finn", "greta", "hugo", "ines", "jonas", "kim", "lea")
_LAST_NAMES: Final = (
    "adler",
    "brook",
    "castro",
    "dorn",
    "elling",
    "frost",
    "garcia",
    "holt",
    "irwin",
    "jansen",
    "kerr",
)
_KEYBOARD_ROWS: Final = ("asdfghjkl", "qwertyuiop", "zxcvbnm,.", "lkjhgfdsa", "poiuytrewq")
# Card networks publish these for tests: they pass the Luhn check and belong to nobody.
_CARDS: Final = ("4111 1111 1111 1111", "5555 5555 5555 4444", "4242424242424242", "3782 822463 10005")
# Ranges that Ofcom and the North American plan keep for fiction.
_PHONES: Final = ("+44 161 496 0{:03}", "+44 20 7946 0{:03}", "+1 202-555-01{:02}")


class Mess:
    """Puts mess into texts and counts the rows of each kind.

    Args:
        rng: Where every choice comes from.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.planted: Counter[str] = Counter()

    def soil(self, review: WrittenReview, rates: dict[str, float]) -> str:
        """The text of the review with every kind of mess that the dice say, in a fixed order."""
        kinds: dict[str, Callable[[str], str]] = {
            "email": lambda text: self._say("email", text, self.address()),
            "phone": lambda text: self._say("phone", text, self._phone()),
            "card": lambda text: self._say("card", text, self._rng.choice(_CARDS)),
            "order": lambda text: self._say("order", text, f"NG-{self._rng.randrange(10**7, 10**8)}"),
            "handle": self._handle,
            "url": self._url,
            "emoji": lambda text: text + " " + self._emoji(review.label) * self._rng.choice((1, 1, 2, 3)),
            "entity": lambda text: html.escape(text).replace(". ", ".&nbsp;", 1),
            "html": self._html,
            "mojibake": _mojibake,
        }
        text = review.text
        for kind, spoil in kinds.items():
            # The sentences are English: after a short text in another language they would decide its language.
            if self._rng.random() < rates.get(kind, 0) and (kind not in _SENTENCES or review.language == "en"):
                soiled = spoil(text)
                self.planted[kind] += soiled != text
                text = soiled
        return text

    def copy(self, text: str) -> str:
        """The text once more; case and punctuation may differ, no word does."""
        return self._rng.choice((text, text, text.lower(), text.rstrip(".") + "!!", text.replace(", ", " ")))

    def near_copy(self, text: str, label: str) -> str:
        """The text once more with a small edit."""
        words = text.split(" ")
        at = self._rng.randrange(len(words))
        doubled = " ".join([*words[: at + 1], *words[at:]])
        return self._rng.choice(
            (
                doubled,
                "Edit: " + text,
                f"{text} {self._emoji(label)}",
                text + self._rng.choice((" Thanks.", " Cheers.", " Just saying.")),
            )
        )

    def junk(self) -> str:
        """Keys hit at random, or a single character: nothing that could be called a review."""
        if self._rng.random() < 0.3:
            return self._rng.choice("abcdefghijklmnopqrstuvwxyz.?")
        rows = [self._rng.choice(_KEYBOARD_ROWS) for _ in range(self._rng.choice((2, 3, 4)))]
        return " ".join(row[self._rng.randrange(3) :] for row in rows)

    def address(self) -> str:
        """An e-mail address under a domain reserved for examples."""
        name = f"{self._rng.choice(_FIRST_NAMES)}.{self._rng.choice(_LAST_NAMES)}{self._rng.randrange(100)}"
        return f"{name}@example.{self._rng.choice(('com', 'org'))}"

    def _say(self, kind: str, text: str, datum: str) -> str:
        return f"{text} {self._rng.choice(_SENTENCES[kind]).format(datum)}"

    def _phone(self) -> str:
        return self._rng.choice(_PHONES).format(self._rng.randrange(100))

    def _emoji(self, label: str) -> str:
        return self._rng.choice(_EMOJI[label])

    def _handle(self, text: str) -> str:
        name = f"@{self._rng.choice(_FIRST_NAMES)}_{self._rng.choice(_LAST_NAMES)}{self._rng.randrange(10)}"
        return f"{name} {text}" if self._rng.random() < 0.6 else f"{text} cc {name}"

    def _url(self, text: str) -> str:
        token = f"{self._rng.getrandbits(64):016x}"
        host = self._rng.choice(("https://pics.example.com/p", "https://northgate.example/track", "www.example.org/r"))
        return f"{text} {host}/{self._rng.randrange(10**6)}?token={token}"

    def _html(self, text: str) -> str:
        if ". " in text and self._rng.random() < 0.6:
            return text.replace(". ", ".<br /><br />", 1)
        return self._rng.choice(("<p>{}</p>", "<b>{}</b>", '<div class="review-body">{}</div>')).format(text)


def _mojibake(text: str) -> str:
    """UTF-8 read as Windows-1252, the commonest accident; as it was where a byte has no character there."""
    try:
        return text.replace("'", "’").encode().decode("cp1252")  # noqa: RUF001  # what phones type
    except UnicodeDecodeError:
        return text
