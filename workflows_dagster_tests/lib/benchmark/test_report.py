"""The pick, and the report: what it tells, and that texts of others do no harm in it."""

from dataclasses import replace
from pathlib import Path

import pytest

from workflows_dagster.chain import ChainResult
from workflows_dagster.checks.benchmark import fetches, judge_self_contained, judge_techniques
from workflows_dagster.cli.chain import show
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.benchmark.page import build_report
from workflows_dagster.lib.benchmark.report import ReportInputs, ReportRecord, gather
from workflows_dagster.lib.benchmark.settings import ReportSettings
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster_tests.lib.benchmark.made_up import (
    made_up_adapter,
    made_up_artifact,
    made_up_benchmark,
    made_up_chain,
    made_up_quality,
)

HOSTILE = '<script>alert("x")</script> | `a` & <img src="http://evil.example/x.png">'
SAID = "0.600 [0.502, 0.691] n=100"
BENCHMARKS = (
    made_up_benchmark("torch-fp32", 90, 1.0, text=HOSTILE),
    made_up_benchmark("torch-int8", 60, 2.0, text=HOSTILE),
    made_up_benchmark("onnx-int8", 23, 3.0, agreement_low=0.9, text=HOSTILE),
)


@pytest.fixture
def chain(tmp_path: Path) -> dict[str, list[Artifact]]:
    """A chain in which one technique is not benchmarked."""
    return made_up_chain(tmp_path, BENCHMARKS, text=HOSTILE)


@pytest.fixture
def inputs(chain: dict[str, list[Artifact]]) -> ReportInputs:
    return gather(chain)


def judged_by(inputs: ReportInputs, model: dict[str, Estimate], baseline: dict[str, Estimate]) -> ReportInputs:
    """The inputs with these scores by origin of the label."""
    ours, linear = made_up_quality(by_label_source=model), made_up_quality(by_label_source=baseline)
    return replace(inputs, adapter=made_up_adapter(ours, linear))


def gold_part(folder: Path) -> tuple[list[str], str]:
    """Lines of the markdown, and the page, after the heading of the gold rows."""
    text, page = ((folder / name).read_text("utf-8") for name in ("report.md", "report.html"))
    part = text.partition("### Gold rows")[2].partition("## The data")[0]
    return [line for line in part.splitlines() if line], page.partition("<h3>Gold rows</h3>")[2].partition("<h2>")[0]


def test_the_report_counts_every_row(inputs: ReportInputs, tmp_path: Path) -> None:
    report = build_report(inputs, ReportSettings(), tmp_path)
    assert (report.total("rows_in"), report.rows_rejected, report.rows_duplicate) == (15, 3, 1)
    assert report.total("skipped_by_limit") == 2
    assert [(reason.step, reason.reason, reason.rows) for reason in report.reasons] == [
        ("cleaning", "too_short", 2),
        ("reading", "empty", 1),
    ]
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "- Labels: negative 4, neutral 3, positive 4" in text
    assert "- Splits: train 9, test 2" in text
    assert [origin.asset for origin in report.provenance[:2]] == ["raw_reviews", "raw_reviews"]


def test_the_report_tells_what_a_reader_has_to_know(inputs: ReportInputs, tmp_path: Path) -> None:
    report = build_report(inputs, ReportSettings(), tmp_path)
    assert report.pick.technique == "torch-int8"
    for said in ("northgate_shop are the bundled sample: made up", "pilot is waiting", "stand-in generator", SAID):
        assert any(said in notice for notice in report.notices)
    assert report.missing == ("compression: not benchmarked yet: onnx-fp32",)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<svg") == 5
    assert all(notice[:40] in page for notice in report.notices)
    assert ReportRecord.read(tmp_path) == report
    assert not judge_techniques(tmp_path).passed


@pytest.mark.parametrize(("rows", "made_by"), [(0, False), (3, True)])
def test_the_report_tells_how_many_synthetic_rows_were_trained_on(
    inputs: ReportInputs, tmp_path: Path, rows: int, made_by: bool
) -> None:
    inputs = replace(inputs, augmented=inputs.augmented.model_copy(update={"rows_synthetic": rows}))
    report = build_report(inputs, ReportSettings(), tmp_path)
    assert any("Synthetic training rows were made by" in notice for notice in report.notices) is made_by
    assert f"2 rejected, {rows} trained on" in (tmp_path / "report.md").read_text("utf-8")


def test_scores_on_labels_by_people_stand_apart_from_those_on_weak_labels(inputs: ReportInputs, tmp_path: Path) -> None:
    people, rating = Estimate(0.61, 0.5, 0.72, 100), Estimate(0.9, 0.88, 0.92, 1200)
    linear = {"human": Estimate(0.55, 0.44, 0.66, 100)}
    judged = judged_by(inputs, {"given": rating, "human": people, "rating": rating}, linear)
    build_report(judged, ReportSettings(), tmp_path)
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
    labels = {"human": Estimate(0.6, 0.3, 0.9, rows)}
    build_report(judged_by(inputs, labels, labels), ReportSettings(), tmp_path)
    lines, page = gold_part(tmp_path)
    for text in (lines[-1], page):
        assert said in text
        assert "with fewer than 100, the interval is wide" in text


def test_no_label_by_people_is_said_in_one_sentence(inputs: ReportInputs, tmp_path: Path) -> None:
    build_report(inputs, ReportSettings(), tmp_path)
    lines, page = gold_part(tmp_path)
    assert lines == ["No test row has a label by people yet."]
    assert lines[0] in page
    assert "<table" not in page.partition(lines[0])[0]


@pytest.mark.parametrize("found", [True, False])
def test_the_terminal_shows_scores_on_labels_by_people_where_there_are_any(
    inputs: ReportInputs, tmp_path: Path, capsys: pytest.CaptureFixture[str], found: bool
) -> None:
    labels = {"human" if found else "rating": Estimate(0.61, 0.5, 0.72, 40)}
    place = made_up_artifact(tmp_path, "benchmark_report")
    build_report(judged_by(inputs, labels, labels), ReportSettings(), place.folder)
    show(ChainResult(place))
    row = "macro-F1, people's labels  0.610 [0.500, 0.720] n=40  (baseline 0.610 [0.500, 0.720] n=40)"
    assert (row in capsys.readouterr().out) is found


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


def test_a_benchmark_of_an_earlier_model_is_left_out_and_named(
    chain: dict[str, list[Artifact]], tmp_path: Path
) -> None:
    earlier = made_up_benchmark("torch-int8", adapter_commit="b" * 40)
    earlier.write(chain["export_benchmarks"][1].folder)
    report = build_report(gather(chain), ReportSettings(), tmp_path)
    assert [one.technique for one in report.benchmarks] == ["torch-fp32", "onnx-int8"]
    assert report.pick.technique == "torch-fp32"
    assert report.missing == (
        "compression: left out, because measured on another model: torch-int8",
        "compression: not benchmarked yet: onnx-fp32, torch-int8",
    )
    assert "torch-int8" not in [origin.partition for origin in report.provenance]


def test_a_report_without_any_benchmark_says_so(inputs: ReportInputs, tmp_path: Path) -> None:
    report = build_report(replace(inputs, benchmarks=()), ReportSettings(), tmp_path)
    assert (report.pick.technique, report.picked) == (None, None)
    assert "No artefact has been benchmarked" in (tmp_path / "report.html").read_text("utf-8")


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
