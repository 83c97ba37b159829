import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workflows_dagster.cli import app


def test_argilla_on_a_taken_port_ends_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        ended = CliRunner().invoke(app, ["argilla", "--port", port, "--home", str(tmp_path)])

    assert ended.exit_code == 2
    assert "ConfigurationError" in ended.output
    assert "--port 0" in ended.output


def test_argilla_keeps_its_data_in_the_folder_of_the_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOWS_DAGSTER_HOME", str(tmp_path))
    (tmp_path / "argilla").mkdir()
    (tmp_path / "argilla" / "credentials.json").write_text("broken", "utf-8")
    # Refused before anything starts, by the file that it found there.
    monkeypatch.setattr("workflows_dagster.local_argilla.launch.prepare_interpreter", lambda _say: Path("unused"))

    ended = CliRunner().invoke(app, ["argilla", "--port", "0"])

    assert ended.exit_code == 2
    assert str(tmp_path / "argilla" / "credentials.json") in ended.output
