"""Which synthetic rows may be trained on: each is kept or refused with its reason."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.artifact import Artifact, Markdown, write_report, write_table
from workflows_dagster.lib.errors import DataContractError, NotPublishedError
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.parquet import read_batches
from workflows_dagster.lib.schema import SYNTHETIC_REVIEW
from workflows_dagster.lib.synthesis.folds import with_folds
from workflows_dagster.lib.synthesis.judge import Judgement, judge
from workflows_dagster.lib.synthesis.making import SYNTHETIC_FILE
from workflows_dagster.lib.synthesis.rules import Refusal, SyntheticReason, real_shapes, refuse_text
from workflows_dagster.lib.synthesis.similarity import Nearest, NearIndex, diversity

SYNTHETIC_REJECT: Final = pa.schema(
    [
        pa.field("review_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("excerpt", pa.string(), nullable=False),
    ]
)
_BATCH_ROWS: Final = 16_384


class ValidationSettings(BaseModel):
    """What a synthetic row has to be like."""

    model_config = ConfigDict(frozen=True)

    max_repeated_ratio: float = Field(
        default=0.2, ge=0, le=1, description="Most of a text's trigrams or sentences that may occur twice."
    )
    near_copy_similarity: float = Field(
        default=0.7, gt=0, le=1, description="Trigram Jaccard similarity to a training or synthetic row that refuses."
    )
    held_out_similarity: float = Field(
        default=0.5, gt=0, le=1, description="The same to a validation or test row: leakage."
    )
    disagreement_margin: float = Field(
        default=0.2, ge=0, le=1, description="How much likelier the judge may hold another class."
    )
    judge_rows: int = Field(
        default=20_000, ge=100, description="Most real rows that the judge is fitted on, picked by digest."
    )


@dataclass(frozen=True)
class ValidationReport:
    """What validation found; `record` is what report.json holds."""

    record: Mapping[str, Any]

    def to_metadata(self) -> dict[str, object]:
        """The findings as flat metadata."""
        record = self.record
        return {
            "synthesis/generated_rows": record["rows_in"],
            "synthesis/kept_rows": record["rows_kept"],
            "synthesis/rejected_rows": record["rows_rejected"],
            "synthesis/rejected_rows_by_reason": record["reasons"],
            "synthesis/kept_rows_by_label": record["kept_by_label"],
            "synthesis/judge_macro_f1_ratio": record["judge"]["macro_f1"],
            "synthesis/distinct_2_ratio": record["diversity"]["synthetic"]["distinct_2"],
            "synthesis/held_out_highest_similarity_ratio": record["leakage"]["highest_similarity_seen"],
            "synthesis/generator_is_stand_in": record["generator_is_stand_in"],
            "synthesis/summary": Markdown(_summary(record)),
        }


@dataclass(frozen=True)
class _Evidence:
    """What is known of each synthetic row beside its text."""

    held_out: Mapping[str, Nearest]
    training: Mapping[str, Nearest]
    synthetic: Mapping[str, Nearest]
    judgement: Judgement


def build_validated_reviews(
    synthetic: Artifact, training: Artifact, settings: ValidationSettings, folder: Path
) -> ValidationReport:
    """Writes reviews.parquet, rejects.parquet and the report."""
    rows = synthetic.scan(SYNTHETIC_FILE).sort("review_id").collect()
    evidence = _gather(rows, training, settings)
    train = _train(training)
    refusals = _refusals(rows, evidence, train, settings)
    kept = rows.filter(~pl.col("review_id").is_in(list(refusals)))
    write_table(folder / "reviews.parquet", kept, SYNTHETIC_REVIEW)
    write_table(folder / "rejects.parquet", _rejects(rows, refusals), SYNTHETIC_REJECT)
    sample = train.select("text").head(max(kept.height, 1)).collect()["text"].to_list()
    record = _record(rows, kept, refusals, evidence, settings) | {
        "diversity": {"synthetic": diversity(kept["text"].to_list()), "real": diversity(sample)},
        "generator_is_stand_in": synthetic.report()["generator_is_stand_in"],
        "settings": settings.model_dump(include=set(ValidationSettings.model_fields)),
    }
    write_report(folder, record)
    return ValidationReport(record)


def refuse_rows(
    rows: pl.DataFrame, beside: pl.DataFrame, validated: Artifact, training: Artifact
) -> dict[str, Refusal]:
    """Why rows may not be trained on, by id, after the same rules as the rows that they join.

    Args:
        rows: Columns of SYNTHETIC_REVIEW.
        beside: The accepted rows that they join, and must be no copies of.
        validated: Where these were accepted, and by what settings.
        training: training_reviews.

    Raises:
        NotPublishedError: The validation is of a version that did not record its settings.
    """
    settings = _settings_of(validated)
    return _refusals(rows, _gather(rows, training, settings, beside), _train(training), settings)


def _settings_of(validated: Artifact) -> ValidationSettings:
    report = validated.report()
    if "settings" not in report:
        raise NotPublishedError(
            f"{validated.asset} does not say by what settings it was made",
            given=f"a report with {sorted(report)}",
            expected="a report with settings",
            remedy=f"materialize {validated.asset} again with this version of the code",
        )
    return ValidationSettings.model_validate(report["settings"])


def _train(training: Artifact) -> pl.LazyFrame:
    return training.scan().filter(pl.col("split") == "train", pl.col("label").is_not_null())


def _refusals(
    rows: pl.DataFrame, evidence: _Evidence, train: pl.LazyFrame, settings: ValidationSettings
) -> dict[str, Refusal]:
    shapes = real_shapes(train)
    refusals: dict[str, Refusal] = {}
    for number, (review_id, text, label, source) in enumerate(
        rows.select("review_id", "text", "label", "source").iter_rows()
    ):
        refusal = refuse_text(text, shapes[label, source], settings.max_repeated_ratio)
        refusal = refusal or _refuse_copy(review_id, evidence, refusals, settings)
        refusal = refusal or _refuse_label(number, label, evidence.judgement, settings)
        if refusal is not None:
            refusals[review_id] = refusal
    return refusals


def _gather(
    rows: pl.DataFrame, training: Artifact, settings: ValidationSettings, beside: pl.DataFrame | None = None
) -> _Evidence:
    index = NearIndex(rows["review_id"].to_list(), rows["text"].to_list())
    together = index
    if beside is not None:
        both = pl.concat([frame.select("review_id", "text") for frame in (beside, rows)])
        together = NearIndex(both["review_id"].to_list(), both["text"].to_list())
    reviews = training.file("reviews.parquet")
    return _Evidence(
        held_out=index.nearest(_batches(reviews, ["validation", "test"])),
        training=index.nearest(_batches(reviews, ["train"])),
        synthetic=together.nearest_before(),
        judgement=judge(
            _judge_rows(training, settings.judge_rows),
            rows["text"].to_list(),
            rows["label"].to_list(),
            parent_folds(rows, training),
        ),
    )


def parent_folds(rows: pl.DataFrame, training: Artifact) -> list[int]:
    """The fold of each row's parents, in the order of the rows.

    Raises:
        DataContractError: The parents of a row are of several folds, so no judge is independent of it, or unknown.
    """
    links = rows.select("review_id", pl.col("parent_ids").alias("parent")).explode("parent")
    train = training.scan().filter(pl.col("split") == "train").select("review_id", "group_key")
    parents = with_folds(train.join(links.lazy().select(review_id="parent").unique(), on="review_id").collect())
    folds = (
        links.join(parents.select("fold", parent="review_id"), on="parent", how="left")
        .group_by("review_id")
        .agg(pl.col("fold").min().alias("fold"), wrong=(pl.col("fold").n_unique() > 1) | pl.col("fold").has_nulls())
    )
    wrong = folds.filter("wrong")["review_id"].sort()
    if len(wrong):
        raise DataContractError(
            "synthetic rows whose parents are not training rows of one fold",
            given=wrong.head(5).to_list(),
            expected="parents of the train split, all of one fold",
            remedy="materialize synthetic_reviews again from this version of training_reviews",
        )
    return rows.select("review_id").join(folds, on="review_id", how="left", maintain_order="left")["fold"].to_list()


def _judge_rows(training: Artifact, most: int) -> pl.DataFrame:
    train = _train(training)
    ids = train.select("review_id").collect()["review_id"]
    picked = sorted(ids, key=lambda review_id: digest_text("judge", review_id))[:most]
    chosen = pl.LazyFrame({"review_id": picked}, {"review_id": pl.String})
    return (
        train.join(chosen, on="review_id").select("review_id", "text", "label", "group_key").collect().sort("review_id")
    )


def _batches(path: Path, splits: list[str]) -> Iterator[pl.DataFrame]:
    for batch in read_batches(pq.ParquetFile(path), ["review_id", "text", "split"], _BATCH_ROWS):
        yield pl.DataFrame(pa.Table.from_batches([batch])).filter(pl.col("split").is_in(splits))


def _refuse_copy(
    review_id: str, evidence: _Evidence, refusals: Mapping[str, Refusal], settings: ValidationSettings
) -> Refusal | None:
    held_out, training, synthetic = (
        found.get(review_id) for found in (evidence.held_out, evidence.training, evidence.synthetic)
    )
    if held_out and held_out.similarity >= settings.held_out_similarity:
        return Refusal(SyntheticReason.NEAR_COPY_OF_HELD_OUT, _near(held_out))
    if training and training.similarity >= settings.near_copy_similarity:
        return Refusal(SyntheticReason.NEAR_COPY_OF_TRAINING, _near(training))
    # A copy of a row that was itself refused takes its place.
    if synthetic and synthetic.similarity >= settings.near_copy_similarity and synthetic.review_id not in refusals:
        return Refusal(SyntheticReason.NEAR_COPY_OF_SYNTHETIC, _near(synthetic))
    return None


def _near(nearest: Nearest) -> str:
    return f"similarity {nearest.similarity:.2f} to {nearest.review_id}"


def _refuse_label(number: int, label: str, judgement: Judgement, settings: ValidationSettings) -> Refusal | None:
    margin = judgement.margin[number]
    if margin <= settings.disagreement_margin:
        return None
    other = judgement.likeliest[number]
    return Refusal(SyntheticReason.LABEL_DISAGREEMENT, f"judged {other}, {margin:.2f} likelier than {label}")


def _rejects(rows: pl.DataFrame, refusals: Mapping[str, Refusal]) -> pl.DataFrame:
    found = pl.DataFrame(
        [(review_id, refusal.reason.value, refusal.detail) for review_id, refusal in refusals.items()],
        schema={"review_id": pl.String, "reason": pl.String, "detail": pl.String},
        orient="row",
    )
    texts = rows.select("review_id", "label", pl.col("text").str.slice(0, 160).alias("excerpt"))
    return found.join(texts, on="review_id", how="left").sort("review_id")


def _record(
    rows: pl.DataFrame,
    kept: pl.DataFrame,
    refusals: Mapping[str, Refusal],
    evidence: _Evidence,
    settings: ValidationSettings,
) -> dict[str, Any]:
    reasons = Counter(refusal.reason.value for refusal in refusals.values())
    alive = set(kept["review_id"])
    near = [nearest.similarity for review_id, nearest in evidence.training.items() if review_id in alive]
    held = [nearest.similarity for review_id, nearest in evidence.held_out.items() if review_id in alive]
    return {
        "rows_in": rows.height,
        "rows_kept": kept.height,
        "rows_rejected": len(refusals),
        "reasons": dict(sorted(reasons.items())),
        "generated_by_label": dict(rows.group_by("label").len().sort("label").iter_rows()),
        "kept_by_label": dict(kept.group_by("label").len().sort("label").iter_rows()),
        "similarity_to_training": {"near_rows": len(near), "highest": round(max(near, default=0.0), 4)},
        "leakage": {
            "threshold": settings.held_out_similarity,
            "rows_rejected": reasons[SyntheticReason.NEAR_COPY_OF_HELD_OUT],
            "highest_similarity_kept": round(max(held, default=0.0), 4),
            "highest_similarity_seen": round(
                max((nearest.similarity for nearest in evidence.held_out.values()), default=0.0), 4
            ),
        },
        "judge": {"macro_f1": round(evidence.judgement.macro_f1, 4), "rows": evidence.judgement.rows},
    }


def _summary(record: Mapping[str, Any]) -> str:
    lines = ["| reason | rows |", "|---|---|"]
    lines += [f"| {reason} | {rows:,} |" for reason, rows in record["reasons"].items()]
    lines += [f"| kept | {record['rows_kept']:,} |"]
    real, made = record["diversity"]["real"], record["diversity"]["synthetic"]
    lines += ["", "| diversity | synthetic | as many real rows |", "|---|---|---|"]
    lines += [f"| {name} | {made[name]} | {real[name]} |" for name in made]
    return "\n".join(lines)
