"""release.json: the exact versions a release consists of, its model, its figures and the gates it passed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from workflows_dagster.lib.errors import DataContractError
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.store.lineage import upstream_of
from workflows_dagster.lib.store.version import Version

RELEASE_PATH: Final = "model_release"
"""Path that releases are published at."""

AUDIT_PREFIX: Final = "audit/"
"""Metadata `audit/<name>` of a version says whether the audit of that name passed for it."""


GAIN: Final = "model gain over baseline"
"""Name of the figure that says whether the model is worth deploying."""


@dataclass(frozen=True)
class Member:
    """One version of the chain.

    Attributes:
        path: What it is a version of.
        asset: Name of the asset.
        partition: Its partition key, or None.
        commit: The commit that published it.
        digest: Digest of its content: the data version.
        size_bytes: Bytes of its files.
        code_version: Version of the code of the asset that made it.
        config: The run configuration that it was made with.
        audits: `passed` or `failed`, by name of audit.
        upstream: Commit of each version that it was made from, by path.
    """

    path: str
    asset: str
    partition: str | None
    commit: str
    digest: str
    size_bytes: int
    code_version: str
    config: Mapping[str, Any]
    audits: Mapping[str, str]
    upstream: Mapping[str, str]

    @classmethod
    def of(cls, version: Version) -> Self:
        """The entry of a published version."""
        metadata = version.metadata
        return cls(
            path=version.path,
            asset=version.path.partition("/")[0],
            partition=metadata.get("partition") or None,
            commit=version.commit,
            digest=version.digest,
            size_bytes=version.size_bytes,
            code_version=metadata.get("code_version", ""),
            config=json.loads(metadata.get("config") or "{}"),
            audits={
                name.removeprefix(AUDIT_PREFIX): verdict
                for name, verdict in sorted(metadata.items())
                if name.startswith(AUDIT_PREFIX)
            },
            upstream=dict(sorted(upstream_of(version).items())),
        )


@dataclass(frozen=True)
class Pick:
    """The model of a release: the export that the report named.

    Attributes:
        technique: How it was compressed.
        reason: Why the report picked it.
        path: Path of its export.
        commit: Commit of the export.
        digest: Digest of the export's content.
        file: Its weights, below the export's folder.
        sha256: Digest of the weights.
        size_bytes: Size of the weights.
    """

    technique: str
    reason: str
    path: str
    commit: str
    digest: str
    file: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class RowCount:
    """Rows of the table that was trained and measured on that have these properties in common."""

    source: str
    label: str | None
    label_source: str | None
    split: str
    rows: int


class ReleaseRecord(Record):
    """The content of release.json; equal chains give equal bytes.

    Attributes:
        chain: Every version that the release consists of, sorted by path.
        gates: Names of the blocking audits that each asset had to pass at the time.
        pick: The model; None where the report named none, which no published release has.
        metrics: Estimates by name: `model macro-F1`, `baseline macro-F1`, `model gain over baseline` (paired, on the
            same test rows), `pick macro-F1`, `pick agreement`.
        rows: What the model was trained and measured on.
        code: Version of this package.
    """

    FILE: ClassVar[str] = "release.json"

    chain: tuple[Member, ...]
    gates: Mapping[str, tuple[str, ...]]
    pick: Pick | None
    metrics: Mapping[str, Estimate]
    rows: tuple[RowCount, ...]
    code: str

    def to_metadata(self) -> Mapping[str, object]:
        """What the asset shows."""
        return {
            "release/pick": self.pick.technique if self.pick else "none",
            "release/baseline_gate": self.shortfall or "passed",
            "release/figures": {name: str(estimate) for name, estimate in self.metrics.items()},
            "release/rows": self.rows_total,
            "release/rows_by_label": self.rows_by("label"),
            **{
                f"release/{name.replace(' ', '_').replace('-', '_').lower()}": estimate.value
                for name, estimate in self.metrics.items()
            },
            "release/versions": len(self.chain),
        }

    @property
    def rows_total(self) -> int:
        """Rows that the model was trained and measured on."""
        return sum(count.rows for count in self.rows)

    @property
    def gain(self) -> Estimate | None:
        """How much higher the macro-F1 of the model is than that of the linear baseline; None where it is unknown."""
        return self.metrics.get(GAIN)

    @property
    def shortfall(self) -> str:
        """Why the model is not known to be better than the linear baseline; "" where it is."""
        gain = self.gain
        if gain is None:
            return "whether its macro-F1 is above that of the linear baseline is not known"
        if gain.low > 0:
            return ""
        return (
            f"its macro-F1 is not shown to be above that of the linear baseline: {gain.value:+.3f} "
            f"[{gain.low:+.3f}, {gain.high:+.3f}] on the same {gain.n:,} test rows"
        )

    def member(self, path: str) -> Member | None:
        """The version of a path, or None."""
        return next((member for member in self.chain if member.path == path), None)

    def require(self, path: str) -> Member:
        """The version of a path.

        Raises:
            DataContractError: The release holds none.
        """
        found = self.member(path)
        if found is None:
            raise DataContractError(
                f"the release holds no version of {path}",
                given=path,
                expected=f"one of: {', '.join(member.path for member in self.chain)}",
                remedy="make a new release with this version of the code",
            )
        return found

    def rows_by(self, column: str) -> dict[str, int]:
        """Rows by source, label, label_source or split; "none" where it is null."""
        counts: dict[str, int] = {}
        for count in self.rows:
            key = getattr(count, column) or "none"
            counts[key] = counts.get(key, 0) + count.rows
        return dict(sorted(counts.items()))
