"""The fresh process that measures one artefact.

Run as `python -m workflows_dagster.lib.benchmark.worker REQUEST.json RESPONSE.json`. First it loads nothing but the
artefact, so that load time, latency, throughput and peak memory are its own. Then it loads the merged model beside it
and alternates blocks of the same rows between the two, so that what else the machine does hits both.
"""

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from workflows_dagster.lib.accelerator import peak_resident_bytes
from workflows_dagster.lib.benchmark.machine import describe_machine
from workflows_dagster.lib.export.process import Message, answer, tell
from workflows_dagster.lib.export.registry import open_classifier
from workflows_dagster.lib.model.inference import Classifier
from workflows_dagster.lib.model.reference import ModelReference


def respond(request: Message) -> Message:
    """Measurements of the artefact by itself, then beside the merged model."""
    started = time.perf_counter()
    exported = _open(request["exported"], request)
    load_s = time.perf_counter() - started
    alone = measure_alone(exported, request)
    merged = _open(request["merged"], request)
    return {"load_s": load_s, **alone, **measure_paired({"merged": merged, "exported": exported}, request)}


def measure_alone(exported: Classifier, request: Message) -> Message:
    """Latencies, throughput and peak memory of a process that has loaded one artefact and nothing else."""
    stage = f"measuring {request['technique']}"
    singles: list[str] = request["singles"]
    warmup: int = request["warmup_rows"]
    repeats: int = request["repeats"]
    for text in singles[:warmup]:
        exported.predict([text])
    latencies_ms = [_seconds(exported, [text]) * 1000 for text in singles[warmup:]]
    tell(stage, 1, repeats + 1, "rounds")
    texts: list[str] = request["timed"]
    exported.predict(texts)  # the first pass allocates; it is not timed
    rates: list[float] = []
    for number in range(repeats):
        rates.append(len(texts) / _seconds(exported, texts))
        tell(stage, number + 2, repeats + 1, "rounds")
    return {
        "latencies_ms": latencies_ms,
        "reviews_per_s": rates,
        "peak_memory_bytes": peak_memory_bytes(),
        "machine": asdict(describe_machine()),
    }


def measure_paired(models: dict[str, Classifier], request: Message) -> Message:
    """Probabilities of both models on every row, and the seconds each took for each block of rows."""
    stage = f"comparing {request['technique']}"
    texts: list[str] = request["texts"]
    size: int = request["block_rows"]
    blocks = [texts[start : start + size] for start in range(0, len(texts), size)]
    for classifier in models.values():
        classifier.predict(blocks[0])
    seconds: dict[str, list[float]] = {name: [] for name in models}
    probabilities: dict[str, list[list[float]]] = {name: [] for name in models}
    for number, block in enumerate(blocks):
        order = list(models) if number % 2 == 0 else list(reversed(models))
        for name in order:
            started = time.perf_counter()
            values = models[name].predict(block)
            seconds[name].append(time.perf_counter() - started)
            probabilities[name].extend(values.tolist())
        tell(stage, min((number + 1) * size, len(texts)), len(texts), "rows")
    return {"seconds": seconds, "probabilities": probabilities, "block_rows": [len(block) for block in blocks]}


def peak_memory_bytes() -> int:
    """Most resident memory this process ever held: interpreter, libraries, weights, tokenizer and activations."""
    if (peak := peak_resident_bytes()) is not None:
        return peak
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _open(model: Message, request: Message) -> Classifier:
    return open_classifier(
        model["technique"],
        Path(model["folder"]),
        ModelReference(**model["reference"]),
        threads=int(request["threads"]),
        batch_tokens=int(request["batch_tokens"]),
    )


def _seconds(classifier: Classifier, texts: Sequence[str]) -> float:
    started = time.perf_counter()
    classifier.predict(texts)
    return time.perf_counter() - started


if __name__ == "__main__":
    answer(respond)
