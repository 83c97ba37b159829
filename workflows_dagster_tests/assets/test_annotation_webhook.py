"""`workflows-dagster argilla-webhook`: a finished round is recorded without any tick."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from workflows_dagster.cli import app
from workflows_dagster.lib.annotation.desk import Deadline
from workflows_dagster.local_argilla.launch import LocalArgilla
from workflows_dagster_tests.lib.annotation.argilla_bench import ArgillaBench
from workflows_dagster_tests.lib.annotation.desk_contract import make_round

ROOT = Path(__file__).parents[2]
WAIT_S = 600


def test_command_refuses_a_deployment_without_argilla(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKFLOWS_DAGSTER_ANNOTATION", raising=False)
    result = CliRunner().invoke(app, ["argilla-webhook"])
    assert result.exit_code == 2
    assert "only Argilla has webhooks" in result.output


@pytest.mark.slow
def test_finished_round_is_recorded_when_the_last_answer_comes(
    argilla_server: LocalArgilla, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The storage that dagster.yaml names is below the working directory.
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    bench = ArgillaBench(argilla_server)
    bench.desk.request(make_round("noticed", rows=2))
    credentials = argilla_server.credentials
    environment = {name: value for name, value in os.environ.items() if "DAGSTER" not in name} | {
        "WORKFLOWS_DAGSTER_ANNOTATION": "argilla",
        "WORKFLOWS_DAGSTER_ARGILLA_WORKSPACE": credentials.workspace,
        "ARGILLA_API_URL": argilla_server.url,
        "ARGILLA_API_KEY": credentials.owner.api_key,
        "DAGSTER_HOME": str(tmp_path),
        "PYTHONUNBUFFERED": "1",
    }
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        metadata = {"annotation/round_id": "noticed", **Deadline().to_metadata()}
        instance.report_runless_asset_event(dg.AssetMaterialization("pilot_request", metadata=metadata))
        program = "from workflows_dagster.cli import app; app()"
        command = [sys.executable, "-c", program, "argilla-webhook", "--port", "0"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            try:
                said = process.stdout.readline()
                assert said.startswith("Listening on 127.0.0.1:"), said + process.stdout.read()
                bench.answer("noticed", [("annotator_1", f"r/{number}", "neutral") for number in range(2)])
                found = wait_for(instance)
            finally:
                process.terminate()
                rest = process.communicate(timeout=WAIT_S)[0]

    assert found.metadata["annotation/answered_rows"].value == 2
    assert "materialized: 2 of 2 reviews" in rest
    assert process.returncode == 0
    assert credentials.owner.api_key not in said + rest
    assert bench.owner.get("/webhooks")["items"] == []


def wait_for(instance: dg.DagsterInstance) -> dg.AssetMaterialization:
    """The materialization of pilot_responses once it is there."""
    give_up = time.monotonic() + WAIT_S
    while time.monotonic() < give_up:
        event = instance.get_latest_materialization_event(dg.AssetKey("pilot_responses"))
        if event is not None and event.asset_materialization is not None:
            return event.asset_materialization
        time.sleep(0.2)
    pytest.fail(f"nothing was recorded within {WAIT_S} s")
