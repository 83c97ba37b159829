"""What the command line does not import: `--help` and `predict` are asked for again and again, and must be quick."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from workflows_dagster.cli import app

HEAVY = ("dagster", "torch", "transformers", "polars", "pyarrow", "pandas", "scipy", "sklearn", "fsspec", "onnxruntime")
REPORT = f"import sys; print(sorted(set(sys.modules) & set({HEAVY!r})))"


def commands() -> list[list[str]]:
    """The words that call each command."""
    found: list[list[str]] = [[]]
    group = typer.main.get_command(app)
    for name, command in getattr(group, "commands").items():  # noqa: B009 - the type is one that typer vendors
        found += [[name], *([name, below] for below in getattr(command, "commands", {}))]
    return found


def run(program: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"WORKFLOWS_DAGSTER_HOME": str(home)} if home else {}
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "PYTHONPATH": ":".join(sys.path), "HOME": str(home or "/"), "COLUMNS": "200", **environment},
    )


def test_help_of_every_command_imports_no_heavy_library() -> None:
    program = f"""
from workflows_dagster.cli import app
for words in {commands()!r}:
    try:
        app([*words, "--help"])
    except SystemExit as ended:
        assert not ended.code, words
{REPORT}
"""
    done = run(program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_command_says_what_it_does() -> None:
    for words in commands():
        result = CliRunner().invoke(app, [*words, "--help"])
        assert result.exit_code == 0
        said = result.output.split("╭")[0].split("\n\n")
        assert any(part.strip().endswith(".") for part in said), words


def test_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    result = CliRunner().invoke(app, ["--version"])
    assert result.output.split() == ["workflows-dagster", version("workflows-dagster")]


def test_predict_runs_an_onnx_model_without_torch_transformers_and_dagster(released: Path) -> None:
    program = f"""
from workflows_dagster.cli import app
app(["predict", "--json", "a good kettle"], standalone_mode=False)
{REPORT}
"""
    done = run(program, released)
    assert done.returncode == 0, done.stderr
    row, imported = done.stdout.splitlines()
    assert '"text": "a good kettle"' in row
    assert imported == "['onnxruntime']"


def test_onnxruntime_is_told_not_to_report_to_its_maker(released: Path) -> None:
    """Its builds for Linux keep the id of the device and unsent reports in the cache folder of the user."""
    program = """
import os
from workflows_dagster.cli import app
app(["predict", "good"], standalone_mode=False)
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""
    done = run(program, released)
    assert done.stdout.splitlines()[-1] == "1", done.stderr
    assert not (released / ".cache").exists()


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers"])
def test_missing_package_is_named_with_the_extra_that_brings_it(released: Path, package: str) -> None:
    program = f"""
import sys
sys.modules[{package!r}] = None
from workflows_dagster.cli import app
app(["predict", "good"])
"""
    done = run(program, released)
    assert done.returncode == 2
    assert "MissingExtraError" in done.stderr
    assert "pip install 'workflows-dagster[serve]'" in done.stderr
    assert done.stdout == ""
