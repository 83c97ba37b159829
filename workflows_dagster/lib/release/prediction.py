"""Reviews scored by the model of a release.

A process that serves a model imports this module: no library beyond numpy and pydantic at its top.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from workflows_dagster.lib.errors import ConfigurationError, IntegrityError, MissingExtraError
from workflows_dagster.lib.export.exported_model import ExportRecord
from workflows_dagster.lib.export.registry import open_verified
from workflows_dagster.lib.model.reference import MODEL_FOLDER
from workflows_dagster.lib.model.text import TextClassifier
from workflows_dagster.lib.release.releases import Release
from workflows_dagster.lib.release.row_files import Columns
from workflows_dagster.lib.store.versioned import VersionedStore


@dataclass(frozen=True)
class Prediction:
    """What the model says of one text.

    Attributes:
        text: The text.
        label: The most probable label.
        probabilities: Probability of each label, in the order of the model's outputs.
        truncated: Whether the text is longer than the longest input of the model, which saw its beginning only.
        release: Tag of the release that the model belongs to.
    """

    text: str
    label: str
    probabilities: dict[str, float]
    truncated: bool
    release: str

    def to_row(self) -> dict[str, Any]:
        """The prediction as a row of an output file or stream."""
        probabilities = {label: round(value, 6) for label, value in self.probabilities.items()}
        return {
            "label": self.label,
            "probabilities": probabilities,
            "text": self.text,
            "truncated": self.truncated,
            "release": self.release,
        }


@dataclass(frozen=True)
class ReleasedModel:
    """The model of a release, loaded.

    Attributes:
        release: The release.
        record: What the release says of its export.
        classifier: The model.
    """

    release: Release
    record: ExportRecord
    classifier: TextClassifier

    @classmethod
    def open(cls, store: VersionedStore, release: Release, threads: int) -> Self:
        """Loads the model of a release.

        Args:
            store: Where the release is published.
            release: The release.
            threads: Threads of the runtime.

        Raises:
            IntegrityError: A file of the model is not the one that was released.
            MissingExtraError: What runs the model is not installed.
        """
        version = store.version(release.pick.path, release.pick.commit)
        # The store checks every file that it hands out against the digests of the version.
        folder = store.copy(version)
        record = ExportRecord.read(folder)
        published = {name: stat.sha256 for name, stat in version.files.items() if name.startswith(f"{MODEL_FOLDER}/")}
        if (record.model.sha256, record.model.files) != (release.pick.sha256, published):
            raise IntegrityError(
                f"the model of {release.tag} is not the one that was released",
                given=record.model.files,
                expected=f"weights of sha256 {release.pick.sha256}, in files as published: {published}",
                remedy="roll back to a release whose model is whole, and make this one again",
            )
        try:
            classifier = open_verified(record.technique, folder, record.model, threads=threads)
        except ImportError as error:
            raise _not_installed(record, error) from error
        return cls(release, record, classifier)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """What the model says of texts, in their order."""
        labels = self.classifier.labels
        rows = zip(texts, self.classifier.predict(texts), self.classifier.truncated(texts), strict=True)
        return [
            Prediction(
                text,
                labels[int(probabilities.argmax())],
                {label: float(value) for label, value in zip(labels, probabilities, strict=True)},
                truncated,
                self.release.tag,
            )
            for text, probabilities, truncated in rows
        ]


def output_columns(labels: Sequence[str], kept: Sequence[str] | None = None) -> Columns:
    """Type of each column of the output.

    Args:
        labels: The labels of the model.
        kept: Names of the columns that are carried over from a file; None where no file is read.

    Raises:
        ConfigurationError: A column that is carried over has the name of another one.
    """
    ours: Columns = {"label": str, **dict.fromkeys(labels, float), "text": str, "truncated": bool, "release": str}
    if kept is None:
        return ours
    if taken := [name for name in kept if name in {"row", "probabilities", *ours}]:
        raise ConfigurationError(
            "the output has columns of these names",
            given=taken,
            expected="other names for the columns that are kept",
            remedy=f"write --keep {taken[0]}=given_{taken[0]}",
        )
    return {"row": int, **dict.fromkeys(kept, str), **ours}


def _not_installed(record: ExportRecord, error: ImportError) -> MissingExtraError:
    extra = "serve" if record.runtime == "onnxruntime" else "train"
    return MissingExtraError(
        f"what runs {record.technique} is not installed",
        given=f"no module {error.name}",
        expected=f"the extra [{extra}]",
        remedy=f"pip install 'workflows-dagster[{extra}]'",
    )
