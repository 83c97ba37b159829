"""Uncommitted changes of branches: one small file each, written in one step."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from workflows_dagster_tests.lakefs_server.entries import Entry

Changes = dict[str, Entry | None]
"""What is staged under each path; None: the object is deleted."""


@dataclass(frozen=True)
class Staging:
    """The staging areas of a repository's branches.

    An area belongs to a branch and to the commit that the branch is at. So a commit, which moves the branch in one
    step, leaves an empty area behind, as lakeFS does by a new staging token; a crash after it leaves nothing half done.

    Attributes:
        folder: Where they are kept.
    """

    folder: Path

    def read(self, branch: str, head: str) -> Changes:
        """All that is staged."""
        area = self._area(branch, head)
        if not area.is_dir():
            return {}
        records = [json.loads(file.read_text("utf-8")) for file in area.glob("*.json")]
        return {each["path"]: Entry(**each["entry"]) if each["entry"] else None for each in records}

    def read_one(self, branch: str, head: str, path: str) -> Changes:
        """What is staged under one path, if anything."""
        try:
            record = json.loads(self._file(branch, head, path).read_text("utf-8"))
        except FileNotFoundError:
            return {}
        return {path: Entry(**record["entry"]) if record["entry"] else None}

    def write(self, branch: str, head: str, path: str, entry: Entry | None) -> None:
        """Stages an object, or its deletion; a process killed at any moment leaves the old record or the new one."""
        file = self._file(branch, head, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{uuid4().hex}")
        temporary.write_text(json.dumps({"path": path, "entry": entry and entry.to_record()}), "utf-8")
        temporary.replace(file)

    def forget(self, branch: str, head: str, path: str) -> None:
        """Takes back what is staged under a path."""
        self._file(branch, head, path).unlink(missing_ok=True)

    def drop(self, branch: str, keep: str = "") -> None:
        """Removes a branch's areas but the one of the commit `keep`."""
        folder = self.folder / branch
        for area in folder.iterdir() if folder.is_dir() else ():
            if area.name != keep:
                shutil.rmtree(area)

    def _area(self, branch: str, head: str) -> Path:
        return self.folder / branch / head

    def _file(self, branch: str, head: str, path: str) -> Path:
        return self._area(branch, head) / f"{hashlib.sha256(path.encode()).hexdigest()}.json"
