"""Training, judging and merging with a tiny random model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from workflows_dagster.checks.finetuning import LORA_ADAPTER, MERGED_MODEL
from workflows_dagster.lib.accelerator import session
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.finetuning.adapter import AdapterRecord, build_adapter
from workflows_dagster.lib.finetuning.merged_model import MergedModelRecord, build_merged
from workflows_dagster.lib.finetuning.settings import FineTuningSettings


@pytest.fixture(scope="module")
def trained_once(
    tmp_path_factory: pytest.TempPathFactory, tiny_reviews: Artifact, tiny_settings: FineTuningSettings
) -> Path:
    """Folder of an adapter that was trained for two steps."""
    folder = tmp_path_factory.mktemp("lora_adapter")
    with session("cpu") as opened:
        report = build_adapter(tiny_reviews, tiny_settings, opened, tmp_path_factory.mktemp("checkpoints"), folder)
    assert report.record.steps == 2
    assert report.to_metadata()["finetuning/steps_count"] == 2
    return folder


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Artifact:
    """A copy of it that a test may spoil."""
    folder = shutil.copytree(trained_once, tmp_path / "lora_adapter")
    return Artifact("lora_adapter", None, "commit", "digest", folder)


def test_adapter_passes_its_blocking_audits(trained: Artifact) -> None:
    verdicts = {audit.name: audit.judge(trained.folder) for audit in LORA_ADAPTER if audit.blocking}
    assert {name: verdict.description for name, verdict in verdicts.items() if not verdict.passed} == {}


def test_adapter_folder_names_no_path_of_this_machine(trained: Artifact, tmp_path: Path) -> None:
    texts = [path.read_text("utf-8") for path in trained.folder.rglob("*.json") if path.name != "report.json"]
    assert not [text for text in texts if str(tmp_path) in text]


def test_record_counts_rows_and_truncation(trained: Artifact) -> None:
    record = AdapterRecord.read(trained.folder)
    assert {split: rows.used for split, rows in record.rows.items()} == {"train": 24, "validation": 9, "test": 12}
    # [CLS] the shoe is bad and it was fine and plain [SEP] has 12 tokens, the limit is 8: rows 4, 9, 14, 19.
    truncation = record.truncation["train"]
    assert (truncation.rows_truncated, truncation.tokens_cut) == (4, 16)
    assert truncation.truncated_ratio == pytest.approx(4 / 24)


def test_saved_tokenizer_neither_pads_nor_truncates(trained: Artifact) -> None:
    saved = json.loads((trained.folder / "adapter" / "tokenizer.json").read_text("utf-8"))
    assert saved["padding"] is None
    assert saved["truncation"] is None


def test_training_twice_gives_the_same_adapter(
    tmp_path: Path, trained: Artifact, tiny_reviews: Artifact, tiny_settings: FineTuningSettings
) -> None:
    again = tmp_path / "again"
    again.mkdir()
    with session("cpu") as opened:
        build_adapter(tiny_reviews, tiny_settings, opened, tmp_path / "other_checkpoints", again)
    for name in ("adapter/adapter_model.safetensors", "report.json"):
        assert (again / name).read_bytes() == (trained.folder / name).read_bytes()


def test_merged_model_passes_its_audits(tmp_path: Path, trained: Artifact) -> None:
    folder = tmp_path / "merged_model"
    folder.mkdir()
    with session("cpu") as opened:
        build_merged(trained, opened, folder)
    verdicts = {audit.name: audit.judge(folder) for audit in MERGED_MODEL}
    assert {name: verdict.description for name, verdict in verdicts.items() if not verdict.passed} == {}
    model = MergedModelRecord.read(folder).model
    assert (model.file, model.max_length) == ("model/model.safetensors", 8)
    config = json.loads((folder / "model" / "config.json").read_text("utf-8"))
    assert config["id2label"] == {"0": "negative", "1": "neutral", "2": "positive"}


def test_merged_model_is_refused_when_a_weight_changes(tmp_path: Path, trained: Artifact) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "merged_model"
    folder.mkdir()
    with session("cpu") as opened:
        build_merged(trained, opened, folder)
    weights = load_file(folder / "model" / "model.safetensors")
    weights["classifier.bias"] = weights["classifier.bias"] + np.float32(0.5)
    save_file(weights, folder / "model" / "model.safetensors", metadata={"format": "pt"})
    verdicts = {audit.name: audit.judge(folder).passed for audit in MERGED_MODEL}
    assert verdicts["repeats_adapter"] is False
    assert verdicts["digest_matches"] is False


def test_merging_refuses_another_base_model(tmp_path: Path, trained: Artifact) -> None:
    record = AdapterRecord.read(trained.folder)
    other = replace(record.base_model, sha256="0" * 64)
    record.model_copy(update={"base_model": other}).write(trained.folder)
    with session("cpu") as opened, pytest.raises(IntegrityError, match="not the base model"):
        build_merged(trained, opened, tmp_path / "merged_model")


def test_leaking_group_fails_the_audit(trained: Artifact) -> None:
    rows = pl.read_parquet(trained.folder / "rows.parquet")
    rows.with_columns(group_key=pl.lit("one")).write_parquet(trained.folder / "rows.parquet")
    audits = {audit.name: audit for audit in LORA_ADAPTER}
    verdict = audits["trained_apart_from_test"].judge(trained.folder)
    assert not verdict.passed
    assert verdict.metadata["shared_groups"] == 1


def test_missing_prediction_fails_the_audit(trained: Artifact) -> None:
    path = trained.folder / "test_predictions.parquet"
    pl.read_parquet(path).head(11).write_parquet(path)
    audits = {audit.name: audit for audit in LORA_ADAPTER}
    assert not audits["predicts_every_test_row"].judge(trained.folder).passed


def test_pickled_weights_fail_the_audit(trained: Artifact) -> None:
    (trained.folder / "adapter" / "adapter_model.bin").write_bytes(b"pickle")
    audits = {audit.name: audit for audit in LORA_ADAPTER}
    assert not audits["plain_files_only"].judge(trained.folder).passed
