"""Fixtures that every part of the tests may use."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import hypothesis
import polars as pl
import pytest

from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.finetuning.adapter import BaseModelReference
from workflows_dagster.lib.finetuning.merged_model import MergedModelRecord
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.model.reference import ModelReference
from workflows_dagster.lib.release.deployment import deploy
from workflows_dagster.lib.schema import CORPUS_REVIEW, LABELS
from workflows_dagster.resources.store import EmbeddedStore, LakeFSStore, StoreResource
from workflows_dagster_tests.lakefs_server.server import LoopbackLakeFS
from workflows_dagster_tests.lib.export.untried import write_untried
from workflows_dagster_tests.lib.release.made_up import ExportedChain, reviews

# A busy machine is no reason to fail: no test is judged by the clock.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")

REAL_DATA = "WORKFLOWS_DAGSTER_REAL_DATA"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the public review sets; the test is skipped where they are absent."""
    candidates = [Path(os.environ[REAL_DATA])] if REAL_DATA in os.environ else []
    candidates.append(Path(__file__).parents[2] / "shared" / "data")
    found = next((path for path in candidates if path.is_dir()), None)
    if found is None:
        pytest.skip(f"the public review sets are not here: name their folder in {REAL_DATA}")
    return found


@pytest.fixture
def store(tmp_path: Path) -> StoreResource:
    """An embedded store of its own."""
    return EmbeddedStore(home=str(tmp_path))


@pytest.fixture(params=["git", "lakefs"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreResource]:
    """An empty store of its own, of each kind in turn."""
    home = str(tmp_path / "home")
    if request.param == "git":
        yield EmbeddedStore(home=home)
        return
    with LoopbackLakeFS(tmp_path / "lakefs") as server:
        yield LakeFSStore(
            home=home,
            endpoint=server.endpoint,
            access_key_id=server.access_key_id,
            secret_access_key=server.secret_access_key,
            repository_name="reviews",
            storage_namespace="local://reviews",
            create=True,
        )


@pytest.fixture(scope="session")
def instance() -> dg.DagsterInstance:
    """One ephemeral Dagster instance for the session: making one costs more than most tests."""
    return dg.DagsterInstance.ephemeral()


@pytest.fixture(scope="session")
def tiny_merged(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A merged_model of a random two-layer BERT, whose tokenizer file has padding and truncation baked in."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("merged_model")
    words = [
        "the",
        "a",
        "shirt",
        "kettle",
        "was",
        "is",
        "good",
        "bad",
        "fine",
        "late",
        "broken",
        "soft",
        "very",
        "not",
        "love",
        "hate",
        "it",
        "and",
        "but",
        "ok",
    ]
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, "##s", "!"])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_padding(length=8)
    tokenizer.enable_truncation(8)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
    )
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # as initialized, every text would get nearly the same logits
    model.save_pretrained(folder / "model")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        folder / "model"
    )
    tokenizer.save(str(folder / "model" / "tokenizer.json"))
    MergedModelRecord(
        model=ModelReference.to(folder, "model.safetensors", LABELS, max_length=24, pad_id=0),
        base_model=BaseModelReference("tiny", "0" * 64, "made up"),
        adapter_commit="c" * 40,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        validation_macro_f1=0.5,
        test_macro_f1=Estimate(0.5, 0.4, 0.6, 40),
    ).write(folder)
    return Artifact("merged_model", None, "c" * 40, "d" * 64, folder)


@pytest.fixture(scope="session")
def tiny_reviews(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """An augmented_reviews of 60 short reviews from two sources, 40 of them in the test split."""
    folder = tmp_path_factory.mktemp("augmented_reviews")
    words = [
        "the",
        "shirt",
        "was",
        "soft",
        "very",
        "good",
        "bad",
        "kettle",
        "broken",
        "late",
        "love",
        "hate",
        "it",
        "not",
        "fine",
        "ok",
        "and",
        "but",
        "is",
        "a",
    ]
    rows = [
        {
            "review_id": f"r{number:03}",
            "source": ("shop", "posts")[number % 2],
            "batch": "b",
            "text": " ".join(words[(number * 7 + step * step) % len(words)] for step in range(2 + number % 12)),
            "stars": None,
            "label": LABELS[number % 3],
            "label_source": "given",
            "language": "en",
            "product_id": None,
            "group_key": f"r{number:03}",
            "created_at": None,
            "split": "train" if number < 20 else "test",
        }
        for number in range(60)
    ]
    write_table(folder / "reviews.parquet", pl.DataFrame(rows), CORPUS_REVIEW)
    return Artifact("augmented_reviews", None, "a" * 40, "b" * 64, folder)


@pytest.fixture(scope="session")
def released(tiny_merged: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose deployed release is an ONNX export of the tiny model, made of two reviews of one shop."""
    return _home_with_release(tiny_merged, "shop", tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="session")
def sample_released(tiny_merged: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, made of the bundled sample."""
    return _home_with_release(tiny_merged, "northgate_shop", tmp_path_factory.mktemp("sample_released"))


def _home_with_release(merged: Artifact, source: str, home: Path) -> Path:
    exported = home / "exported"
    exported.mkdir()
    write_untried(merged, "onnx-fp32", exported)
    chain = ExportedChain(home, exported)
    rows = reviews(("r1", source, "positive", "good"), ("r2", source, "negative", "bad"))
    made = chain.release(rows, predicted={"r1": "positive", "r2": "negative"})
    deploy(chain.store, made, "passed every gate", [made.tag])
    return home
