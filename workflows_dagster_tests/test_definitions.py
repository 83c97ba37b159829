"""The definitions as a whole: what loads, how it hangs together, and what every asset says of itself."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest

from workflows_dagster.definitions import build_definitions
from workflows_dagster.settings import Settings

ROOT = Path(__file__).parents[1]
STAGES = {"ingest", "cleaning", "annotation", "synthesis", "finetuning", "export", "benchmark", "release"}
EXTERNAL = {"earlier_answers", "earlier_release", "pilot_responses", "synthetic_verdicts"}
"""The work of people, and what a round began with: neither has code or checks."""

PARENTS = {
    "raw_reviews": set[str](),
    "cleaned_reviews": {"raw_reviews"},
    "review_corpus": {"cleaned_reviews"},
    "earlier_answers": set[str](),
    "earlier_release": set[str](),
    "pilot_sample": {"review_corpus", "earlier_answers", "earlier_release"},
    "pilot_request": {"pilot_sample"},
    "pilot_responses": {"pilot_request"},
    "pilot_labels": {"review_corpus", "pilot_sample", "pilot_request", "pilot_responses"},
    "training_reviews": {"review_corpus", "pilot_labels"},
    "class_balance": {"training_reviews"},
    "synthetic_reviews": {"class_balance", "training_reviews"},
    "valid_synthetics": {"synthetic_reviews", "training_reviews"},
    "synthetic_request": {"valid_synthetics"},
    "synthetic_verdicts": {"synthetic_request"},
    "vetted_synthetics": {
        "training_reviews",
        "valid_synthetics",
        "synthetic_request",
        "synthetic_verdicts",
    },
    "augmented_reviews": {"training_reviews", "vetted_synthetics"},
    "lora_adapter": {"augmented_reviews"},
    "merged_model": {"lora_adapter"},
    "exported_models": {"merged_model", "augmented_reviews"},
    "export_benchmarks": {"exported_models", "merged_model", "augmented_reviews"},
    "benchmark_report": {"augmented_reviews", "lora_adapter", "export_benchmarks"},
    "model_release": {"benchmark_report"},
    "deployed_release": {"model_release"},
}
CORPUS = {
    "review_corpus",
    "pilot_sample",
    "pilot_request",
    "pilot_labels",
    "training_reviews",
    "class_balance",
    "synthetic_reviews",
    "valid_synthetics",
    "synthetic_request",
    "vetted_synthetics",
    "augmented_reviews",
}
JOBS = {
    "ingest_job": {"raw_reviews", "cleaned_reviews"},
    "corpus_job": CORPUS,
    "training_job": CORPUS | {"lora_adapter", "merged_model"},
    "export_job": {"exported_models", "export_benchmarks"},
    "report_job": {"benchmark_report", "model_release", "deployed_release"},
    "deploy_job": {"deployed_release"},
}
PARTITIONS = {"ingest_job": "batch", "export_job": "technique"}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """The definitions of a deployment that has stored nothing yet."""
    return build_definitions(Settings(home=tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    """Every asset's spec by name."""
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_definitions_are_consistent(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_edges_are_those_of_the_design(specs: dict[str, dg.AssetSpec]) -> None:
    assert {name: {dep.asset_key.to_user_string() for dep in spec.deps} for name, spec in specs.items()} == PARENTS


@pytest.mark.parametrize("name", PARENTS)
def test_asset_says_what_it_is(name: str, specs: dict[str, dg.AssetSpec]) -> None:
    spec = specs[name]
    assert spec.group_name in STAGES
    assert spec.owners
    assert spec.kinds
    assert (spec.description or "").strip()
    assert (spec.code_version is None) == (name in EXTERNAL)


def test_asset_is_in_the_module_of_its_stage(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.executable_asset_keys:
        function = graph.get(key).assets_def.op.compute_fn.decorated_fn  # pyright: ignore[reportFunctionMemberAccess, reportAttributeAccessIssue]  # of the decorator
        assert function.__module__ == f"workflows_dagster.assets.{graph.get(key).group_name}"


def test_every_asset_is_audited_and_something_blocks(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.executable_asset_keys:
        checks = [graph.get_check_spec(check) for check in graph.get_check_keys_for_assets({key})]
        assert any(check.blocking for check in checks), f"{key.to_user_string()} has no blocking check"
        assert all(check.description for check in checks)
        # The UI shows checks under their asset: the name says the property alone.
        assert not [check.name for check in checks if check.name.startswith(key.to_user_string())]


def test_training_and_measuring_wait_for_their_pools(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    pooled = {key.to_user_string(): graph.get(key).pools for key in graph.executable_asset_keys if graph.get(key).pools}
    assert pooled == {
        "lora_adapter": {"gpu"},
        "merged_model": {"gpu"},
        "exported_models": {"benchmark"},
        "export_benchmarks": {"benchmark"},
    }


def test_partitioned_assets_are_cut_by_batch_or_technique(specs: dict[str, dg.AssetSpec]) -> None:
    cut = {name: spec.partitions_def for name, spec in specs.items() if spec.partitions_def}
    by_batch = {name for name, partitions in cut.items() if isinstance(partitions, dg.DynamicPartitionsDefinition)}
    by_technique = {name for name, partitions in cut.items() if isinstance(partitions, dg.StaticPartitionsDefinition)}
    assert by_batch == {"raw_reviews", "cleaned_reviews"}
    assert by_technique == {"exported_models", "export_benchmarks"}


@pytest.mark.parametrize("job", JOBS)
def test_job_makes_its_assets(job: str, definitions: dg.Definitions) -> None:
    definition = definitions.resolve_job_def(job)
    assert {key.to_user_string() for key in definition.asset_layer.selected_asset_keys} == JOBS[job]
    partitions = definition.partitions_def
    if PARTITIONS.get(job) == "batch":
        assert isinstance(partitions, dg.DynamicPartitionsDefinition)
    elif PARTITIONS.get(job) == "technique":
        assert isinstance(partitions, dg.StaticPartitionsDefinition)
    else:
        assert partitions is None
    assert definition.description


def test_jobs_together_make_every_asset() -> None:
    assert set[str]().union(*JOBS.values()) == set(PARENTS) - EXTERNAL


def test_names_of_jobs_schedules_and_sensors(definitions: dg.Definitions) -> None:
    assert {job.name for job in definitions.jobs or []} == {"chain_job", *JOBS, "maintenance_job"}
    targets = {schedule.name: schedule.job_name for schedule in schedules(definitions)}
    assert targets == {
        "corpus_nightly": "corpus_job",
        "training_weekly": "training_job",
        "maintenance_weekly": "maintenance_job",
    }
    assert {sensor.name for sensor in definitions.sensors or []} == {
        "ingest_new_files_sensor",
        "ingest_new_commits_sensor",
        "pilot_responses_sensor",
        "synthetic_verdicts_sensor",
        "refresh_changed_data_sensor",
        "follow_new_model_sensor",
        "alert_on_failed_run",
    }


def test_schedules_and_sensors_say_what_they_do(definitions: dg.Definitions) -> None:
    silent = [one.name for one in [*schedules(definitions), *(definitions.sensors or [])] if not one.description]
    assert silent == []


def schedules(definitions: dg.Definitions) -> list[dg.ScheduleDefinition]:
    """The schedules, all of them defined in full."""
    return [schedule for schedule in definitions.schedules or [] if isinstance(schedule, dg.ScheduleDefinition)]


def test_loading_definitions_imports_no_heavy_library() -> None:
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    banned: list[str] = ruff["flake8-tidy-imports"]["banned-module-level-imports"]
    code = (
        "import json, sys\n"
        "from workflows_dagster.definitions import defs\n"
        "defs().get_repository_def()\n"
        f"print(json.dumps([name for name in {banned!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "torch" in banned
    assert json.loads(done.stdout) == []
