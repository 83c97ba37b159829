"""Puts the pilot before people, and records what was asked."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.annotation.desk import AnnotationDesk, AnnotationRound, Question, RoundStatus
from workflows_dagster.lib.annotation.sample import PILOT_FILE
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.schema import LABELS

REQUEST_FILE: Final = "request.json"
_GUIDELINES: Final = Path(__file__).with_name("guidelines.md")


class RequestSettings(BaseModel):
    """What is asked of the annotators."""

    model_config = ConfigDict(frozen=True)

    minimum_annotators: int = Field(default=1, ge=1, le=20, description="People who have to answer each review.")


@dataclass(frozen=True)
class RequestReport:
    """The round as the desk holds it."""

    status: RoundStatus

    def to_metadata(self) -> dict[str, object]:
        """The round's status as flat metadata."""
        return self.status.to_metadata()


def build_request(pilot: Artifact, desk: AnnotationDesk, settings: RequestSettings, folder: Path) -> RequestReport:
    """Asks the desk for the round and writes request.json, which names it. Nothing answered is ever lost."""
    annotation_round = make_round(pilot.scan(PILOT_FILE).collect(), settings)
    status = desk.request(annotation_round)
    # No progress and no absolute path: the same sample asked again is the same version.
    record = {
        "round_id": annotation_round.round_id,
        "rows": len(annotation_round.questions),
        "minimum_annotators": settings.minimum_annotators,
        "desk": status.desk,
        "labels": list(LABELS),
        "guidelines": annotation_round.guidelines,
    }
    (folder / REQUEST_FILE).write_text(json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    return RequestReport(status)


def make_round(pilot: pl.DataFrame, settings: RequestSettings) -> AnnotationRound:
    """The round of a pilot in the columns of CORPUS_REVIEW. Its id depends on what is asked, not on weak labels."""
    rows = pilot.select("review_id", "text", pl.col("label").fill_null("")).sort("review_id")
    questions = [Question(*row) for row in rows.iter_rows()]
    parts = [part for question in questions for part in (question.review_id, question.text)]
    return AnnotationRound(
        round_id=digest_text(str(settings.minimum_annotators), *parts)[:16],
        questions=questions,
        guidelines=_GUIDELINES.read_text("utf-8").format(
            rows=len(questions), labels=", ".join(LABELS), minimum_annotators=settings.minimum_annotators
        ),
        minimum_annotators=settings.minimum_annotators,
    )


def read_request(request: Artifact) -> dict[str, object]:
    """The record of what was asked."""
    return json.loads(request.file(REQUEST_FILE).read_text("utf-8"))
