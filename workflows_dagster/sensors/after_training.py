"""Carries a new model on: exports of it by every technique, then the report that compares them.

Both sensors look at what is published, not at which run ended: a model counts as new however it was made, and nothing
is missed while they are switched off. A model that was made again with the same content is the same model, whatever
else its new commit says.
"""

import itertools
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

import dagster as dg

from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.store.naming import published_path
from workflows_dagster.partitions import TECHNIQUES
from workflows_dagster.resources.store import COMMIT_KEY, DIGEST_KEY, UPSTREAM_KEY

MODEL: Final = dg.AssetKey("merged_model")
EXPORTS: Final = dg.AssetKey("exported_models")
BENCHMARKS: Final = dg.AssetKey("technique_benchmarks")
REPORT: Final = dg.AssetKey("benchmark_report")
INTERVAL_S: Final = 60
EVENTS: Final = 50
"""Materializations that are looked through for commits of the same content."""
RUN_KEY_TAG: Final = "dagster/run_key"
WILL_RETRY_TAG: Final = "dagster/will_retry"
_ENDED: Final = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dg.sensor(
    job_name="export_job",
    minimum_interval_seconds=INTERVAL_S,
    description="Requests export and benchmark of the newest model by each technique that does not have them yet.",
)
def export_new_model_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Requests export and benchmark of the newest model by each technique that does not have them yet.

    A technique that fails is not requested again for the same model: its failure has to be looked at.
    """
    model = _newest(context.instance, MODEL)
    if model is None:
        return dg.SkipReason("no model was trained yet: materialize merged_model")
    missing = [name for name in _techniques() if _benchmark_of(context.instance, model, name) is None]
    if not missing:
        return dg.SkipReason(f"every technique is benchmarked for model {model.commit[:12]}")
    requests = [dg.RunRequest(run_key=_run_key(model, name), partition_key=name) for name in missing]
    return dg.SensorResult(run_requests=requests)


@dg.sensor(
    job_name="report_job",
    minimum_interval_seconds=INTERVAL_S,
    description="Requests the report, once, when each technique has a benchmark of the newest model or has failed.",
)
def report_new_benchmarks_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Requests the report, once, when each technique has a benchmark of the newest model or has failed.

    What has failed is left out of the report, which names it. Mended and run again, it makes for another report.
    """
    model = _newest(context.instance, MODEL)
    if model is None:
        return dg.SkipReason("no model was trained yet: materialize merged_model")
    benchmarks = {name: _benchmark_of(context.instance, model, name) for name in _techniques()}
    missing = [name for name, benchmark in benchmarks.items() if benchmark is None]
    failed = [name for name in missing if _has_failed(context.instance, model, name)]
    if waiting := [name for name in missing if name not in failed]:
        return dg.SkipReason(f"not benchmarked yet for model {model.commit[:12]}: {', '.join(waiting)}")
    if len(failed) == len(benchmarks):
        return dg.SkipReason(f"every technique failed for model {model.commit[:12]}: see the runs of export_job")
    made = {
        published_path(BENCHMARKS.to_user_string(), name): version for name, version in benchmarks.items() if version
    }
    report = _newest(context.instance, REPORT)
    if report is not None and all(report.upstream.get(path) in version.commits for path, version in made.items()):
        return dg.SkipReason(f"the report of model {model.commit[:12]} is there")
    return dg.RunRequest(run_key=digest_text(*sorted(f"{path} {version.digest}" for path, version in made.items())))


@dataclass(frozen=True)
class _Version:
    """What an asset's newest materialization says: commit, content, what it was made from; and older commits of it."""

    commit: str
    digest: str
    commits: Set[str]
    upstream: Mapping[str, str]


def _newest(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None = None) -> _Version | None:
    selected = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None)
    records = instance.fetch_materializations(selected, limit=EVENTS).records
    said = [record.asset_materialization.metadata for record in records if record.asset_materialization]
    if not said:
        return None
    digest = said[0][DIGEST_KEY].value
    same = itertools.takewhile(lambda metadata: metadata[DIGEST_KEY].value == digest, said)
    upstream: Any = said[0][UPSTREAM_KEY].value
    return _Version(str(said[0][COMMIT_KEY].value), str(digest), {str(one[COMMIT_KEY].value) for one in same}, upstream)


def _benchmark_of(instance: dg.DagsterInstance, model: _Version, technique: str) -> _Version | None:
    """The newest benchmark of a technique, if it is one of this model's export."""
    export = _newest(instance, EXPORTS, technique)
    benchmark = _newest(instance, BENCHMARKS, technique)
    if export is None or benchmark is None or export.upstream.get(MODEL.to_user_string()) not in model.commits:
        return None
    used = benchmark.upstream.get(published_path(EXPORTS.to_user_string(), technique))
    return benchmark if used in export.commits else None


def _has_failed(instance: dg.DagsterInstance, model: _Version, technique: str) -> bool:
    """Whether the export that was requested for this model has ended without a benchmark, for good."""
    runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: _run_key(model, technique)}), limit=1)
    return any(run.status in _ENDED and run.tags.get(WILL_RETRY_TAG) != "true" for run in runs)


def _run_key(model: _Version, technique: str) -> str:
    return f"{model.digest}/{technique}"


def _techniques() -> list[str]:
    return list(TECHNIQUES.get_partition_keys())
