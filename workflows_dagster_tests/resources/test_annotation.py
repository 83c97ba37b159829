"""Which desk a deployment gets: the one that is named, with its key by name only."""

from pathlib import Path

import dagster as dg
import pytest

from workflows_dagster.definitions import build_definitions
from workflows_dagster.lib.annotation.argilla.desk import ArgillaDesk
from workflows_dagster.lib.annotation.file_desk import FileDesk
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.resources.annotation import AnnotationResource, ArgillaAnnotation, FileAnnotation
from workflows_dagster.resources.registry import build_resources
from workflows_dagster.settings import Settings, environment

KEY = "key-very-secret"
SERVER = {"ARGILLA_API_URL": "http://127.0.0.1:6900", "ARGILLA_API_KEY": KEY}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without any setting, in a folder without `.env`."""
    for name in environment():
        if name.startswith(("WORKFLOWS_DAGSTER_", "ARGILLA_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def desk_of(monkeypatch: pytest.MonkeyPatch, **variables: str) -> AnnotationResource:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = build_resources(Settings())["annotation_desk"]
    assert isinstance(found, AnnotationResource)
    return found


def test_argilla_is_never_guessed_from_its_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = desk_of(monkeypatch, **SERVER)
    assert isinstance(found, FileAnnotation)
    assert found.root == str(tmp_path / ".workflows_dagster" / "annotation")
    assert isinstance(found.desk(), FileDesk)


def test_argilla_is_the_one_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {
        "WORKFLOWS_DAGSTER_ANNOTATION": "argilla",
        "WORKFLOWS_DAGSTER_ARGILLA_WORKSPACE": "pilots",
        "WORKFLOWS_DAGSTER_ARGILLA_CREATE": "true",
    }
    found = desk_of(monkeypatch, **SERVER, **chosen)
    assert isinstance(found, ArgillaAnnotation)
    assert (found.url, found.workspace, found.create) == (SERVER["ARGILLA_API_URL"], "pilots", True)
    assert isinstance(found.desk(), ArgillaDesk)


@pytest.mark.parametrize("name", SERVER)
def test_missing_setting_of_argilla_is_named_when_definitions_load(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for other in SERVER.keys() - {name}:
        monkeypatch.setenv(other, SERVER[other])
    monkeypatch.setenv("WORKFLOWS_DAGSTER_ANNOTATION", "argilla")
    with pytest.raises(ConfigurationError, match=f"Given: 'nothing in {name}'"):
        build_definitions(Settings())


def test_key_is_shown_by_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    found = desk_of(monkeypatch, WORKFLOWS_DAGSTER_ANNOTATION="argilla", **SERVER)
    shown = f"{found.get_resource_definition().config_schema.as_field().default_value}{found!r}"
    assert "ARGILLA_API_KEY" in shown
    assert KEY not in shown


def test_key_is_resolved_within_a_run(monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> None:
    found = desk_of(monkeypatch, WORKFLOWS_DAGSTER_ANNOTATION="argilla", **SERVER)
    seen: list[str] = []

    @dg.asset
    def looks(annotation_desk: ArgillaAnnotation) -> None:
        """Looks at the key as a step sees it."""
        seen.append(annotation_desk.server().api_key)

    dg.materialize([looks], instance=instance, resources={"annotation_desk": found})
    assert isinstance(found, ArgillaAnnotation)
    assert [*seen, found.server().api_key] == [KEY, KEY]
