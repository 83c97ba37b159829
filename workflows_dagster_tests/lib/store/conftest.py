"""The repositories that the contract is tested on."""

from collections.abc import Generator
from pathlib import Path

import pytest

from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster_tests.lib.store.backends import BACKENDS, Backend


@pytest.fixture(params=list(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Backend]:
    """An empty repository of each kind in turn."""
    with BACKENDS[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def store(backend: Backend) -> VersionedStore:
    """A store on it."""
    return backend.store()
