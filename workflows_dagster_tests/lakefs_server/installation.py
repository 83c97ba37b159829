"""All repositories of a server, below one folder."""

import re
import shutil
import threading
import time
from pathlib import Path

from workflows_dagster_tests.lakefs_server.names import check_repository, is_repository
from workflows_dagster_tests.lakefs_server.records import read_record, write_record
from workflows_dagster_tests.lakefs_server.refusal import Refused, not_found
from workflows_dagster_tests.lakefs_server.repository import Description, Repository

_RECORD = "repository.json"
_NAMESPACE = "^local://"


class Installation:
    """Repositories that survive the process.

    Args:
        root: Folder that is theirs.
        user: Name of the one user.
    """

    def __init__(self, root: Path, user: str) -> None:
        self.user = user
        self._folder = root / "repositories"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._open: dict[str, Repository] = {}
        self._lock = threading.Lock()

    def repository(self, name: str) -> Repository:
        """A repository."""
        check_repository(name)
        with self._lock:
            if name not in self._open:
                record = self._folder / name / _RECORD
                if not record.exists():
                    raise not_found("repository")
                self._open[name] = Repository(record.parent, Description(**read_record(record)))
            return self._open[name]

    def descriptions(self) -> dict[str, Description]:
        """All repositories by name, sorted."""
        found = sorted(self._folder.glob(f"*/{_RECORD}"))
        return {record.parent.name: Description(**read_record(record)) for record in found}

    def create(self, name: str, storage_namespace: str, default_branch: str) -> Description:
        """Makes a repository; it is there once its record is, which is written last."""
        if not is_repository(name):
            raise Refused(
                400,
                "request body has an error: doesn't match schema: Error at \"/name\": string doesn't match its pattern",
            )
        with self._lock:
            known = self.descriptions()
            if name in known:
                raise Refused(409, "error creating repository: not unique")
            if not re.match(_NAMESPACE, storage_namespace):
                raise Refused(400, f"failed to match required regex {_NAMESPACE}: invalid namespace")
            if storage_namespace in {each.storage_namespace for each in known.values()}:
                raise Refused(
                    400,
                    f"failed to create repository: found lakeFS objects in the storage (:{storage_namespace}) "
                    "key(_lakefs/dummy): "
                    "storage namespace already in use",
                )
            folder = self._folder / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            description = Description(name, storage_namespace, default_branch or "main", int(time.time()))
            made = Repository(folder, description)
            made.begin()
            write_record(folder / _RECORD, vars(description))
            self._open[name] = made
            return description

    def delete(self, name: str) -> None:
        """Removes a repository: its record first."""
        self.repository(name)
        with self._lock:
            (self._folder / name / _RECORD).unlink()
            del self._open[name]
            shutil.rmtree(self._folder / name)
