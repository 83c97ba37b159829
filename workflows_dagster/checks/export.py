"""What must hold of an exported artefact before it is published."""

from pathlib import Path
from typing import Final

from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.export.exported_model import ExportRecord
from workflows_dagster.lib.model.reference import files_below

SAFE_SUFFIXES: Final = frozenset({".json", ".onnx", ".safetensors", ".txt"})
PICKLE_STARTS: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
"""First bytes of pickles, and of the zip files that torch.save wraps them in."""


def judge_agreement(folder: Path) -> Verdict:
    """Lossless artefacts: the same classes and logits within the limit; lossy ones: enough of the same classes."""
    parity = ExportRecord.read(folder).parity
    share, needed = parity.agreement.value, parity.min_agreement
    difference, limit = parity.max_logit_difference, parity.max_logit_difference_allowed
    close = limit is None or difference <= limit
    text = f"{share:.3f} of {parity.agreement.n} rows get the merged model's class (needed: {needed:.3f})"
    if limit is not None:
        text += f"; logits differ by at most {difference:.2g} (allowed: {limit:.2g})"
    return Verdict(
        share >= needed and close,
        text,
        {
            "export/agreement_ratio": share,
            "export/agreement_low_ratio": parity.agreement.low,
            "export/min_agreement_ratio": needed,
            "export/flips": len(parity.flips),
            "export/max_logit_difference": difference,
        },
    )


def judge_digests(folder: Path) -> Verdict:
    """The record lists every file with the digest that it has."""
    try:
        ExportRecord.read(folder).model.verify(folder)
    except IntegrityError as error:
        return Verdict(False, str(error))
    return Verdict(True, "every file has the digest that export.json records")


def judge_no_pickle(folder: Path) -> Verdict:
    """No file is a pickle, by name or by first bytes."""
    odd: list[str] = []
    for name in files_below(folder):
        with (folder / name).open("rb") as file:
            start = file.read(4)
        if Path(name).suffix not in SAFE_SUFFIXES or start.startswith(PICKLE_STARTS):
            odd.append(name)
    return Verdict(not odd, f"files of other kinds: {odd}" if odd else "only safetensors, ONNX, JSON and text")


EXPORTED_MODELS: Final = (
    Audit(
        "agree_with_merged_model",
        "Reloaded in a fresh process, a lossless artefact answers as the merged model does, a lossy one nearly always.",
        judge_agreement,
    ),
    Audit("match_their_digests", "export.json lists every file with its digest.", judge_digests),
    Audit("hold_no_pickle", "Nothing in the artefact can run code when it is loaded.", judge_no_pickle),
)
