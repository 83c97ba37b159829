"""The pick, and the report: what it tells, and that texts of others do no harm in it."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from workflows_dagster.chain import ChainResult
from workflows_dagster.checks.benchmark import fetches, judge_self_contained, judge_techniques
from workflows_dagster.cli.chain import show
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.benchmark.export_benchmark import SpeedRatio
from workflows_dagster.lib.benchmark.page import (
    build_report,
    candidate_table,
    commands,
    limits,
    released_page,
    render_html,
    uses,
)
from workflows_dagster.lib.benchmark.report import ReportInputs, ReportRecord, compile_report, gather
from workflows_dagster.lib.benchmark.settings import ReportSettings
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.release.reports import keep_page
from workflows_dagster.lib.store.git.lfs import is_ordinary
from workflows_dagster.lib.store.version import Version
from workflows_dagster_tests.lib.benchmark.made_up import (
    made_up_adapter,
    made_up_artifact,
    made_up_benchmark,
    made_up_chain,
    made_up_quality,
    made_up_version,
)
from workflows_dagster_tests.lib.release.made_up import MadeUpChain

HOSTILE = '<script>alert("x")</script> | `a` & <img src="http://evil.example/x.png">'
TEXT_ON = (
    *(("ink", paper) for paper in ("paper", "panel")),
    *(("soft", paper) for paper in ("paper", "panel")),
    *((f"{kind}-ink", kind) for kind in ("warn", "good", "bad")),
)
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
    return gather(chain, lineage)


def lineage(roots: Iterable[Artifact]) -> list[Version]:
    """The roots themselves; the adapter is the newest, and was made with settings of its own."""
    settings = {"lora_adapter": ('{"epochs": 4}', "2026-03-02T09:05:00.5+00:00")}
    return [made_up_version(one, *settings.get(one.asset, ())) for one in roots]


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
    assert [origin.asset for origin in report.provenance] == ["augmented_reviews", "lora_adapter"] + [
        "export_benchmarks"
    ] * 3


def test_the_report_tells_what_a_reader_has_to_know(inputs: ReportInputs, tmp_path: Path) -> None:
    report = build_report(inputs, ReportSettings(), tmp_path)
    assert report.pick.technique == "torch-int8"
    for said in ("northgate_shop are the bundled sample: made up", "pilot is waiting", "stand-in generator", SAID):
        assert any(said in notice for notice in report.notices)
    assert report.missing == ("compression: not benchmarked yet: onnx-fp32",)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<svg") == 3
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
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in text
    assert judge_self_contained(tmp_path).passed
    tables = [line for line in text.splitlines() if "alert" in line and line.startswith("|")]
    assert tables
    assert all(r"\|" in line for line in tables)


def test_texts_of_reviews_are_where_the_store_can_forget_them(chain: dict[str, list[Artifact]], tmp_path: Path) -> None:
    rows = pl.read_parquet(chain["augmented_reviews"][0].folder / "reviews.parquet")
    said = rows.with_columns(text=pl.lit("The toaster is called Bob."))
    said.write_parquet(chain["augmented_reviews"][0].folder / "reviews.parquet")
    build_report(gather(chain, lineage), ReportSettings(), tmp_path)
    quoting = [path.name for path in tmp_path.glob("report.*") if "toaster" in path.read_text("utf-8")]
    assert quoting == ["report.html"]
    assert not is_ordinary("report.html", 10)  # under LFS, however small


def test_the_page_names_date_release_and_how_to_repeat_it(inputs: ReportInputs, tmp_path: Path) -> None:
    build_report(inputs, ReportSettings(time_noise_ratio=0.25), tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    for said in (
        "<dd>2 March 2026, 09:05 UTC</dd>",  # of the adapter, the newest version
        '<dd id="release">not released yet</dd>',
        "workflows-dagster run --sources sources.yaml --config config.yaml",
        "lora_adapter:\n  epochs: 4\n",
        "time_noise_ratio: 0.25",
        f"<code>{'c' * 12}</code>",
    ):
        assert said in page
    assert "workflows-dagster sample" not in page  # one of the two sources is not of the bundled sample
    released = released_page(page, "release/<1>")
    assert '<dd id="release">release/&lt;1&gt;</dd>' in released
    assert "not released yet" not in released


def test_a_report_that_is_kept_for_people_names_its_release(inputs: ReportInputs, tmp_path: Path) -> None:
    build_report(inputs, ReportSettings(), tmp_path)
    chain = MadeUpChain(tmp_path / "home")
    version = chain.publish("benchmark_report", {"report.html": (tmp_path / "report.html").read_bytes()})
    chain.store.tag("release-3", version.commit)
    named, unnamed = (
        keep_page(chain.store, version.commit, tmp_path / "reports" / f"{name}.html")
        for name in ("release-3", "newest")
    )
    assert '<dd id="release">release-3</dd>' in named.read_text("utf-8")
    assert unnamed.read_bytes() == (tmp_path / "report.html").read_bytes()
    named.write_text("edited", "utf-8")
    keep_page(chain.store, version.commit, named)
    assert '<dd id="release">release-3</dd>' in named.read_text("utf-8")


def test_a_report_on_the_bundled_sample_alone_can_be_repeated_without_any_file(inputs: ReportInputs) -> None:
    bundled = tuple(source for source in inputs.sources if source.made_up)
    report = compile_report(replace(inputs, sources=bundled), ReportSettings())
    assert commands(report) == [
        "workflows-dagster sample reviews",
        "workflows-dagster run --sources reviews/sources.yaml --config config.yaml",
    ]


def test_every_candidate_has_its_reason_and_figures_on_the_page(inputs: ReportInputs, tmp_path: Path) -> None:
    report = build_report(inputs, ReportSettings(), tmp_path)
    page, text = ((tmp_path / name).read_text("utf-8") for name in ("report.html", "report.md"))
    assert [verdict.outcome for verdict in report.pick.verdicts] == ["picked", "beaten", "refused"]
    for verdict in report.pick.verdicts:
        assert f"<p>{verdict.reason}</p>" in page
        assert verdict.reason.split(":")[0] in text.replace("\\", "")
    picked, *_ = candidate_table(report)
    assert picked == {
        "artefact": "torch-int8",
        "verdict": "picked",
        "speed, times the merged model": "2.00 [1.80,\N{NO-BREAK SPACE}2.20]",
        "reviews/s": "100",
        "latency p50, ms": "10.0",
        "p95, ms": "12.0",
        "load, s": "1.00",
        "peak memory, MB": "200",
        "on disk, MB": "0.0",
        "agreement": "0.995 [0.990,\N{NO-BREAK SPACE}1.000]",
        "flips": "1",
        "macro-F1": "0.700 [0.600,\N{NO-BREAK SPACE}0.800]",
        "change of macro-F1": "+0.000 [-0.010,\N{NO-BREAK SPACE}+0.010]",
    }


def test_what_the_model_is_not_for_follows_from_what_it_was_tested_on(inputs: ReportInputs) -> None:
    said = " ".join(limits(compile_report(inputs, ReportSettings())))
    for part in ("learned from made-up ones", "fewer than 100 test rows: en (2)", "negative is the weakest"):
        assert part in said
    assert not any("Languages with" in text for text in uses(compile_report(inputs, ReportSettings())))


@pytest.mark.parametrize(
    ("low", "high", "said"), [(0.9, 1.1, False), (1.01, 1.2, True), (0.8, 0.99, True), (1.0, 1.2, False)]
)
def test_a_merged_model_that_seems_faster_than_itself_is_told_as_noise(
    inputs: ReportInputs, low: float, high: float, said: bool
) -> None:
    reference = inputs.benchmarks[0].model_copy(update={"speed_ratio": SpeedRatio(1.1, low, high, 8)})
    notices = compile_report(replace(inputs, benchmarks=(reference,)), ReportSettings()).notices
    assert any("The merged model beside itself came out at 1.10" in notice for notice in notices) is said


@pytest.mark.parametrize(("low", "said"), [(0.001, False), (0.0, True)])
def test_a_model_that_is_not_shown_to_be_better_than_the_baseline_is_told_first(
    inputs: ReportInputs, low: float, said: bool
) -> None:
    adapter = inputs.adapter.model_copy(update={"macro_f1_gain": Estimate(0.05, low, 0.1, 100)})
    notices = compile_report(replace(inputs, adapter=adapter), ReportSettings()).notices
    assert any("not shown to be better than the linear baseline" in notice for notice in notices) is said


def test_colours_have_enough_contrast_in_light_dark_and_print(inputs: ReportInputs) -> None:
    page = render_html(compile_report(inputs, ReportSettings()), inputs.misses)
    palettes = [dict(re.findall(r"--([\w-]+):(#\w+)", block)) for block in re.findall(r":root \{[^}]+\}", page)]
    assert [len(palette) for palette in palettes] == [13, 13, 13]
    for colours in palettes:
        for ink, paper in TEXT_ON:
            assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
        for line in ("a", "b"):
            assert contrast(colours[line], colours["paper"]) >= 3, line


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, by WCAG 2.2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_tables_and_plots_are_named_for_readers_who_cannot_see_them(inputs: ReportInputs) -> None:
    page = render_html(compile_report(inputs, ReportSettings()), inputs.misses)
    assert len(re.findall(r"<svg[^>]+role=\"img\" aria-label=\"[^\"]+\"", page)) == page.count("<svg") == 3
    assert len(re.findall(r"<table[^>]* aria-label=\"[^\"]+\"", page)) == page.count("<table")
    assert page.count('role="region" tabindex="0"') == page.count("<table")
    assert re.findall(r"<th(?![^>]*scope)[ >]", page) == []
    assert len(re.findall(r"<h1", page)) == 1


def test_a_benchmark_of_an_earlier_model_is_left_out_and_named(
    chain: dict[str, list[Artifact]], tmp_path: Path
) -> None:
    earlier = made_up_benchmark("torch-int8", adapter_commit="b" * 40)
    earlier.write(chain["export_benchmarks"][1].folder)
    report = build_report(gather(chain, lineage), ReportSettings(), tmp_path)
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
