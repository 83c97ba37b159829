"""model_release and deployed_release through Dagster, on a made-up chain: what is tagged, deployed and refused."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from workflows_dagster.assets import release as assets
from workflows_dagster.assets.release import deployed_release, model_release
from workflows_dagster.checks.release import DEPLOYED_RELEASE
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.release.deployment import deploy, deployed, deployment, deployments
from workflows_dagster.lib.release.releases import release, release_tags
from workflows_dagster.resources.store import UPSTREAM_KEY, EmbeddedStore
from workflows_dagster_tests.lib.release.made_up import EVERY_GATE, MadeUpChain, reviews

FIRST = reviews(("r1", "shop", "positive", "good"))
SECOND = reviews(("r1", "shop", "negative", "bad"))
TEN = reviews(*((f"r{number}", "shop", "positive", f"text {number}") for number in range(10)))
AUDITS = ["one_chain", "names_its_model", "passed_every_gate"]


class Given(dg.IOManager):
    """Hands out a prepared report."""

    def __init__(self, report: Artifact) -> None:
        self._report = report

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        raise TypeError("model_release publishes itself")

    def load_input(self, context: dg.InputContext) -> Artifact:
        return self._report


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedStore:
    """An embedded store whose assets have the gates of the made-up chain."""
    monkeypatch.setattr(assets, "gates", lambda: EVERY_GATE)
    return EmbeddedStore(home=str(tmp_path))


@pytest.fixture
def chain(store: EmbeddedStore, tmp_path: Path) -> MadeUpChain:
    """A chain in that store."""
    made_up = MadeUpChain(tmp_path)
    made_up.store = store.store()
    return made_up


def make(
    store: EmbeddedStore, report: Artifact | None, instance: dg.DagsterInstance, **config: Any
) -> dg.ExecuteInProcessResult:
    """Makes the release of a report and deploys it; without a report, only decides anew what is deployed."""
    made = [model_release, deployed_release]
    return dg.materialize(
        [*made, dg.AssetSpec("benchmark_report")],
        selection=made if report else [deployed_release],
        resources={"store": store, "io_manager": Given(report)} if report else {"store": store},
        instance=instance,
        run_config={"ops": {"deployed_release": {"config": config}}},
        raise_on_error=False,
    )


def shown(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node(asset)
    return {key: value.value for key, value in event.metadata.items()}


def test_release_is_tagged_and_deployed(store: EmbeddedStore, chain: MadeUpChain, instance: dg.DagsterInstance) -> None:
    result = make(store, chain.whole(FIRST), instance)
    assert result.success
    released, deployment_shown = shown(result, "model_release"), shown(result, "deployed_release")
    commit = store.store().version("model_release").commit
    assert (released["release/tag"], released["release/pick"]) == ("release-1", "int8")
    assert released["store/commit_id"] == commit
    assert "release-1" in str(released["release/link"])
    assert release_tags(store.store()) == {"release-1": commit}
    assert deployed(store.store()).tag == "release-1"
    assert (deployment_shown["release/deployed_tag"], deployment_shown["release/refusal"]) == ("release-1", "none")
    (upstream,) = deployment_shown[UPSTREAM_KEY].records
    assert upstream.data == {"path": "model_release", "commit": commit[:12]}
    checks = {event.check_name: event.passed for event in result.get_asset_check_evaluations()}
    assert checks == dict.fromkeys([*AUDITS, "names_one_release"], True)


def test_release_made_again_keeps_its_tag_and_undoes_no_rollback(
    store: EmbeddedStore, chain: MadeUpChain, instance: dg.DagsterInstance
) -> None:
    make(store, chain.whole(FIRST), instance)
    second = chain.whole(SECOND)
    make(store, second, instance)
    deploy(store.store(), release(store.store(), "release-1"), "rollback", ["test"], DEPLOYED_RELEASE)
    rolled_back = store.store().version("deployed_release")
    again = make(store, second, instance)
    assert again.success
    assert list(release_tags(store.store())) == ["release-1", "release-2"]
    assert deployed(store.store()).tag == "release-1"
    assert shown(again, "deployed_release")["release/refusal"] == (
        "it was deployed before, and release-1 was chosen since"
    )
    assert shown(again, "deployed_release")["store/commit_id"] == rolled_back.commit


def test_rollback_by_run_configuration_is_logged_with_its_reason(
    store: EmbeddedStore, chain: MadeUpChain, instance: dg.DagsterInstance
) -> None:
    make(store, chain.whole(FIRST), instance)
    make(store, chain.whole(SECOND), instance)
    assert make(store, None, instance, tag="release-1", reason="too many neutral answers").success
    assert [(one.tag, one.reason) for one in deployments(store.store())] == [
        ("release-1", "too many neutral answers"),
        ("release-2", "passed every gate"),
        ("release-1", "passed every gate"),
    ]
    refused = make(store, None, instance, tag="release-9")
    failure = refused.failure_data_for_node("deployed_release")
    assert failure is not None
    assert "one of: release-1, release-2" in str(failure.user_failure_data)


def test_step_killed_between_publishing_and_tagging_is_made_up_for_when_it_runs_again(
    store: EmbeddedStore, chain: MadeUpChain, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = chain.whole(FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(assets, "tag_release", killed)
        assert not make(store, report, instance).success
    assert store.store().head("model_release") is not None
    assert release_tags(store.store()) == {}
    assert make(store, report, instance).success
    assert list(release_tags(store.store())) == ["release-1"]
    assert [found.tag for found in deployments(store.store())] == ["release-1"]


def test_release_is_not_deployed_when_told_not_to(
    store: EmbeddedStore, chain: MadeUpChain, instance: dg.DagsterInstance
) -> None:
    result = make(store, chain.whole(FIRST), instance, deploy=False)
    assert result.success
    assert list(release_tags(store.store())) == ["release-1"]
    assert deployment(store.store()) is None
    assert shown(result, "deployed_release")["release/refusal"] == "the configuration says not to"
    assert make(store, None, instance).success
    assert deployed(store.store()).tag == "release-1"


@pytest.mark.parametrize(("config", "tag"), [({}, "release-1"), ({"deploy_worse": True}, "release-2")])
def test_release_that_is_worse_on_the_same_rows_is_tagged_and_not_deployed(
    store: EmbeddedStore, chain: MadeUpChain, instance: dg.DagsterInstance, config: dict[str, bool], tag: str
) -> None:
    make(store, chain.whole(TEN, b"\x01", {name: "positive" for name in TEN["review_id"]}), instance)
    result = make(store, chain.whole(TEN, b"\x02", {name: "negative" for name in TEN["review_id"]}), instance, **config)
    assert result.success
    assert shown(result, "deployed_release")["release/refusal"] == (
        "none"
        if config
        else "macro-F1 is worse than that of release-1 by 1.000 [1.000, 1.000] on the 10 test rows of both; "
        "to use it all the same: workflows-dagster deploy release-2"
    )
    assert deployed(store.store()).tag == tag


@pytest.mark.parametrize(("low", "tag"), [(0.0, "release-1"), (-0.02, "release-1"), (0.01, "release-2")])
@pytest.mark.parametrize("allowed", [False, True])
def test_release_that_is_not_shown_to_beat_the_baseline_is_tagged_and_not_deployed(
    store: EmbeddedStore,
    chain: MadeUpChain,
    instance: dg.DagsterInstance,
    low: float,
    tag: str,
    allowed: bool,
) -> None:
    make(store, chain.whole(FIRST), instance)
    chain.gain = Estimate(0.04, low, 0.1, 1_200)
    result = make(store, chain.whole(SECOND), instance, deploy_below_baseline=allowed)
    assert result.success
    assert list(release_tags(store.store())) == ["release-1", "release-2"]
    assert deployed(store.store()).tag == ("release-2" if allowed else tag)
    why = (
        "its macro-F1 is not shown to be above that of the linear baseline: "
        f"+0.040 [{low:+.3f}, +0.100] on the same 1,200 test rows"
    )
    refused = deployed(store.store()).tag == "release-1"
    assert shown(result, "model_release")["release/baseline_gate"] == (why if low <= 0 else "passed")
    assert shown(result, "deployed_release")["release/refusal"] == (
        f"{why}; to use it all the same: workflows-dagster deploy release-2 --below-baseline" if refused else "none"
    )


def test_first_release_that_does_not_beat_the_baseline_leaves_nothing_deployed_and_says_why(
    store: EmbeddedStore, chain: MadeUpChain, instance: dg.DagsterInstance
) -> None:
    chain.gain = Estimate(-0.035, -0.08, 0.01, 374)
    assert make(store, chain.whole(FIRST), instance).success
    assert deployment(store.store()) is None
    with pytest.raises(NotPublishedError, match=r"no release is deployed: .* -0\.035 \[-0\.080, \+0\.010\]"):
        deployed(store.store())
    assert make(store, None, instance, tag="release-1", reason="a trial").success
    assert deployed(store.store()).tag == "release-1"


def test_report_of_a_release_is_copied_to_a_stable_place(
    store: EmbeddedStore, chain: MadeUpChain, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    released = shown(make(store, chain.whole(FIRST), instance), "model_release")
    page = tmp_path / "reports" / "release-1.html"
    assert released["release/report"] == str(page)
    assert page.read_bytes() == b"<!doctype html>"
    (published,) = (tmp_path / "store.git" / "views").rglob("report.html")
    assert not published.samefile(page)


def test_release_is_made_where_its_report_cannot_be_copied(
    store: EmbeddedStore, chain: MadeUpChain, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    (tmp_path / "reports").touch()
    result = make(store, chain.whole(FIRST), instance)
    assert result.success
    assert "not copied" in shown(result, "model_release")["release/report"]
    assert deployed(store.store()).tag == "release-1"


def test_release_deployed_by_somebody_else_meanwhile_is_a_conflict(
    store: EmbeddedStore, chain: MadeUpChain, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(store, chain.whole(FIRST), instance)
    make(store, chain.whole(SECOND), instance)
    decide = assets.decide_deployment

    def late(*arguments: Any) -> Any:
        decided = decide(*arguments)
        deploy(store.store(), release(store.store(), "release-1"), "by somebody else", ["test"])
        return decided

    monkeypatch.setattr(assets, "decide_deployment", late)
    result = make(store, None, instance, tag="release-2")
    failure = result.failure_data_for_node("deployed_release")
    assert failure is not None
    assert "another release was deployed in the meantime" in str(failure.user_failure_data)
    assert deployed(store.store()).tag == "release-1"


def test_chain_with_a_failed_check_is_refused_and_main_keeps_no_trace(
    store: EmbeddedStore, chain: MadeUpChain, instance: dg.DagsterInstance
) -> None:
    rows = chain.rows(FIRST, chain.publish("raw_reviews/a", {"reviews.txt": b"1"}), audit="failed")
    result = make(store, chain.report("int8", rows, chain.benchmark(rows, b"\x01", {})), instance)
    assert not result.success
    failure = result.failure_data_for_node("model_release")
    assert failure is not None
    assert failure.user_failure_data is not None
    description = failure.user_failure_data.description or ""
    assert "passed_every_gate failed" in description
    assert f"augmented_reviews at {rows.commit[:12]}: augmented_reviews_whole failed" in description
    checks = {event.check_name: event.passed for event in result.get_asset_check_evaluations()}
    assert checks == {**dict.fromkeys(AUDITS, True), "passed_every_gate": False}
    assert (store.store().head("model_release"), release_tags(store.store())) == (None, {})
    assert store.store().head("deployed_release") is None
    (branch,) = store.store().repository.branches("tx-")
    assert branch in description


def killed(*_: object) -> str:
    raise KeyboardInterrupt
