"""Equal content is no new version only where it was made of the same and judged the same."""

from pathlib import Path

import pytest

from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore

BEFORE = {"run_id": "1", "upstream/raw": "aa", "audit/raw_complete": "passed"}


def publish(store: VersionedStore, metadata: dict[str, str]) -> Version:
    with store.transaction("note", "Materialize note", label=["note"], metadata=metadata) as transaction:
        transaction.write("note.txt", b"the same")
    assert transaction.version is not None
    return transaction.version


@pytest.mark.parametrize(
    ("change", "is_new"),
    [
        ({"run_id": "2", "config": "{}"}, False),
        ({"upstream/raw": "bb"}, True),
        ({"upstream/labels": "cc"}, True),
        ({"audit/raw_unique": "passed"}, True),
    ],
)
def test_equal_content_is_a_new_version_when_its_evidence_differs(
    tmp_path: Path, change: dict[str, str], is_new: bool
) -> None:
    store = VersionedStore(GitRepository(tmp_path / "store.git"), tmp_path / "work")
    first = publish(store, BEFORE)
    second = publish(store, BEFORE | change)
    assert (second.commit != first.commit) == is_new
    assert second.digest == first.digest
    assert second.metadata == ({**BEFORE, **change} if is_new else BEFORE)
    assert len(list(store.log("note"))) == 1 + is_new
