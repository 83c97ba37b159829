"""Fixtures of the release tests."""

from pathlib import Path

import pytest

from workflows_dagster_tests.lib.release.made_up import MadeUpChain


@pytest.fixture
def chain(tmp_path: Path) -> MadeUpChain:
    """A store of its own for a made-up chain."""
    return MadeUpChain(tmp_path)
