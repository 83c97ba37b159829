"""Documents with generated blocks: each stands between two comments that name it."""

import re
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "asset_graph.svg"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


def names_of_blocks(text: str) -> list[str]:
    """Names of the generated blocks of a document."""
    return [match["name"] for match in _BLOCK.finditer(text)]


def with_blocks(text: str, blocks: Mapping[str, str]) -> str:
    """The document with its generated blocks made anew."""
    return _BLOCK.sub(lambda match: f"{match[1]}\n{blocks[match['name']]}\n{match[3]}", text)
