"""The files of the three platforms, each broken in the ways of its format."""

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from workflows_dagster.lib.ingest.rows import RejectReason
from workflows_dagster.lib.sample.reviews import Review
from workflows_dagster.lib.schema import NEGATIVE, NEUTRAL, POSITIVE

BROKEN: Final = {
    "northgate_shop": {
        RejectReason.TOO_FEW_FIELDS: 1,
        RejectReason.TOO_MANY_FIELDS: 1,
        RejectReason.BAD_QUOTING: 1,
        RejectReason.UNDECODABLE: 6,
        RejectReason.INVALID_STARS: 3,
        RejectReason.MISSING_TEXT: 9,
    },
    "pipit_posts": {
        RejectReason.BROKEN_JSON: 2,
        RejectReason.NOT_AN_OBJECT: 1,
        RejectReason.WRONG_TYPE: 1,
        RejectReason.UNKNOWN_LABEL: 2,
        RejectReason.MISSING_TEXT: 5,
    },
    "hearth_survey": {RejectReason.MISSING_TEXT: 12},
}
"""Rows of each source that cannot be kept, by the reason that reading it must give."""

_SHOP_HEADER: Final = (
    "review_id", "order_no", "sku", "product", "headline", "review", "stars", "created_at", "customer_email",
)  # fmt: skip
_STARS: Final = {POSITIVE: (5, 5, 5, 4, 4), NEUTRAL: (3,), NEGATIVE: (1, 1, 2)}
_SCORES: Final = {POSITIVE: (7, 8, 8, 9, 9, 10, 10), NEUTRAL: (5, 6), NEGATIVE: (0, 1, 2, 3, 4)}
_SENTIMENTS: Final = {POSITIVE: "pos", NEUTRAL: "neu", NEGATIVE: "neg"}


def reasons_of(source: str, rng: random.Random, rows: int) -> dict[int, RejectReason]:
    """Which rows of a source are broken, by index, and how; never the last."""
    reasons = list(Counter(BROKEN[source]).elements())
    return dict(zip(rng.sample(range(rows - 1), len(reasons)), reasons, strict=True))


def write_shop(path: Path, reviews: Sequence[Review], broken: dict[int, RejectReason], rng: random.Random) -> None:
    """The shop's export: CSV with a byte order mark and CRLF, a few lines of it in Windows-1252."""
    lines = ["\ufeff".encode() + _csv_line(_SHOP_HEADER).encode()]
    lines += [_shop_line(review, broken.get(index), rng) for index, review in enumerate(reviews)]
    path.write_bytes(b"".join(lines))


def _shop_line(review: Review, reason: RejectReason | None, rng: random.Random) -> bytes:
    stars = str(rng.choice(_STARS[review.label])) if review.label else ""
    when = review.created_at.strftime("%Y-%m-%dT%H:%M:%S")
    order = f"NG-{rng.randrange(10**7, 10**8)}"
    name = f"{review.product.brand} {review.product.noun}"
    row = [
        f"R{review.number:06}",
        order,
        review.product.sku,
        name,
        review.title,
        review.text,
        stars,
        when,
        review.author,
    ]
    match reason:
        case RejectReason.TOO_FEW_FIELDS:
            return _csv_line(row[:6]).encode()
        case RejectReason.TOO_MANY_FIELDS:
            return _csv_line([*row, "imported", "2"]).encode()
        case RejectReason.BAD_QUOTING:
            row[5] = "QUOTE"
            return _csv_line(row).replace("QUOTE", '"' + review.text.replace('"', "").replace("\n", " ")).encode()
        case RejectReason.UNDECODABLE:
            row[5] = f"{row[5].encode('ascii', 'ignore').decode()} Paid £{rng.randrange(15, 90)} in the café sale."
            return _csv_line(row).encode("cp1252")
        case RejectReason.INVALID_STARS:
            row[6] = rng.choice(("11", "0", "five", "-1"))
        case RejectReason.MISSING_TEXT:
            row[4] = row[5] = ""
        case _:
            pass
    return _csv_line(row).encode()


def _csv_line(row: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(row)
    return buffer.getvalue()


def write_posts(path: Path, reviews: Sequence[Review], broken: dict[int, RejectReason], rng: random.Random) -> None:
    """The feed of posts: one JSON object on each line, what is empty left out."""
    lines = [_post_line(review, broken.get(index), rng) for index, review in enumerate(reviews)]
    path.write_text("\n".join(lines) + "\n", "utf-8", newline="\n")


def _post_line(review: Review, reason: RejectReason | None, rng: random.Random) -> str:
    post: dict[str, object] = {
        "id": str(1_700_000_000_000 + review.number * 977),
        "sku": review.product.sku,
        "author": "@" + review.author.partition("@")[0].replace(".", "_"),
        "text": review.text,
        "posted_at": int(review.created_at.timestamp()),
        "likes": rng.randrange(40),
    }
    if review.label:
        post["sentiment"] = _SENTIMENTS[review.label]
    match reason:
        case RejectReason.BROKEN_JSON:
            return _json_line(post)[:-9]
        case RejectReason.NOT_AN_OBJECT:
            return _json_line([post["id"], post["text"]])
        case RejectReason.WRONG_TYPE:
            post["text"] = {"full": post["text"], "short": review.text[:20]}
        case RejectReason.UNKNOWN_LABEL:
            post["sentiment"] = "mixed"
        case RejectReason.MISSING_TEXT:
            del post["text"]
        case _:
            pass
    return _json_line(post)


def _json_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def write_survey(path: Path, reviews: Sequence[Review], broken: dict[int, RejectReason], rng: random.Random) -> None:
    """The survey: Parquet with scores from 0 to 10."""
    missing = (None, "", "  ")
    table = pa.table(
        {
            "respondent": pa.array([700_000 + review.number for review in reviews], pa.int64()),
            "sku": pa.array([review.product.sku for review in reviews], pa.string()),
            "score": pa.array(
                [rng.choice(_SCORES[review.label]) if review.label else None for review in reviews], pa.int8()
            ),
            "answer": pa.array(
                [rng.choice(missing) if index in broken else review.text for index, review in enumerate(reviews)],
                pa.string(),
            ),
            "answered_at": pa.array([review.created_at for review in reviews], pa.timestamp("ms", tz="UTC")),
        }
    )
    pq.write_table(table, path, compression="zstd")
