"""Manifests: which states of which files make up each batch, kept as one small file each."""

import fcntl
import json
import os
import re
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from workflows_dagster.lib.errors import ConfigurationError, NotPublishedError
from workflows_dagster.lib.hashing import digest_record
from workflows_dagster.lib.ingest.locations import FileVersion, Identity

KEY_CHARS = 12
_LOOK_FILE = "last_look.json"
_PLANNED = "planned_s"  # when it was put together; no part of its key
_KEY = re.compile(r"[a-z0-9_]+-[0-9a-f]{12}")


@dataclass(frozen=True)
class Manifest:
    """The files of one batch: what is read when its partition is materialized.

    Attributes:
        source: Name of the source that all files belong to.
        files: The files, each in the state that is to be read.
    """

    source: str
    files: tuple[FileVersion, ...]

    @property
    def key(self) -> str:
        """`<source>-<digest>`: partition key and run key; equal files in equal states have equal keys."""
        return f"{self.source}-{digest_record(self.to_json())[:KEY_CHARS]}"

    def to_json(self) -> dict[str, object]:
        """What the manifest file holds."""
        files = [{"uri": file.uri, "size": file.size, "version": file.version} for file in self.files]
        return {"source": self.source, "files": files}


class Manifests:
    """The folder of manifests: the record of every file that was ever put into a batch.

    Args:
        folder: The folder; made when something is first written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def lock(self) -> Generator[None]:
        """Keeps other processes of this machine from planning batches of the same files at the same time."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def write(self, manifests: Iterable[Manifest]) -> None:
        """Writes manifests, each atomically, with the time; writing one again changes nothing but that."""
        planned_s = time.time()
        for manifest in manifests:
            self._replace(f"{manifest.key}.json", {**manifest.to_json(), _PLANNED: planned_s})

    def by_age(self) -> list[str]:
        """Keys of all batches, the one that was planned first first: a changed file is in a later one."""
        documents = {path.stem: json.loads(path.read_text("utf-8")) for path in self._paths()}
        return sorted(documents, key=lambda key: (documents[key].get(_PLANNED, 0.0), key))

    def read(self, key: str) -> Manifest:
        """The manifest of a batch.

        Raises:
            NotPublishedError: There is no such batch.
            ConfigurationError: The key is none, or the file was tampered with.
        """
        if not _KEY.fullmatch(key):
            raise ConfigurationError(
                "a partition key that is no batch",
                given=key,
                expected="<source>-<12 hex digits>",
                remedy="let the sensor or the command line make batches; do not add partitions by hand",
            )
        try:
            document = json.loads((self._folder / f"{key}.json").read_text("utf-8"))
        except FileNotFoundError as error:
            raise NotPublishedError(
                f"no manifest of this batch in {self._folder}",
                given=key,
                expected="a batch that the sensor or the command line planned on this deployment",
                remedy="check WORKFLOWS_DAGSTER_HOME, or plan the batches again",
            ) from error
        manifest = _from_json(document)
        if manifest.key != key:
            raise ConfigurationError(
                f"the manifest of {key} in {self._folder} is not the one that was written",
                given=manifest.key,
                expected=key,
                remedy="remove the file and plan the batches again",
            )
        return manifest

    def all(self) -> list[Manifest]:
        """Every manifest, sorted by key."""
        return [_from_json(json.loads(path.read_text("utf-8"))) for path in self._paths()]

    def _paths(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("*-*.json") if _KEY.fullmatch(path.stem))

    def last_look(self) -> set[Identity]:
        """Identity of the files that were in no batch when `note_look` was last called; empty before that."""
        try:
            noted = json.loads((self._folder / _LOOK_FILE).read_text("utf-8"))
        except FileNotFoundError:
            return set()
        return {(uri, size, version) for uri, size, version in noted}

    def note_look(self, waiting: Iterable[Identity]) -> None:
        """Remembers the files that are in no batch yet; losing the note costs them one more look."""
        self._replace(_LOOK_FILE, sorted(waiting))

    def _replace(self, name: str, document: object) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f".{name}.{uuid4().hex}"
        with aside.open("w", encoding="utf-8") as file:
            json.dump(document, file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._folder / name)


def _from_json(document: dict[str, object]) -> Manifest:
    files = document["files"]
    if not isinstance(files, list):
        raise TypeError(f"files of a manifest: {type(files).__name__}, expected a list")
    return Manifest(
        str(document["source"]), tuple(FileVersion(file["uri"], file["size"], file["version"]) for file in files)
    )
