"""The pick, and the report with all of its inputs, with none, and with hostile ones."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from workflows_dagster.chain import ChainResult
from workflows_dagster.checks.benchmark import fetches, judge_self_contained, judge_techniques
from workflows_dagster.cli.chain import show
from workflows_dagster.lib.artifact import Artifact, write_report
from workflows_dagster.lib.benchmark.picking import pareto_front, pick
from workflows_dagster.lib.benchmark.reporting import ReportInputs, build_report
from workflows_dagster.lib.benchmark.settings import ReportSettings

HOSTILE = '<script>alert("x")</script> | `a` & <img src="http://evil.example/x.png">'


def estimate(value: float, low: float, high: float, n: int = 100) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": n, "confidence": 0.95}


def benchmark(name: str, size: int, speed: float, agreement_low: float = 0.99, loss: float = -0.01) -> dict[str, Any]:
    return {
        "technique": name,
        "adapter_commit": "c" * 40,
        "size_bytes": size,
        "speed_ratio": {"value": speed, "min": speed / 2, "max": speed * 2, "blocks": 4},
        "agreement": estimate(0.995, agreement_low, 1),
        "macro_f1_difference": {"value": 0.0, "low": loss, "high": 0.01, "n": 100},
        "flips": 1,
        "rows": 100,
        "quality": {
            "macro_f1": estimate(0.7, 0.6, 0.8),
            "per_source": {HOSTILE: {"macro_f1": estimate(0.7, 0.6, 0.8)}},
        },
        "throughput": {"median_reviews_per_s": 100.0, "repeats": 3, "rows": 64},
        "latency": {"p50_ms": 10.0, "p95_ms": 12.0, "n": 30, "warmup": 5},
        "load_s": 1.0,
        "peak_memory_bytes": 200_000_000,
        "peak_memory_note": "note",
        "threads": 2,
        "batch_tokens": 1024,
        "machine": {"cpu": HOSTILE, "cores": 2, "system": "x", "python": "3", "flags": [], "int8_dot_product": True},
        "details": {"weights": HOSTILE},
        "versions": {"torch": "2"},
    }


ROWS = [benchmark("torch-fp32", 90, 1.0), benchmark("torch-int8", 60, 2.0), benchmark("onnx-int8", 23, 3.0, 0.9)]


def artifact(folder: Path, name: str, report: dict[str, Any] | None = None, partition: str | None = None) -> Artifact:
    place = folder / name / (partition or "all")
    place.mkdir(parents=True)
    if report is not None:
        write_report(place, report)
    return Artifact(name, partition, "c" * 40, "d" * 64, place)


@pytest.fixture
def inputs(tmp_path: Path) -> ReportInputs:
    benchmarks: list[Artifact] = []
    for row in ROWS:
        one = artifact(tmp_path, "technique_benchmarks", partition=row["technique"])
        (one.folder / "benchmark.json").write_text(json.dumps(row), "utf-8")
        benchmarks.append(one)
    scores = {
        "macro_f1": estimate(0.7, 0.6, 0.8),
        "accuracy": estimate(0.8, 0.7, 0.9),
        "per_class": {"negative": estimate(0.7, 0.6, 0.8)},
        "per_source": {HOSTILE: estimate(0.7, 0.6, 0.8)},
    }
    adapter = artifact(
        tmp_path,
        "lora_adapter",
        {"model": scores, "baseline": {"name": "TF-IDF", **scores}, "recipe": {"note": HOSTILE}},
    )
    (adapter.folder / "curve.json").write_text('[{"step": 1, "loss": 1.0}, {"step": 2, "eval_macro_f1": 0.5}]', "utf-8")
    pl.DataFrame({"label": ["negative"], "predicted": ["neutral"]}).write_parquet(
        adapter.folder / "test_predictions.parquet"
    )
    raw = {"source": HOSTILE, "rows_in": 10, "rows_kept": 9, "rows_rejected": 1, "reasons": {"empty": 1}}
    made_up = {"source": "northgate_shop", "rows_in": 5, "rows_kept": 5, "rows_rejected": 0, "reasons": {}}
    clean = {"rows_in": 9, "rows_kept": 7, "rows_rejected": 2, "reasons": {"too_short": 2}}
    corpus = {
        "rows_kept": 11,
        "rows_duplicate": {"exact": 1},
        "rows_left_out": 0,
        "sources": {HOSTILE: 6, "northgate_shop": 5},
        "labels": {"negative": 4, "neutral": 3, "positive": 4},
        "splits": {"train": 9, "test": 2},
    }
    return ReportInputs(
        benchmarks=benchmarks,
        adapter=adapter,
        raw=[artifact(tmp_path, "raw_reviews", raw, "a"), artifact(tmp_path, "raw_reviews", made_up, "b")],
        cleaned=[artifact(tmp_path, "cleaned_reviews", clean, "a")],
        corpus=artifact(tmp_path, "review_corpus", corpus),
        training=artifact(
            tmp_path, "training_reviews", {"status": "waiting", "human_rows": 0, "label_sources": {"rating": 11}}
        ),
        synthetic=artifact(
            tmp_path,
            "validated_synthetic_reviews",
            {"rows_in": 5, "rows_kept": 3, "rows_rejected": 2, "generator_is_stand_in": True},
        ),
    )


@pytest.mark.parametrize(("rows", "made_by"), [(0, False), (3, True)])
def test_the_report_tells_what_people_said_of_synthetic_rows_and_how_many_were_trained_on(
    inputs: ReportInputs, tmp_path: Path, rows: int, made_by: bool
) -> None:
    said = "People find synthetic rows sound in 0.600 [0.502, 0.691] n=100"
    augmented = artifact(tmp_path, "augmented_reviews", {"rows_synthetic": rows, "review": {"sentence": said}})
    summary = build_report(replace(inputs, augmented=augmented), ReportSettings(), tmp_path).summary
    assert f"{said}." in summary["notices"]
    assert any("Synthetic training rows were made by" in notice for notice in summary["notices"]) is made_by
    assert f"2 rejected, {rows} trained on" in (tmp_path / "report.md").read_text("utf-8")


def judged_by(folder: Path, name: str, labels: dict[str, dict[str, Any]], baseline: dict[str, Any]) -> Artifact:
    """An adapter whose report tells scores by origin of the label."""
    scores = {
        "macro_f1": estimate(0.7, 0.6, 0.8),
        "accuracy": estimate(0.8, 0.7, 0.9),
        "per_class": {},
        "per_source": {},
    }
    return artifact(
        folder,
        name,
        {
            "model": scores | {"per_label_source": labels},
            "baseline": {"name": "TF-IDF", **scores, "per_label_source": baseline},
        },
    )


def gold_part(folder: Path) -> tuple[list[str], str]:
    """Lines of the markdown, and the page, after the heading of the gold rows."""
    text, page = ((folder / name).read_text("utf-8") for name in ("report.md", "report.html"))
    part = text.partition("### Gold rows")[2].partition("## The data")[0]
    return [line for line in part.splitlines() if line], page.partition("<h3>Gold rows</h3>")[2].partition("<h2>")[0]


def test_scores_on_labels_by_people_stand_apart_from_those_on_weak_labels(inputs: ReportInputs, tmp_path: Path) -> None:
    people, rating = estimate(0.61, 0.5, 0.72, 100), estimate(0.9, 0.88, 0.92, 1200)
    linear = {"human": estimate(0.55, 0.44, 0.66, 100)}
    adapter = judged_by(tmp_path, "judged", {"given": rating, "human": people, "rating": rating}, linear)
    summary = build_report(replace(inputs, adapter=adapter), ReportSettings(), tmp_path).summary
    assert summary["gold"] == {"macro_f1": people, "baseline_macro_f1": linear["human"]}
    lines, page = gold_part(tmp_path)
    assert [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines[2:]] == [
        "| by people (gold) | 100 | 0.610 [0.500, 0.720] | 0.550 [0.440, 0.660] |",
        "| weak: rating | 1,200 | 0.900 [0.880, 0.920] | n/a |",
        "| weak: given | 1,200 | 0.900 [0.880, 0.920] | n/a |",
    ]
    assert page.index("by people (gold)") < page.index("weak: rating") < page.index("<svg")
    assert "the interval is wide" not in page


@pytest.mark.parametrize(("rows", "said"), [(1, "Only 1 of the test rows has"), (99, "Only 99 of the test rows have")])
def test_a_score_on_few_labels_by_people_is_said_to_be_uncertain(
    inputs: ReportInputs, tmp_path: Path, rows: int, said: str
) -> None:
    labels = {"human": estimate(0.6, 0.3, 0.9, rows)}
    build_report(replace(inputs, adapter=judged_by(tmp_path, "judged", labels, labels)), ReportSettings(), tmp_path)
    lines, page = gold_part(tmp_path)
    for text in (lines[-1], page):
        assert said in text
        assert "with fewer than 100, the interval is wide" in text


def test_no_label_by_people_is_said_in_one_sentence(inputs: ReportInputs, tmp_path: Path) -> None:
    adapter = judged_by(tmp_path, "judged", {"rating": estimate(0.9, 0.8, 1)}, {})
    summary = build_report(replace(inputs, adapter=adapter), ReportSettings(), tmp_path).summary
    assert summary["gold"] is None
    lines, page = gold_part(tmp_path)
    assert lines == ["No test row has a label by people yet."]
    assert lines[0] in page
    assert "<table" not in page.partition(lines[0])[0]


def test_a_model_of_before_scores_by_origin_says_nothing_of_gold_rows(inputs: ReportInputs, tmp_path: Path) -> None:
    summary = build_report(inputs, ReportSettings(), tmp_path).summary
    assert summary["gold"] is None
    for name in ("report.html", "report.md"):
        text = (tmp_path / name).read_text("utf-8")
        assert "Gold rows" not in text
        assert "label by people" not in text


@pytest.mark.parametrize("found", [True, False])
def test_the_terminal_shows_scores_on_labels_by_people_where_there_are_any(
    inputs: ReportInputs, tmp_path: Path, capsys: pytest.CaptureFixture[str], found: bool
) -> None:
    labels = {"human": estimate(0.61, 0.5, 0.72, 40)} if found else {"rating": estimate(0.9, 0.8, 1)}
    place = artifact(tmp_path, "benchmark_report")
    adapter = judged_by(tmp_path, "judged", labels, labels)
    build_report(replace(inputs, adapter=adapter), ReportSettings(), place.folder)
    show(ChainResult(place))
    row = "macro-F1, people's labels  0.610 [0.500, 0.720] n=40  (baseline 0.610 [0.500, 0.720] n=40)"
    assert (row in capsys.readouterr().out) is found


def test_the_fastest_qualified_artefact_is_picked() -> None:
    chosen = pick(ROWS, ReportSettings(min_agreement_low=0.95))
    assert chosen.technique == "torch-int8"
    assert chosen.front == ("torch-int8",)  # smaller and faster than torch-fp32; onnx-int8 does not qualify
    assert "0.900 (needed: 0.95)" in chosen.refused["onnx-int8"]


def test_an_artefact_that_may_lose_too_much_macro_f1_is_refused() -> None:
    chosen = pick([ROWS[0], benchmark("onnx-int8", 23, 3.0, loss=-0.03)], ReportSettings(max_macro_f1_loss=0.02))
    assert chosen.technique == "torch-fp32"
    assert "-0.030 (allowed: -0.02)" in chosen.refused["onnx-int8"]


def test_nothing_is_picked_from_nothing() -> None:
    assert pick([], ReportSettings()).technique is None


def test_the_front_keeps_what_nothing_beats_in_both() -> None:
    rows = [benchmark("a", 10, 1), benchmark("b", 20, 2), benchmark("c", 20, 1.5), benchmark("d", 30, 2)]
    assert [row["technique"] for row in pareto_front(rows)] == ["a", "b"]


def test_the_report_tells_what_a_reader_has_to_know(inputs: ReportInputs, tmp_path: Path) -> None:
    summary = build_report(inputs, ReportSettings(), tmp_path).summary
    assert (summary["rows_in"], summary["rows_kept"], summary["rows_rejected"]) == (15, 11, 3)
    assert summary["rows_duplicate"] == 1
    assert summary["pick"] == "torch-int8"
    assert any("northgate_shop" in notice and "made up" in notice for notice in summary["notices"])
    assert any("pilot is waiting" in notice for notice in summary["notices"])
    assert any("stand-in generator" in notice for notice in summary["notices"])
    assert summary["missing"] == ["compression: not benchmarked yet: onnx-fp32"]
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<svg") == 5
    assert all(notice[:40] in page for notice in summary["notices"])
    assert json.loads((tmp_path / "summary.json").read_text("utf-8")) == summary
    assert not judge_techniques(tmp_path).passed


def test_hostile_texts_are_shown_and_not_run(inputs: ReportInputs, tmp_path: Path) -> None:
    build_report(inputs, ReportSettings(), tmp_path)
    page, text = ((tmp_path / name).read_text("utf-8") for name in ("report.html", "report.md"))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in text
    assert judge_self_contained(tmp_path).passed
    tables = [line for line in text.splitlines() if "alert" in line and line.startswith("|")]
    assert tables
    assert all(r"\|" in line for line in tables)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    summary = build_report(ReportInputs(benchmarks=[]), ReportSettings(), tmp_path).summary
    told = " ".join(summary["missing"])
    for name in ("raw_reviews", "review_corpus", "training_reviews", "validated_synthetic_reviews", "lora_adapter"):
        assert name in told
    assert summary["macro_f1"] is None
    assert summary["rows_in"] is None
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Missing from this report" in page
    assert "No artefact has been benchmarked" in page


def test_a_benchmark_of_an_earlier_model_is_left_out_and_named(inputs: ReportInputs, tmp_path: Path) -> None:
    stale = inputs.benchmarks[1].folder / "benchmark.json"
    stale.write_text(json.dumps(ROWS[1] | {"adapter_commit": "b" * 40}), "utf-8")
    summary = build_report(inputs, ReportSettings(), tmp_path).summary
    assert [row["technique"] for row in summary["techniques"]] == ["torch-fp32", "onnx-int8"]
    assert summary["pick"] == "torch-fp32"
    assert "compression: left out, because measured on another model: torch-int8" in summary["missing"]
    assert "compression: not benchmarked yet: onnx-fp32, torch-int8" in summary["missing"]


def test_a_report_without_the_expected_keys_is_said_to_lack_them(inputs: ReportInputs, tmp_path: Path) -> None:
    bare = ReportInputs(
        benchmarks=inputs.benchmarks, corpus=artifact(tmp_path, "bare", {}), adapter=artifact(tmp_path, "unread")
    )
    told = " ".join(build_report(bare, ReportSettings(), tmp_path).summary["missing"])
    assert "the report of lora_adapter cannot be read" in told
    assert "no learning curve" in told
    assert "no confusion matrix" in told


def test_the_same_inputs_give_the_same_bytes(inputs: ReportInputs, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        build_report(inputs, ReportSettings(), tmp_path / name)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("markup", "loads"),
    [
        ('<img src="http://a.example/x.png">', True),
        ("<script src=x.js></script>", True),
        ('<link rel="stylesheet" href="//cdn.example/x.css">', True),
        ("<style>@import 'x.css'</style>", True),
        ("<p style='background:url(http://a.example)'>", True),
        ('<img src="data:image/png;base64,AA">', False),
        ('<a href="https://a.example">read on</a>', False),
        ("<p>http://a.example</p>", False),
    ],
)
def test_a_page_that_loads_from_elsewhere_is_noticed(markup: str, loads: bool) -> None:
    assert bool(fetches(markup)) is loads
