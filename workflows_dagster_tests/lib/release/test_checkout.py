"""A release as plain files."""

from pathlib import Path

import pytest

from workflows_dagster.lib.errors import ConfigurationError, IntegrityError
from workflows_dagster.lib.release.checkout import check_out
from workflows_dagster.lib.release.record import ReleaseRecord
from workflows_dagster_tests.lib.release.made_up import MadeUpChain, reviews

ROWS = reviews(("r1", "shop", "positive", "good"))


def test_every_file_is_written_as_it_was_when_released(chain: MadeUpChain, tmp_path: Path) -> None:
    one = chain.release(ROWS, b"\x01")
    chain.release(reviews(("r1", "shop", "negative", "bad")), b"\x02")
    folder = tmp_path / "below" / "one"
    size_bytes = check_out(chain.store, one, folder)
    assert (folder / "exported_models" / "int8" / "model" / "weights").read_bytes() == b"\x01"
    assert ReleaseRecord.read(folder) == one.record
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ReleaseRecord.FILE]
    assert size_bytes == sum(path.stat().st_size for path in files)
    assert [path.name for path in folder.parent.iterdir()] == ["one"]
    files[0].write_bytes(b"theirs now")


@pytest.mark.parametrize("what", ["file", "folder"])
def test_place_that_holds_something_is_refused_and_left_alone(chain: MadeUpChain, tmp_path: Path, what: str) -> None:
    one = chain.release(ROWS)
    place = tmp_path / "mine"
    kept = place / "kept" if what == "folder" else place
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine", "utf-8")
    with pytest.raises(ConfigurationError, match="empty"):
        check_out(chain.store, one, place)
    assert kept.read_text("utf-8") == "mine"


def test_damaged_version_leaves_no_folder(chain: MadeUpChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = chain.release(ROWS)
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "weights").write_bytes(b"other")
    monkeypatch.setattr(chain.store, "folder", lambda path, ref: wrong)  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(IntegrityError, match="was not written as it was published"):
        check_out(chain.store, one, tmp_path / "out" / "one")
    assert list((tmp_path / "out").iterdir()) == []
