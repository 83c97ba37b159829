"""The home is its owner's alone."""

import os
from pathlib import Path

import pytest

from workflows_dagster.lib.private_folder import keep_private
from workflows_dagster.resources.store import EmbeddedStore


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o7777


@pytest.mark.parametrize(
    ("before", "after"), [(None, 0o700), (0o755, 0o700), (0o770, 0o700), (0o500, 0o500), (0o2770, 0o2770)]
)
def test_a_home_is_its_owners_unless_it_is_shared_on_purpose(tmp_path: Path, before: int | None, after: int) -> None:
    home = tmp_path / "home"
    if before is not None:
        home.mkdir()
        home.chmod(before)
    keep_private(home)
    assert mode(home) == after


def test_a_home_that_cannot_be_made_is_left_to_the_step_that_needs_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    keep_private(tmp_path / "file" / "home")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_store_makes_its_home_private(tmp_path: Path) -> None:
    resource = EmbeddedStore(home=str(tmp_path / "home"))
    assert not (tmp_path / "home").exists()
    old = os.umask(0o022)
    try:
        resource.store()
    finally:
        os.umask(old)
    assert mode(tmp_path / "home") == 0o700
