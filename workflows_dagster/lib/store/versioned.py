"""The versioned store behind every asset, whichever repository it stands on."""

import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workflows_dagster.lib.errors import (
    ConflictError,
    IntegrityError,
    NotPublishedError,
    StoreError,
    StoreUnavailableError,
    WorkflowError,
)
from workflows_dagster.lib.store.disk import disk_errors, is_no_room, no_room
from workflows_dagster.lib.store.naming import BRANCH_PREFIX, branch_name, branch_started
from workflows_dagster.lib.store.repository import Change, Repository, content_pruned
from workflows_dagster.lib.store.staging import Staging
from workflows_dagster.lib.store.transaction import Transaction
from workflows_dagster.lib.store.version import VERSION_FILE, FileStat, Version, content_digest, stat_folder
from workflows_dagster.lib.store.views import Views

if TYPE_CHECKING:
    import pyarrow as pa

_logger = logging.getLogger(__name__)


class VersionedStore:
    """Publishes folders atomically on a base branch, and reads them at any ref.

    A ref is the name of a branch or tag, or the id of a commit. A path is `asset` or `asset/partition`, as
    `naming.published_path` makes it. Besides what is listed, every method may raise StoreUnavailableError and
    StorePermissionError.

    Args:
        repository: Where versions are kept for good.
        work: Local folder for what is being written, and for copies of what was downloaded.
        base: Branch that is published to and, where no ref is given, read from.
    """

    def __init__(self, repository: Repository, work: Path, base: str = "main") -> None:
        self.repository = repository
        self.base = base
        self._staging = Staging(work / "staging")
        self._views = Views(repository.views(work))

    @contextmanager
    def transaction(
        self, path: str, message: str, *, label: Sequence[str], metadata: Mapping[str, str]
    ) -> Generator[Transaction]:
        """Opens a transaction on one path.

        If the block ends normally, what was written is published in one atomic step, unless a blocking audit failed.

        If it raises an exception, nothing is published. What was written is kept on a branch, or in the local folder if
        the repository does not take it; a note on the exception names the place. After an interruption
        (KeyboardInterrupt, SystemExit), or when the process dies, the files stay in the local folder until a sweep.

        If content, inputs and findings equal those of the published version, there is no new commit: the transaction
        ends with that version.

        Args:
            path: What is published.
            message: Why, one line.
            label: What the branch is named after: asset, partition, run, retry.
            metadata: Provenance; may be added to while the transaction is open.

        Raises:
            ConflictError: Another writer published other content to the path in between.
            QualityGateError: A blocking audit of `Transaction.audit` failed.
            StoreError: Nothing was written, or something other than regular files.
            StoreUnavailableError: There is no room left, or the server does not answer.
        """
        start = self.repository.prepare(self.base)
        before = self._replaced(start, path)
        branch = branch_name(label, datetime.now(UTC))
        with self._staging.open(branch) as folder:
            transaction = Transaction(path, branch, folder, dict(metadata))
            try:
                yield transaction
                transaction.refuse_if_failed()
                transaction.version = self._publish(transaction, message, start, before)
            except Exception as error:
                named = no_room(folder, error) if is_no_room(error) else error
                self._keep_for_inspection(transaction, start, before, named)
                if named is not error:
                    raise named from error
                raise

    def head(self, path: str) -> Version | None:
        """The newest version of a path on the base branch, or None."""
        try:
            return self._version_at(self.base, path)
        except NotPublishedError:
            return None

    def version(self, path: str, ref: str | None = None) -> Version:
        """The version of a path that a ref holds.

        Raises:
            NotPublishedError: There is no such ref, it does not hold the path, or the version was pruned.
            IntegrityError: Its record is damaged.
        """
        found = self._version_at(ref or self.base, path)
        if found is None:
            raise NotPublishedError(
                f"{path} is not published at {ref or self.base}",
                given=path,
                expected=f"a path of {self.repository.describe()} at that ref",
                remedy="check the store and base branch settings, or materialize it first",
            )
        return found

    def folder(self, path: str, ref: str | None = None) -> Path:
        """Local, read-only folder with the content of a path at a ref, each file checked against its digest.

        Raises:
            NotPublishedError: As `version`.
            IntegrityError: A file is missing or not the one that was published.
        """
        return self.copy(self.version(path, ref))

    def copy(self, version: Version) -> Path:
        """As `folder`, of a version that is known already: its record is not read again."""
        return self._views.folder(version, partial(self.repository.fetch, version.commit, version.path))

    def file(self, path: str, name: str, ref: str | None = None) -> Path:
        """Local, read-only path of one file, checked against its digest; others are not fetched for it.

        Raises:
            NotPublishedError: As `version`, or the version holds no such file.
            IntegrityError: It is not the one that was published.
        """
        version = self.version(path, ref)
        self._stat(version, name)
        return self._views.file(version, name, partial(self.repository.fetch, version.commit, path))

    def table(self, path: str, name: str, ref: str | None = None) -> "pa.Table":
        """One Parquet file of a path as an Arrow table; errors as `file`."""
        import pyarrow.parquet as pq

        return pq.read_table(self.file(path, name, ref), memory_map=True)

    def stat(self, path: str, name: str, ref: str | None = None) -> FileStat:
        """Digest and size of one file; errors as `file`."""
        return self._stat(self.version(path, ref), name)

    def paths(self, ref: str | None = None) -> list[str]:
        """The paths that a ref holds, sorted."""
        return self.repository.paths(ref or self.base, VERSION_FILE)

    def log(self, path: str, ref: str | None = None) -> Iterator[Version]:
        """The versions of a path, newest first, back to the first one that was pruned."""
        version = self._version_at(ref or self.base, path)
        while version is not None:
            yield version
            try:
                version = self._version_at(version.parent, path) if version.parent else None
            except NotPublishedError:
                return

    def diff(self, before: str, after: str) -> Iterator[Change]:
        """The files that two refs hold differently, sorted, without the records of versions."""
        return (
            change for change in self.repository.diff(before, after) if change.name.rpartition("/")[2] != VERSION_FILE
        )

    def tag(self, name: str, commit: str) -> None:
        """Names a commit for good.

        Raises:
            ConflictError: The tag is there and names another commit.
        """
        self.repository.tag(name, commit)

    def tags(self) -> Mapping[str, str]:
        """Commit id of each tag, by its name, sorted."""
        return self.repository.tags()

    def sweep(self, older_than_s: float) -> list[str]:
        """Removes the branches of transactions that failed or died, begun that long ago, and names them.

        A transaction that is under way on this machine stays, however old it is. Of a transaction on another machine
        only the age is known, so `older_than_s` must be longer than the longest step takes.
        """
        limit = time.time() - older_than_s
        swept = set(self._staging.sweep(older_than_s))
        old = [branch for branch in self._transaction_branches() if _is_older(branch, limit)]
        over = {branch for branch in old if not self._staging.holds(branch)}
        # Looked up again: a transaction that has just ended well has removed its branch itself.
        swept.update(over.intersection(self._transaction_branches()) if over else ())
        for branch in swept:
            # Also where only a local folder was found: a killed writer may have left a lock on the name.
            self.repository.drop_branch(branch)
        return sorted(swept)

    def evict(self, unused_for_s: float) -> int:
        """Removes views that were not read for that long; returns the bytes of the copies among them."""
        return self._views.evict(unused_for_s)

    def link(self, ref: str) -> str:
        """How a person looks at a commit or tag: an address of a web UI, or a command."""
        return self.repository.link(ref)

    def _transaction_branches(self) -> list[str]:
        try:
            return self.repository.branches(BRANCH_PREFIX)
        except NotPublishedError:
            # Nothing was published yet: there is no repository.
            return []

    def _version_at(self, ref: str, path: str) -> Version | None:
        name = f"{path}/{VERSION_FILE}"
        commit = self.repository.last_change(ref, name)
        if commit is None:
            return None
        version = Version.from_record(commit, path, self.repository.read(commit, name))
        pruned_at = self.repository.pruned_at(version.files.values())
        if pruned_at is not None:
            raise content_pruned(f"{path} at {commit[:12]}", pruned_at)
        return version

    def _stat(self, version: Version, name: str) -> FileStat:
        if name not in version.files:
            raise NotPublishedError(
                f"{version.path} at {version.commit[:12]} holds no file of that name",
                given=name,
                expected=f"one of: {', '.join(version.files)}",
                remedy=f"materialize {version.path} again with this version of the code",
            )
        return version.files[name]

    def _replaced(self, start: str, path: str) -> Version | None:
        """The version that a transaction replaces; a version with a damaged record counts as none."""
        try:
            return self._version_at(start, path)
        except IntegrityError as error:
            _logger.warning("%s is replaced whole: %s", path, error)
            return None

    def _publish(self, transaction: Transaction, message: str, start: str, before: Version | None) -> Version:
        version = _describe(transaction, message, before)
        if before is not None and _is_same(before, version) and not self._views.is_doubted(version.digest):
            version = before
        else:
            version = self._land(transaction, self._commit(transaction, version, start, before))
            self._drop_branch(transaction.branch)
            self._keep_view(transaction, version)
        return version

    def _commit(self, transaction: Transaction, version: Version, start: str, before: Version | None) -> Version:
        record = transaction.folder / VERSION_FILE
        try:
            with disk_errors(transaction.folder):
                record.write_bytes(version.to_record())
            commit = self.repository.stage(
                transaction.branch,
                start,
                transaction.path,
                transaction.folder,
                unchanged=self._unchanged(version, start, before),
                message=version.message,
                metadata=version.metadata,
            )
        finally:
            record.unlink(missing_ok=True)
        transaction.staged = True
        return replace(version, commit=commit)

    def _unchanged(self, version: Version, start: str, before: Version | None) -> set[str]:
        """The files that need not be uploaded again."""
        if before is None or self._views.is_doubted(before.digest):
            return set()
        names = {name for name, stat in version.files.items() if before.files.get(name) == stat}
        # Where somebody else has written below the path since, its record may no longer be true.
        return names if names and self.repository.last_change(start, version.path) == before.commit else set()

    def _land(self, transaction: Transaction, version: Version) -> Version:
        """Merges what was staged; returns the version that the base branch holds then."""
        try:
            self.repository.merge(transaction.branch, transaction.path, self.base)
        except ConflictError:
            # Two runs that made the same from the same inputs are not in conflict.
            now = self.head(transaction.path)
            if now is None or not _is_same(now, version):
                raise
            return now
        except StoreUnavailableError as error:
            if not self._has_landed(version, error):
                raise
        return version

    def _has_landed(self, version: Version, error: StoreUnavailableError) -> bool:
        """Whether a merge was carried out although its answer was lost."""
        try:
            now = self.head(version.path)
        except StoreError:
            error.add_note(f"Whether {version.path} was published is not known; to run it again is safe in both cases")
            return False
        return now is not None and now.commit == version.commit

    def _keep_view(self, transaction: Transaction, version: Version) -> None:
        try:
            self._views.trust(version.digest)
            self._views.keep(transaction.folder, version.digest)
        except StoreError as error:
            # It is published, and its view is built when somebody reads it.
            _logger.warning("No view of %s is kept: %s", version.path, error)

    def _keep_for_inspection(
        self, transaction: Transaction, start: str, before: Version | None, error: Exception
    ) -> None:
        """Leaves what was written on the transaction's branch, or if that fails in its local folder."""
        if not transaction.folder.is_dir() or not any(transaction.folder.iterdir()):
            return
        if not transaction.staged and isinstance(error, StoreUnavailableError):
            # A repository that did not take the version does not take the branch either.
            error.add_note(f"What was written is in {transaction.folder}")
            return
        try:
            if not transaction.staged:
                version = _describe(transaction, f"Refused: {transaction.path}", before)
                self._commit(transaction, version, start, before)
            error.add_note(f"What was written is on the branch {transaction.branch}: {self.link(transaction.branch)}")
        except (WorkflowError, OSError) as further:
            _logger.warning("The branch %s could not be kept: %s", transaction.branch, further)
            error.add_note(f"What was written is in {transaction.folder}")
            return
        # What cannot be removed now is swept later; the caller needs the error that led here.
        with suppress(OSError):
            transaction.clear()

    def _drop_branch(self, branch: str) -> None:
        try:
            self.repository.drop_branch(branch)
        except StoreError as error:
            # It is merged, and the next sweep removes the branch.
            _logger.warning("The branch %s could not be removed: %s", branch, error)


def _is_older(branch: str, limit: float) -> bool:
    started = branch_started(branch)
    return started is not None and started.timestamp() < limit


def _is_same(one: Version, other: Version) -> bool:
    """Whether two versions have the same content, the same inputs and the same findings of audits.

    Equal content that was made of other inputs gets a new record, so that each version names its own inputs.
    """
    return one.digest == other.digest and _evidence(one) == _evidence(other)


def _evidence(version: Version) -> dict[str, str]:
    return {name: value for name, value in version.metadata.items() if name.startswith(("upstream/", "audit/"))}


def _describe(transaction: Transaction, message: str, before: Version | None) -> Version:
    """The version that was written and is not committed yet."""
    with disk_errors(transaction.folder):
        files = stat_folder(transaction.folder)
    if not files:
        raise StoreError(
            f"nothing was written for {transaction.path}",
            given=sorted(files),
            expected="at least one file",
            remedy="fix the step that writes it",
        )
    return Version(
        commit="",
        path=transaction.path,
        digest=content_digest(files),
        files=files,
        message=message,
        metadata=dict(transaction.metadata),
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        parent=before.commit if before else None,
    )
