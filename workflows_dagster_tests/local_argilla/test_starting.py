import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from workflows_dagster.lib.errors import AlreadyRunningError, ConfigurationError, WorkerFailedError
from workflows_dagster.lib.process_guard import exclusive
from workflows_dagster.local_argilla.credentials import prepare_credentials
from workflows_dagster.local_argilla.launch import (
    LocalArgilla,
    clean_environment,
    describe,
    find_uv,
    local_argilla,
    prepare_interpreter,
)

if TYPE_CHECKING:
    import subprocess


def test_a_taken_port_is_refused_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(ConfigurationError, match=f"port {port}.*--port 0"), local_argilla(tmp_path, port=port):
            pytest.fail("it started")


def test_a_port_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--port"), local_argilla(tmp_path, port=70_000):
        pytest.fail("it started")


def test_a_second_server_on_one_home_is_refused(tmp_path: Path) -> None:
    with exclusive(tmp_path), pytest.raises(AlreadyRunningError), local_argilla(tmp_path, port=0):
        pytest.fail("it started")


def test_a_missing_uv_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))

    with pytest.raises(ConfigurationError, match="make setup"):
        find_uv()


def test_the_uv_of_the_makefile_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought = tmp_path / ".uv" / "bin" / "uv"
    brought.parent.mkdir(parents=True)
    brought.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))

    assert find_uv() == brought


def test_an_installation_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "uv"
    broken.write_text("#!/bin/sh\necho 'no route to PyPI' >&2\nexit 2\n", "utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("UV", str(broken))
    said: list[str] = []

    with pytest.raises(WorkerFailedError, match="no route to PyPI"):
        prepare_interpreter(said.append)
    assert len(said) == 1


def test_variables_that_configure_argilla_or_python_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGILLA_DATABASE_URL", "sqlite:///elsewhere.db")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("LANG", "C.UTF-8")

    found = clean_environment()

    assert found["LANG"] == "C.UTF-8"
    assert not [name for name in found if name.startswith(("ARGILLA_", "PYTHON"))]


def test_passwords_are_shown_only_for_accounts_made_just_now(tmp_path: Path) -> None:
    credentials = prepare_credentials(tmp_path, annotators=1, workspace=None)
    process = cast("subprocess.Popen[bytes]", None)
    first = LocalArgilla("http://127.0.0.1:6900", tmp_path, credentials, ("owner", "annotator_1"), 0, process)
    later = LocalArgilla("http://127.0.0.1:6900", tmp_path, credentials, (), 2, process)

    assert credentials.annotators[0].password in "\n".join(describe(first))
    assert "Passwords are shown this once" in "\n".join(describe(first))
    assert credentials.owner.password not in "\n".join(describe(later))
    assert "Repaired the state of 2 records" in "\n".join(describe(later))
    assert not [line for line in describe(first) if credentials.owner.api_key in line]
