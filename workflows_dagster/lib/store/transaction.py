"""A transaction: the files of a version that is not published yet, and what its audits found."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.errors import QualityGateError
from workflows_dagster.lib.store.disk import disk_errors
from workflows_dagster.lib.store.version import Version

if TYPE_CHECKING:
    import pyarrow as pa

PASSED = "passed"
"""Value of a version's metadata `audit/<name>` where the audit passed."""

FAILED = "failed"
"""Its value where the audit failed."""


@dataclass
class Transaction:
    """A version that is being written.

    Attributes:
        path: What it is a version of.
        branch: Branch that keeps it for inspection if it is not published.
        folder: Local folder to write into; nobody else sees it.
        metadata: Provenance recorded with the version; may be added to while the transaction is open.
        findings: What each audit found.
        staged: Whether what was written stands on the branch.
        version: The published version, once the transaction has ended well.
    """

    path: str
    branch: str
    folder: Path
    metadata: dict[str, str]
    findings: list[tuple[Audit, Verdict]] = field(default_factory=list[tuple[Audit, Verdict]])
    staged: bool = False
    version: Version | None = None

    def write(self, name: str, content: bytes) -> None:
        """Writes one file."""
        with disk_errors(self.folder):
            self._place(name).write_bytes(content)

    def write_table(self, name: str, table: "pa.Table") -> None:
        """Writes an Arrow table as Parquet."""
        import pyarrow.parquet as pq

        with disk_errors(self.folder):
            pq.write_table(table, self._place(name), compression="zstd")

    def copy(self, name: str, source: Path) -> None:
        """Copies a local file, or a folder with everything below it."""
        if source.is_dir():
            shutil.copytree(source, self._place(name))
        else:
            shutil.copyfile(source, self._place(name))

    def audit(self, audits: Sequence[Audit]) -> list[tuple[Audit, Verdict]]:
        """Judges what was written so far. If a blocking audit fails, the version is not published."""
        found = [(audit, audit.judge(self.folder)) for audit in audits]
        self.findings += found
        self.metadata.update({f"audit/{audit.name}": PASSED if verdict.passed else FAILED for audit, verdict in found})
        return found

    def refuse_if_failed(self) -> None:
        """Refuses the version if a blocking audit failed.

        Raises:
            QualityGateError: It names the audits and the branch.
        """
        failed = [(audit, verdict) for audit, verdict in self.findings if audit.blocking and not verdict.passed]
        if failed:
            raise QualityGateError(
                f"{self.path} was not published: {', '.join(audit.name for audit, _ in failed)} failed",
                given="; ".join(verdict.description for _, verdict in failed),
                expected="; ".join(audit.description for audit, _ in failed),
                remedy=f"look at the output on the branch {self.branch}, mend its cause and run the asset again",
            )

    def clear(self) -> None:
        """Removes what was written, once it is kept elsewhere."""
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _place(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
