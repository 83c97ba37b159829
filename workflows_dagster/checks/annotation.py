"""What must hold of the pilot and of the labels before they are published."""

from pathlib import Path
from typing import Final

import polars as pl

from workflows_dagster.lib.annotation.consensus import EARLIER_FILE, LABELS_FILE
from workflows_dagster.lib.annotation.gate import Gate, Standing
from workflows_dagster.lib.annotation.records import PilotLabels, PilotRequest, PilotSample
from workflows_dagster.lib.annotation.sample import ANSWERED_FILE, PILOT_FILE, labelled
from workflows_dagster.lib.annotation.strata import DISPUTED, RANDOM, SUSPECT, draw_test
from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.schema import LABELS

_REVIEWS: Final = "reviews.parquet"


def _pilot_from_train_and_test(folder: Path) -> Verdict:
    pilot = pl.scan_parquet(folder / PILOT_FILE, glob=False)
    elsewhere = _count(pilot.filter(~pl.col("split").is_in(["train", "test"])))
    repeated = _count(pilot.filter(pl.col("review_id").is_duplicated()))
    text = f"{elsewhere} rows from another split and {repeated} repeated rows; 0 and 0 expected"
    return Verdict(not elsewhere and not repeated, text, {"elsewhere": elsewhere, "repeated": repeated})


def _pilot_covers_strata(corpus: Path, folder: Path) -> Verdict:
    """Every stratum of a split has been asked about, now or in an earlier round."""
    keys = ["split", "stratum"]
    reviews = _reviews_in_order(corpus, folder)
    strata = reviews.select(keys).unique()
    pilot, answered = (
        pl.read_parquet(folder / name, columns=["review_id"], glob=False) for name in (PILOT_FILE, ANSWERED_FILE)
    )
    asked = reviews.join(pl.concat([pilot, answered]), on="review_id", how="semi").select(keys).unique()
    missing = strata.join(asked, on=keys, how="anti").sort(keys)
    names = ["/".join(row) for row in missing.head(5).iter_rows()]
    text = f"{missing.height} of {strata.height} strata have no row in a pilot of {pilot.height}"
    more = f", and {missing.height - len(names)} more" if missing.height > len(names) else ""
    told = f"{text}: {', '.join(names)}{more}" if names else text
    return Verdict(missing.is_empty(), told, {"missing": missing.height})


def _test_rows_are_random(corpus: Path, folder: Path) -> Verdict:
    """Draws them again, from ids and strata alone: neither texts nor a model can have changed the draw."""
    answered = pl.read_parquet(folder / ANSWERED_FILE, glob=False)
    test = _reviews_in_order(corpus, folder).filter(pl.col("split") == "test")
    pilot = (
        pl.scan_parquet(folder / PILOT_FILE, glob=False)
        .filter(pl.col("split") == "test")
        .select("review_id", "pick")
        .collect()
    )
    picked = pilot.filter(pl.col("pick") != RANDOM).height
    fresh = test.join(answered, on="review_id", how="anti", maintain_order="left")
    strange = pilot.join(draw_test(fresh, pilot.height), on="review_id", how="anti").height
    text = f"of {pilot.height} test rows {picked} were picked, and {strange} are not those that the seed draws"
    return Verdict(not picked and not strange, text, {"rows": pilot.height, "picked": picked, "not_drawn": strange})


def _pilot_asks_nothing_settled(folder: Path) -> Verdict:
    """Only what people disputed, or what a model is sure they got wrong, is asked again."""
    pilot = pl.scan_parquet(folder / PILOT_FILE, glob=False).select("review_id", "pick")
    again = pilot.join(pl.scan_parquet(folder / ANSWERED_FILE, glob=False), on="review_id", how="semi").collect()
    settled = again.filter(~pl.col("pick").is_in([DISPUTED, SUSPECT])).height
    text = f"{again.height} rows were answered in an earlier round; {settled} of them for no reason to ask again"
    return Verdict(not settled, text, {"asked_again": again.height, "settled": settled})


def _reviews_in_order(corpus: Path, folder: Path) -> pl.DataFrame:
    """The reviews that the pilot of a folder was drawn from, in the order of its draw."""
    sample = PilotSample.read(folder)
    return labelled(pl.scan_parquet(corpus / _REVIEWS, glob=False), sample.language_ratio, sample.seed)


def _request_names_pilot(pilot: Path, folder: Path) -> Verdict:
    asked = PilotRequest.read(folder).rows
    rows = _count(pl.scan_parquet(pilot / PILOT_FILE, glob=False))
    return Verdict(asked == rows, f"{asked} questions asked of a pilot of {rows}", {"asked": asked, "rows": rows})


def _labels_only_from_pilot(pilot: Path, folder: Path) -> Verdict:
    labels = pl.scan_parquet(folder / LABELS_FILE, glob=False).select("review_id", "label").collect()
    asked = pl.scan_parquet(pilot / PILOT_FILE, glob=False).select("review_id").collect()
    strange = labels.join(asked, on="review_id", how="anti").height
    unknown = labels.filter(pl.col("label").is_not_null() & ~pl.col("label").is_in(LABELS)).height
    text = f"{strange} labels of reviews that were not asked, {unknown} labels outside {', '.join(LABELS)}"
    return Verdict(not strange and not unknown, text, {"not_asked": strange, "unknown": unknown})


def _every_answer_counts(folder: Path) -> Verdict:
    rejected = _count(pl.scan_parquet(folder / "rejects.parquet", glob=False))
    return Verdict(not rejected, f"{rejected} answers do not count; see rejects.parquet", {"rejected": rejected})


def _agreement_suffices(folder: Path) -> Verdict:
    """Judged where the figures are, whatever follows from them."""
    gate = PilotLabels.read(folder).gate
    return Verdict(gate.standing in {Standing.NO_ANSWERS, Standing.SUFFICIENT}, gate.sentence, _figures(gate))


def _rests_on_agreement(labels: Path, folder: Path) -> Verdict:
    """No label that people do not agree on is trained on, and none at all where training is to be held back."""
    gate = PilotLabels.read(labels).gate
    earlier = pl.scan_parquet(labels / EARLIER_FILE, glob=False)
    carried = pl.scan_parquet(folder / _REVIEWS, glob=False).filter(pl.col("label_source") == "human")
    human = _count(carried.join(earlier, on=["review_id", "label"], how="anti"))
    text = f"{gate.sentence.rstrip('.')}. {human} rows carry a human label"
    return Verdict(not gate.holds_back and (gate.trusted or not human), text, _figures(gate) | {"human_rows": human})


def _figures(gate: Gate) -> dict[str, str | int | float]:
    measured = {"alpha": gate.alpha.value, "alpha_low": gate.alpha.low} if gate.alpha else {}
    asked = {"minimum_alpha": gate.minimum_alpha, "rows": gate.rows, "minimum_rows": gate.minimum_rows}
    return {"standing": gate.standing.value, **measured, **asked}


def _same_rows_as_corpus(corpus: Path, folder: Path) -> Verdict:
    """Only label and label_source may differ."""
    kept = [
        name
        for name in pl.scan_parquet(corpus / _REVIEWS, glob=False).collect_schema()
        if name not in {"label", "label_source"}
    ]
    # Column by column, so that the texts of a large corpus are not in memory together with the rest.
    changed = [name for name in kept if not _column(corpus, name).equals(_column(folder, name), null_equal=True)]
    text = f"columns that differ from the corpus: {changed or 'none'}"
    return Verdict(not changed, text, {"columns_compared": len(kept), "columns_changed": len(changed)})


def _labels_name_their_source(folder: Path) -> Verdict:
    rows = pl.scan_parquet(folder / _REVIEWS, glob=False)
    nameless = _count(rows.filter(pl.col("label").is_null() != pl.col("label_source").is_null()))
    unknown = _count(rows.filter(pl.col("label").is_not_null() & ~pl.col("label").is_in(LABELS)))
    text = f"{nameless} rows with a label or a label source alone, {unknown} labels outside {', '.join(LABELS)}"
    return Verdict(not nameless and not unknown, text, {"nameless": nameless, "unknown": unknown})


def _column(folder: Path, name: str) -> pl.Series:
    return pl.scan_parquet(folder / _REVIEWS, glob=False).select(name).collect().to_series()


def _count(rows: pl.LazyFrame) -> int:
    return rows.select(pl.len()).collect().item()


PILOT_SAMPLE: Final = (
    Audit(
        "from_train_and_test",
        "Every row is of the train or the test split, and once only.",
        _pilot_from_train_and_test,
    ),
    Audit(
        "asks_nothing_settled",
        "Of what was answered in an earlier round, only disputed rows and suspects are asked once more.",
        _pilot_asks_nothing_settled,
    ),
    Audit(
        "covers_strata",
        "Every label of every source and language is in the pilot of a round, from train and from test.",
        _pilot_covers_strata,
        against="review_corpus",
        blocking=False,
    ),
    Audit(
        "test_rows_are_random",
        "Test rows, which become the gold rows, are those that the seed draws, whatever a model makes of them.",
        _test_rows_are_random,
        against="review_corpus",
    ),
)

PILOT_REQUEST: Final = (
    Audit(
        "asks_whole_pilot",
        "Every review of the pilot is asked once.",
        _request_names_pilot,
        against="pilot_sample",
    ),
)

PILOT_LABELS: Final = (
    Audit("every_answer_counts", "No answer was refused.", _every_answer_counts, blocking=False),
    # It warns, so that a round that people do not agree on is published with its figures and its next round, which is
    # what mends it; training_reviews is where the same gate blocks.
    Audit(
        "agreement_suffices",
        "The lower bound of Krippendorff's alpha reaches its minimum, on enough reviews with two answers.",
        _agreement_suffices,
        blocking=False,
    ),
    Audit(
        "only_from_pilot",
        "Only reviews that were asked have a label.",
        _labels_only_from_pilot,
        against="pilot_sample",
    ),
)

TRAINING_REVIEWS: Final = (
    Audit(
        "labels_name_their_source",
        "A row has a label exactly if it says where it is from.",
        _labels_name_their_source,
    ),
    Audit(
        "same_rows_as_corpus",
        "Ids, texts, groups and splits are those of the corpus, in its order; only labels may differ.",
        _same_rows_as_corpus,
        against="review_corpus",
    ),
    Audit(
        "rest_on_agreement",
        "People agree well enough, by the lower bound of Krippendorff's alpha, or their labels are not trained on.",
        _rests_on_agreement,
        against="pilot_labels",
    ),
)
