"""A tiny model and a tiny corpus, so that training takes seconds and needs no network."""

from pathlib import Path

import polars as pl

from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.hashing import digest_file
from workflows_dagster.lib.schema import CORPUS_REVIEW

WORDS = ("the", "shoe", "dress", "was", "is", "good", "great", "fine", "plain", "bad", "awful", "and", "not", "it")
OPINIONS = {"negative": ("bad", "awful"), "neutral": ("fine", "plain"), "positive": ("good", "great")}


def write_tiny_model(folder: Path) -> Path:
    """A random BERT with two layers and 19 words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
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
