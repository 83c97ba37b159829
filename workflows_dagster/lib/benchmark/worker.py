"""The fresh process that measures one artefact.

Run as `python -m workflows_dagster.lib.benchmark.worker REQUEST.json RESPONSE.json`. Two kinds of request, in two
processes: "alone" loads nothing but the artefact, so that its memory is its own; "paired" loads the merged model
beside it and alternates blocks of the same rows between the two, so that what else the machine does hits both.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from workflows_dagster.lib.benchmark.machine import describe_machine, peak_memory_bytes
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.export.classifier import Classifier, load_exported, load_merged
from workflows_dagster.lib.export.process import Record, answer, tell


def respond(request: Record) -> Record:
    """Measurements of the kind that the request names.

    Raises:
        ConfigurationError: No kind of that name.
    """
    match request["kind"]:
        case "alone":
            return measure_alone(request)
        case "paired":
            return measure_paired(request)
        case other:
            raise ConfigurationError(
                "no measurement of that kind", given=other, expected="alone or paired", remedy="name one of them"
            )


def measure_alone(request: Record) -> Record:
    """Load time, latencies, throughput and peak memory of the artefact by itself."""
    stage = f"measuring {request['technique']}"
    started = time.perf_counter()
    classifier = load_exported(Path(request["exported"]), **_options(request))
    load_s = time.perf_counter() - started
    singles: list[str] = request["singles"]
    warmup: int = request["warmup_rows"]
    repeats: int = request["repeats"]
    for text in singles[:warmup]:
        classifier.predict([text])
    latencies_ms = [_seconds(classifier, [text]) * 1000 for text in singles[warmup:]]
    tell(stage, 1, repeats + 1, "rounds")
    texts: list[str] = request["texts"]
    classifier.predict(texts)  # the first pass allocates; it is not timed
    rates: list[float] = []
    for number in range(repeats):
        rates.append(len(texts) / _seconds(classifier, texts))
        tell(stage, number + 2, repeats + 1, "rounds")
    return {
        "load_s": load_s,
        "latencies_ms": latencies_ms,
        "reviews_per_s": rates,
        "peak_memory_bytes": peak_memory_bytes(),
        "machine": describe_machine(),
    }


def measure_paired(request: Record) -> Record:
    """Probabilities of both models on every row, and the seconds each took for each block of rows."""
    stage = f"comparing {request['technique']}"
    models = {
        "merged": load_merged(Path(request["merged"]), **_options(request)),
        "exported": load_exported(Path(request["exported"]), **_options(request)),
    }
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


def _options(request: Record) -> dict[str, int]:
    return {"threads": int(request["threads"]), "batch_tokens": int(request["batch_tokens"])}


def _seconds(classifier: Classifier, texts: Sequence[str]) -> float:
    started = time.perf_counter()
    classifier.predict(texts)
    return time.perf_counter() - started


if __name__ == "__main__":
    answer(respond)
