"""An embedded repository."""

from pathlib import Path

import pytest

from workflows_dagster.lib.store.git.repository import GitRepository


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """A place for one; nothing was published yet."""
    return GitRepository(tmp_path / "home" / "store.git")
