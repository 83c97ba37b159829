"""Starting the local Argilla, as far as no server is needed: ports, uv, accounts, and what is shown of them."""

import json
import socket
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from typer.testing import CliRunner

from workflows_dagster.cli import app
from workflows_dagster.lib.errors import AlreadyRunningError, ConfigurationError, WorkerFailedError
from workflows_dagster.lib.process_guard import exclusive
from workflows_dagster.local_argilla.credentials import prepare_credentials, read_credentials
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


@pytest.fixture
def taken_port() -> Generator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.fixture
def no_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which no uv is found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    return tmp_path


def test_a_taken_port_is_refused_at_once(tmp_path: Path, taken_port: int) -> None:
    with (
        pytest.raises(ConfigurationError, match=f"port {taken_port}.*--port 0"),
        local_argilla(tmp_path, port=taken_port),
    ):
        pytest.fail("it started")


def test_a_port_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--port"), local_argilla(tmp_path, port=70_000):
        pytest.fail("it started")


def test_a_second_server_on_one_home_is_refused(tmp_path: Path) -> None:
    with exclusive(tmp_path), pytest.raises(AlreadyRunningError), local_argilla(tmp_path, port=0):
        pytest.fail("it started")


def test_a_missing_uv_is_named_with_what_to_do(no_uv: Path) -> None:
    with pytest.raises(ConfigurationError, match="make setup"):
        find_uv()


def test_the_uv_of_the_makefile_is_found(no_uv: Path) -> None:
    uv = no_uv / ".uv" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.touch(0o755)

    assert find_uv() == uv


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


def test_a_new_home_gets_an_owner_and_three_annotators_in_a_private_file(tmp_path: Path) -> None:
    made = prepare_credentials(tmp_path, annotators=None, workspace=None)

    assert [account.username for account in made.accounts] == ["owner", "annotator_1", "annotator_2", "annotator_3"]
    assert [account.role for account in made.accounts] == ["owner", "annotator", "annotator", "annotator"]
    assert made.workspace == "reviews"
    assert (tmp_path / "credentials.json").stat().st_mode & 0o777 == 0o600
    secrets = [secret for account in made.accounts for secret in (account.password, account.api_key)]
    assert len({*secrets, made.secret_key}) == 9
    assert min(map(len, secrets)) >= 12


def test_a_home_keeps_its_credentials(tmp_path: Path) -> None:
    made = prepare_credentials(tmp_path, annotators=2, workspace="pilot")

    assert prepare_credentials(tmp_path, annotators=None, workspace=None) == made == read_credentials(tmp_path)


def test_more_annotators_are_added_and_none_is_removed(tmp_path: Path) -> None:
    made = prepare_credentials(tmp_path, annotators=2, workspace=None)

    more = prepare_credentials(tmp_path, annotators=4, workspace=None)

    assert more.accounts[:3] == made.accounts
    assert [account.username for account in more.annotators[2:]] == ["annotator_3", "annotator_4"]
    assert prepare_credentials(tmp_path, annotators=1, workspace=None) == more


def test_secrets_are_not_shown_by_repr(tmp_path: Path) -> None:
    made = prepare_credentials(tmp_path, annotators=1, workspace=None)

    shown = f"{made!r} {made.owner!r}"
    assert made.owner.password not in shown
    assert made.owner.api_key not in shown
    assert made.secret_key not in shown


def test_a_lost_file_beside_a_database_is_an_error_and_never_made_anew(tmp_path: Path) -> None:
    (tmp_path / "argilla.db").touch()

    with pytest.raises(ConfigurationError, match="bring it back"):
        prepare_credentials(tmp_path, annotators=None, workspace=None)


def test_a_lost_file_beside_an_unfinished_database_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "argilla.db").touch()
    (tmp_path / "argilla.db.unfinished").touch()

    assert prepare_credentials(tmp_path, annotators=1, workspace=None).owner.username == "owner"


@pytest.mark.parametrize("content", ["", "[]", '{"accounts": []}', json.dumps({"workspace": "w", "accounts": [1]})])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "credentials.json").write_text(content, "utf-8")

    with pytest.raises(ConfigurationError, match="does not hold the accounts"):
        prepare_credentials(tmp_path, annotators=None, workspace=None)


def test_the_command_on_a_taken_port_ends_with_what_to_do(tmp_path: Path, taken_port: int) -> None:
    ended = CliRunner().invoke(app, ["argilla", "--port", str(taken_port), "--home", str(tmp_path)])

    assert ended.exit_code == 2
    assert "ConfigurationError" in ended.output
    assert "--port 0" in ended.output


def test_the_command_keeps_its_data_in_the_folder_of_the_deployment(
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
