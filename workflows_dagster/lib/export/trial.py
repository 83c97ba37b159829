"""A fresh process that loads an artefact from disk, as a server would, and gives its logits.

Run as `python -m workflows_dagster.lib.export.trial REQUEST.json RESPONSE.json`.
"""

from pathlib import Path

from workflows_dagster.lib.export.classifier import load_exported
from workflows_dagster.lib.export.process import Record, answer


def try_artefact(request: Record) -> Record:
    """Logits of the artefact on the texts, shape (texts, labels)."""
    classifier = load_exported(
        Path(request["exported"]), threads=int(request["threads"]), batch_tokens=int(request["batch_tokens"])
    )
    return {"logits": classifier.logits(request["texts"]).tolist()}


if __name__ == "__main__":
    answer(try_artefact)
