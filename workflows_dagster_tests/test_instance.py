"""The instance that the command line and `dagster dev` share, and the deployment file that describes it."""

import shutil
import tomllib
from pathlib import Path

import dagster as dg
import pytest

from workflows_dagster.definitions import build_definitions
from workflows_dagster.instance import project_instance
from workflows_dagster.launcher import GuardedRunLauncher
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.settings import Settings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this repository's dagster.yaml."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "dagster.yaml", folder)
    return folder


@pytest.fixture
def settings(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a process that was started there with no variable set."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(checkout)
    return Settings()


def test_deployment_file_is_the_one_we_mean(settings: Settings) -> None:
    with project_instance(settings) as instance:
        assert isinstance(instance.run_launcher, GuardedRunLauncher)
        assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"
        pools = instance.get_concurrency_config().pool_config
        assert (pools.default_pool_limit, str(pools.pool_granularity)) == (1, "PoolGranularity.OP")
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] == 30
        assert (instance.run_retries_enabled, instance.run_retries_max_retries) == (True, 1)
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert not instance.telemetry_enabled
        assert instance.managed_python_loggers == ["workflows_dagster"]


def test_runs_are_recorded_below_the_project_and_found_again(settings: Settings, checkout: Path) -> None:
    @dg.asset
    def made() -> None:
        """Made in one process, looked at in another."""

    with project_instance(settings) as instance:
        run_id = dg.materialize([made], instance=instance).run_id
    with project_instance(settings) as instance:
        event = instance.get_latest_materialization_event(made.key)
        assert event is not None
        assert event.run_id == run_id
    assert sorted(path.name for path in checkout.iterdir()) == [".dagster_home", "dagster.yaml"]
    assert (checkout / ".dagster_home" / "compute_logs" / run_id).is_dir()


def test_run_of_this_process_has_the_origin_by_which_the_ui_finds_it(settings: Settings) -> None:
    @dg.job
    def spoken_job() -> None:
        """A run of it is a run."""

    location = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["dagster"]["code_location_name"]
    assert location in (ROOT / "workspace.yaml").read_text("utf-8")
    label = f"{build_definitions(settings).get_repository_def().name}@{location}"
    with project_instance(settings) as instance:
        run_id = spoken_job.execute_in_process(instance=instance).run_id
        # The tag that the job's page filters by, and the origin without which the timeline passes over a run.
        found = instance.get_runs(dg.RunsFilter(job_name="spoken_job", tags={".dagster/repository": label}))
        assert [run.run_id for run in found] == [run_id]
        assert found[0].remote_job_origin is not None
        assert found[0].remote_job_origin.repository_origin.get_label() == label


def test_dagster_home_decides_where_it_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with project_instance(Settings()) as instance:
        assert instance.root_directory == str(tmp_path)


def test_folder_without_a_deployment_file_is_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"no dagster\.yaml .* Next: call this in the project's folder"):
        project_instance(settings)
    assert list(tmp_path.iterdir()) == []
