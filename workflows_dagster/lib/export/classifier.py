"""Texts in, probabilities out: the one way in which every artefact is run, in trials, benchmarks and serving alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.export.manifest import MODEL_FOLDER, ExportManifest
from workflows_dagster.lib.export.merged import MergedModel
from workflows_dagster.lib.export.registry import REFERENCE, technique
from workflows_dagster.lib.export.technique import Logits, Network
from workflows_dagster.lib.export.tokens import encode, open_tokenizer, pad, plan_batches
from workflows_dagster.lib.metrics import softmax

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Probabilities = npt.NDArray[np.float32]
BATCH_TOKENS: Final = 1024
"""Padded tokens computed at once unless asked otherwise."""


class Classifier:
    """A loaded artefact with its tokenizer.

    Args:
        network: The model.
        tokenizer: Cuts at the model's longest input and does not pad.
        labels: Names of the outputs, in their order.
        pad_id: Token id that fills short rows.
        batch_tokens: Padded tokens computed at once.
    """

    def __init__(
        self,
        network: Network,
        tokenizer: "Tokenizer",
        labels: tuple[str, ...],
        *,
        pad_id: int,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        self.labels = labels
        self._network = network
        self._tokenizer = tokenizer
        self._pad_id = pad_id
        self._batch_tokens = batch_tokens

    def logits(self, texts: Sequence[str]) -> Logits:
        """Scores before softmax in the order of the texts, shape (texts, labels)."""
        scores = np.empty((len(texts), len(self.labels)), dtype=np.float32)
        rows = encode(self._tokenizer, texts)
        for batch in plan_batches([len(row) for row in rows], self._batch_tokens):
            ids, mask = pad([rows[int(number)] for number in batch], self._pad_id)
            scores[batch] = self._network.logits(ids, mask)
        return scores

    def predict(self, texts: Sequence[str]) -> Probabilities:
        """Probability of each label in the order of the texts, shape (texts, labels)."""
        return softmax(self.logits(texts))


def load_exported(folder: Path, *, threads: int = 2, batch_tokens: int = BATCH_TOKENS) -> Classifier:
    """The classifier of a published artefact; every file is checked against its digest first.

    Args:
        folder: Folder of one partition of exported_models.
        threads: Threads of the runtime. For torch this is a setting of the process.
        batch_tokens: Padded tokens computed at once.

    Raises:
        IntegrityError: A file is not the one that was exported.
        DataContractError: The manifest cannot be read.
        ConfigurationError: This version of the code does not know the technique.
    """
    manifest = ExportManifest.read(folder)
    manifest.verify(folder)
    model = folder / MODEL_FOLDER
    return Classifier(
        technique(manifest.technique).open(model, threads),
        open_tokenizer(model, manifest.max_length),
        manifest.labels,
        pad_id=manifest.pad_id,
        batch_tokens=batch_tokens,
    )


def load_merged(folder: Path, *, threads: int = 2, batch_tokens: int = BATCH_TOKENS) -> Classifier:
    """The merged model of an artifact folder in the same code path, the reference of every comparison.

    Raises:
        IntegrityError: The weights are not the recorded ones.
        ModelReferenceError: The model is incomplete.
    """
    merged = MergedModel.open(folder)
    return Classifier(
        REFERENCE.open(merged.folder, threads),
        open_tokenizer(merged.folder, merged.max_length),
        merged.labels,
        pad_id=int(merged.config().get("pad_token_id") or 0),
        batch_tokens=batch_tokens,
    )
