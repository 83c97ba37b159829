"""The desk on a real Argilla: the contract, and what can go wrong; nothing is lost, doubled, or taken for finished."""

from collections.abc import Generator
from pathlib import Path

import pytest

from workflows_dagster.lib.annotation.argilla.datasets import dataset_name
from workflows_dagster.lib.annotation.argilla.desk import ArgillaDesk
from workflows_dagster.lib.annotation.desk import RoundState
from workflows_dagster.lib.errors import (
    AnnotationPermissionError,
    AnnotationUnavailableError,
    ConfigurationError,
    RoundUnknownError,
)
from workflows_dagster.local_argilla.launch import LocalArgilla, local_argilla
from workflows_dagster_tests.lib.annotation.argilla_bench import ArgillaBench
from workflows_dagster_tests.lib.annotation.desk_contract import TEXT, DeskContract, make_round
from workflows_dagster_tests.lib.annotation.flaky_proxy import FlakyProxy, Trouble, flaky_proxy

pytestmark = pytest.mark.slow

PUSH = "/records/bulk"
PULL = "/records"


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten records a request, so that small rounds take several."""
    monkeypatch.setattr("workflows_dagster.lib.annotation.argilla.desk.PUSHED_ROWS", 10)
    monkeypatch.setattr("workflows_dagster.lib.annotation.argilla.desk.PULLED_ROWS", 10)
    monkeypatch.setattr("workflows_dagster.lib.annotation.argilla.server._PAUSE_S", 0)


@pytest.fixture(scope="module")
def bench(argilla_server: LocalArgilla) -> ArgillaBench:
    return ArgillaBench(argilla_server)


class TestArgillaDesk(DeskContract):
    """The desk on an Argilla server does what every desk does."""


@pytest.fixture
def proxy(argilla_server: LocalArgilla) -> Generator[FlakyProxy]:
    with flaky_proxy(argilla_server.url) as proxy:
        yield proxy


def through(proxy: FlakyProxy, bench: ArgillaBench, attempts: int = 1, timeout_s: float = 60) -> ArgillaDesk:
    return ArgillaDesk(bench.settings(url=proxy.url, attempts=attempts, timeout_s=timeout_s))


def test_record_carries_text_suggestion_metadata_and_nothing_else(bench: ArgillaBench) -> None:
    bench.desk.request(make_round("content", rows=1))

    record = bench.records("content")["r/0"]

    assert record["fields"] == {"text": f"0: {TEXT}"}
    assert record["metadata"] == {"source": "shop", "stars": 4, "language": "en", "batch": "b1", "round": "content"}
    [suggestion] = record["suggestions"]
    assert (suggestion["value"], suggestion["score"], suggestion["type"]) == ("positive", 0.75, "model")
    assert suggestion["agent"] == "weak label  rating"


def test_dataset_says_what_to_do_and_how_many_answer(bench: ArgillaBench) -> None:
    bench.desk.request(make_round("terms", rows=3, minimum=2, calibration=1))

    found = [(item["name"], item["distribution"]["min_submitted"]) for item in bench.datasets("terms")]

    assert found == [("pilot-terms-calibration", 3), ("pilot-terms", 2)]
    for dataset in bench.datasets("terms"):
        assert dataset["guidelines"] == "# What to do\n"
        [vectors] = bench.owner.get(f"/datasets/{dataset['id']}/vectors-settings")["items"]
        assert (vectors["name"], vectors["dimensions"]) == ("meaning", 2)
        questions = bench.owner.get(f"/datasets/{dataset['id']}/questions")["items"]
        assert [(question["name"], question["required"]) for question in questions] == [
            ("label", True),
            ("reason", False),
        ]


def test_drafts_and_discarded_reviews_are_unfinished(bench: ArgillaBench) -> None:
    bench.desk.request(make_round("unfinished"))
    bench.answer("unfinished", [("annotator_1", "r/0", "positive")], status="draft")
    bench.answer("unfinished", [("annotator_2", "r/1", "positive")], status="discarded")

    responses = bench.desk.responses("unfinished")

    assert responses.table.is_empty()
    assert bench.desk.status("unfinished").state is RoundState.WAITING
    assert list(responses.unfinished.iter_rows()) == [
        ("r/0", "annotator_1", "draft"),
        ("r/1", "annotator_2", "discarded"),
    ]


def test_dataset_cut_off_while_it_was_made_is_completed(bench: ArgillaBench) -> None:
    workspace = bench.owner.get("/me/workspaces")["items"][0]["id"]
    name = dataset_name("draft", calibration=False)
    made = bench.owner.post("/datasets", {"name": name, "workspace_id": workspace})
    settings = {"name": "text", "title": "Review", "required": True, "settings": {"type": "text"}}
    bench.owner.post(f"/datasets/{made['id']}/fields", settings)
    with pytest.raises(RoundUnknownError):
        bench.desk.status("draft")

    status = bench.desk.request(make_round("draft"))

    assert (status.rows, status.missing) == (3, 0)
    assert [dataset["id"] for dataset in bench.datasets("draft")] == [made["id"]]


def test_answer_that_never_arrived_doubles_nothing(bench: ArgillaBench, proxy: FlakyProxy) -> None:
    proxy.after = lambda method, path, number: path.endswith(PUSH) and number == 2

    status = through(proxy, bench, attempts=2).request(make_round("lost", rows=30))

    assert proxy.count("PUT", PUSH) == 4
    assert (status.rows, status.missing, bench.record_count("lost")) == (30, 0, 30)


def test_push_cut_off_shows_what_is_missing_and_is_completed(bench: ArgillaBench, proxy: FlakyProxy) -> None:
    annotation_round = make_round("cut", rows=30)
    proxy.before = lambda method, path, number: path.endswith(PUSH) and number == 2
    with pytest.raises(AnnotationUnavailableError):
        through(proxy, bench).request(annotation_round)
    bench.answer("cut", [("annotator_1", f"r/{number}", "neutral") for number in range(10)])

    half = bench.desk.status("cut")
    assert (half.state, half.rows, half.missing, half.rows_answered) == (RoundState.PARTIAL, 30, 20, 10)

    whole = bench.desk.request(annotation_round)
    assert (whole.rows, whole.missing, whole.answers, bench.record_count("cut")) == (30, 0, 10, 30)
    assert {record["metadata"]["round"] for record in bench.records("cut").values()} == {"cut"}


def test_pull_cut_off_is_an_error_and_never_fewer_answers(bench: ArgillaBench, proxy: FlakyProxy) -> None:
    bench.desk.request(make_round("pull", rows=30))
    bench.answer("pull", [("annotator_1", f"r/{number}", "neutral") for number in range(30)])
    proxy.before = lambda method, path, number: path.endswith(PULL) and number == 2
    desk = through(proxy, bench)
    with pytest.raises(AnnotationUnavailableError):
        desk.responses("pull")
    proxy.before = lambda *_: False

    assert desk.responses("pull").table.height == 30
    assert desk.status("pull").state is RoundState.COMPLETE


def test_slow_server_is_waited_for_up_to_the_timeout(bench: ArgillaBench, proxy: FlakyProxy) -> None:
    bench.desk.request(make_round("slow"))
    proxy.delay_s = 0.3
    assert through(proxy, bench).status("slow").rows == 3

    proxy.delay_s = 2
    with pytest.raises(AnnotationUnavailableError, match="Timeout"):
        through(proxy, bench, timeout_s=0.2).status("slow")


def test_deleted_dataset_is_an_unknown_round_that_can_be_asked_again(bench: ArgillaBench) -> None:
    annotation_round = make_round("deleted", minimum=2, calibration=1)
    bench.desk.request(annotation_round)
    bench.answer("deleted", [("annotator_1", "r/1", "neutral")])
    calibration, _ = bench.datasets("deleted")
    bench.owner.call("DELETE", f"/datasets/{calibration['id']}")

    with pytest.raises(RoundUnknownError, match="'deleted'"):
        bench.desk.status("deleted")

    status = bench.desk.request(annotation_round)
    assert (status.rows, status.missing, status.answers) == (3, 0, 1)


def test_dataset_deleted_while_it_is_read_is_an_unknown_round(bench: ArgillaBench, proxy: FlakyProxy) -> None:
    bench.desk.request(make_round("vanishing", rows=30))

    def delete(_method: str, path: str, number: int) -> bool:
        if path.endswith(PULL) and number == 2:
            bench.owner.call("DELETE", f"/datasets/{bench.datasets('vanishing')[0]['id']}")
        return False

    proxy.before = delete
    with pytest.raises(RoundUnknownError, match="while it was read"):
        through(proxy, bench).responses("vanishing")


def test_revoked_key_is_refused_by_name_and_nothing_is_lost(bench: ArgillaBench) -> None:
    account = {"first_name": "p", "username": "pusher", "password": "made-up-word", "role": "owner"}
    user = bench.owner.post("/users", account)
    desk = ArgillaDesk(bench.settings(api_key=user["api_key"]))
    desk.request(make_round("revoked"))
    bench.answer("revoked", [("annotator_1", "r/0", "neutral")])
    bench.owner.call("DELETE", f"/users/{user['id']}")

    with pytest.raises(AnnotationPermissionError, match="ARGILLA_API_KEY"):
        desk.status("revoked")
    assert bench.desk.status("revoked").answers == 1


def test_annotator_key_is_refused_by_name(bench: ArgillaBench) -> None:
    annotator = bench.server.credentials.annotators[0]
    with pytest.raises(AnnotationPermissionError, match="owner"):
        ArgillaDesk(bench.settings(api_key=annotator.api_key)).request(make_round("annotators"))


def test_missing_workspace_is_named_or_made(bench: ArgillaBench) -> None:
    with pytest.raises(ConfigurationError, match=r"'elsewhere'.*reviews.*ARGILLA_CREATE"):
        ArgillaDesk(bench.settings(workspace="elsewhere")).status("r1")

    desk = ArgillaDesk(bench.settings(workspace="elsewhere", create=True))
    assert desk.request(make_round("content", rows=2)).rows == 2


def test_server_killed_within_a_push_and_a_pull_loses_and_doubles_nothing(
    argilla_environment: None, tmp_path: Path
) -> None:
    annotation_round = make_round("killed", rows=40)
    with flaky_proxy("") as proxy:
        with local_argilla(tmp_path, port=0) as server:
            proxy.target, proxy.before = server.url, killing(server, PUSH)
            desk = through(proxy, ArgillaBench(server))
            with pytest.raises(AnnotationUnavailableError):
                desk.request(annotation_round)

        with local_argilla(tmp_path, port=0) as server:
            bench = ArgillaBench(server)
            proxy.target, proxy.before = server.url, lambda *_: False
            assert desk.status("killed").missing == 20
            assert desk.request(annotation_round).missing == 0
            bench.answer("killed", [("annotator_1", f"r/{number}", "neutral") for number in range(40)])
            proxy.requests.clear()
            proxy.before = killing(server, PULL)
            with pytest.raises(AnnotationUnavailableError):
                desk.responses("killed")

        with local_argilla(tmp_path, port=0) as server:
            proxy.target, proxy.before = server.url, lambda *_: False
            status = desk.request(annotation_round)
            assert (status.state, status.rows, status.answers) == (RoundState.COMPLETE, 40, 40)
            assert ArgillaBench(server).record_count("killed") == 40


def test_five_thousand_reviews_are_there_once_after_a_push_that_broke_off(
    bench: ArgillaBench, proxy: FlakyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    annotation_round = make_round("many", rows=5000, minimum=2, calibration=20)
    proxy.before = lambda method, path, number: path.endswith(PUSH) and number == 13
    with pytest.raises(AnnotationUnavailableError):
        through(proxy, bench).request(annotation_round)
    assert bench.desk.status("many").missing == 2580
    bench.answer("many", [("annotator_1", f"r/{number}", "neutral") for number in range(200)])

    status = bench.desk.request(annotation_round)

    assert (status.rows, status.missing, status.answers) == (5000, 0, 200)
    assert bench.record_count("many") == len(bench.records("many")) == 5000


def killing(server: LocalArgilla, ending: str) -> Trouble:
    """Kills the server when the third request comes whose path ends so."""

    def trouble(_method: str, path: str, number: int) -> bool:
        if path.endswith(ending) and number == 3:
            server.process.kill()
            server.process.wait()
        return False

    return trouble
