"""What a declaration of an asset says once, and what derives from it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from workflows_dagster import publishing
from workflows_dagster.io_managers.published import PublishedIOManager
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.publishing import Build, Publication, gates, published_asset
from workflows_dagster.resources.store import UPSTREAM_KEY, StoreResource


class Nothing:
    """A report without metadata."""

    def to_metadata(self) -> dict[str, object]:
        return {}


def write(text: str, folder: Path) -> Nothing:
    (folder / "note.txt").write_text(text)
    return Nothing()


def is_longer(before: Path, after: Path) -> Verdict:
    lengths = [len((folder / "note.txt").read_text()) for folder in (before, after)]
    return Verdict(lengths[1] > lengths[0], f"{lengths}")


def is_not_empty(folder: Path) -> Verdict:
    return Verdict((folder / "note.txt").read_text() != "", "")


LONGER = Audit("longer", "It is longer than the draft.", is_longer, against="draft")
FULL = Audit("full", "It is not empty.", is_not_empty, blocking=False)


class Words(dg.Config):
    text: str = "words"


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is declared here is no part of the project."""
    monkeypatch.setattr(publishing, "_AUDITS", {})


def note_assets(opened: list[str] | None = None) -> list[dg.AssetsDefinition]:
    opened = [] if opened is None else opened

    @published_asset(audits=[FULL], code_version="1")
    def draft() -> Build:
        """The first words."""
        return partial(write, "abc")

    @published_asset(audits=[LONGER, FULL], kinds={"text"}, tags={"size": "small"}, code_version="1")
    def note(context: dg.AssetExecutionContext, config: Words, draft: Artifact) -> Iterator[Publication]:
        """The last words."""
        opened.append("opened")
        yield Publication(partial(write, config.text), given={"asked_by": context.asset_key.to_user_string()})
        opened.append("published")

    return [draft, note]


def materialize(
    assets: list[dg.AssetsDefinition], store: StoreResource, text: str = "words"
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        assets,
        resources={"store": store, "io_manager": PublishedIOManager(store=store)},
        run_config={"ops": {"note": {"config": {"text": text}}}},
        raise_on_error=False,
    )


def test_check_specs_and_gates_derive_from_the_declared_audits() -> None:
    _, note = note_assets()
    assert {(spec.name, spec.blocking, spec.description) for spec in note.check_specs} == {
        ("longer", True, "It is longer than the draft."),
        ("full", False, "It is not empty."),
    }
    assert gates() == {"draft": frozenset(), "note": {"longer"}}


def test_declaration_is_that_of_dagster_and_the_op_has_the_tags() -> None:
    _, note = note_assets()
    spec = note.get_asset_spec()
    assert (spec.description, spec.kinds, spec.code_version) == ("The last words.", {"text"}, "1")
    assert [dep.asset_key.to_user_string() for dep in spec.deps] == ["draft"]
    assert note.op.tags["size"] == spec.tags["size"] == "small"


def test_comparison_is_bound_to_the_version_that_was_read(store: StoreResource) -> None:
    result = materialize(note_assets(), store)
    checks = {
        (check.asset_key.to_user_string(), check.check_name): check for check in result.get_asset_check_evaluations()
    }
    assert checks["note", "longer"].passed
    assert checks["note", "longer"].description == "[3, 5]"
    [event] = result.asset_materializations_for_node("note")
    version = store.store().head("note")
    assert version is not None
    shown = event.metadata[UPSTREAM_KEY]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [record.data for record in shown.records] == [
        {"path": "draft", "commit": version.metadata["upstream/draft"][:12]}
    ]
    assert version.metadata["asked_by"] == "note"


def test_failed_comparison_keeps_it_from_being_published(store: StoreResource) -> None:
    result = materialize(note_assets(), store, text="ab")
    assert not result.success
    assert store.store().head("note") is None


@pytest.mark.parametrize(("text", "seen"), [("words", ["opened", "published"]), ("ab", ["opened"])])
def test_body_that_yields_goes_on_once_its_output_is_published(
    store: StoreResource, text: str, seen: list[str]
) -> None:
    opened: list[str] = []
    materialize(note_assets(opened), store, text)
    assert opened == seen


def test_audit_against_something_that_is_no_input_is_refused() -> None:
    with pytest.raises(TypeError, match=r"audits of note compare with \{'draft'\}: expected one of its inputs \[\]"):

        @published_asset(audits=[LONGER])
        def note() -> Build:  # pyright: ignore[reportUnusedFunction]
            """Has no input."""
            return partial(write, "x")


def test_body_that_returns_an_iterator_is_refused(store: StoreResource) -> None:
    @published_asset(audits=[FULL])
    def note() -> Any:
        """Forgot to yield."""
        return iter([partial(write, "x")])

    result = dg.materialize([note], resources={"store": store}, raise_on_error=False)
    [failed] = result.get_step_failure_events()
    assert "note returned an iterator" in str(failed.step_failure_data.error)
