"""The files of the three platforms, each broken in the ways of its format."""

import csv
import io
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from workflows_dagster.lib.ingest.rows import RejectReason
from workflows_dagster.lib.sample.rows import Row
from workflows_dagster.lib.sample.written import read_products
from workflows_dagster.lib.schema import NEGATIVE, NEUTRAL, POSITIVE

_SHOP_HEADER: Final = (
    "review_id", "order_no", "sku", "product", "headline", "review", "stars", "created_at", "customer_email",
)  # fmt: skip
_STARS: Final = {POSITIVE: (5, 5, 5, 4, 4), NEUTRAL: (3,), NEGATIVE: (1, 1, 2)}
_SCORES: Final = {POSITIVE: (7, 8, 8, 9, 9, 10, 10), NEUTRAL: (5, 6), NEGATIVE: (0, 1, 2, 3, 4)}
_SENTIMENTS: Final = {POSITIVE: "pos", NEUTRAL: "neu", NEGATIVE: "neg"}


def write_shop(path: Path, rows: Sequence[Row], rng: random.Random) -> None:
    """The shop's export: CSV with a byte order mark and CRLF, a few lines of it in Windows-1252."""
    products = read_products()
    lines = ["\ufeff".encode() + _csv_line(_SHOP_HEADER).encode()]
    lines += [_shop_line(row, products[row.product], rng) for row in rows]
    path.write_bytes(b"".join(lines))


def _shop_line(row: Row, product: str, rng: random.Random) -> bytes:
    values = (
        f"R{row.number:06}",
        f"NG-{rng.randrange(10**7, 10**8)}",
        row.product,
        product,
        row.title,
        row.text,
        str(rng.choice(_STARS[row.label])) if row.label else "",
        row.created_at.strftime("%Y-%m-%dT%H:%M:%S"),
        row.author,
    )
    fields = dict(zip(_SHOP_HEADER, values, strict=True))
    match row.broken:
        case RejectReason.TOO_FEW_FIELDS:
            return _csv_line(values[:6]).encode()
        case RejectReason.TOO_MANY_FIELDS:
            return _csv_line([*values, "imported", "2"]).encode()
        case RejectReason.BAD_QUOTING:
            fields["review"] = "QUOTE"
            unclosed = '"' + row.text.replace('"', "").replace("\n", " ")
            return _csv_line(fields.values()).replace("QUOTE", unclosed).encode()
        case RejectReason.UNDECODABLE:
            fields["headline"] = ""
            plain = row.text.encode("ascii", "ignore").decode()
            fields["review"] = f"{plain} Paid £{rng.randrange(15, 90)} in the café sale."
            return _csv_line(fields.values()).encode("cp1252")
        case RejectReason.INVALID_STARS:
            fields["stars"] = rng.choice(("11", "0", "five", "-1"))
        case RejectReason.MISSING_TEXT:
            fields["headline"] = fields["review"] = ""
        case _:
            pass
    return _csv_line(fields.values()).encode()


def _csv_line(values: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(values)
    return buffer.getvalue()


def write_posts(path: Path, rows: Sequence[Row], rng: random.Random) -> None:
    """The feed of posts: one JSON object on each line, what is empty left out."""
    path.write_text("\n".join(_post_line(row, rng) for row in rows) + "\n", "utf-8", newline="\n")


def _post_line(row: Row, rng: random.Random) -> str:
    post: dict[str, object] = {
        "id": str(1_700_000_000_000 + row.number * 977),
        "sku": row.product,
        "author": "@" + row.author.partition("@")[0].replace(".", "_"),
        "text": row.text,
        "posted_at": int(row.created_at.timestamp()),
        "likes": rng.randrange(40),
    }
    if row.label:
        post["sentiment"] = _SENTIMENTS[row.label]
    match row.broken:
        case RejectReason.BROKEN_JSON:
            return _json_line(post)[:-9]
        case RejectReason.NOT_AN_OBJECT:
            return _json_line([post["id"], post["text"]])
        case RejectReason.WRONG_TYPE:
            post["text"] = {"full": post["text"], "short": row.text[:20]}
        case RejectReason.UNKNOWN_LABEL:
            post["sentiment"] = "mixed"
        case RejectReason.MISSING_TEXT:
            del post["text"]
        case _:
            pass
    return _json_line(post)


def _json_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def write_survey(path: Path, rows: Sequence[Row], rng: random.Random) -> None:
    """The survey: Parquet with scores from 0 to 10."""
    missing = (None, "", "  ")
    scores = [rng.choice(_SCORES[row.label]) if row.label else None for row in rows]
    answers = [rng.choice(missing) if row.broken else row.text for row in rows]
    table = pa.table(
        {
            "respondent": pa.array([700_000 + row.number for row in rows], pa.int64()),
            "sku": pa.array([row.product for row in rows], pa.string()),
            "score": pa.array(scores, pa.int8()),
            "answer": pa.array(answers, pa.string()),
            "answered_at": pa.array([row.created_at for row in rows], pa.timestamp("ms", tz="UTC")),
        }
    )
    pq.write_table(table, path, compression="zstd")
