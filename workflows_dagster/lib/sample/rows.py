"""The rows of the sample: the written reviews, some of them mislabelled, soiled, copied or broken."""

import random
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

from workflows_dagster.lib.ingest.rows import RejectReason
from workflows_dagster.lib.sample.mess import RATES, Mess
from workflows_dagster.lib.sample.settings import SampleSettings
from workflows_dagster.lib.sample.written import Platform, WrittenReview, read_reviews
from workflows_dagster.lib.schema import LABELS, NEGATIVE, NEUTRAL, POSITIVE

PLATFORMS: Final[tuple[Platform, ...]] = get_args(Platform)

COPIES: Final[dict[str, dict[str, int]]] = {
    "northgate_shop": {"same_id": 130, "exact": 130, "conflicting": 5, "near": 150},
    "pipit_posts": {"exact": 90, "conflicting": 4, "near": 60},
    "hearth_survey": {"exact": 60, "conflicting": 3, "near": 40},
}
"""Copies of each kind that a platform's file has. Near copies are of the shop's reviews, also elsewhere."""

BROKEN: Final = {
    "northgate_shop": {
        RejectReason.TOO_FEW_FIELDS: 1,
        RejectReason.TOO_MANY_FIELDS: 1,
        RejectReason.BAD_QUOTING: 1,
        RejectReason.UNDECODABLE: 6,
        RejectReason.INVALID_STARS: 3,
        RejectReason.MISSING_TEXT: 25,
    },
    "pipit_posts": {
        RejectReason.BROKEN_JSON: 2,
        RejectReason.NOT_AN_OBJECT: 1,
        RejectReason.WRONG_TYPE: 1,
        RejectReason.UNKNOWN_LABEL: 2,
        RejectReason.MISSING_TEXT: 10,
    },
    "hearth_survey": {RejectReason.MISSING_TEXT: 25},
}
"""Rows of each source that cannot be kept, by the reason that reading must give; each is a copy: no text is lost."""

_JUNK_ROWS: Final = 4
_UNLABELLED_RATIO: Final = 0.012
_FIRST_DAY: Final = datetime(2024, 1, 1, 8, tzinfo=UTC)
_DAYS: Final = 700
_NEAR_COPY_WORDS: Final = 24  # an edit could make a shorter text too different to be a near copy


@dataclass(frozen=True)
class Row:
    """One row, before it takes the form of its platform.

    Attributes:
        number: Counts up from 1 within the platform; the two rows of a review that was exported twice share it.
        product: Key of what it is about.
        title: Headline, empty where there is none.
        text: The review, mess included.
        label: The sentiment that its stars, label or score say; None where they are missing.
        author: E-mail address of the writer.
        created_at: When it was written.
        broken: Why it cannot be read; None where it can.
    """

    number: int
    product: str
    title: str
    text: str
    label: str | None
    author: str
    created_at: datetime
    broken: RejectReason | None = None


class Composition:
    """The rows of one sample.

    Attributes:
        rows: Rows by source, in the order of its file.
        planted: Rows by kind of mess; a row may hold several kinds.
    """

    def __init__(self, settings: SampleSettings) -> None:
        self._settings = settings
        self._rng = random.Random(f"{settings.seed}/sample")
        self._mess = Mess(self._rng)
        self._numbers: Counter[str] = Counter()
        self.planted = self._mess.planted
        self.rows: dict[str, list[Row]] = {source: [] for source in PLATFORMS}
        self._copyable: dict[str, list[Row]] = {source: [] for source in PLATFORMS}
        for review in read_reviews():
            self._add(review)
        for pool in self._copyable.values():
            self._rng.shuffle(pool)
        for source in PLATFORMS:
            self._add_copies(source)
        for source in PLATFORMS:
            self._add_junk(source)
            self._rng.shuffle(self.rows[source])
            self._break(source)

    def _add(self, review: WrittenReview) -> None:
        label = self._label(review.label)
        row = Row(
            number=self._number(review.platform),
            product=review.product,
            title=review.title,
            text=self._mess.soil(review, RATES[review.platform]),
            label=label,
            author=self._mess.address(),
            created_at=_FIRST_DAY + timedelta(minutes=self._rng.randrange(_DAYS * 24 * 60)),
        )
        self.rows[review.platform].append(row)
        self.planted[f"language_{review.language}"] += 1
        self.planted["wrong_label"] += label not in (review.label, None)
        self.planted["unlabelled"] += label is None
        if label == review.label and row.text == review.text:
            self._copyable[review.platform].append(row)

    def _label(self, means: str) -> str | None:
        if self._rng.random() < _UNLABELLED_RATIO:
            return None
        if self._rng.random() >= self._settings.wrong_label_ratio:
            return means
        # Who confuses the ends of a scale gives the opposite; who is lenient or strict is one class off.
        others = {POSITIVE: (NEGATIVE, NEUTRAL), NEGATIVE: (POSITIVE, NEUTRAL), NEUTRAL: (POSITIVE, NEGATIVE)}
        return self._rng.choice(others[means])

    def _number(self, source: str) -> int:
        self._numbers[source] += 1
        return self._numbers[source]

    def _as_new(self, source: str, row: Row) -> Row:
        return replace(row, number=self._number(source), author=self._mess.address())

    def _add_copies(self, source: str) -> None:
        """Adds copies, each of a different review: near ones first, as only long reviews can have one."""
        counts = COPIES[source]
        for _ in range(counts["near"]):
            self.rows[source].append(self._near_copy(source))
        for kind in ("same_id", "exact", "conflicting"):
            for _ in range(counts.get(kind, 0)):
                row = self._copyable[source].pop()
                self.rows[source].append(row if kind == "same_id" else self._copy(source, row, kind))
            self.planted[f"{kind}_duplicate"] += counts.get(kind, 0)
        self.planted["near_duplicate"] += counts["near"]

    def _near_copy(self, source: str) -> Row:
        pool = self._copyable["northgate_shop"]
        row = pool.pop(next(at for at, row in enumerate(pool) if len(row.text.split()) >= _NEAR_COPY_WORDS))
        text = self._mess.near_copy(row.text, row.label or NEUTRAL)
        if source == "northgate_shop":
            return self._as_new(source, replace(row, text=text))
        return self._as_new(source, replace(row, title="", text=f"{row.title}. {text}" if row.title else text))

    def _copy(self, source: str, row: Row, kind: str) -> Row:
        copy = self._as_new(source, replace(row, text=self._mess.copy(row.text)))
        if kind == "exact":
            return copy
        return replace(copy, label=self._rng.choice([label for label in LABELS if label != row.label]))

    def _add_junk(self, source: str) -> None:
        for _ in range(_JUNK_ROWS):
            row = self._as_new(source, self._rng.choice(self.rows[source]))
            self.rows[source].append(replace(row, title="", text=self._mess.junk()))
        self.planted["junk"] += _JUNK_ROWS

    def _break(self, source: str) -> None:
        """Puts broken copies anywhere but at the end, where a torn row would be another accident."""
        for reason in Counter(BROKEN[source]).elements():
            row = self._as_new(source, self._rng.choice(self._copyable[source]))
            self.rows[source].insert(self._rng.randrange(len(self.rows[source])), replace(row, broken=reason))
