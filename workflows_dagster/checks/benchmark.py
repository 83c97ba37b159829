"""What must hold of benchmarks, of their report and of a release before they are published."""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import polars as pl

from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.benchmark.measuring import BENCHMARK_FILE, PREDICTIONS_FILE
from workflows_dagster.lib.benchmark.reporting import HTML_FILE, SUMMARY_FILE
from workflows_dagster.lib.export.registry import REGISTRY
from workflows_dagster.lib.release.record import RELEASE_FILE, Member, ReleaseRecord
from workflows_dagster.lib.store.transaction import PASSED

LOADING: Final = frozenset({"src", "srcset", "poster", "data", "action", "background", "xlink:href"})
LINKING: Final = frozenset({"link", "use", "image", "base"})
"""Elements whose href is loaded, not followed by a reader."""
STYLED: Final = re.compile(r"""@import\b|url\(\s*["']?(?!data:|\#)""", re.IGNORECASE)


class _Fetches(HTMLParser):
    """Collects what makes a browser load something from elsewhere; links that a reader follows are no fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        for name, value in attrs:
            target = (value or "").strip()
            loads = name in LOADING or (name == "href" and tag in LINKING)
            local = target.startswith(("data:", "#"))
            if (loads and not local) or (name == "style" and STYLED.search(target)):
                self.found.append(f"{tag} {name}={target[:60]}")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.found.extend(f"style {match.group(0)}" for match in STYLED.finditer(data))


def fetches(page: str) -> list[str]:
    """What a browser would load from elsewhere to show a page."""
    parser = _Fetches()
    parser.feed(page)
    parser.close()
    return parser.found


def judge_rows(folder: Path) -> Verdict:
    """Every row that was measured has its prediction, once."""
    record: dict[str, Any] = json.loads((folder / BENCHMARK_FILE).read_text("utf-8"))
    ids = pl.read_parquet(folder / PREDICTIONS_FILE, columns=["review_id"])["review_id"]
    measured = [record["rows"], record["quality"]["macro_f1"]["n"], record["agreement"]["n"]]
    return Verdict(
        set(measured) == {ids.len()} and ids.n_unique() == ids.len(),
        f"{ids.len()} predictions of {ids.n_unique()} rows; metrics over {measured} rows",
        {"benchmark/predictions": ids.len(), "benchmark/test_rows": record["rows"]},
    )


def judge_self_contained(folder: Path) -> Verdict:
    """The page loads nothing from elsewhere."""
    found = fetches((folder / HTML_FILE).read_text("utf-8"))
    return Verdict(not found, f"loads from elsewhere: {found[:5]}" if found else "the page loads nothing")


def judge_techniques(folder: Path) -> Verdict:
    """Every technique of the registry is in the report."""
    present = {row["technique"] for row in json.loads((folder / SUMMARY_FILE).read_text("utf-8"))["techniques"]}
    missing = sorted(REGISTRY.keys() - present)
    text = f"not benchmarked yet: {', '.join(missing)}" if missing else f"all {len(REGISTRY)} techniques are there"
    return Verdict(not missing, text, {"benchmark/techniques": len(present)})


def judge_one_chain(folder: Path) -> Verdict:
    """No path is in the chain in two versions: everything was made of the same data and the same model."""
    chain = ReleaseRecord.read(folder / RELEASE_FILE).chain
    versions: dict[str, list[Member]] = defaultdict(list)
    for member in chain:
        versions[member.path].append(member)
    mixed = {path: members for path, members in versions.items() if len(members) > 1}
    described = [
        f"{path}: " + ", ".join(f"{member.commit[:12]} in {_users(chain, member)}" for member in members)
        for path, members in mixed.items()
    ]
    text = f"two versions in one chain: {'; '.join(described)}" if mixed else f"{len(chain)} versions, one of each path"
    return Verdict(not mixed, text, {"release/versions": len(chain), "release/mixed_paths": len(mixed)})


def judge_gates(folder: Path) -> Verdict:
    """Every blocking check of today was passed by exactly the versions of the chain."""
    record = ReleaseRecord.read(folder / RELEASE_FILE)
    wrong = [
        f"{member.path}: there is no asset {member.asset} today"
        for member in record.chain
        if member.asset not in record.gates
    ]
    wrong += [
        f"{member.path} at {member.commit[:12]}: {gate} {member.audits.get(gate, 'never judged')}"
        for member in record.chain
        for gate in record.gates.get(member.asset, ())
        if member.audits.get(gate) != PASSED
    ]
    required = sum(len(record.gates.get(member.asset, ())) for member in record.chain)
    return Verdict(
        not wrong,
        "; ".join(wrong) if wrong else f"{required} checks of {len(record.chain)} versions passed",
        {"release/checks_required": required, "release/checks_wanting": len(wrong)},
    )


def judge_model(folder: Path) -> Verdict:
    """The report named a pick, and its export is a version of the chain."""
    record = ReleaseRecord.read(folder / RELEASE_FILE)
    if record.pick is None:
        return Verdict(False, "the report names no export to deploy: none qualified")
    commits = [member.commit for member in record.chain if member.path == record.pick.path]
    return Verdict(
        record.pick.commit in commits,
        f"{record.pick.path} at {record.pick.commit[:12]}; in the chain: {[commit[:12] for commit in commits]}",
        {"release/weights_bytes": record.pick.size_bytes},
    )


def _users(chain: Sequence[Member], member: Member) -> str:
    """Paths that were made from this version of it."""
    return " and ".join(user.path for user in chain if user.upstream.get(member.path) == member.commit)


TECHNIQUE_BENCHMARKS: Final = (
    Audit(
        "cover_every_row",
        "Accuracy, agreement and predictions are about the same rows, each once.",
        judge_rows,
    ),
)

BENCHMARK_REPORT: Final = (
    Audit("self_contained", "report.html loads nothing from elsewhere.", judge_self_contained),
    Audit(
        "covers_every_technique",
        "Every compression technique is in the report.",
        judge_techniques,
        blocking=False,
    ),
)

MODEL_RELEASE: Final = (
    Audit(
        "one_chain",
        "Everything in it was made of one version of each asset and partition.",
        judge_one_chain,
    ),
    Audit(
        "passed_every_gate",
        "Every blocking check that an asset has today was passed by its version in the chain.",
        judge_gates,
    ),
    Audit("names_its_model", "The report names the export to deploy.", judge_model),
)
