"""Names in the store: the path of an asset's partition, and the branch of a transaction."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from workflows_dagster.lib.hashing import digest_text

BRANCH_PREFIX: Final = "tx-"
"""How the names of all transaction branches begin."""

RESERVED_PREFIXES: Final = (BRANCH_PREFIX, "hold-")
"""How the names of the store's own branches begin: those of transactions, and in lakeFS those that hold releases."""

_STAMP: Final = "%Y%m%dT%H%M%S%fZ"
_MAX_SEGMENT_CHARACTERS: Final = 180
_MAX_LABEL_CHARACTERS: Final = 160


def published_path(asset: str, partition: str | None) -> str:
    """Folder of an asset, or of one partition of it, in the repository."""
    return f"{asset}/{_segment(partition)}" if partition else asset


def branch_name(label: Sequence[str], started: datetime) -> str:
    """Name of a transaction's branch: its label, and when it began.

    lakeFS allows only letters, digits, hyphens and underscores. Where a label has others, its digest keeps the name
    apart from those of other labels.
    """
    joined = "-".join(label)
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", joined)
    if plain != joined or len(plain) > _MAX_LABEL_CHARACTERS:
        plain = f"{plain[:_MAX_LABEL_CHARACTERS]}-{digest_text(*label)[:8]}"
    return f"{BRANCH_PREFIX}{plain}-{started.astimezone(UTC).strftime(_STAMP)}"


def branch_started(branch: str) -> datetime | None:
    """When a transaction's branch was begun; None where `branch_name` did not make the name."""
    try:
        return datetime.strptime(branch.rpartition("-")[2], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _segment(partition: str) -> str:
    """A safe file name for a partition key. None begins with a dot: such names have a meaning of their own."""
    quoted = quote(partition, safe=" ,=+@").replace("~", "%7E")
    name = quoted.removesuffix(".lock")
    if name != quoted or name.startswith(".") or len(name) > _MAX_SEGMENT_CHARACTERS:
        # No other name has a tilde.
        return f"{name[:100].replace('.', '%2E')}~{digest_text(partition)[:16]}"
    return name
