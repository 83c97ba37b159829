"""Manifests: which states of which files make up each batch, kept as one small file each."""

import fcntl
import os
import re
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from workflows_dagster.lib.errors import ConfigurationError, NotPublishedError
from workflows_dagster.lib.hashing import digest_record
from workflows_dagster.lib.ingest.locations import FileVersion, Identity

KEY_CHARS: Final = 12
_LOOK_FILE: Final = "last_look.json"
_KEY: Final = re.compile(r"[a-z0-9_]+-[0-9a-f]{12}")
_IDENTITIES: Final = TypeAdapter(list[Identity])


class Manifest(BaseModel):
    """The files of one batch: what is read when its partition is materialized.

    Attributes:
        source: Name of the source that all files belong to.
        files: The files, each in the state that is to be read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    files: tuple[FileVersion, ...]

    @property
    def key(self) -> str:
        """`<source>-<digest>`: partition key and run key; equal files in equal states have equal keys."""
        content = self.model_dump(mode="json", include={"source", "files"})
        return f"{self.source}-{digest_record(content)[:KEY_CHARS]}"


class _Planned(Manifest):
    """A manifest as its file holds it; `planned_s`, when it was written, is no part of its key."""

    planned_s: float

    @property
    def manifest(self) -> Manifest:
        return Manifest(source=self.source, files=self.files)


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
            planned = _Planned(source=manifest.source, files=manifest.files, planned_s=planned_s)
            self._replace(f"{manifest.key}.json", planned.model_dump_json().encode())

    def by_age(self) -> list[str]:
        """Keys of all batches in the order in which they were planned: a changed file is in a later one."""
        return [manifest.key for manifest in sorted(self._all(), key=lambda one: (one.planned_s, one.key))]

    def all(self) -> list[Manifest]:
        """Every manifest, sorted by key."""
        return [planned.manifest for planned in self._all()]

    def read(self, key: str) -> Manifest:
        """The manifest of a batch.

        Raises:
            NotPublishedError: There is no such batch.
            ConfigurationError: The key is none, or the file was changed by hand.
        """
        if not _KEY.fullmatch(key):
            raise ConfigurationError(
                "a partition key that is no batch",
                given=key,
                expected="<source>-<12 hex digits>",
                remedy="let the sensor or the command line make batches; do not add partitions by hand",
            )
        try:
            return self._read(self._folder / f"{key}.json").manifest
        except FileNotFoundError as error:
            raise NotPublishedError(
                f"no manifest of this batch in {self._folder}",
                given=key,
                expected="a batch that the sensor or the command line planned on this deployment",
                remedy="check WORKFLOWS_DAGSTER_HOME, or plan the batches again",
            ) from error

    def last_look(self) -> set[Identity]:
        """Identity of the files that were in no batch when `note_look` was last called; empty before that."""
        try:
            return set(_IDENTITIES.validate_json((self._folder / _LOOK_FILE).read_bytes()))
        except FileNotFoundError:
            return set()

    def note_look(self, waiting: Iterable[Identity]) -> None:
        """Remembers the files that are in no batch yet; losing the note costs them one more look."""
        self._replace(_LOOK_FILE, _IDENTITIES.dump_json(sorted(waiting)))

    def _all(self) -> list[_Planned]:
        paths = sorted(path for path in self._folder.glob("*-*.json") if _KEY.fullmatch(path.stem))
        return [self._read(path) for path in paths]

    def _read(self, path: Path) -> _Planned:
        try:
            planned = _Planned.model_validate_json(path.read_bytes())
            given = planned.key
        except ValidationError as error:
            planned, given = None, str(error)
        if planned is None or given != path.stem:
            raise ConfigurationError(
                f"the manifest {path} is not the one that was written",
                given=given,
                expected=path.stem,
                remedy="remove the file and plan the batches again",
            )
        return planned

    def _replace(self, name: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f".{name}.{uuid4().hex}"
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._folder / name)
