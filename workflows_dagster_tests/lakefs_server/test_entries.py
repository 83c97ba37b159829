"""States of a repository, compared and merged: by hand, and by what must hold whatever they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster_tests.lakefs_server.entries import (
    ConflictFound,
    Entry,
    compared,
    differences,
    listed,
    merged,
)


def _entry(content: int, mtime: int = 0) -> Entry:
    return Entry(f"{content:040}", content, f"{content:032}", mtime, "text/plain", f"{content}-{mtime}")


STATES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3).map(_entry))


def test_time_and_place_of_an_upload_make_no_difference() -> None:
    assert differences({"a": _entry(1, mtime=5)}, {"a": _entry(1, mtime=6)}) == {}


def test_merge_is_settled_path_by_path() -> None:
    base = {"kept": _entry(1), "ours": _entry(1), "theirs": _entry(1), "both": _entry(1), "gone": _entry(1)}
    ours = {"kept": _entry(1), "ours": _entry(2), "theirs": _entry(1), "both": _entry(3), "gone": _entry(1)}
    theirs = {"kept": _entry(1), "ours": _entry(1), "theirs": _entry(2), "both": _entry(3), "new": _entry(4)}
    assert compared(base, ours, theirs) == {"gone": "removed", "new": "added", "theirs": "changed"}
    expected = {"kept": _entry(1), "ours": _entry(2), "theirs": _entry(2), "both": _entry(3), "new": _entry(4)}
    assert merged(base, ours, theirs, "") == expected


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [({"a": _entry(2)}, {"a": _entry(3)}), ({}, {"a": _entry(3)}), ({"a": _entry(2)}, {})],
)
def test_path_changed_on_both_sides_is_a_conflict(ours: dict[str, Entry], theirs: dict[str, Entry]) -> None:
    base = {"a": _entry(1)}
    with pytest.raises(ConflictFound):
        merged(base, ours, theirs, "")
    assert merged(base, ours, theirs, "dest-wins") == ours
    assert merged(base, ours, theirs, "source-wins") == theirs


@given(base=STATES, side=STATES)
def test_merge_with_a_side_that_has_not_changed_gives_the_other(base: dict[str, Entry], side: dict[str, Entry]) -> None:
    assert merged(base, base, side, "") == merged(base, side, base, "") == merged(base, side, side, "") == side


@given(base=STATES, ours=STATES, theirs=STATES)
def test_every_path_of_a_merge_comes_from_one_of_its_sides(
    base: dict[str, Entry], ours: dict[str, Entry], theirs: dict[str, Entry]
) -> None:
    by_hand = "conflict" in compared(base, ours, theirs).values()
    try:
        found = merged(base, ours, theirs, "")
    except ConflictFound:
        assert by_hand
        return
    assert not by_hand
    for path in {*base, *ours, *theirs, *found}:
        moved = theirs if ours.get(path) == base.get(path) else ours
        assert found.get(path) == moved.get(path)


@given(
    paths=st.sets(st.text("ab/", min_size=1, max_size=5)).map(sorted),
    prefix=st.sampled_from(["", "a", "a/"]),
    delimiter=st.sampled_from(["", "/"]),
    size=st.integers(1, 4),
)
def test_pages_hold_together_what_one_page_would(paths: list[str], prefix: str, delimiter: str, size: int) -> None:
    whole = list(listed(paths, prefix=prefix, delimiter=delimiter, after=""))
    assert sorted(set(whole)) == whole
    if not delimiter:
        assert [path for path, _ in whole] == [path for path in paths if path.startswith(prefix)]
    after, found = "", []
    while page := list(listed(paths, prefix=prefix, delimiter=delimiter, after=after))[:size]:
        found += page
        after = page[-1][0]
    assert found == whole
