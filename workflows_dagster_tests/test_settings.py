"""Settings: where each value comes from, and what is refused."""

import os
from pathlib import Path
from unittest import mock

import pytest
from pydantic import ValidationError

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.settings import Settings, environment, load_settings, take_env_file

SECRET = "https://hooks.example.org/T0-very-secret"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without any setting, in a folder without `.env`."""
    for name in environment():
        if name.startswith("WORKFLOWS_DAGSTER_") or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_defaults_need_nothing_but_the_working_directory(tmp_path: Path) -> None:
    settings = load_settings()
    assert (settings.sources, settings.device, settings.alert_webhook_url, settings.dagster_home) == (
        None,
        "auto",
        None,
        None,
    )
    home = tmp_path / ".workflows_dagster"
    folders = [settings.manifests, settings.checkpoints, settings.annotation_forms, settings.sample]
    assert folders == [home / name for name in ("manifests", "checkpoints", "annotation", "sample")]
    assert not home.exists()


def test_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(
        "WORKFLOWS_DAGSTER_HOME=from_file\nWORKFLOWS_DAGSTER_DEVICE=cpu\nDAGSTER_HOME=/dagster\nOTHER_TOOL=1\n"
    )
    monkeypatch.setenv("WORKFLOWS_DAGSTER_HOME", "/from/environment")
    settings = load_settings()
    assert settings.manifests == Path("/from/environment/manifests")
    assert settings.device == "cpu"
    assert settings.dagster_home == Path("/dagster")


def test_env_file_is_taken_but_for_what_is_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SHOP_TOKEN=from_file\nSHOP_NAME=from_file\n")
    with mock.patch.dict(os.environ, {"SHOP_NAME": "set"}):
        take_env_file()
        assert (environment()["SHOP_TOKEN"], environment()["SHOP_NAME"]) == ("from_file", "set")


def test_folders_are_absolute_so_that_processes_elsewhere_find_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKFLOWS_DAGSTER_HOME", "relative")
    assert load_settings().manifests == Path.cwd() / "relative" / "manifests"


def test_setting_left_blank_counts_as_unset(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("WORKFLOWS_DAGSTER_SOURCES=\nWORKFLOWS_DAGSTER_ALERT_WEBHOOK_URL=\n")
    settings = load_settings()
    assert (settings.sources, settings.alert_webhook_url) == (None, None)


def test_unknown_device_is_refused_with_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKFLOWS_DAGSTER_DEVICE", "tpu")
    with pytest.raises(ConfigurationError, match=r"WORKFLOWS_DAGSTER_DEVICE': 'tpu'.*'auto', 'cpu', 'cuda' or 'mps'"):
        load_settings()


def test_values_that_cannot_be_used_are_named_by_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKFLOWS_DAGSTER_KEEP_VERSIONS", "few")
    monkeypatch.setenv("WORKFLOWS_DAGSTER_BASE_BRANCH", "a b")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert caught.value.given == {"WORKFLOWS_DAGSTER_KEEP_VERSIONS": "few", "WORKFLOWS_DAGSTER_BASE_BRANCH": "a b"}
    assert "valid integer" in caught.value.expected


@pytest.mark.parametrize("name", ["tx-jane", "hold-jane"])
def test_base_branch_is_none_that_the_store_sweeps(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("WORKFLOWS_DAGSTER_BASE_BRANCH", name)
    with pytest.raises(ConfigurationError, match="belong to the store"):
        load_settings()


def test_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKFLOWS_DAGSTER_ALERT_WEBHOOK_URL", SECRET)
    settings = load_settings()
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.alert_webhook_url is not None
    assert settings.alert_webhook_url.get_secret_value() == SECRET


def test_settings_do_not_change() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.device = "cpu"  # pyright: ignore[reportAttributeAccessIssue]  # that is the point


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_environment_is_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "t")
    before = environment()
    monkeypatch.delenv("SHOP_TOKEN")
    assert before["SHOP_TOKEN"] == "t"
    assert "SHOP_TOKEN" not in environment()
