"""Every technique: what it writes, and that what is loaded again answers as the merged model does."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from workflows_dagster.checks.export import judge_digests, judge_no_pickle
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import ConfigurationError, DataContractError, IntegrityError
from workflows_dagster.lib.export.exported_model import ExportRecord, load_exported
from workflows_dagster.lib.export.onnx_graph import OnnxInt8, outlier_layers
from workflows_dagster.lib.export.registry import REFERENCE, REGISTRY, open_classifier, technique
from workflows_dagster.lib.export.settings import ExportSettings, export_settings
from workflows_dagster.lib.finetuning.merged_model import MergedModelRecord
from workflows_dagster.partitions import TECHNIQUES
from workflows_dagster_tests.lib.export.untried import write_untried as write

TEXTS = ["good", "the kettle was broken and late", "not bad but not good", "love " * 60, "", "zebra ¿?"]


@pytest.fixture(scope="module", params=list(REGISTRY))
def exported(request: pytest.FixtureRequest, tiny_merged: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    write(tiny_merged, request.param, folder)
    return folder


def test_every_partition_has_a_technique() -> None:
    assert list(REGISTRY) == list(TECHNIQUES.get_partition_keys())


def test_an_artefact_answers_as_the_merged_model(exported: Path, tiny_merged: Artifact) -> None:
    merged = MergedModelRecord.read(tiny_merged.folder).model
    before = open_classifier(REFERENCE.name, tiny_merged.folder, merged, threads=1).logits(TEXTS)
    classifier = load_exported(exported, threads=1)
    after = classifier.logits(TEXTS)
    lossless = ExportRecord.read(exported).lossless
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
    record = ExportRecord.read(exported)
    assert record.model.labels == ("negative", "neutral", "positive")
    assert record.model.max_length == 24
    assert record.model.size_bytes == (exported / record.model.file).stat().st_size
    assert ("opset" in record.details) == (record.format == "onnx")


def test_exporting_twice_gives_the_same_bytes(exported: Path, tiny_merged: Artifact, tmp_path: Path) -> None:
    first = ExportRecord.read(exported)
    assert write(tiny_merged, first.technique, tmp_path) == first


@pytest.mark.parametrize(("small", "large"), [("torch-int8", "torch-fp32"), ("onnx-int8", "onnx-fp32")])
def test_int8_quantizes_the_layers_of_the_encoder(
    tiny_merged: Artifact, tmp_path: Path, small: str, large: str
) -> None:
    records = {name: write(tiny_merged, name, tmp_path / name) for name in (small, large)}
    # Two layers of six products each; ONNX also quantizes the pooler, not torch. The head stays float32.
    assert records[small].details["quantized_layers"] == {"torch-int8": 12, "onnx-int8": 13}[small]
    if small == "torch-int8":
        assert records[small].model.size_bytes < records[large].model.size_bytes


def test_a_changed_file_is_refused(exported: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(exported, tmp_path / "copy")
    weights = copy / ExportRecord.read(copy).model.file
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
    with pytest.raises(IntegrityError, match="files that its record lists"):
        load_exported(copy)


def test_an_artefact_without_its_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataContractError, match=r"export\.json cannot be read"):
        load_exported(tmp_path)


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
        open_classifier(REFERENCE.name, copy, MergedModelRecord.read(copy).model)


def test_each_technique_has_its_own_options() -> None:
    settings = export_settings(BaseModel).model_validate({"onnx_fp32": {"opset": 18, "fuse": False}})
    assert settings.technique("onnx-fp32") == REGISTRY["onnx-fp32"](opset=18, fuse=False)  # pyright: ignore[reportCallIssue]
    assert settings.technique("onnx-int8") == REGISTRY["onnx-int8"]()
    assert ExportSettings().technique("onnx-fp32") == REGISTRY["onnx-fp32"]()


@pytest.mark.parametrize("chosen", [{"onnx_int8": {"opset": 3}}, {"onnx_int8": {"fuse": True}}, {"opset": 17}])
def test_an_option_that_a_technique_does_not_know_is_refused(chosen: dict[str, object]) -> None:
    class Closed(BaseModel):
        model_config = ConfigDict(extra="forbid")

    with pytest.raises(ValidationError, match=r"opset|fuse"):
        export_settings(Closed).model_validate(chosen)


def test_layers_with_outliers_stay_float32(tiny_merged: Artifact, tmp_path: Path) -> None:
    model = tiny_merged.folder / "model"
    every = outlier_layers(model, 1.001)
    assert len(every) == 12
    assert outlier_layers(model, 1e6) == []
    (tmp_path / "int8").mkdir()
    assert OnnxInt8(outlier_ratio=1.001).write(model, tmp_path / "int8")["quantized_layers"] == 1  # the pooler
