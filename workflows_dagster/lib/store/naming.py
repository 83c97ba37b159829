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
"""How the names of branches begin that are the store's own: of transactions, and of what releases keep in lakeFS."""

_STAMP: Final = "%Y%m%dT%H%M%S%fZ"
_MAX_SEGMENT_CHARACTERS: Final = 180
_MAX_LABEL_CHARACTERS: Final = 160


def published_path(asset: str, partition: str | None) -> str:
    """Folder of an asset, or of one partition of it, in the repository."""
    return f"{asset}/{_segment(partition)}" if partition else asset


def branch_name(label: Sequence[str], started: datetime) -> str:
    """Name of a transaction's branch: what it is of, and when it began.

    lakeFS allows letters, digits, hyphens and underscores alone; two labels never share a name because of that.
    """
    joined = "-".join(label)
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", joined)
    if plain != joined or len(plain) > _MAX_LABEL_CHARACTERS:
        plain = f"{plain[:_MAX_LABEL_CHARACTERS]}-{digest_text(*label)[:8]}"
    return f"{BRANCH_PREFIX}{plain}-{started.astimezone(UTC).strftime(_STAMP)}"


def branch_started(branch: str) -> datetime | None:
    """When a transaction's branch was begun; None where the name is not one of `branch_name`."""
    try:
        return datetime.strptime(branch.rpartition("-")[2], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _segment(partition: str) -> str:
    """One safe file name for a partition key; names that begin with a dot have a meaning of their own."""
    quoted = quote(partition, safe=" ,=+@").replace("~", "%7E")
    name = quoted.removesuffix(".lock")
    if name != quoted or name.startswith(".") or len(name) > _MAX_SEGMENT_CHARACTERS:
        # No other name has a tilde.
        return f"{name[:100].replace('.', '%2E')}~{digest_text(partition)[:16]}"
    return name
