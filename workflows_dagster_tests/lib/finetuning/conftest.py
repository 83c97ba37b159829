"""A tiny model and a tiny corpus, so that training takes seconds and needs no network."""

from pathlib import Path

import polars as pl
import pytest

from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster.lib.hashing import digest_file
from workflows_dagster.lib.schema import CORPUS_REVIEW

WORDS = ("the", "shoe", "dress", "was", "is", "good", "great", "fine", "plain", "bad", "awful", "and", "not", "it")
OPINIONS = {"negative": ("bad", "awful"), "neutral": ("fine", "plain"), "positive": ("good", "great")}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random BERT with two layers and 20 words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("tiny_model")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(vocabulary)})
    # As in the file that ships with all-MiniLM-L6-v2.
    tokenizer.backend_tokenizer.enable_padding(length=16)
    tokenizer.backend_tokenizer.enable_truncation(16)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_settings(tiny_model: Path) -> FineTuningSettings:
    """Two steps on the tiny model."""
    return FineTuningSettings(
        model=str(tiny_model),
        epochs=1,
        batch_size=12,
        max_length=8,
        rank=2,
        alpha=4,
        evaluations_per_epoch=2,
        learning_rate=1e-2,
        head_learning_rate=1e-2,
    )


@pytest.fixture(scope="session")
def tiny_reviews(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """24 training, 9 validation and 12 test rows of two sources."""
    return write_reviews(tmp_path_factory.mktemp("corpus") / "augmented_reviews", {"train": 24, "validation": 9, "test": 12})


def write_reviews(folder: Path, sizes: dict[str, int]) -> Artifact:
    """A corpus whose labels follow from one word of each text."""
    rows: list[dict[str, object]] = []
    for split, size in sizes.items():
        for index in range(size):
            label = list(OPINIONS)[index % 3]
            noun = ("shoe", "dress")[index % 2]
            text = f"the {noun} is {OPINIONS[label][index // 3 % 2]}" + " and it was fine and plain" * (index % 5 == 4)
            rows.append(
                {
                    "review_id": f"{split}-{index:03}",
                    "source": ("shop", "posts")[index % 2],
                    "batch": "shop-1",
                    "text": text,
                    "stars": None,
                    "label": label,
                    "label_source": "given",
                    "language": "en",
                    "product_id": None,
                    "group_key": f"{split}-group-{index // 2}",
                    "created_at": None,
                    "split": split,
                }
            )
    folder.mkdir(parents=True)
    write_table(folder / "reviews.parquet", pl.DataFrame(rows), CORPUS_REVIEW)
    return Artifact("augmented_reviews", None, "commit", digest_file(folder / "reviews.parquet"), folder)
