"""Releases as tables of the terminal."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from workflows_dagster.lib.metrics import Estimate
    from workflows_dagster.lib.release.deployment import Deployment
    from workflows_dagster.lib.release.diff import ReleaseDiff, TableChange
    from workflows_dagster.lib.release.record import Member
    from workflows_dagster.lib.release.releases import Release
    from workflows_dagster.rerun import Remade

COMMIT_CHARACTERS: Final = 12
_WRAPPED: Final = ("figure", "macro-F1", "gain over baseline", "test rows", "path", "why")
"""Columns that take several lines in a narrow terminal, rather than lose their end."""

_CHANGES: Final = ("added", "removed", "changed")
_ROW_COLUMNS: Final = {"label": "label", "source": "source", "origin of the label": "label_source", "split": "split"}


def local_time(timestamp: str) -> str:
    """A time of the store in the zone of this machine, to the minute."""
    return f"{datetime.fromisoformat(timestamp).astimezone():%Y-%m-%d %H:%M}"


def listed(releases: Sequence["Release"], deployed_tag: str | None) -> Table:
    """The releases, newest last; * marks the deployed one."""
    columns = ["release", "made", "model", "macro-F1", "gain over baseline", "test rows"]
    table = _table("Releases (* deployed)", columns, right=["test rows"])
    for release in releases:
        quality, gain = release.record.metrics.get("pick macro-F1"), release.record.gain
        table.add_row(
            release.tag + (" *" if release.tag == deployed_tag else ""),
            local_time(release.version.created_at),
            release.pick.technique,
            escape(quality.interval) if quality else "unknown",
            escape(signed(gain)) if gain else "unknown",
            f"{quality.n:,}" if quality else "unknown",
        )
    return table


def signed(gain: "Estimate") -> str:
    """A difference with its interval."""
    return f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"


def deployed(changes: Iterable["Deployment"]) -> Table:
    """Which releases were deployed, when and why."""
    table = _table("Deployed, newest first", ["since", "release", "why"])
    for change in changes:
        table.add_row(local_time(change.deployed_at), change.tag, escape(change.reason))
    return table


def overview(release: "Release", deployment: "Deployment | None") -> Table:
    """What a release is: one line for each of its properties."""
    record, pick = release.record, release.pick
    is_deployed = deployment is not None and deployment.tag == release.tag
    gates = sum(len(record.gates.get(member.asset, ())) for member in record.chain)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    rows: list[tuple[str, str]] = [
        ("release", f"{release.tag}, {'deployed' if is_deployed else 'not deployed'}"),
        *([("gate", record.shortfall)] if record.shortfall else []),
        ("made", f"{local_time(release.version.created_at)} by version {record.code} of the code"),
        ("model", f"{pick.path} at {pick.commit[:COMMIT_CHARACTERS]}, {pick.size_bytes / 1e6:.1f} MB"),
        ("weights", f"sha256 {pick.sha256}"),
        ("picked", pick.reason),
        *((name, _estimate(estimate)) for name, estimate in record.metrics.items()),
        ("rows", f"{record.rows_total:,}"),
    ]
    for name, column in _ROW_COLUMNS.items():
        counts = ", ".join(f"{value} {count:,}" for value, count in record.rows_by(column).items())
        rows.append((f"  by {name}", counts))
    rows.append(("gates", f"{gates} blocking checks, all passed by the versions below"))
    for name, value in rows:
        table.add_row(name, escape(value))
    return table


def members(release: "Release") -> Table:
    """Every version of the chain of a release."""
    table = _table("Versions", ["path", "commit", "digest", "code", "MB"], right=["code", "MB"])
    for member in release.record.chain:
        table.add_row(
            escape(member.path),
            member.commit[:COMMIT_CHARACTERS],
            member.digest[:COMMIT_CHARACTERS],
            member.code_version,
            f"{member.size_bytes / 1e6:.2f}",
        )
    return table


def row_changes(found: "ReleaseDiff") -> Table:
    """Rows added, removed, changed and relabelled in each table: all of them, then by source and label."""
    from workflows_dagster.lib.release.diff import TableChange

    counted = [*_CHANGES, "relabelled"]
    title = f"Rows, {found.before.tag} to {found.after.tag}"
    table = _table(title, ["table", "source", "label", *counted], right=counted)
    for change in found.tables:
        table.add_row(change.asset, "all", "all", *_row_counts(change))
        groups = sorted({(row.source, row.label or "none") for row in change.changes})
        for source, label in groups:
            rows = [row for row in change.changes if (row.source, row.label or "none") == (source, label)]
            table.add_row("", escape(source), label, *_row_counts(TableChange(change.asset, tuple(rows))))
    return table


def metric_changes(found: "ReleaseDiff") -> Table:
    """Figures of both releases, and the difference of their picks on the same rows."""
    table = _table("Figures, each on the test rows of its release", ["figure", found.before.tag, found.after.tag])
    for metric in found.metrics:
        table.add_row(metric.name, _estimate(metric.before), _estimate(metric.after))
    picks = f"{found.before.pick.technique} to {found.after.pick.technique}"
    if found.paired is None:
        paired = "no test row with the same label in both"
    else:
        paired = f"{signed(found.paired)} n={found.paired.n:,}"
    table.add_row(f"pick macro-F1, change on the same rows ({picks})", "", paired)
    return table


def version_changes(found: "ReleaseDiff") -> Table:
    """The paths of which the releases hold different versions, and what differs."""
    table = _table("Versions that differ", ["path", found.before.tag, found.after.tag, "what differs"])
    for change in found.versions:
        table.add_row(escape(change.path), *map(_commit, (change.before, change.after)), change.kind)
    return table


def remade(found: Iterable["Remade"]) -> Table:
    """The data version of each asset as released and as made again."""
    table = _table("Data versions", ["path", "released", "made again", ""])
    for one in found:
        state = "as published" if one.given else "equal" if one.is_equal else "failed" if one.failure else "different"
        digest = one.digest[:COMMIT_CHARACTERS] if one.digest else "-"
        table.add_row(escape(one.member.path), one.member.digest[:COMMIT_CHARACTERS], digest, state)
    return table


def _row_counts(change: "TableChange") -> list[str]:
    from workflows_dagster.lib.release.rows import relabelled, rows_of

    counts = [rows_of(change.changes, kind) for kind in _CHANGES]
    counts.append(sum(row.rows for row in relabelled(change.changes)))
    return [f"{count:,}" if count else "-" for count in counts]


def _commit(member: "Member | None") -> str:
    return member.commit[:COMMIT_CHARACTERS] if member else "-"


def _estimate(estimate: "Estimate | None") -> str:
    return escape(str(estimate)) if estimate else "unknown"


def _table(title: str, columns: Sequence[str], right: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in columns:
        justify = "right" if name in right else "left"
        table.add_column(name, justify=justify, no_wrap=name not in _WRAPPED, overflow="fold")
    return table
