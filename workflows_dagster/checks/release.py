"""What must hold of a release, and of its deployment, before they are published."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.release.deployment import DeploymentRecord
from workflows_dagster.lib.release.record import Member, ReleaseRecord
from workflows_dagster.lib.release.releases import ANY_RELEASE
from workflows_dagster.lib.store.transaction import PASSED


def judge_one_chain(folder: Path) -> Verdict:
    """No path is in the chain in two versions: everything was made of the same data and the same model."""
    chain = ReleaseRecord.read(folder).chain
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
    record = ReleaseRecord.read(folder)
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
    record = ReleaseRecord.read(folder)
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


def judge_deployment(folder: Path) -> Verdict:
    """Tag and commit of one release, or neither."""
    record = DeploymentRecord.read(folder)
    named = record.tag is not None and record.commit is not None and ANY_RELEASE.fullmatch(record.tag) is not None
    neither = record.tag is None and record.commit is None
    return Verdict(named or neither, f"tag {record.tag}, commit {record.commit}")


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

DEPLOYED_RELEASE: Final = (
    Audit(
        "names_one_release",
        "It names the tag and the commit of one release, or that none is deployed.",
        judge_deployment,
    ),
)
