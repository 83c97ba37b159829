"""Fixtures that every part of the tests may use."""

import os
from pathlib import Path

import dagster as dg
import pytest

from workflows_dagster.resources.store import StoreResource

REAL_DATA = "WORKFLOWS_DAGSTER_REAL_DATA"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the public review sets; the test is skipped where they are absent."""
    candidates = [Path(os.environ[REAL_DATA])] if REAL_DATA in os.environ else []
    candidates.append(Path(__file__).parents[2] / "shared" / "data")
    found = next((path for path in candidates if path.is_dir()), None)
    if found is None:
        pytest.skip(f"the public review sets are not here: name their folder in {REAL_DATA}")
    return found


@pytest.fixture
def store(tmp_path: Path) -> StoreResource:
    """An embedded store of its own."""
    return StoreResource(root=str(tmp_path / "store"))


@pytest.fixture(scope="session")
def instance() -> dg.DagsterInstance:
    """One ephemeral Dagster instance for the session: making one costs more than most tests."""
    return dg.DagsterInstance.ephemeral()
