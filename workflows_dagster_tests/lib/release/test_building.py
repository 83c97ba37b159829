"""What a release consists of, and what its gates refuse."""

from pathlib import Path

import pytest

from workflows_dagster.checks.release import judge_gates, judge_model, judge_one_chain
from workflows_dagster.lib.errors import DataContractError
from workflows_dagster.lib.release.building import build_release
from workflows_dagster.lib.release.record import Pick, ReleaseRecord, RowCount
from workflows_dagster.lib.store.lineage import chain_of
from workflows_dagster_tests.lib.release.made_up import EVERY_GATE, GATES, MadeUpChain, reviews

ROWS = reviews(("r1", "shop", "positive", "good"), ("r2", "shop", "positive", "fine"), ("r3", "blog", None, "hm"))
CHAIN = [
    "augmented_reviews",
    "benchmark_report",
    "export_benchmarks/int8",
    "exported_models/int8",
    "raw_reviews/a",
    "review_corpus",
    "training_reviews",
]


def test_release_names_every_version_behind_a_report(chain: MadeUpChain, tmp_path: Path) -> None:
    report = chain.whole(ROWS)
    record = build_release(chain.store, report, GATES, tmp_path)
    assert [member.path for member in record.chain] == CHAIN
    assert {member.commit for member in record.chain} == {chain.store.version(path).commit for path in CHAIN}
    assert record.gates == {"augmented_reviews": ("augmented_reviews_whole",), "raw_reviews": ("raw_reviews_whole",)}
    export = chain.store.version("exported_models/int8")
    assert record.pick == Pick(
        "int8", "fast", "exported_models/int8", export.commit, export.digest, "model/weights", "01", 1
    )
    assert {name: (one.value, one.n) for name, one in record.metrics.items()} == {
        "model macro-F1": (0.7, 100),
        "baseline macro-F1": (0.7, 100),
        "model gain over baseline": (0.1, 100),
        "pick macro-F1": (0.7, 100),
        "pick agreement": (0.995, 100),
    }


def test_rows_are_counted_by_what_they_have_in_common(chain: MadeUpChain, tmp_path: Path) -> None:
    record = build_release(chain.store, chain.whole(ROWS), GATES, tmp_path)
    assert record.rows == (RowCount("blog", None, None, "none", 1), RowCount("shop", "positive", "given", "test", 2))
    assert record.rows_total == 3
    assert record.rows_by("label") == {"none": 1, "positive": 2}


def test_release_of_the_same_chain_has_the_same_bytes_and_reads_back(chain: MadeUpChain, tmp_path: Path) -> None:
    report = chain.whole(ROWS)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    record = build_release(chain.store, report, GATES, tmp_path / "one")
    build_release(chain.store, report, GATES, tmp_path / "other")
    assert (tmp_path / "one" / "release.json").read_bytes() == (tmp_path / "other" / "release.json").read_bytes()
    assert ReleaseRecord.read(tmp_path / "one") == record


def test_whole_chain_passes_every_gate(chain: MadeUpChain, tmp_path: Path) -> None:
    build_release(chain.store, chain.whole(ROWS), EVERY_GATE, tmp_path)
    verdicts = [judge(tmp_path) for judge in (judge_one_chain, judge_gates, judge_model)]
    assert [verdict.passed for verdict in verdicts] == [True, True, True]
    assert verdicts[1].description == "7 checks of 7 versions passed"


def test_chain_of_two_versions_of_one_path_is_refused_and_says_who_used_which(
    chain: MadeUpChain, tmp_path: Path
) -> None:
    raw = chain.publish("raw_reviews/a", {"reviews.txt": b"1"})
    old = chain.rows(ROWS, raw)
    benchmark = chain.benchmark(old, b"\x01", {})
    new = chain.rows(reviews(("r1", "shop", "negative", "good")), raw)
    build_release(chain.store, chain.report("int8", new, benchmark), EVERY_GATE, tmp_path)
    verdict = judge_one_chain(tmp_path)
    assert not verdict.passed
    assert f"{old.commit[:12]} in export_benchmarks/int8 and exported_models/int8" in verdict.description
    assert f"{new.commit[:12]} in benchmark_report" in verdict.description


@pytest.mark.parametrize(
    ("verdict", "gate", "said"),
    [
        ("failed", "augmented_reviews_whole", "augmented_reviews_whole failed"),
        ("passed", "augmented_reviews_new_gate", "augmented_reviews_new_gate never judged"),
    ],
)
def test_version_that_did_not_pass_a_gate_of_today_is_refused(
    chain: MadeUpChain, tmp_path: Path, verdict: str, gate: str, said: str
) -> None:
    rows = chain.rows(ROWS, chain.publish("raw_reviews/a", {"reviews.txt": b"1"}), audit=verdict)
    report = chain.report("int8", rows, chain.benchmark(rows, b"\x01", {}))
    build_release(chain.store, report, EVERY_GATE | {"augmented_reviews": [gate]}, tmp_path)
    found = judge_gates(tmp_path)
    assert not found.passed
    assert found.description == f"augmented_reviews at {rows.commit[:12]}: {said}"


def test_version_of_an_asset_that_is_gone_is_refused(chain: MadeUpChain, tmp_path: Path) -> None:
    gates = {asset: names for asset, names in EVERY_GATE.items() if asset != "review_corpus"}
    build_release(chain.store, chain.whole(ROWS), gates, tmp_path)
    assert judge_gates(tmp_path).description == "review_corpus: there is no asset review_corpus today"


def test_report_without_a_pick_is_refused(chain: MadeUpChain, tmp_path: Path) -> None:
    rows = chain.rows(ROWS, chain.publish("raw_reviews/a", {"reviews.txt": b"1"}))
    build_release(chain.store, chain.report(None, rows), EVERY_GATE, tmp_path)
    assert not judge_model(tmp_path).passed


def test_report_that_does_not_name_what_it_used_is_an_error(chain: MadeUpChain, tmp_path: Path) -> None:
    rows = chain.rows(ROWS, chain.publish("raw_reviews/a", {"reviews.txt": b"1"}))
    with pytest.raises(DataContractError, match="which version of export_benchmarks/int8"):
        build_release(chain.store, chain.report("int8", rows), EVERY_GATE, tmp_path)


def test_chain_has_each_version_once_however_many_use_it(chain: MadeUpChain) -> None:
    raw = chain.publish("raw_reviews/a", {"reviews.txt": b"1"})
    left = chain.publish("left", {"f": b"1"}, raw)
    right = chain.publish("right", {"f": b"2"}, raw)
    top = chain.publish("top", {"f": b"3"}, left, right)
    assert [version.path for version in chain_of(chain.store, [("top", top.commit)])] == [
        "left",
        "raw_reviews/a",
        "right",
        "top",
    ]


@pytest.mark.parametrize("content", ["", "{}", '{"chain": [{"path": "x"}]}', "[]"])
def test_file_that_is_no_release_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "release.json").write_text(content, "utf-8")
    with pytest.raises(DataContractError, match=r"release\.json cannot be read"):
        ReleaseRecord.read(tmp_path)
