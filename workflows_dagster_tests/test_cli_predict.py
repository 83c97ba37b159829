"""`predict`: what it reads, what it writes and where, and that it says what the exported model says."""

import csv
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from workflows_dagster.cli import app
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.export.registry import REFERENCE, open_classifier
from workflows_dagster.lib.finetuning.merged_model import MergedModelRecord
from workflows_dagster.lib.release import row_files
from workflows_dagster.lib.release.prediction import Prediction
from workflows_dagster.lib.release.scored_files import ROWS_AT_ONCE, review_file, score_file
from workflows_dagster.lib.schema import LABELS

OBVIOUS = Path(__file__).parent / "obvious_reviews.csv"
CSV = """id,title,text,label
1,,a good kettle,positive
2,love,"it was
soft",positive
3,,  ,neutral
4,,"late "and" broken",negative
5,,late
6,,not bad,neutral
"""
"""Rows 1, 2 and 6 can be scored; 3 is empty, 4 is badly quoted, 5 is cut."""


@pytest.fixture(autouse=True)
def deployment(released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands open the home with the released model, from a folder of their own."""
    monkeypatch.setenv("WORKFLOWS_DAGSTER_HOME", str(released))
    monkeypatch.chdir(tmp_path)


def call(*arguments: str, code: int = 0, lines: str | bytes | None = None) -> Result:
    result = CliRunner().invoke(app, ["predict", *arguments], input=lines)
    assert result.exit_code == code, result.output
    return result


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_is_one_object_a_line_in_order() -> None:
    texts = ["a good kettle", "it was late", "good"]
    found = objects(call("--json", *texts))
    assert [one["text"] for one in found] == texts
    for one in found:
        assert list(one["probabilities"]) == list(LABELS)
        assert one["label"] == max(one["probabilities"], key=one["probabilities"].get)
        assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert (one["truncated"], one["release"]) == (False, "release-1")


def test_standard_output_holds_results_alone() -> None:
    result = call("a good kettle", "late\tand\nbroken")
    header, first, second = (line.split("\t") for line in result.stdout.splitlines())
    assert header == ["label", *LABELS, "text", "truncated", "release"]
    assert (first[4], second[4]) == ("a good kettle", "late and broken")
    assert "release-1" in result.stderr


def test_model_release_and_data_are_named_in_one_line() -> None:
    first, *others = call("good").stderr.splitlines()
    assert "onnx-fp32 of release-1" not in first  # the made-up report calls its technique int8
    assert first == "int8 of release-1, 0 MB, macro-F1 0.700 [0.600, 0.800] n=100; learnt from 2 reviews of shop"
    assert others == []


def test_bundled_sample_is_warned_of(sample_released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKFLOWS_DAGSTER_HOME", str(sample_released))
    assert "the data are the bundled sample, made-up reviews" in call("good").stderr


def test_lines_of_standard_input_are_scored_in_order() -> None:
    found = objects(call("--json", lines="\ufeffgood\r\nnot bad\nlate"))
    assert [one["text"] for one in found] == ["good", "not bad", "late"]


@pytest.mark.parametrize(
    ("arguments", "lines", "said"),
    [
        (["good", " "], None, "argument 2 holds no text"),
        ([], "good\n\nbad\n", "line 2 holds no text"),
        ([], b"good\nbr\xfcchig\n", "line 2 holds bytes that are no UTF-8"),
        ([], "", "there is no review to score"),
        (["good", "--input", "r.csv"], None, "texts and a file were named"),
        (["good", "--keep", "id"], None, "these options are for a file"),
        (["good", "--output", "o.txt"], None, "ends with .csv, .tsv, .jsonl, .parquet"),
        (["good", "--output", "no/such/folder/o.csv"], None, "o.csv"),
        (["--input", "absent.csv"], None, "absent.csv cannot be read"),
        (["--input", "reviews.docx"], None, "a name that ends with .csv, .tsv, .jsonl"),
        (["--input", "r.csv", "--text-column", "review"], None, "--text-column"),
        (["--input", "r.csv", "--keep", "label"], None, "--keep label=given_label"),
        (["--input", "r.csv", "--encoding", "klingon"], None, "klingon"),
        (["--input", "r.parquet", "--delimiter", ";"], None, "delimiter"),
        (["--input", "."], None, "told by its name"),
    ],
)
def test_what_cannot_be_scored_is_refused_without_a_traceback(
    arguments: list[str], lines: str | bytes | None, said: str
) -> None:
    Path("r.csv").write_text(CSV)
    result = call(*arguments, code=2, lines=lines)
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["r.csv"]


def write_csv(path: Path) -> None:
    path.write_text(CSV)


def write_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(CSV.encode()))


def write_jsonl(path: Path) -> None:
    rows = [
        {"id": 1, "text": "a good kettle", "label": "positive"},
        {"id": 2, "title": "love", "text": "it was\nsoft", "label": "positive"},
        {"id": 3, "text": "  "},
        {"id": 4, "text": ["late"]},
    ]
    lines = [json.dumps(row) for row in rows]
    path.write_text("\n".join([*lines, "{broken", '{"id": 6, "text": "not bad", "label": "neutral"}']))


def write_parquet(path: Path) -> None:
    texts = ["a good kettle", "it was\nsoft", "  ", None, "", "not bad"]
    labels = ["positive", "positive", None, None, None, "neutral"]
    titles = [None, "love", None, None, None, None]
    pl.DataFrame({"id": range(1, 7), "title": titles, "text": texts, "label": labels}).write_parquet(path)


def read_rows(path: Path) -> list[dict[str, Any]]:
    match path.suffix:
        case ".jsonl":
            rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            return [row_files.flat(row) for row in rows]
        case ".parquet":
            return pl.read_parquet(path).to_dicts()
        case suffix:
            with path.open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file, delimiter="\t" if suffix == ".tsv" else ","))


@pytest.mark.parametrize("target", ["out.csv", "out.tsv", "out.jsonl", "out.parquet"])
@pytest.mark.parametrize(
    ("name", "write"),
    [("r.csv", write_csv), ("r.csv.gz", write_gzip), ("r.jsonl", write_jsonl), ("r.parquet", write_parquet)],
)
def test_every_row_of_a_file_is_scored_or_rejected(name: str, write: Callable[[Path], None], target: str) -> None:
    write(Path(name))
    columns = ["--title-column", "title", "--keep", "id", "--keep", "label=given"]
    result = call("--input", name, "--output", target, "--rejects", "rejects.csv", *columns)
    assert result.stdout == ""
    assert f"{name}: 6 rows in, 3 scored" in result.stderr
    assert "3 rejected" in result.stderr
    rows = read_rows(Path(target))
    flat = " " if target.endswith(".tsv") else "\n"
    assert [row["text"] for row in rows] == ["a good kettle", f"love{flat}it was{flat}soft", "not bad"]
    assert [(str(row["row"]), row["id"], row["given"]) for row in rows] == [
        ("1", "1", "positive"),
        ("2", "2", "positive"),
        ("6", "6", "neutral"),
    ]
    assert list(rows[0]) == ["row", "id", "given", "label", *LABELS, "text", "truncated", "release"]
    expected = {one["text"]: one for one in objects(call("--json", "a good kettle", "not bad"))}
    for row in (rows[0], rows[2]):
        alone = expected[row["text"]]
        assert row["label"] == alone["label"]
        for label in LABELS:
            assert float(row[label]) == pytest.approx(alone["probabilities"][label], abs=1e-4)
    rejected = pl.read_csv("rejects.csv")
    assert rejected.columns == ["row", "line", "reason", "detail", "excerpt"]
    assert rejected["row"].to_list() == [3, 4, 5]


def test_file_goes_to_standard_output_where_no_other_is_named() -> None:
    Path("r.csv").write_text(CSV)
    assert [one["row"] for one in objects(call("--input", "r.csv", "--json"))] == [1, 2, 6]
    assert call("--input", "r.csv").stdout.splitlines()[0].split("\t")[0] == "row"


def test_output_is_replaced_whole_or_not_at_all() -> None:
    Path("r.csv").write_text(CSV)
    Path("out.csv").write_text("before")
    gone = b"id,text\n1,good\n" + b"2,bad\n" * 2000
    Path("cut.csv.gz").write_bytes(gzip.compress(gone)[:-20])
    call("--input", "cut.csv.gz", "--output", "out.csv", code=2)
    assert Path("out.csv").read_text() == "before"
    call("--input", "r.csv", "--output", "out.csv")
    assert len(read_rows(Path("out.csv"))) == 3
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["cut.csv.gz", "out.csv", "r.csv"]


def test_file_can_be_scored_in_place_and_without_rows() -> None:
    Path("r.csv").write_text("text\ngood\n")
    call("--input", "r.csv", "--output", "r.csv")
    assert [row["text"] for row in read_rows(Path("r.csv"))] == ["good"]
    Path("none.csv").write_text("text\n")
    for target in ("o.csv", "o.jsonl", "o.parquet"):
        assert "0 rows in, 0 scored, 0 rejected" in call("--input", "none.csv", "--output", target).stderr
        assert read_rows(Path(target)) == []


def test_cut_text_is_told(tmp_path: Path) -> None:
    result = call("--json", "good", "love " * 60)
    assert [one["truncated"] for one in objects(result)] == [False, True]
    assert "1 text is longer than 24 tokens" in result.stderr
    # 22 words and two special tokens fill the longest input; nothing is cut.
    assert objects(call("--json", " ".join(["love"] * 22)))[0]["truncated"] is False
    assert objects(call("--json", " ".join(["love"] * 23)))[0]["truncated"] is True


class Recording:
    """A model that answers `neutral` and remembers how many texts it was given at once."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """The same for every text."""
        self.sizes.append(len(texts))
        return [Prediction(text, "neutral", {"neutral": 1.0}, False, "release-1") for text in texts]


def test_file_is_scored_a_part_at_a_time(tmp_path: Path) -> None:
    rows = 2 * ROWS_AT_ONCE + 300
    (tmp_path / "r.csv").write_text("text\n" + "good\n" * rows)
    model, sizes = Recording(), list[int]()
    tally = score_file(
        review_file(str(tmp_path / "r.csv"), "text"),
        model.predict,
        lambda part: sizes.append(len(part)),
        lambda _: None,
    )
    assert model.sizes == sizes == [ROWS_AT_ONCE, ROWS_AT_ONCE, 300]
    assert (tally.rows_in, tally.rows_scored, tally.labels) == (rows, rows, {"neutral": rows})


def obvious() -> list[str]:
    with OBVIOUS.open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def test_answers_are_those_of_the_model_that_was_benchmarked(tiny_merged: Artifact) -> None:
    """The tokenizer's file pads to 8 tokens and cuts at 8; the model takes 24."""
    texts = [*obvious(), "the shirt was very soft and it is good but not fine", "love " * 60]
    found = objects(call("--json", *texts))
    merged = MergedModelRecord.read(tiny_merged.folder).model
    benchmarked = open_classifier(REFERENCE.name, tiny_merged.folder, merged, threads=1).predict(texts)
    given = np.array([[one["probabilities"][label] for label in LABELS] for one in found])
    np.testing.assert_allclose(given, benchmarked, atol=1e-4)
    assert [one["label"] for one in found] == [LABELS[place] for place in benchmarked.argmax(1)]
    assert np.ptp(benchmarked, axis=0).max() > 0.01  # far more than the tolerance


def test_answers_are_those_of_transformers_one_by_one(tiny_merged: Artifact) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tiny_merged.folder / "model"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSequenceClassification.from_pretrained(folder)
    texts = [*obvious()[:20], "the shirt was very soft and it is good but not fine", "love " * 60]
    for text, one in zip(texts, objects(call("--json", *texts)), strict=True):
        inputs = tokenizer(text, truncation=True, max_length=24, padding=False, return_tensors="pt")
        with torch.inference_mode():
            expected = model(**inputs).logits.softmax(-1)[0].tolist()
        assert list(one["probabilities"].values()) == pytest.approx(expected, abs=1e-4)


def test_name_of_a_kept_column_must_not_be_that_of_another() -> None:
    from workflows_dagster.lib.release.prediction import output_columns

    with pytest.raises(ConfigurationError, match="given_positive"):
        output_columns(LABELS, ["shop", "positive"])


def test_reader_that_goes_away_is_no_error_message(released: Path) -> None:
    program = "from workflows_dagster.cli import app; app()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "predict"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(b"good\n" * 5_000)
    lines = errors.decode().splitlines()
    assert [line for line in lines if not line.startswith("int8 of release-1")] == []


@pytest.fixture
def locked_home(released: Path) -> Iterator[Path]:
    """A copy of the home that nobody may write to, and whose views are gone."""
    folder = Path(tempfile.mkdtemp())
    home = folder / "home"
    shutil.copytree(released, home)
    shutil.rmtree(home / "store.git" / "views")
    for path in [*home.rglob("*"), home, folder]:
        path.chmod(path.stat().st_mode & ~0o222 | (0o555 if path.is_dir() else 0o444))
    yield home
    for path in [folder, home, *home.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)
    shutil.rmtree(folder)


@pytest.mark.parametrize("words", [["predict", "good"], ["releases"], ["releases", "show", "release-1"], ["report"]])
def test_home_that_may_only_be_read_is_enough(locked_home: Path, released: Path, words: list[str]) -> None:
    before = sorted(str(path) for path in locked_home.rglob("*"))
    # Root may write everywhere, so it becomes another user, once all is imported: that user may not read our packages.
    program = f"""
import os
from workflows_dagster.cli import app
def call(home):
    os.environ["WORKFLOWS_DAGSTER_HOME"] = home
    assert not app({words!r}, standalone_mode=False)
call({str(released)!r})
if os.geteuid() == 0:
    os.seteuid(65534)
print("then")
call({str(locked_home)!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "PYTHONPATH": ":".join(sys.path)},
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.partition("then\n")[2]
    if words == ["report"]:
        report = Path(said.strip())
        assert report.name == "release-1.html"
        assert report.read_text() == "<!doctype html>"
        shutil.rmtree(report.parent)
    else:
        assert "release-1" in said
    assert sorted(str(path) for path in locked_home.rglob("*")) == before
