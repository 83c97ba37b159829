"""Digests: known values, and that nothing else than the content counts."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.hashing import digest_file, digest_folder, digest_record, digest_text

# SHA-256 of "" and of "abc": FIPS 180-2, appendix B.1.
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_file_digest_is_sha256_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert digest_file(tmp_path / "abc") == ABC


def test_folder_digest_lists_files_at_any_depth_in_order(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "deep").write_bytes(b"abc")
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"")
    (tmp_path / "empty folder").mkdir()
    assert list(digest_folder(tmp_path).items()) == [(".hidden", EMPTY), ("a", EMPTY), ("b/c/deep", ABC)]


def test_folder_digest_ignores_times_and_rights(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    before = digest_folder(tmp_path)
    (tmp_path / "a").chmod(0o400)
    os.utime(tmp_path / "a", (1, 1))
    assert digest_folder(tmp_path) == before


def test_record_digest_does_not_depend_on_key_order() -> None:
    # echo -n '{"a":1,"b":[2,null]}' | sha256sum
    expected = "cc243773f70c3dff1b2058928d222d7edc29130da3f617c0e8ce04096aca153c"
    assert digest_record({"b": [2, None], "a": 1}) == digest_record({"a": 1, "b": [2, None]}) == expected


@pytest.mark.parametrize(("one", "other"), [({"a": 1}, {"a": "1"}), ([1, 2], [2, 1]), ({"a": 1}, {"a": 1.0}), ({}, [])])
def test_records_that_differ_have_different_digests(one: object, other: object) -> None:
    assert digest_record(one) != digest_record(other)


TEXTS = st.lists(st.text(st.characters(codec=None), max_size=4), max_size=4)


@given(TEXTS, TEXTS)
def test_texts_have_equal_digests_only_where_all_parts_are_equal(one: list[str], other: list[str]) -> None:
    assert (digest_text(*one) == digest_text(*other)) == (one == other)


def test_boundary_between_texts_counts() -> None:
    assert len({digest_text("ab", "c"), digest_text("a", "bc"), digest_text("abc"), digest_text("abc", "")}) == 4


def test_lone_surrogate_has_a_digest() -> None:
    assert digest_text("\ud800") != digest_text("\ud801")
