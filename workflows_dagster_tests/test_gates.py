"""The gates that a release asks for are the blocking checks that Dagster knows."""

from pathlib import Path

from workflows_dagster.definitions import build_definitions
from workflows_dagster.gates import GATES
from workflows_dagster.settings import Settings


def test_gates_are_the_blocking_checks_of_every_asset(tmp_path: Path) -> None:
    graph = build_definitions(Settings(home=tmp_path)).resolve_asset_graph()
    blocking = {
        key.to_user_string(): {
            check.name
            for check in (graph.get_check_spec(one) for one in graph.get_check_keys_for_assets({key}))
            if check.blocking
        }
        for key in graph.executable_asset_keys
    }
    assert blocking == GATES
