"""Rounds follow each other through the store: what is asked next, what is never asked again, and which model judges."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from workflows_dagster.lib.annotation.consensus import EARLIER_FILE, LABELS_FILE, PILOT_LABEL
from workflows_dagster.lib.annotation.next_round import NEXT_ROUND, NEXT_ROUND_FILE
from workflows_dagster.lib.annotation.records import PilotSample, ScorerUsed
from workflows_dagster.lib.annotation.rounds import LABELS_PATH, SAMPLE_PATH, Opening, open_round
from workflows_dagster.lib.annotation.sample import PILOT_FILE, PilotSettings, build_pilot_sample
from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.errors import NotEnoughDataError, NotPublishedError
from workflows_dagster.lib.release.deployment import deploy
from workflows_dagster.lib.release.releases import release_at, tag_release
from workflows_dagster.lib.schema import LABELS
from workflows_dagster.lib.store.version import Version
from workflows_dagster_tests.lib.annotation.made_up import AGREED, corpus_of, labels_record
from workflows_dagster_tests.lib.release.made_up import MadeUpChain, reviews


@pytest.fixture
def chain(tmp_path: Path) -> MadeUpChain:
    """A store of its own."""
    return MadeUpChain(tmp_path)


@pytest.fixture
def corpus(tmp_path: Path) -> Artifact:
    """40 reviews; every other is of the test split."""
    table = reviews(*[(f"r{number:02}", "shop", LABELS[number % 3], f"text {number}") for number in range(40)])
    split = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("train")).otherwise("split")
    return corpus_of(tmp_path, table.with_columns(split=split))


def sample(chain: MadeUpChain, corpus: Artifact, number: int | None = None, **settings: Any) -> Version:
    """Publishes the sample of a round."""
    asked = PilotSettings.model_validate({"rows": 10, "round": number, "scorer": "none"} | settings)
    opening = open_round(chain.store, asked.round, asked.scorer)
    with chain.store.transaction(SAMPLE_PATH, "m", label=["s"], metadata=opening.provenance) as transaction:
        build_pilot_sample(corpus, asked, transaction.folder, opening)
    assert transaction.version is not None
    return transaction.version


def pilot(chain: MadeUpChain, version: Version) -> pl.DataFrame:
    return pl.read_parquet(chain.store.file(SAMPLE_PATH, PILOT_FILE, version.commit))


def record(chain: MadeUpChain, version: Version) -> PilotSample:
    return PilotSample.read(chain.store.folder(SAMPLE_PATH, version.commit))


def answer(
    chain: MadeUpChain,
    asked: Version,
    status: str = "complete",
    listed: list[tuple[str, str, float]] | None = None,
    trusted: bool = True,
) -> Version:
    """Publishes what people said to a sample: an answer to each row, and what to ask next."""
    ids = pilot(chain, asked)["review_id"] if status != "waiting" else pl.Series("review_id", [], pl.String)
    upstream = {f"upstream/{SAMPLE_PATH}": asked.commit}
    with chain.store.transaction(LABELS_PATH, "m", label=["l"], metadata=upstream) as transaction:
        labels = pl.DataFrame(ids).with_columns(
            label=pl.lit("positive"),
            votes=2,
            agreeing=2,
            annotators=pl.lit(["x", "y"]),
            resolution=pl.lit("majority"),
            majority=pl.lit("positive"),
            dawid_skene=pl.lit("positive"),
            posterior=pl.lit(1.0),
        )
        write_table(transaction.folder / LABELS_FILE, labels, PILOT_LABEL)
        next_round = pl.DataFrame(listed or [], schema=NEXT_ROUND.names, orient="row")
        write_table(transaction.folder / NEXT_ROUND_FILE, next_round, NEXT_ROUND)
        labels_record(AGREED if trusted else replace(AGREED, alpha=None), status).write(transaction.folder)
    assert transaction.version is not None
    return transaction.version


def test_first_round_needs_nothing(chain: MadeUpChain) -> None:
    opening = open_round(chain.store, None, "released, else words")

    assert (opening.number, list(opening.earlier), opening.released) == (1, [], None)
    assert opening.provenance == {}


def test_second_round_asks_what_was_disputed_and_nothing_that_was_settled(chain: MadeUpChain, corpus: Artifact) -> None:
    first = sample(chain, corpus)
    train = pilot(chain, first).filter(pl.col("split") == "train")["review_id"].to_list()
    test = pilot(chain, first).filter(pl.col("split") == "test")["review_id"].to_list()
    fresh = min(set(f"r{number:02}" for number in range(0, 40, 2)) - set(train))
    # A disputed test row is not asked again: gold rows are drawn at random alone.
    listed = [(train[0], "disagreement", 0.6), (test[0], "disagreement", 0.9), (fresh, "weak_label_suspect", 0.8)]
    labels = answer(chain, first, listed=listed)

    second = sample(chain, corpus, 2)

    asked = pilot(chain, second)
    picks = dict(asked.select("review_id", "pick").iter_rows())
    assert picks[train[0]] == "disputed"
    assert picks.get(fresh) in {"suspect", "random"}
    assert set(picks) & {*train, *test} == {train[0]}
    assert set(asked.filter(pl.col("split") == "test")["pick"]) == {"random"}
    assert record(chain, second).earlier_rounds == {1: labels.commit}
    assert second.metadata["earlier_round/1/pilot_labels"] == labels.commit
    # No input: the chain of a release would lead through the samples of all rounds.
    assert not [name for name in second.metadata if name.startswith("upstream/")]


def test_round_stays_until_the_next_is_asked_for(chain: MadeUpChain, corpus: Artifact) -> None:
    answer(chain, sample(chain, corpus))
    second = sample(chain, corpus, 2)
    answer(chain, second, "waiting")

    # Unset or named, before and after people have answered: the same sample.
    assert sample(chain, corpus).digest == second.digest
    assert sample(chain, corpus, 2).digest == second.digest
    answer(chain, second)
    assert sample(chain, corpus).digest == second.digest
    third = sample(chain, corpus, 3)
    assert record(chain, third).round == 3
    asked = [set(pilot(chain, version)["review_id"]) for version in (second, third)]
    assert not asked[0] & asked[1]


def test_labels_of_earlier_rounds_go_along_where_they_may_be_trained_on(chain: MadeUpChain, corpus: Artifact) -> None:
    first = sample(chain, corpus)
    answer(chain, first)
    second = sample(chain, corpus, 2)
    answer(chain, second, trusted=False)
    third = sample(chain, corpus, 3)

    along = pl.read_parquet(chain.store.file(SAMPLE_PATH, EARLIER_FILE, third.commit))
    assert along["review_id"].to_list() == pilot(chain, first)["review_id"].to_list()
    assert set(along["round"]) == {1}
    assert pl.read_parquet(chain.store.file(SAMPLE_PATH, EARLIER_FILE, first.commit)).is_empty()


def test_round_that_nobody_answered_has_no_next_one(chain: MadeUpChain, corpus: Artifact) -> None:
    first = sample(chain, corpus)
    with pytest.raises(NotPublishedError, match="round 2 cannot be drawn without what people answered in round 1"):
        open_round(chain.store, 2, "none")
    answer(chain, first, "waiting")
    with pytest.raises(NotPublishedError, match="with answers to round 1"):
        open_round(chain.store, 2, "none")
    answer(chain, first, "partial")
    with pytest.raises(NotPublishedError, match="with answers to round 2"):
        open_round(chain.store, 3, "none")
    assert open_round(chain.store, 2, "none").number == 2


def test_corpus_that_was_answered_whole_has_nothing_left_to_ask(chain: MadeUpChain, corpus: Artifact) -> None:
    answer(chain, sample(chain, corpus))
    for number in (2, 3, 4):
        answer(chain, sample(chain, corpus, number))
    with pytest.raises(NotEnoughDataError, match="40 rows answered"):
        sample(chain, corpus, 5)


def release(chain: MadeUpChain, number: int) -> None:
    """A deployed release whose model cannot be run."""
    table = reviews((f"n{number}", "shop", "positive", f"text {number}"))
    version = chain.record(chain.whole(table, bytes([number]), {f"n{number}": "positive"}))
    found = release_at(chain.store, tag_release(chain.store, version), version.commit)
    deploy(chain.store, found, "test", ["t"])


def test_round_keeps_the_model_it_was_begun_with(chain: MadeUpChain, corpus: Artifact) -> None:
    sample(chain, corpus, scorer="released, else words")
    release(chain, 1)

    assert open_round(chain.store, None, "released, else words").released is None
    # Asked for by name, the release counts at once, and in the next round in any case.
    named = open_round(chain.store, None, "released").released
    assert named is not None
    assert named.tag == "release-1"
    answer(chain, sample(chain, corpus, scorer="released, else words"))
    opening = open_round(chain.store, 2, "released, else words")
    assert opening.released is not None
    assert opening.provenance["scorer/model_release"] == opening.released.version.commit
    assert open_round(chain.store, 2, "words").released is None


def test_release_that_was_begun_with_stays_after_another(chain: MadeUpChain, corpus: Artifact) -> None:
    release(chain, 1)
    begun = record(chain, sample(chain, corpus)).model_copy(
        update={"scorer": ScorerUsed("released", "release-1", "release-1", "")}
    )
    with chain.store.transaction(SAMPLE_PATH, "m", label=["s"], metadata={}) as transaction:
        begun.write(transaction.folder)
    release(chain, 2)

    tags = [open_round(chain.store, None, scorer).released for scorer in ("released", "released, else words")]
    assert [found.tag for found in tags if found] == ["release-1", "release-2"]


def test_release_that_is_not_there_is_an_error_where_it_was_asked_for(chain: MadeUpChain) -> None:
    with pytest.raises(NotPublishedError, match="no release is deployed"):
        open_round(chain.store, None, "released")


def test_opening_of_a_first_round_has_nothing_answered() -> None:
    assert Opening().answered().is_empty()
    assert Opening().listed().is_empty()
