"""A fresh process that loads an artefact and the merged model from disk and gives the logits of both.

Run as `python -m workflows_dagster.lib.export.trial REQUEST.json RESPONSE.json`.
"""

from pathlib import Path

from workflows_dagster.lib.export.classifier import load_exported, load_merged
from workflows_dagster.lib.export.process import Record, answer, tell


def try_artefact(request: Record) -> Record:
    """Logits of the merged model and of the artefact on the texts, each of shape (texts, labels)."""
    options = {"threads": int(request["threads"]), "batch_tokens": int(request["batch_tokens"])}
    texts: list[str] = request["texts"]
    stage = f"trying {request['technique']}"
    merged = load_merged(Path(request["merged"]), **options).logits(texts)
    tell(stage, 1, 2, "models")
    exported = load_exported(Path(request["exported"]), **options).logits(texts)
    tell(stage, 2, 2, "models")
    return {"merged": merged.tolist(), "exported": exported.tolist()}


if __name__ == "__main__":
    answer(try_artefact)
