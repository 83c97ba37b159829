"""A fresh process that loads an artefact from disk, as a server would, and gives its logits.

Run as `python -m workflows_dagster.lib.export.trial REQUEST.json RESPONSE.json`.
"""

from pathlib import Path

from workflows_dagster.lib.export.process import Message, answer
from workflows_dagster.lib.export.registry import open_classifier
from workflows_dagster.lib.model.reference import ModelReference


def try_artefact(request: Message) -> Message:
    """Logits of the artefact on the texts, shape (texts, labels)."""
    classifier = open_classifier(
        request["technique"],
        Path(request["folder"]),
        ModelReference(**request["model"]),
        threads=int(request["threads"]),
        batch_tokens=int(request["batch_tokens"]),
    )
    return {"logits": classifier.logits(request["texts"]).tolist()}


if __name__ == "__main__":
    answer(try_artefact)
