"""Keeps a cell of text from being run as a formula by the spreadsheet that opens it.

Source: OWASP, "CSV Injection". The mark is one apostrophe; `unshield` gives back exactly what was shielded.
"""

import re
from typing import Final

_START: Final = re.compile(r"^(?=['=+\-@|%\uff1d\uff0b\uff0d\uff20\t\r\n])")
# A reader set to semicolons or tabs begins a cell in the middle of ours. Smileys such as ";-)" stay as they are.
_INSIDE: Final = re.compile(r"(?<=[;\t\r\n])(?=['=+@\uff1d\uff0b\uff20]|-\w)")
_MARK: Final = re.compile(r"(?:^|(?<=[;\t\r\n]))'")


def shield(text: str) -> str:
    """The text, with an apostrophe before each place where a spreadsheet could see the start of a formula."""
    return _START.sub("'", _INSIDE.sub("'", text))


def unshield(text: str) -> str:
    """The text as it was before `shield`."""
    return _MARK.sub("", text)
