"""Texts that a spreadsheet would run are made harmless, and come back unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.annotation.shield import shield, unshield

SPREADSHEET_TEXT = st.text(st.one_of(st.sampled_from("=+-@'|%;\t\r\n \"a)1"), st.characters(codec="utf-8")))


@pytest.mark.parametrize(
    ("text", "shielded"),
    [
        ("good", "good"),
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("- too small", "'- too small"),
        ("@shop", "'@shop"),
        ("+1 would buy", "'+1 would buy"),
        ("'tis fine", "''tis fine"),
        ("fine;=cmd()", "fine;'=cmd()"),
        ("fine\n=cmd()", "fine\n'=cmd()"),
        ("fine ;-) really", "fine ;-) really"),
        ("\uff1dcmd()", "'\uff1dcmd()"),
    ],
)
def test_shield_marks_starts_of_formulas(text: str, shielded: str) -> None:
    assert shield(text) == shielded


@given(SPREADSHEET_TEXT)
def test_unshield_gives_back_the_text(text: str) -> None:
    assert unshield(shield(text)) == text


@given(SPREADSHEET_TEXT)
def test_shielded_text_never_starts_like_a_formula(text: str) -> None:
    assert not shield(text).startswith(("=", "+", "-", "@", "\t", "\r"))
