"""Which sources are the bundled sample, whose reviews are made up."""

from pathlib import Path
from typing import Any, Final

BUNDLED_SOURCES: Final = Path(__file__).parent / "sources.yaml"


def bundled_sources() -> frozenset[str]:
    """Names of the sources of the bundled sample."""
    import yaml

    described: Any = yaml.safe_load(BUNDLED_SOURCES.read_text("utf-8"))
    return frozenset(source["name"] for source in described["sources"])
