"""Mess as real exports have it: each kind is put into some rows and counted."""

import html
import random
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.schema import NEGATIVE, NEUTRAL, POSITIVE

if TYPE_CHECKING:
    from collections.abc import Callable

_EMOJI: Final = {
    POSITIVE: ("😍", "👍", "🙌", "❤️", "😊", "👌🏽", "😂", "🙃"),
    NEUTRAL: ("🤷", "🤔", "😐", "👀", "🙃", "😂"),
    NEGATIVE: ("😡", "👎", "🤦‍♀️", "😤", "🙃", "😂", "👏", "😍"),
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
_CONTRACTIONS: Final = tuple(
    (re.compile(rf"\b{full}\b"), short)
    for full, short in (
        ("(do|does|did|is|was|has|had|would|could|have|are|were) not", r"\1n't"),
        ("cannot", "can't"),
        ("I would", "I'd"),
        ("I have(?= (had|yet|run|seen|worse|owned|only))", "I've"),
        ("I am", "I'm"),
        ("it is", "it's"),
        ("It is", "It's"),
        ("that is", "that's"),
        ("you will(?= )", "you'll"),
    )
)


class Mess:
    """Puts mess into texts and counts the rows of each kind.

    Args:
        rng: Where every choice comes from.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.planted: Counter[str] = Counter()

    def style(self, text: str) -> str:
        """The text as this writer would type it: contractions, case, marks, paragraphs."""
        if self._rng.random() < 0.65:
            for pattern, short in _CONTRACTIONS:
                text = pattern.sub(short, text)
        habit = self._rng.random()
        if habit < 0.12:
            text = text.lower().rstrip(".")
        elif habit < 0.20:
            text = re.sub(r"\.(?=\s|$)", "!", text, count=self._rng.choice((1, 2, 0)))
        elif habit < 0.23:
            text = text.upper()
        elif habit < 0.30:
            text = text.replace("'", "’")  # noqa: RUF001  # what phones type
        return text

    def soil(self, text: str, label: str, rates: dict[str, float]) -> str:
        """The text with every kind of mess that the dice say, in a fixed order.

        Args:
            text: A styled review.
            label: What it means; the emoji go with it, mostly.
            rates: Share of rows that each kind is put into; "junk" takes the place of the text.
        """
        if self._rng.random() < rates.get("junk", 0):
            self.planted["junk"] += 1
            return self._junk()
        kinds: dict[str, Callable[[str], str]] = {
            "typo": self._typo,
            "stretched": self._stretched,
            "email": self._email,
            "phone": self._phone,
            "card": self._card,
            "order": self._order,
            "handle": self._handle,
            "url": self._url,
            "emoji": lambda text: self._emoji(text, label),
            "entity": self._entity,
            "html": self._html,
            "mojibake": self._mojibake,
        }
        for kind, spoil in kinds.items():
            if self._rng.random() < rates.get(kind, 0):
                soiled = spoil(text)
                self.planted[kind] += soiled != text
                text = soiled
        return text

    def near_copy(self, text: str) -> str:
        """The text posted again with a small edit at one of its ends."""
        self.planted["near_duplicate"] += 1
        edit = self._rng.randrange(4)
        if edit == 0:
            return "Edit: " + text
        if edit == 1:
            return text + self._rng.choice((" Cheers.", " Thanks.", " Recommended by nobody.", " Just saying."))
        if edit == 2:
            return "So, " + text[0].lower() + text[1:]
        return f"{text.rstrip('.!')} {self._rng.choice(('ok', 'though', 'anyway'))}"

    def _junk(self) -> str:
        """Keys hit at random, or a single letter: nothing that could be called a review."""
        if self._rng.random() < 0.3:
            return self._rng.choice("abcdefghijklmnopqrstuvwxyz.?")
        rows = [self._rng.choice(_KEYBOARD_ROWS) for _ in range(self._rng.choice((2, 3, 4)))]
        return " ".join(row[self._rng.randrange(3) :] for row in rows)

    def _typo(self, text: str) -> str:
        words = text.split(" ")
        long = [index for index, word in enumerate(words) if len(word) > 4 and word.isalpha()]
        for index in self._rng.sample(long, min(len(long), self._rng.choice((1, 1, 2)))):
            words[index] = self._misspell(words[index])
        return " ".join(words)

    def _misspell(self, word: str) -> str:
        at = self._rng.randrange(1, len(word) - 1)
        return self._rng.choice(
            (
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
                word[:at] + word[at + 1 :],
                word[:at] + word[at] + word[at:],
            )
        )

    def _stretched(self, text: str) -> str:
        word = self._rng.choice(("sooo", "hmmmm", "okayyy", "yesss", "weeell"))
        return f"{word.capitalize()}... {text}" if self._rng.random() < 0.5 else text.rstrip(".") + "!!!!"

    def _email(self, text: str) -> str:
        lead = self._rng.choice(("Write to me at", "Contact:", "My mail is"))
        return f"{text} {lead} {self.address()}"

    def address(self) -> str:
        """An e-mail address under a domain reserved for examples."""
        name = f"{self._rng.choice(_FIRST_NAMES)}.{self._rng.choice(_LAST_NAMES)}{self._rng.randrange(100)}"
        return f"{name}@example.{self._rng.choice(('com', 'org'))}"

    def _phone(self, text: str) -> str:
        # Ranges that Ofcom and the North American plan keep for fiction.
        number = self._rng.choice(("+44 161 496 0{:03}", "+44 20 7946 0{:03}", "+1 202-555-01{:02}"))
        last = self._rng.randrange(100)
        return f"{text} {self._rng.choice(('Call me on', 'Ring', 'tel'))} {number.format(last)}"

    def _card(self, text: str) -> str:
        return f"{text} I paid with card {self._rng.choice(_CARDS)}, please refund."

    def _order(self, text: str) -> str:
        number = f"{self._rng.choice(('NG', 'PP'))}-{self._rng.randrange(10**7, 10**8)}"
        return f"{text} {self._rng.choice(('Order no.', 'Order number', 'order #'))} {number}"

    def _handle(self, text: str) -> str:
        name = f"@{self._rng.choice(_FIRST_NAMES)}_{self._rng.choice(_LAST_NAMES)}{self._rng.randrange(10)}"
        return f"{name} {text}" if self._rng.random() < 0.6 else f"{text} cc {name}"

    def _url(self, text: str) -> str:
        token = f"{self._rng.getrandbits(64):016x}"
        host = self._rng.choice(("https://pics.example.com/p", "https://northgate.example/track", "www.example.org/r"))
        return f"{text} {host}/{self._rng.randrange(10**6)}?token={token}"

    def _emoji(self, text: str, label: str) -> str:
        return f"{text} {self._rng.choice(_EMOJI[label]) * self._rng.choice((1, 1, 2, 3))}"

    def _entity(self, text: str) -> str:
        return html.escape(text).replace(". ", ".&nbsp;", 1)

    def _html(self, text: str) -> str:
        if ". " in text and self._rng.random() < 0.6:
            return text.replace(". ", ".<br /><br />", 1)
        return self._rng.choice(("<p>{}</p>", "<b>{}</b>", '<div class="review-body">{}</div>')).format(text)

    def _mojibake(self, text: str) -> str:
        # UTF-8 read as if it were Windows-1252, the commonest accident; the five bytes that it lacks cannot be shown.
        if text.isascii():
            text = text.replace("'", "’") if "'" in text else f"{text} (café colour)"  # noqa: RUF001  # as above
        return text.encode().decode("cp1252", "ignore")
