"""The code blocks of a document as a reader meets them: commands, what they print, and files to write.

A comment before a block says what it is: `<!-- example: NAME -->` a file that the reader writes, `<!-- output -->` what
the block before prints, `<!-- not run: REASON -->` commands that only the reader runs.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

_BLOCK: Final = re.compile(
    r"(?:^<!-- (?P<comment>[^>]*) -->\n\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


Kind = Literal["commands", "output", "file", "not run", "shown"]
_COMMENTS: Final[dict[str, Kind]] = {"example": "file", "output": "output", "not run": "not run"}


@dataclass(frozen=True)
class Block:
    """One block.

    Attributes:
        kind: What a reader does with it.
        text: What stands in it.
        name: Of a file, its name; of commands that are not run, why.
        line: Line of the document where it begins.
    """

    kind: Kind
    text: str
    name: str
    line: int


def blocks_of(document: str) -> list[Block]:
    """The blocks of a document, in their order."""
    found: list[Block] = []
    for match in _BLOCK.finditer(document):
        word, _, rest = (match["comment"] or "").partition(":")
        kind = _COMMENTS.get(word) or ("commands" if match["language"] == "sh" else "shown")
        found.append(Block(kind, match["text"], rest.strip(), document.count("\n", 0, match.start("text"))))
    return found


def mismatch(expected: str, printed: str) -> str | None:
    """The first expected line that was not printed after those before it; None where all were.

    `...` alone stands for any lines, inside a line for any characters. A number stands for any number, a blank for any
    blanks, a rule for a rule of any length.
    """
    lines = iter(_bare(printed).splitlines())
    for line in _bare(expected).splitlines():
        if line.strip() in ("", "..."):
            continue
        pattern = re.compile(_pattern(line.strip()))
        if not any(pattern.fullmatch(one.strip()) for one in lines):
            return line
    return None


def _bare(text: str) -> str:
    """The text without colours, and without the star of the pick: which export is the fastest differs by machine."""
    return re.sub(r"\x1b\[[0-9;]*m| \*(?= )", "", text)


def _pattern(line: str) -> str:
    escaped = re.escape(re.sub(r"\s+", " ", line)).replace(r"\.\.\.", ".*").replace(r"\ ", r"\s+")
    escaped = re.sub("─+", "─+", escaped)
    return re.sub(r"\d+(?:(?:\\\.|,)\d+)*", lambda _: r"\d+(?:[.,]\d+)*", escaped)
