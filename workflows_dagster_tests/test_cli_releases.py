"""The commands over releases, on a made-up chain."""

from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from workflows_dagster.cli import app
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.release import retention
from workflows_dagster.lib.release.deployment import deploy, deployed
from workflows_dagster.lib.release.releases import Release
from workflows_dagster.resources.store import UPSTREAM_KEY
from workflows_dagster_tests.lib.release.made_up import MadeUpChain, reviews

FIRST = reviews(("r1", "shop", "positive", "good"), ("r2", "shop", "negative", "bad"))
SECOND = reviews(("r1", "shop", "positive", "good"), ("r3", "blog", "neutral", "so so"))


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUpChain:
    """A chain in the store that the commands open."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKFLOWS_DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return MadeUpChain(tmp_path / "home")


@pytest.fixture
def two(chain: MadeUpChain) -> list[Release]:
    """Two releases, the second one deployed."""
    made = [
        chain.release(FIRST, b"\x01", {"r1": "positive", "r2": "positive"}),
        chain.release(SECOND, b"\x02", {"r1": "negative", "r3": "neutral"}),
    ]
    for one in made:
        deploy(chain.store, one, "passed every gate", [one.tag])
    return made


def call(*arguments: str, code: int = 0, lines: str | None = None) -> str:
    result = CliRunner().invoke(app, list(arguments), input=lines)
    assert result.exit_code == code, result.output
    return result.output


def test_no_release_yet_says_how_to_make_one(chain: MadeUpChain) -> None:
    assert "No release was made yet" in call("releases")
    assert "No release was deployed yet" in call("releases", "log")
    assert "no release is deployed" in call("predict", "text", code=2)


def test_releases_are_listed_and_the_one_in_force_is_marked(two: list[Release]) -> None:
    for output in (call("releases"), call("releases", "list")):
        first, second = (line.split() for line in output.splitlines() if line.startswith(" release-"))
        assert (first[0], second[:2]) == ("release-1", ["release-2", "*"])
        assert "0.700 [0.600, 0.800]" in output
        assert "+0.100 [+0.020, +0.180]" in output


def test_show_names_model_figures_rows_and_every_version(two: list[Release]) -> None:
    output = call("releases", "show", "release-1")
    assert "release-1, not deployed" in output
    assert two[0].pick.sha256 in output
    assert "negative 1, positive 1" in output
    for member in two[0].record.chain:
        assert member.commit[:12] in output


def test_diff_counts_rows_and_names_versions(two: list[Release]) -> None:
    output = call("releases", "diff", "release-1", "release-2")
    rows = [line.split() for line in output.splitlines()]
    assert ["review_corpus", "all", "all", "1", "1", "-", "-"] in rows
    assert ["blog", "neutral", "1", "-", "-", "-"] in rows
    assert ["shop", "negative", "-", "1", "-", "-"] in rows
    assert "-1.000 [-1.000, -1.000] n=1" in output
    assert two[1].pick.commit[:12] in output


def test_rollback_is_told_to_dagster_where_it_keeps_records(two: list[Release], tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}")
    assert "Note:" not in call("rollback", "release-1")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("deployed_release"))
    assert event is not None
    assert event.asset_materialization is not None
    found = event.asset_materialization.metadata[UPSTREAM_KEY]
    assert isinstance(found, dg.TableMetadataValue)
    (upstream,) = found.records
    assert upstream.data == {"path": "model_release", "commit": two[0].version.commit[:12]}


def test_rollback_without_a_dagster_instance_says_that_the_ui_does_not_know(two: list[Release]) -> None:
    output = " ".join(call("rollback", "release-1").split())
    assert "release-1 (int8) is deployed" in output
    assert "the Dagster UI does not show it: there is no dagster.yaml" in output


def test_rollback_is_listed_logged_and_can_be_undone(two: list[Release]) -> None:
    output = call("rollback", "release-1", "--reason", "it calls everything neutral")
    assert "release-1 (int8) is deployed instead of release-2: it calls everything neutral" in output
    assert "workflows-dagster rollback release-2" in output
    assert "release-1 *" in call("releases")
    log = [line for line in call("releases", "log").splitlines() if "release-" in line]
    assert ["it calls everything neutral" in log[0], "release-2" in log[1], "release-1" in log[2]] == [True] * 3
    assert "is deployed already" in call("rollback", "release-1")


def test_release_that_does_not_beat_the_baseline_is_deployed_only_on_demand(
    chain: MadeUpChain, two: list[Release]
) -> None:
    chain.gain = Estimate(0.01, -0.02, 0.04, 500)
    chain.release(FIRST, b"\x03", {"r1": "positive", "r2": "negative"})
    why = "its macro-F1 is not shown to be above that of the linear baseline: +0.010 [-0.020, +0.040]"
    assert f"release-3 is not deployed: {why}" in " ".join(call("releases").split())
    assert why in " ".join(call("releases", "show", "release-3").split())
    assert why in " ".join(call("deploy", "release-3", code=2).split())
    assert deployed(chain.store).tag == "release-2"
    assert why in " ".join(call("deploy", "release-3", "--below-baseline").split())
    assert deployed(chain.store).tag == "release-3"
    assert "release-1 (int8) is deployed instead of release-3" in call("deploy", "release-1")
    assert why in " ".join(call("rollback", "release-3").split())
    assert deployed(chain.store).tag == "release-3"


def test_unknown_gain_is_not_a_pass(two: list[Release]) -> None:
    record = two[0].record
    assert record.shortfall == ""
    unknown = record.model_copy(update={"metrics": {"model macro-F1": Estimate(0.9, 0.8, 1.0, 100)}})
    assert unknown.shortfall == "whether its macro-F1 is above that of the linear baseline is not known"


def test_reports_are_kept_by_name_and_repaired(chain: MadeUpChain, two: list[Release], tmp_path: Path) -> None:
    reports = tmp_path / "home" / "reports"
    assert call("report").split() == [str(reports / f"{two[1].tag}.html")]
    assert sorted(path.name for path in reports.iterdir()) == ["release-1.html", "release-2.html"]
    (reports / "release-1.html").write_text("scribble")
    assert call("report", "release-1").split() == [str(reports / "release-1.html")]
    assert (reports / "release-1.html").read_bytes() == b"<!doctype html>"
    chain.whole(FIRST, b"\x09")
    result = CliRunner().invoke(app, ["report"])
    assert result.stdout.split() == [str(reports / "unreleased.html")]
    assert "no release was made of the newest report" in result.stderr


@pytest.mark.usefixtures("chain")
def test_no_report_yet_says_how_to_make_one() -> None:
    assert "no report was made yet" in call("report", code=2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["rollback", "release-7"],
        ["deploy", "release-7"],
        ["report", "release-7"],
        ["releases", "show", "release-7"],
        ["releases", "diff", "release-1", "release-7"],
        ["releases", "checkout", "release-7", "out"],
        ["releases", "rerun", "release-7", "--home", "out"],
        ["predict", "text", "--release", "release-7"],
    ],
)
@pytest.mark.usefixtures("two")
def test_unknown_release_is_refused_with_the_known_ones(arguments: list[str]) -> None:
    output = call(*arguments, code=2)
    assert "'release-7'" in output
    assert "release-1, release-2" in output


def test_checkout_writes_the_release_and_refuses_a_folder_that_holds_something(
    two: list[Release], tmp_path: Path
) -> None:
    assert "verified" in call("releases", "checkout", "release-1", "out")
    assert (tmp_path / "out" / "exported_models" / "int8" / "model" / "weights").read_bytes() == b"\x01"
    assert "ConfigurationError" in call("releases", "checkout", "release-2", "out", code=2)


@pytest.mark.usefixtures("two")
def test_nothing_to_score_says_how_to_name_it() -> None:
    assert "one a line on standard input" in call("predict", code=2, lines="")
    assert "line 2 holds no text" in call("predict", code=2, lines="good\n  \n")
    assert "argument 1 holds no text" in call("predict", " ", code=2)


@pytest.mark.usefixtures("two")
def test_rerun_as_far_as_an_asset_that_is_not_there_names_the_others() -> None:
    output = call("releases", "rerun", "release-1", "--home", "again", "--until", "no_such_asset", code=2)
    assert "augmented_reviews, benchmark_report" in output


def test_prune_forgets_what_no_release_and_nothing_published_needs(chain: MadeUpChain, two: list[Release]) -> None:
    loose = [chain.publish("notes", {"n": str(number).encode()}) for number in range(3)]
    output = call("prune", "--keep", "1", "--older-than", "0")
    assert "Removed 2 files of old versions" in output
    assert [version.commit for version in chain.store.log("notes")] == [loose[2].commit]
    for member in two[0].record.chain:
        assert chain.store.version(member.path, member.commit).digest == member.digest


@pytest.mark.usefixtures("two")
def test_prune_of_a_store_that_collects_its_own_garbage_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(retention, "prune_store", nothing)
    assert "docs/lakefs.md" in call("prune", code=2)


def test_sweep_names_the_branches_that_it_removed(chain: MadeUpChain) -> None:
    branch = chain.left_behind("notes")
    assert "Removed 0 branches" in call("sweep")
    assert f"{branch}\nRemoved 1 branches" in call("sweep", "--older-than", "0")


def test_checkout_where_nothing_can_be_written_is_no_traceback(two: list[Release], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    output = call("releases", "checkout", "release-1", str(tmp_path / "file" / "below"), code=2)
    assert "StoreUnavailableError" in output
    assert str(tmp_path / "file") in output


@pytest.mark.parametrize(
    "command",
    [["releases"], ["releases", "rerun", "release-1", "--home", "again"], ["prune"], ["sweep"], ["predict", "x"]],
)
def test_setting_that_cannot_be_used_is_no_traceback(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setenv("WORKFLOWS_DAGSTER_KEEP_VERSIONS", "few")
    assert "ConfigurationError: settings cannot be used" in call(*command, code=2)
