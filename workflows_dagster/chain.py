"""The whole chain in one process, from the command line or as `chain_job`; each of its jobs is a run in the UI."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import dagster as dg
from pydantic import Field

from workflows_dagster.instance import with_origin
from workflows_dagster.jobs import GO_ON_WITHOUT_PEOPLE
from workflows_dagster.launcher import end_lost_runs, host_tags
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import ConfigurationError, NotEnoughDataError, WorkflowError
from workflows_dagster.lib.sample.settings import SampleSettings
from workflows_dagster.lib.sample.writing import write_sample
from workflows_dagster.partitions import TECHNIQUES
from workflows_dagster.resources.sources import SourcesResource
from workflows_dagster.resources.store import COMMIT_KEY, StoreResource, told_to_dagster
from workflows_dagster.settings import load_settings

REPORT: Final = "benchmark_report"
RELEASE: Final = "model_release"
JOB_NAMES: Final = ("ingest_job", "training_job", "export_job", "report_job")
"""The jobs of the chain, in their order."""


class ChainFailedError(WorkflowError):
    """A step that everything after it needs has failed."""


@dataclass
class ChainResult:
    """How the chain went.

    Attributes:
        report: The published benchmark report.
        failures: What failed and was passed over: batch, source, technique or release, and why.
    """

    report: Artifact
    failures: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Chain:
    """Runs the jobs one after the other.

    Args:
        job: Gives a job of the deployment by name.
        sources: Its sources.
        store: Where it publishes.
        instance: Where runs are recorded.
        config: Run configuration by asset name.
    """

    job: Callable[[str], dg.JobDefinition]
    sources: SourcesResource
    store: StoreResource
    instance: dg.DagsterInstance
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

    def check_config(self) -> None:
        """Makes sure that the run configuration fits the assets, before anything runs.

        Raises:
            ConfigurationError: An asset of that name, or a setting of it, is not there or has another type.
        """
        known = {node.name for name in JOB_NAMES for node in self.job(name).nodes}
        if unknown := sorted(self.config.keys() - known):
            raise ConfigurationError(
                "there are no assets of these names",
                given=unknown,
                expected="names of assets, as the Dagster UI shows them",
                remedy="mend them in the run configuration",
            )
        for name in JOB_NAMES:
            job = self.job(name)
            try:
                dg.validate_run_config(job, self._run_config(job))
            except dg.DagsterInvalidConfigError as error:
                raise ConfigurationError(
                    "the run configuration does not fit the assets",
                    given=[reason.message for reason in error.errors],
                    expected=f"settings of the assets in {name}",
                    remedy="see docs/run_configuration.md for their names and types",
                ) from error

    def run(self) -> ChainResult:
        """Ingests every batch, trains, exports by every technique, reports, and releases what passed every gate.

        A batch, source or technique that fails is passed over and named in the result; the rest goes on. So is a
        release that was refused.

        Raises:
            ConfigurationError: The run configuration does not fit the assets.
            KeyboardInterrupt: A run was interrupted; what was published before stays.
            NotEnoughDataError: No batch could be read.
            ChainFailedError: Training or the report failed.
        """
        self.check_config()
        end_lost_runs(self.instance)
        plan = self.sources.collect(self.instance)
        failures = {f"source {name}": str(error) for name, error in plan.failures.items()}
        for name in plan.empty:
            beside = f"; beside it lie {', '.join(plan.passed_over[name][:5])}" if name in plan.passed_over else ""
            failures[f"source {name}"] = f"its location matches no file{beside}"
        keys = [batch.key for batch in plan.batches]
        failures |= self._each("ingest_job", keys)
        if all(f"ingest_job {key}" in failures for key in keys):
            raise NotEnoughDataError(
                "no batch of reviews could be read",
                given=failures or "no files",
                expected=f"readable files at the locations that {self.sources.path} names",
                remedy="mend the locations or the files that are named here, and run again",
            )
        self._needed("training_job")
        failures |= self._each("export_job", TECHNIQUES.get_partition_keys())
        result = self._execute("report_job", None)
        if not result.success:
            if not result.asset_materializations_for_node(REPORT):
                raise _failed("report_job", result)
            failures[RELEASE] = reason_of(result)
        commit = result.asset_materializations_for_node(REPORT)[0].metadata[COMMIT_KEY].value
        return ChainResult(self.store.artifact(REPORT, None, str(commit)), failures)

    def _each(self, job: str, partitions: Sequence[str]) -> dict[str, str]:
        """Runs a job for each partition; returns the failures by job and partition."""
        results = ((partition, self._execute(job, partition)) for partition in partitions)
        return {f"{job} {partition}": reason_of(result) for partition, result in results if not result.success}

    def _needed(self, job: str) -> dg.ExecuteInProcessResult:
        result = self._execute(job, None)
        if not result.success:
            raise _failed(job, result)
        return result

    def _execute(self, job: str, partition: str | None) -> dg.ExecuteInProcessResult:
        definition = self.job(job)
        result = definition.execute_in_process(
            instance=self.instance,
            partition_key=partition,
            run_config=self._run_config(definition),
            tags=host_tags(),
            raise_on_error=False,
        )
        if _was_interrupted(result):
            raise KeyboardInterrupt
        return result

    def _run_config(self, job: dg.JobDefinition) -> dict[str, Any]:
        names = {node.name for node in job.nodes}
        ops = {name: {"config": dict(config)} for name, config in self.config.items() if name in names}
        return {"ops": ops, "loggers": {"terminal": {}}}


class ChainConfig(dg.Config):
    """Run configuration of chain_job."""

    assets: dict[str, Any] = Field(
        default=GO_ON_WITHOUT_PEOPLE,
        description="Run configuration by name of asset. By default the chain does not wait for people.",
    )


@dg.op(description="Runs ingest_job for each batch, training_job, export_job for each technique, and report_job.")
def run_chain(
    context: dg.OpExecutionContext, config: ChainConfig, sources: SourcesResource, store: StoreResource
) -> None:
    """The chain as `workflows-dagster run` runs it; a batch or technique that fails is passed over and named."""
    settings = load_settings()
    if settings.sources is None and not settings.sample.exists():
        write_sample(settings.sample, SampleSettings())
    with told_to_dagster(context):
        jobs = context.repository_def.get_job
        result = Chain(jobs, sources, store, with_origin(context.instance), config.assets).run()
    for what, why in result.failures.items():
        context.log.warning("%s failed and was passed over: %s", what, why)


@dg.job(
    executor_def=dg.in_process_executor,
    description="Start here: everything, from new files to a release, without waiting for people. "
    '"Materialize all" is no substitute: it finds no new files, and its report does not wait for the exports.',
)
def chain_job() -> None:
    """The whole chain by one press in the UI."""
    run_chain()


def _failed(job: str, result: dg.ExecuteInProcessResult) -> ChainFailedError:
    return ChainFailedError(
        f"{job} failed",
        given=reason_of(result),
        expected="success",
        remedy="see the run in the Dagster UI, mend the cause and run again: what was done is kept",
    )


def reason_of(result: dg.ExecuteInProcessResult) -> str:
    """Why a run failed: the first failed step, and the innermost of its errors."""
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            described = data.user_failure_data.description if data.user_failure_data else None
            return f"{event.step_key}: {described or _innermost(data.error) or event.message}"
    return "the run failed outside any step"


def _innermost(error: Any) -> str | None:
    """Message of the error that all others wrap."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else None


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether a signal ended the run: Dagster makes a step failure of it."""
    return any(
        event.is_step_failure
        and event.step_failure_data.error is not None
        and event.step_failure_data.error.cls_name == dg.DagsterExecutionInterruptedError.__name__
        for event in result.all_events
    )
