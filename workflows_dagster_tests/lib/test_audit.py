"""Audits are plain functions of folders."""

from pathlib import Path

import pytest

from workflows_dagster.lib.audit import Audit, Verdict


def no_more_files(upstream: Path, folder: Path) -> Verdict:
    before, after = (len(list(place.iterdir())) for place in (upstream, folder))
    return Verdict(after <= before, f"{after} files from {before}", {"files": after})


@pytest.mark.parametrize(("files", "passed"), [(1, True), (3, False)])
def test_comparison_judges_upstream_and_output_in_this_order(tmp_path: Path, files: int, passed: bool) -> None:
    upstream, folder = tmp_path / "upstream", tmp_path / "folder"
    for place, count in ((upstream, 2), (folder, files)):
        place.mkdir()
        for number in range(count):
            (place / str(number)).touch()
    audit = Audit("no_more_files", "No more files than upstream", no_more_files, against="letters")
    bound = audit.bind({"letters": upstream, "words": folder})
    assert bound.judge(folder) == Verdict(passed, f"{files} files from 2", {"files": files})


@pytest.mark.parametrize("blocking", [True, False])
def test_bound_audit_keeps_its_name_description_and_weight(blocking: bool) -> None:
    audit = Audit("name", "description", no_more_files, against="letters", blocking=blocking)
    audit = audit.bind({"letters": Path("upstream")})
    assert (audit.name, audit.description, audit.blocking) == ("name", "description", blocking)


def test_audits_block_unless_said_otherwise() -> None:
    assert Audit("name", "description", lambda folder: Verdict(True, "")).blocking
