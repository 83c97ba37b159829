"""Which store a deployment gets, and what it is told where settings are missing."""

import os
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest
from typer.testing import CliRunner

from workflows_dagster.cli import app
from workflows_dagster.definitions import build_definitions
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.store.lakefs.repository import LakeFSRepository
from workflows_dagster.resources.registry import build_resources, build_store
from workflows_dagster.resources.store import EmbeddedStore, LakeFSStore
from workflows_dagster.settings import Settings, environment
from workflows_dagster_tests.lakefs_server.server import LoopbackLakeFS

SERVER = {
    "LAKEFS_ENDPOINT": "https://lakefs.example.org",
    "LAKEFS_ACCESS_KEY_ID": "AKIA-very-secret",
    "LAKEFS_SECRET_ACCESS_KEY": "s3cr3t-very-secret",
    "WORKFLOWS_DAGSTER_LAKEFS_REPOSITORY": "reviews",
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without any setting, in a folder without `.env`."""
    for name in environment():
        if name.startswith(("WORKFLOWS_DAGSTER_", "LAKEFS_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def settings_of(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_lakefs_is_never_guessed_from_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    store = build_store(settings_of(monkeypatch, **SERVER))
    assert isinstance(store, EmbeddedStore)
    assert store.store().repository.kind == "git"


def test_lakefs_store_is_the_repository_of_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen = {"WORKFLOWS_DAGSTER_STORE": "lakefs", "WORKFLOWS_DAGSTER_BASE_BRANCH": "jane"}
    store = build_store(settings_of(monkeypatch, **SERVER, **chosen))
    repository = store.repository()
    assert isinstance(repository, LakeFSRepository)
    assert repository.endpoint == SERVER["LAKEFS_ENDPOINT"]
    assert repository.secret_access_key == SERVER["LAKEFS_SECRET_ACCESS_KEY"]
    assert repository.repository == "reviews"
    assert repository.create is False
    assert store.store().base == "jane"
    assert store.home == str(tmp_path / ".workflows_dagster")


@pytest.mark.parametrize("name", SERVER)
def test_missing_setting_of_lakefs_is_named_when_definitions_load(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    others = {key: value for key, value in SERVER.items() if key != name}
    settings = settings_of(monkeypatch, WORKFLOWS_DAGSTER_STORE="lakefs", **others)
    with pytest.raises(ConfigurationError, match=f"Given: 'nothing in {name}'"):
        build_definitions(settings)


def test_repository_that_may_be_made_needs_a_storage_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"WORKFLOWS_DAGSTER_STORE": "lakefs", "WORKFLOWS_DAGSTER_LAKEFS_CREATE": "true"}
    with pytest.raises(ConfigurationError, match="nothing in WORKFLOWS_DAGSTER_LAKEFS_STORAGE_NAMESPACE'"):
        build_store(settings_of(monkeypatch, **SERVER, **chosen))


def test_keys_of_lakefs_are_shown_by_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    store = build_store(settings_of(monkeypatch, WORKFLOWS_DAGSTER_STORE="lakefs", **SERVER))
    assert isinstance(store, LakeFSStore)
    definition = store.get_resource_definition()
    shown = f"{definition.config_schema.as_field().default_value}"
    assert "LAKEFS_SECRET_ACCESS_KEY" in shown
    assert "very-secret" not in shown


def test_keys_in_the_env_file_reach_the_command_line(tmp_path: Path) -> None:
    with LoopbackLakeFS(tmp_path / "lakefs") as server, mock.patch.dict(os.environ):
        said = SERVER | {
            "LAKEFS_ENDPOINT": server.endpoint,
            "LAKEFS_ACCESS_KEY_ID": server.access_key_id,
            "LAKEFS_SECRET_ACCESS_KEY": server.secret_access_key,
            "WORKFLOWS_DAGSTER_STORE": "lakefs",
            "WORKFLOWS_DAGSTER_LAKEFS_CREATE": "true",
            "WORKFLOWS_DAGSTER_LAKEFS_STORAGE_NAMESPACE": "local://reviews",
        }
        Path(".env").write_text("".join(f"{name}={value}\n" for name, value in said.items()))
        result = CliRunner().invoke(app, ["sweep"])
    assert result.exit_code == 0, result.output
    assert "Removed 0 branches" in result.output
    assert [seen.status for seen in server.requests if seen.status in (401, 403)] == []


def test_missing_setting_is_no_traceback_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKFLOWS_DAGSTER_STORE", "lakefs")
    result = CliRunner().invoke(app, ["run", "--sources", "sources.yaml"])
    assert result.exit_code == 2
    assert result.output.startswith("ConfigurationError: the store is lakeFS")


def test_keys_of_lakefs_are_resolved_within_a_run(
    monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    resources = build_resources(settings_of(monkeypatch, WORKFLOWS_DAGSTER_STORE="lakefs", **SERVER))
    seen: list[LakeFSRepository] = []

    @dg.asset
    def looks(store: LakeFSStore) -> None:
        repository = store.repository()
        assert isinstance(repository, LakeFSRepository)
        seen.append(repository)

    dg.materialize([looks], instance=instance, resources={"store": resources["store"]})
    assert [repository.access_key_id for repository in seen] == [SERVER["LAKEFS_ACCESS_KEY_ID"]]
