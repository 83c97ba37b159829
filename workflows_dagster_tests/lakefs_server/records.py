"""Records as JSON files, which a kill at any moment leaves as they were or as they are to be."""

import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from workflows_dagster.lib.store.durable import sync


def write_record(path: Path, record: object) -> None:
    """Writes a record; afterwards it is on disk."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(record, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def read_record(path: Path) -> dict[str, Any]:
    """The fields of a record."""
    return json.loads(path.read_text("utf-8"))
