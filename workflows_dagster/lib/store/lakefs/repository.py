"""A repository of a lakeFS server."""

import importlib.util
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from workflows_dagster.lib.errors import ConflictError, MissingExtraError, NotPublishedError, StoreError
from workflows_dagster.lib.store.lakefs.commits import commit_metadata, entries, last_change
from workflows_dagster.lib.store.lakefs.connection import PAGE, LakeFSConnection
from workflows_dagster.lib.store.lakefs.errors import BadRequestError
from workflows_dagster.lib.store.lakefs.setup import default_branch
from workflows_dagster.lib.store.lakefs.transfer import download, in_parallel, target_in, upload
from workflows_dagster.lib.store.repository import Change
from workflows_dagster.lib.store.version import FileStat

if TYPE_CHECKING:
    import lakefs

HOLD_PREFIX: Final = "hold-"
"""How the names of branches begin that keep tagged commits."""

_COMMIT_ID = re.compile(r"[0-9a-f]{64}")
_BRANCH_TRIES = 5


@dataclass(frozen=True)
class LakeFSRepository:
    """Branches, commits and tags of a lakeFS repository, by its API; implements `Repository`.

    There is no `prune`: lakeFS frees the space of old versions by its own garbage collection (docs/lakefs.md).

    Attributes:
        endpoint: Address of the server, with or without /api/v1.
        access_key_id: Key that names the user.
        secret_access_key: Its secret.
        repository: Name of the repository.
        storage_namespace: Where a new repository keeps its objects, as s3://bucket/folder; needed with `create` only.
        create: Whether a missing repository is made.
        timeout_s: Longest wait for a connection, and for the next byte of an answer. Hooks run while lakeFS merges:
            they have to end within it.
        attempts: How often a request is made before the server counts as unavailable.
        parallel: Most uploads or downloads at a time.
        pause_s: Wait after the first failed attempt; doubled after each further one.

    Raises:
        MissingExtraError: The package lakefs is not installed.
    """

    endpoint: str
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    repository: str
    storage_namespace: str | None = None
    create: bool = False
    timeout_s: float = 60.0
    attempts: int = 5
    parallel: int = 8
    pause_s: float = 0.25

    def __post_init__(self) -> None:
        if importlib.util.find_spec("lakefs") is None:
            raise MissingExtraError(
                "publishing to lakeFS needs a package that is not installed",
                given="lakefs",
                expected="the extra [lakefs]",
                remedy="pip install 'workflows-dagster[lakefs]'",
            )

    @cached_property
    def _connection(self) -> LakeFSConnection:
        return LakeFSConnection(
            self.endpoint,
            self.access_key_id,
            self.secret_access_key,
            self.repository,
            timeout_s=self.timeout_s,
            attempts=self.attempts,
            pause_s=self.pause_s,
        )

    @property
    def kind(self) -> str:
        """What it is, as metadata shows it."""
        return "lakefs"

    def describe(self) -> str:
        """Repository and server."""
        return f"lakefs://{self.repository} at {self._connection.address}"

    def views(self, work: Path) -> Path:
        """Below the local folder of the store: views hold copies of what was downloaded."""
        return work / "views"

    def prepare(self, base: str) -> str:
        """The newest commit of a base branch; a missing branch begins at the repository's default branch.

        Raises:
            NotPublishedError: The repository is missing and must not be made.
            ConfigurationError: It is to be made, and its storage namespace is not known.
        """
        read = partial(self._connection.call, f"read the branch {base}", partial(self._head, base))
        with suppress(NotPublishedError):
            return read()
        default = default_branch(self._connection, create=self.create, storage_namespace=self.storage_namespace)
        if base != default:
            # Somebody else may have made it just now, or the answer to an earlier attempt was lost.
            with suppress(ConflictError):
                self._connection.call(f"make the branch {base}", partial(self._branch(base).create, default))
        return read()

    def resolve(self, ref: str) -> str:
        """Id of the commit that a ref stands for."""
        if not ref or re.search(r"\s", ref):
            # The server has no better answer to these than 500.
            raise NotPublishedError(
                "no such ref", given=ref, expected="a branch, a tag or a commit id", remedy="check its spelling"
            )
        commits = self._connection.sdk.commits_api
        found = self._connection.call(f"find {ref}", partial(commits.get_commit, self.repository, ref))
        return str(found.id)

    def last_change(self, ref: str, name: str) -> str | None:
        """Id of the commit that gave a file, or the files below a folder, the content that a ref has; None: no such."""
        return last_change(self._connection, self._fixed(ref), name)

    def stage(
        self,
        branch: str,
        start: str,
        path: str,
        folder: Path,
        *,
        unchanged: Collection[str],
        message: str,
        metadata: Mapping[str, str],
    ) -> str:
        """Commits a local folder as the whole content of a path on a new branch; returns the id of the commit.

        A branch of this name is a leftover of the same attempt: it is made anew. A folder whose content `start` has
        already makes no commit: `start` is returned.
        """
        files = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
        there = {name.removeprefix(f"{path}/") for name in self._names(start, f"{path}/")}
        self._begin(branch, start)
        self._delete(branch, [f"{path}/{name}" for name in sorted(there - files.keys())])
        changed = [name for name in files if name not in unchanged or name not in there]
        in_parallel(
            self.parallel,
            [partial(upload, self._connection, branch, f"{path}/{name}", files[name]) for name in changed],
        )
        return self._commit(branch, start, message, metadata)

    def merge(self, branch: str, path: str, into: str) -> None:
        """Brings the commit of `stage` into a base branch in one atomic step.

        Raises:
            ConflictError: The path was published on the base branch after the commit that `stage` started at.
            QualityGateError: A hook of the repository refused it.
        """
        request = partial(self._branch(branch).merge_into, into, message=f"Merge {path} of {branch} into {into}")
        try:
            self._connection.call(f"merge {branch} into {into}", request)
        except ConflictError as error:
            raise ConflictError(
                f"{path} was published on {into} by another writer since this transaction began",
                given=branch,
                expected=f"{path} as it was when the transaction began",
                remedy=f"run the step again on what is there now; the branch {branch} holds what was written",
            ) from error
        except BadRequestError:
            # "no changes": an earlier attempt was carried out, and only its answer was lost.
            if not self._is_merged(branch, into):
                raise

    def drop_branch(self, branch: str) -> None:
        """Removes a branch; a branch that is not there is no error."""
        with suppress(NotPublishedError):
            self._connection.call(f"remove the branch {branch}", self._branch(branch).delete)

    def branches(self, prefix: str) -> list[str]:
        """Names of the branches that begin with a prefix, sorted."""
        request = partial(self._connection.sdk.branches_api.list_branches, self.repository, prefix=prefix, amount=PAGE)
        found = self._connection.pages("list branches", lambda after: request(after=after))
        return sorted(str(branch.id) for branch in found)

    def read(self, commit: str, name: str) -> bytes:
        """The content of one small file at a commit."""
        objects = self._connection.sdk.objects_api
        return bytes(
            self._connection.call(
                f"read {name} at {commit}", partial(objects.get_object, self.repository, commit, name)
            )
        )

    def fetch(self, commit: str, path: str, names: Collection[str], folder: Path) -> None:
        """Writes files of a path into a local folder under their names relative to the path."""
        targets = {name: target_in(folder, name) for name in names}
        in_parallel(
            self.parallel,
            [partial(download, self._connection, commit, f"{path}/{name}", target) for name, target in targets.items()],
        )

    def pruned_at(self, files: Collection[FileStat]) -> str | None:
        """Never: what the garbage collection of lakeFS has removed is not found when it is read."""
        del files
        return None

    def paths(self, ref: str, marker: str) -> list[str]:
        """The folders at a ref that hold a file of this name, sorted."""
        suffix = f"/{marker}"
        return sorted(name.removesuffix(suffix) for name in self._names(self._fixed(ref), "") if name.endswith(suffix))

    def diff(self, before: str, after: str) -> Iterator[Change]:
        """The files that two refs hold differently, sorted by name."""
        request = partial(
            self._connection.sdk.refs_api.diff_refs,
            self.repository,
            self._fixed(before),
            self._fixed(after),
            # Two dots: what differs. The default, three, leaves out what happened on the first ref's side.
            type="two_dot",
            amount=PAGE,
        )
        for change in self._connection.pages(f"compare {before} with {after}", lambda offset: request(after=offset)):
            yield Change(str(change.path), change.type)

    def tag(self, name: str, commit: str) -> None:
        """Names a commit for good, and keeps its files from garbage collection by a branch `hold-<commit>`.

        Raises:
            ConflictError: The tag is there and names another commit.
        """
        # lakeFS collects what no branch holds, tags or not. The branch comes first: a tag promises that it is there.
        with suppress(ConflictError):
            hold = self._branch(f"{HOLD_PREFIX}{commit}")
            self._connection.call(f"hold {commit}", partial(hold.create, commit))
        try:
            self._connection.call(f"tag {commit} as {name}", partial(self._handle.tag(name).create, commit))
        except ConflictError as error:
            tags = self._connection.sdk.tags_api
            known = self._connection.call(f"read the tag {name}", partial(tags.get_tag, self.repository, name))
            if known.commit_id != commit:
                raise ConflictError(
                    f"the tag {name} names another commit",
                    given=commit,
                    expected=str(known.commit_id),
                    remedy="choose another name; a tag is never moved",
                ) from error

    def tags(self) -> Mapping[str, str]:
        """Commit id of each tag, by its name, sorted."""
        request = partial(self._connection.sdk.tags_api.list_tags, self.repository, amount=PAGE)
        found = self._connection.pages("list tags", lambda after: request(after=after))
        return dict(sorted((str(tag.id), str(tag.commit_id)) for tag in found))

    def link(self, ref: str) -> str:
        """The page of a commit in the lakeFS UI; of a tag or branch, the page of its files."""
        page = f"commits/{ref}" if _COMMIT_ID.fullmatch(ref) else f"objects?ref={quote(ref, safe='')}"
        return f"{self._connection.page}/{page}"

    @property
    def _handle(self) -> "lakefs.Repository":
        from lakefs import Repository

        return Repository(self.repository, self._connection.client)

    def _branch(self, name: str) -> "lakefs.Branch":
        return self._handle.branch(name)

    def _head(self, branch: str) -> str:
        return str(self._connection.sdk.branches_api.get_branch(self.repository, branch).commit_id)

    def _fixed(self, ref: str) -> str:
        """A ref that does not move while pages are read, and that shows nothing uncommitted."""
        return ref if _COMMIT_ID.fullmatch(ref) else self.resolve(ref)

    def _begin(self, branch: str, start: str) -> None:
        """Makes the branch, without what an earlier attempt left on it."""
        create = partial(self._branch(branch).create, start)
        again = Retrying(
            retry=retry_if_exception_type(ConflictError),
            stop=stop_after_attempt(_BRANCH_TRIES),
            before_sleep=lambda _: self.drop_branch(branch),
            reraise=True,
        )
        again(self._connection.call, f"make the branch {branch}", create)

    def _commit(self, branch: str, start: str, message: str, metadata: Mapping[str, str]) -> str:
        what = f"commit the branch {branch}"
        request = partial(self._branch(branch).commit, message, commit_metadata(metadata))
        try:
            return str(self._connection.call(what, request).id)
        except BadRequestError as error:
            # "no changes": an earlier attempt was carried out and only its answer was lost, or all was there.
            head = self._connection.call(what, partial(self._head, branch))
            if head == start and "no changes" not in str(error):
                raise
            return head

    def _is_merged(self, branch: str, into: str) -> bool:
        head = self._connection.call(f"read the branch {branch}", partial(self._head, branch))
        refs = self._connection.sdk.refs_api
        common = self._connection.call(
            f"compare {branch} with {into}", partial(refs.find_merge_base, self.repository, head, into)
        )
        return common.base_commit_id == head

    def _names(self, commit: str, prefix: str) -> Iterator[str]:
        return (str(entry.path) for entry in entries(self._connection, commit, prefix))

    def _delete(self, branch: str, names: list[str]) -> None:
        from lakefs_sdk.models.path_list import PathList

        objects = self._connection.sdk.objects_api
        what = f"remove files from the branch {branch}"
        for begin in range(0, len(names), PAGE):
            request = partial(
                objects.delete_objects, self.repository, branch, PathList(paths=names[begin : begin + PAGE])
            )
            # One answer for all: some may have been refused in an answer of 200.
            for error in self._connection.call(what, request).errors:
                raise StoreError(
                    f"lakeFS could not {what}",
                    given=f"{error.path}: {error.status_code} {error.message}",
                    expected="that the files may be removed",
                    remedy="read the answer above; docs/lakefs.md lists the permissions needed",
                )
