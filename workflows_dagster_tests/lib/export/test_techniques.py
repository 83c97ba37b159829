"""Every technique: what it writes, and that what is loaded again answers as the merged model does."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from workflows_dagster.checks.export import judge_digests, judge_no_pickle
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import ConfigurationError, DataContractError, IntegrityError, ModelReferenceError
from workflows_dagster.lib.export.classifier import load_exported, load_merged
from workflows_dagster.lib.export.exporting import write_artefact
from workflows_dagster.lib.export.manifest import ExportManifest
from workflows_dagster.lib.export.merged import MergedModel
from workflows_dagster.lib.export.registry import REGISTRY, technique
from workflows_dagster.lib.export.settings import ExportSettings
from workflows_dagster.partitions import TECHNIQUES

TEXTS = ["good", "the kettle was broken and late", "not bad but not good", "love " * 60, "", "zebra ¿?"]


def write(merged: Artifact, name: str, folder: Path) -> ExportManifest:
    return write_artefact(MergedModel.open(merged.folder), technique(name), ExportSettings(), folder)


@pytest.fixture(scope="module", params=list(REGISTRY))
def exported(request: pytest.FixtureRequest, tiny_merged: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    write(tiny_merged, request.param, folder)
    return folder


def test_every_partition_has_a_technique() -> None:
    assert list(REGISTRY) == list(TECHNIQUES.get_partition_keys())
    assert all(name == one.name for name, one in REGISTRY.items())


def test_an_artefact_answers_as_the_merged_model(exported: Path, tiny_merged: Artifact) -> None:
    before = load_merged(tiny_merged.folder, threads=1).logits(TEXTS)
    classifier = load_exported(exported, threads=1)
    after = classifier.logits(TEXTS)
    lossless = ExportManifest.read(exported).lossless
    np.testing.assert_allclose(after, before, atol=1e-4 if lossless else 0.15 * np.abs(before).max())
    probabilities = classifier.predict(TEXTS)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


def test_the_order_of_texts_does_not_matter(exported: Path) -> None:
    classifier = load_exported(exported, threads=1, batch_tokens=16)
    forward, backward = classifier.predict(TEXTS), classifier.predict(TEXTS[::-1])
    np.testing.assert_allclose(forward, backward[::-1], atol=2e-2)


def test_no_texts_give_no_rows(exported: Path) -> None:
    assert load_exported(exported, threads=1).predict([]).shape == (0, 3)


def test_an_artefact_lists_its_files_and_holds_no_pickle(exported: Path) -> None:
    assert judge_digests(exported).passed
    assert judge_no_pickle(exported).passed
    manifest = ExportManifest.read(exported)
    assert manifest.labels == ("negative", "neutral", "positive")
    assert manifest.max_length == 24
    assert manifest.size_bytes == (exported / manifest.file).stat().st_size
    assert (manifest.opset is None) == (manifest.format == "safetensors")


def test_exporting_twice_gives_the_same_bytes(exported: Path, tiny_merged: Artifact, tmp_path: Path) -> None:
    first = ExportManifest.read(exported)
    assert write(tiny_merged, first.technique, tmp_path) == first


@pytest.mark.parametrize(("small", "large"), [("torch-int8", "torch-fp32"), ("onnx-int8", "onnx-fp32")])
def test_int8_quantizes_the_layers_of_the_encoder(
    tiny_merged: Artifact, tmp_path: Path, small: str, large: str
) -> None:
    manifests = {name: write(tiny_merged, name, tmp_path / name) for name in (small, large)}
    # Two layers of six products each; ONNX also quantizes the pooler and the head, not torch.
    assert manifests[small].details["quantized_layers"] == {"torch-int8": 12, "onnx-int8": 14}[small]
    if small == "torch-int8":
        assert manifests[small].size_bytes < manifests[large].size_bytes


def test_a_changed_file_is_refused(exported: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(exported, tmp_path / "copy")
    weights = copy / ExportManifest.read(copy).file
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(IntegrityError, match="was not loaded"):
        load_exported(copy)
    assert not judge_digests(copy).passed


def test_an_added_or_missing_file_is_refused(exported: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(exported, tmp_path / "copy")
    (copy / "model" / "modeling.py").write_text("import os", "utf-8")
    with pytest.raises(IntegrityError, match=r"modeling\.py"):
        load_exported(copy)
    assert "modeling.py" in judge_no_pickle(copy).description
    (copy / "model" / "modeling.py").unlink()
    (copy / "model" / "tokenizer.json").unlink()
    with pytest.raises(IntegrityError, match="files that its manifest lists"):
        load_exported(copy)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"labels": []}', '{"labels": ["a"], "surplus": 1}'])
def test_an_unreadable_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "export.json").write_text(text, "utf-8")
    with pytest.raises(DataContractError, match=r"export\.json cannot be read"):
        ExportManifest.read(tmp_path)


def test_a_pickle_under_another_name_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.onnx").write_bytes(b"\x80\x04rest")
    assert not judge_no_pickle(tmp_path).passed


def test_an_unknown_technique_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"'int2'.*torch-fp32, torch-int8"):
        technique("int2")


def test_changed_weights_of_the_merged_model_are_refused(tiny_merged: Artifact, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_merged.folder, tmp_path / "copy")
    with (copy / "model" / "model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(IntegrityError, match=r"model\.safetensors is not the file"):
        MergedModel.open(copy)


def test_a_reference_that_says_too_little_is_refused(tiny_merged: Artifact, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_merged.folder, tmp_path / "copy")
    (copy / "model.json").write_text(json.dumps({"path": "model"}), "utf-8")
    with pytest.raises(ModelReferenceError, match="max_length"):
        MergedModel.open(copy)
