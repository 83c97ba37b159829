"""The made-up reviews of each platform: composed, mislabelled here and there, soiled and copied."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from workflows_dagster.lib.sample.composition import Composer, Genre
from workflows_dagster.lib.sample.foreign import foreign_review
from workflows_dagster.lib.sample.mess import Mess
from workflows_dagster.lib.sample.phrases import DOMAINS, Phrases
from workflows_dagster.lib.sample.settings import SampleSettings
from workflows_dagster.lib.sample.statements import Product
from workflows_dagster.lib.schema import NEGATIVE, NEUTRAL, POSITIVE

_FIRST_DAY: Final = datetime(2024, 1, 1, 8, tzinfo=UTC)
_DAYS: Final = 700
_FOREIGN_RATIO: Final = 0.02
_COPY_MIN_WORDS: Final = 24  # an edit at the end of a shorter text could leave it too different to be a near copy


@dataclass(frozen=True)
class Platform:
    """One made-up platform.

    Attributes:
        source: Its name in sources.yaml.
        genre: How people write there.
        share: Its share of all rows.
        labels: Weights of positive, neutral and negative.
        mess: Share of its rows that each kind of mess is put into.
        unlabelled_ratio: Share of its rows without stars, label or score.
    """

    source: str
    genre: Genre
    share: float
    labels: tuple[int, int, int]
    mess: dict[str, float]
    unlabelled_ratio: float


PLATFORMS: Final = (
    Platform(
        "northgate_shop",
        "shop",
        0.44,
        (67, 14, 19),
        {
            "junk": 0.002,
            "typo": 0.12,
            "stretched": 0.02,
            "email": 0.01,
            "phone": 0.012,
            "card": 0.003,
            "order": 0.03,
            "url": 0.01,
            "emoji": 0.05,
            "entity": 0.04,
            "html": 0.06,
            "mojibake": 0.015,
        },
        0,
    ),
    Platform(
        "pipit_posts",
        "social",
        0.32,
        (49, 24, 27),
        {
            "junk": 0.003,
            "typo": 0.14,
            "stretched": 0.05,
            "email": 0.004,
            "handle": 0.2,
            "url": 0.08,
            "emoji": 0.22,
            "mojibake": 0.01,
        },
        0.01,
    ),
    Platform(
        "hearth_survey",
        "survey",
        0.24,
        (61, 16, 23),
        {"junk": 0.005, "typo": 0.1, "email": 0.015, "phone": 0.02, "order": 0.02, "emoji": 0.03, "mojibake": 0.01},
        0.012,
    ),
)


@dataclass(frozen=True)
class Review:
    """One row, before it takes the form of its platform.

    Attributes:
        number: Counts up from 1 within the platform; copies exported twice share it.
        product: What it is about.
        title: Headline, empty where there is none.
        text: The review, mess included.
        label: The sentiment that its stars, label or score say; None where they are missing.
        means: The sentiment that its text expresses.
        author: E-mail address of the writer.
        created_at: When it was written.
    """

    number: int
    product: Product
    title: str
    text: str
    label: str | None
    means: str
    author: str
    created_at: datetime


def make_products(rng: random.Random, phrases: Phrases, count: int) -> list[Product]:
    """Made-up products, all different."""
    kinds = [(domain, noun) for domain in DOMAINS for noun in phrases.domains[domain].products]
    pairs = [(domain, noun, brand) for domain, noun in kinds for brand in phrases.discourse.brands]
    products: list[Product] = []
    for number, (domain, noun, brand) in enumerate(rng.sample(pairs, min(count, len(pairs))), 1):
        other = rng.choice([name for name in phrases.discourse.brands if name != brand])
        products.append(Product(f"{domain[:2].upper()}-{number:04}", domain, noun, brand, other))
    return products


class ReviewWriter:
    """Writes the reviews of one platform.

    Args:
        rng: Where every choice comes from.
        phrases: The phrase banks.
        platform: For which platform.
        settings: Difficulty of the texts and labels.
        mess: Puts the mess in and counts it.
    """

    def __init__(
        self, rng: random.Random, phrases: Phrases, platform: Platform, settings: SampleSettings, mess: Mess
    ) -> None:
        self._rng = rng
        self._phrases = phrases
        self._platform = platform
        self._settings = settings
        self._mess = mess
        self._composer = Composer(rng, phrases, platform.genre, settings.indirect_ratio)
        self._written = 0

    def write(self, products: Sequence[Product], count: int, taken: set[str]) -> list[Review]:
        """So many reviews, none of a text that is in `taken`; their texts are added to it."""
        reviews: list[Review] = []
        while len(reviews) < count:
            review = self._review(self._rng.choice(products))
            if review.text.casefold() not in taken:
                taken.add(review.text.casefold())
                reviews.append(review)
        return reviews

    def adopt(self, review: Review, *, text: str | None = None, label: str | None = None) -> Review:
        """A copy of a review, its own or another platform's, as a new row of this one."""
        copy = self._numbered(review)
        return replace(copy, text=text or review.text, label=label or review.label, author=self._mess.address())

    def _review(self, product: Product) -> Review:
        means = self._rng.choices((POSITIVE, NEUTRAL, NEGATIVE), self._platform.labels)[0]
        language = self._rng.choice(list(self._phrases.foreign)) if self._rng.random() < _FOREIGN_RATIO else None
        if language:
            text = foreign_review(self._rng, self._phrases, language, means)
        else:
            text = self._mess.style(self._composer.text(product, means))
            if self._platform.genre == "social" and self._rng.random() < 0.3:
                text = f"{text} {self._tag(product)}"
        has_title = language is None and self._platform.genre == "shop" and self._rng.random() < 0.7
        review = Review(
            number=0,
            product=product,
            title=self._composer.title(product, means) if has_title else "",
            text=self._mess.soil(text, means, self._platform.mess),
            label=self._label(means),
            means=means,
            author=self._mess.address(),
            created_at=_FIRST_DAY + timedelta(minutes=self._rng.randrange(_DAYS * 24 * 60)),
        )
        if language:
            self._mess.planted[f"language_{language}"] += 1
        self._mess.planted["wrong_label"] += review.label not in (means, None)
        self._mess.planted["unlabelled"] += review.label is None
        return self._numbered(review)

    def _numbered(self, review: Review) -> Review:
        self._written += 1
        return replace(review, number=self._written)

    def _tag(self, product: Product) -> str:
        name = "".join(letter for letter in product.brand if letter.isalnum())
        return self._rng.choice(self._phrases.discourse.social.tags).format(brand=name)

    def _label(self, means: str) -> str | None:
        if self._rng.random() < self._platform.unlabelled_ratio:
            return None
        if self._rng.random() >= self._settings.wrong_label_ratio:
            return means
        # Who confuses the ends of a scale gives the opposite; who is lenient or strict is one class off.
        others = {POSITIVE: (NEGATIVE, NEUTRAL), NEGATIVE: (POSITIVE, NEUTRAL), NEUTRAL: (POSITIVE, NEGATIVE)}
        return self._rng.choice(others[means])


def copyable(reviews: Sequence[Review]) -> list[Review]:
    """Reviews that a copy can be made of: labelled, long enough, and without anything that is counted row by row."""
    return [
        review
        for review in reviews
        if review.label == review.means
        and len(review.text.split()) >= _COPY_MIN_WORDS
        and review.text.isascii()
        and not any(mark in review.text for mark in ("@", "<", "&", "://", "+", "Order", "order", "#", "www."))
    ]
