"""Names: what two partitions or two transactions may never share."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.store.naming import BRANCH_PREFIX, branch_name, branch_started, published_path

NOON = datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("partition", "path"),
    [
        (None, "a"),
        ("2024-01-01", "a/2024-01-01"),
        ("with space", "a/with space"),
        ("de=1,x", "a/de=1,x"),
        ("x/y", "a/x%2Fy"),
        ("50%", "a/50%25"),
        ("ü", "a/%C3%BC"),
        ("a\nb", "a/a%0Ab"),
        ("a~b", "a/a%7Eb"),
    ],
)
def test_partition_is_one_segment_that_people_can_read(partition: str | None, path: str) -> None:
    assert published_path("a", partition) == path


@pytest.mark.parametrize("partition", [".", "..", ".git", ".hidden", "main.lock", "评" * 100])
def test_partition_of_a_dangerous_or_long_name_is_told_by_its_digest(partition: str) -> None:
    assert re.fullmatch(r"a/[^/.]{0,100}.{0,20}~[0-9a-f]{16}", published_path("a", partition))


@given(st.lists(st.text(min_size=1), min_size=2, max_size=2, unique=True))
def test_partitions_never_share_a_segment_and_never_leave_the_asset(partitions: list[str]) -> None:
    try:
        one, other = (published_path("a", partition) for partition in partitions)
    except UnicodeEncodeError:
        # Lone surrogates are no text that Dagster takes as a key.
        return
    assert one != other
    for path in (one, other):
        segment = path.removeprefix("a/")
        assert "/" not in segment
        assert not segment.startswith(".")
        assert not segment.endswith(".lock")
        assert len(segment.encode()) < 200


@pytest.mark.parametrize(
    ("label", "name"),
    [
        (["a", "2024-01-01", "run1", "0"], "tx-a-2024-01-01-run1-0-20240229T120000123456Z"),
        (["a"], "tx-a-20240229T120000123456Z"),
    ],
)
def test_branch_is_named_after_label_and_moment(label: list[str], name: str) -> None:
    assert branch_name(label, NOON) == name
    assert branch_name(label, NOON.astimezone(timezone(timedelta(hours=9)))) == name


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=4))
def test_branch_is_one_that_lakefs_and_git_take(label: list[str]) -> None:
    name = branch_name(label, NOON)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name)
    assert name.startswith(BRANCH_PREFIX)
    assert len(name) < 250
    assert branch_started(name) == NOON


def test_labels_that_look_alike_stay_apart() -> None:
    assert branch_name(["a/b"], NOON) != branch_name(["a.b"], NOON)
    assert branch_name(["a" * 500], NOON) != branch_name(["a" * 501], NOON)


@pytest.mark.parametrize("name", ["main", "tx-by-hand", "tx-a-20241301T000000000000Z", "tx-"])
def test_other_branches_have_no_moment(name: str) -> None:
    assert branch_started(name) is None
