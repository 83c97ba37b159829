"""Reviews scored by the model of a release."""

from collections.abc import Sequence
from dataclasses import dataclass

from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.export.exported_model import ExportRecord, load_exported
from workflows_dagster.lib.release.deployment import model_folder
from workflows_dagster.lib.release.releases import Release
from workflows_dagster.lib.store.versioned import VersionedStore


@dataclass(frozen=True)
class Prediction:
    """What the model says of one text.

    Attributes:
        text: The text.
        label: The most probable label.
        probabilities: Probability of each label, in the order of the model's outputs.
    """

    text: str
    label: str
    probabilities: dict[str, float]


def predict(store: VersionedStore, release: Release, texts: Sequence[str], threads: int) -> list[Prediction]:
    """What the model of a release says of texts, in their order.

    Args:
        store: Where the release is published.
        release: The release.
        texts: What to score.
        threads: Threads of the runtime.

    Raises:
        IntegrityError: A file of the model is not the one that was released.
    """
    folder = model_folder(store, release)
    if (sha256 := ExportRecord.read(folder).model.sha256) != release.pick.sha256:
        raise IntegrityError(
            f"the model of {release.tag} is not the one that was released",
            given=sha256,
            expected=release.pick.sha256,
            remedy="roll back to a release whose model is whole, and make this one again",
        )
    classifier = load_exported(folder, threads=threads)
    return [
        Prediction(
            text,
            classifier.labels[int(row.argmax())],
            {label: float(value) for label, value in zip(classifier.labels, row, strict=True)},
        )
        for text, row in zip(texts, classifier.predict(texts), strict=True)
    ]
