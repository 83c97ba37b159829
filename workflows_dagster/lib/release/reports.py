"""The reports of the releases as files with stable names: copies of what the store holds, for people."""

from pathlib import Path
from typing import Final
from uuid import uuid4

from workflows_dagster.lib.release.releases import Release
from workflows_dagster.lib.store.disk import disk_errors
from workflows_dagster.lib.store.versioned import VersionedStore

REPORT: Final = "benchmark_report"
"""The asset that writes the reports."""


def keep_report(store: VersionedStore, release: Release, folder: Path) -> Path:
    """The report of a release as `<tag>.html` in a folder; errors as `keep_page`."""
    return keep_page(store, release.record.require(REPORT).commit, folder / f"{release.tag}.html")


def keep_page(store: VersionedStore, commit: str, named: Path) -> Path:
    """The report that a commit holds, under a name of its own; written unless it is there.

    It is a copy: what people do to it must not reach the store. Under the tag of a release, it names that release.

    Raises:
        StorePermissionError: The folder may not be written.
        StoreUnavailableError: There is no room left.
        IntegrityError: The report is not the one that was published.
    """
    from workflows_dagster.lib.benchmark.page import HTML_FILE, released_page

    page = store.file(REPORT, HTML_FILE, commit).read_text("utf-8")
    content = (released_page(page, named.stem) if named.stem in store.tags() else page).encode()
    with disk_errors(named.parent):
        if named.is_file() and named.read_bytes() == content:
            return named
        named.parent.mkdir(parents=True, exist_ok=True)
        aside = named.with_name(f".{named.name}-{uuid4().hex[:8]}")
        try:
            aside.write_bytes(content)
            aside.replace(named)
        finally:
            aside.unlink(missing_ok=True)
    return named
