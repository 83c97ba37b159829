"""The releases of a store: published records that carry a tag."""

import re
from dataclasses import dataclass
from typing import Final

from workflows_dagster.lib.errors import ConflictError, NotPublishedError
from workflows_dagster.lib.release.record import RELEASE_PATH, Pick, ReleaseRecord
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore

ANY_RELEASE: Final = re.compile(r"(?:[A-Za-z0-9_-]+-)?release-[1-9][0-9]*")
"""The tag of a release of any base branch."""


@dataclass(frozen=True)
class Release:
    """A tagged release.

    Attributes:
        tag: `release-<number>`; with the name of the base branch before it where that is not main.
        version: The published version of its record.
        record: What it consists of.
    """

    tag: str
    version: Version
    record: ReleaseRecord

    @property
    def pick(self) -> Pick:
        """Its model."""
        if self.record.pick is None:
            raise NotPublishedError(
                f"{self.tag} names no model",
                given=self.version.commit,
                expected="a release that passed its gates",
                remedy="tag nothing by hand; use another release",
            )
        return self.record.pick


def release_tags(store: VersionedStore) -> dict[str, str]:
    """Commit of each release of the base branch by its tag, in the order they were made."""
    tags, prefix = store.tags(), _prefix(store)
    numbers = {tag: _number(tag, prefix) for tag in tags}
    ordered = sorted((number, tag) for tag, number in numbers.items() if number)
    return {tag: tags[tag] for _, tag in ordered}


def releases(store: VersionedStore) -> list[Release]:
    """All releases in the order they were made."""
    return [release_at(store, tag, commit) for tag, commit in release_tags(store).items()]


def release(store: VersionedStore, tag: str) -> Release:
    """The release of a tag.

    Raises:
        NotPublishedError: There is none.
    """
    tags = release_tags(store)
    if tag not in tags:
        raise NotPublishedError(
            "there is no release of this name",
            given=tag,
            expected=f"one of: {', '.join(tags)}" if tags else "a release; none was made yet",
            remedy="name one of them" if tags else "run the chain to its end: `workflows-dagster demo` or `run`",
        )
    return release_at(store, tag, tags[tag])


def newest_release(store: VersionedStore) -> Release:
    """The release that was made last.

    Raises:
        NotPublishedError: None was made yet.
    """
    tags = list(release_tags(store))
    return release(store, tags[-1] if tags else "the newest")


def release_at(store: VersionedStore, tag: str, commit: str) -> Release:
    """The release whose record a commit holds."""
    version = store.version(RELEASE_PATH, commit)
    return Release(tag, version, ReleaseRecord.read(store.file(RELEASE_PATH, ReleaseRecord.FILE, commit).parent))


def tag_release(store: VersionedStore, version: Version) -> str:
    """Gives a published record its tag, the next free number; a record that has one keeps it.

    Whoever was killed between publishing and tagging calls this again; two who call it at once end with one tag.
    """
    prefix = _prefix(store)
    while True:
        tags = release_tags(store)
        for tag, commit in tags.items():
            if commit == version.commit:
                return tag
        tag = f"{prefix}{max((_number(tag, prefix) for tag in tags), default=0) + 1}"
        try:
            store.tag(tag, version.commit)
        except ConflictError:
            continue  # another release took the number in between


def _prefix(store: VersionedStore) -> str:
    """How the tags of a base branch begin: a developer's releases are no releases of main."""
    return "release-" if store.base == "main" else f"{store.base}-release-"


def _number(tag: str, prefix: str) -> int:
    """Number of a release; 0 where the tag is none of this base branch."""
    number = tag.removeprefix(prefix)
    return int(number) if tag.startswith(prefix) and re.fullmatch("[1-9][0-9]*", number) else 0
