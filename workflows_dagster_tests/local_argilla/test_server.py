"""The real server at work: a round of answers, many hands at once, webhooks, and what it lets nobody do."""

import json
import socket
import threading
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import cast
from urllib.parse import urlsplit

import pytest

from workflows_dagster.local_argilla.launch import LocalArgilla
from workflows_dagster_tests.argilla_server_fixture import Api, ApiError, api
from workflows_dagster_tests.local_argilla.pilot import make_pilot, terms, where

pytestmark = pytest.mark.slow

ANNOTATORS = ("annotator_1", "annotator_2", "annotator_3")
Call = tuple[dict[str, str], bytes]


@pytest.fixture
def owner(argilla_server: LocalArgilla) -> Api:
    return api(argilla_server, "owner")


@pytest.fixture
def annotators(argilla_server: LocalArgilla) -> list[Api]:
    return [api(argilla_server, name) for name in ANNOTATORS]


# The server's own ORM warns about these; the client has nothing to do with it.
@pytest.mark.filterwarnings("ignore")
def test_the_argilla_client_makes_fills_reads_and_deletes_a_dataset(argilla_server: LocalArgilla) -> None:
    import argilla

    client = argilla.Argilla(api_url=argilla_server.url, api_key=argilla_server.credentials.owner.api_key)
    settings = argilla.Settings(
        guidelines="Judge the text, not the product.",
        fields=[argilla.TextField(name="text")],
        questions=[argilla.LabelQuestion(name="label", labels=["negative", "neutral", "positive"])],
        metadata=[argilla.TermsMetadataProperty("source"), argilla.FloatMetadataProperty("doubt")],
        vectors=[argilla.VectorField("meaning", dimensions=2)],
        distribution=argilla.TaskDistribution(min_submitted=1),
    )
    dataset = argilla.Dataset("client", workspace="reviews", settings=settings, client=client)
    dataset.create()
    records = [
        argilla.Record(
            id=f"r{number}",
            fields={"text": f"review {number}"},
            metadata={"source": ("shop", "posts")[number % 2], "doubt": number / 300},
            vectors={"meaning": [1.0, number / 300]},
            suggestions=[argilla.Suggestion("label", "positive", score=number / 300, agent="model")],
        )
        for number in range(300)
    ]
    dataset.records.log(records)
    dataset.records.log(records[:50])

    path = f"/datasets/{dataset.id}/records/search"
    found = api(argilla_server, "owner").post(path, where(terms("record", "r7", property="external_id")))
    api(argilla_server, "annotator_1").answer(found["items"][0]["record"]["id"], {"label": "neutral"})

    assert dataset.progress() == {"total": 300, "completed": 1, "pending": 299}
    done = list(dataset.records(argilla.Query(filter=argilla.Filter(("response.status", "==", "submitted")))))
    assert [(record.id, record.responses["label"][0].value) for record in done] == [("r7", "neutral")]
    assert len(list(dataset.records(argilla.Query(filter=argilla.Filter(("metadata.source", "==", "shop")))))) == 150
    assert len(list(dataset.records(argilla.Query(filter=argilla.Filter(("label.score", ">=", 0.9)))))) == 30
    similar = dataset.records(argilla.Query(similar=argilla.Similar("meaning", [1.0, 0.0])), limit=2)
    assert [record.id for record, _ in cast("Iterable[tuple[argilla.Record, float]]", similar)] == ["r0", "r1"]
    dataset.delete()
    assert client.datasets("client", workspace="reviews") is None


def test_records_are_complete_once_enough_people_have_submitted(owner: Api, annotators: list[Api]) -> None:
    pilot = make_pilot(owner, "complete", min_submitted=2)
    ids = pilot.push(owner, [pilot.item(f"r{number}", "text") for number in range(3)])

    annotators[0].answer(ids[0], {"label": "positive"})
    annotators[1].answer(ids[0], {"label": "positive"}, "draft")
    assert pilot.progress(owner)["completed"] == 0

    annotators[2].answer(ids[0], {"label": "neutral"})
    assert pilot.progress(owner) == {"total": 3, "completed": 1, "pending": 2}
    assert pilot.search(owner, where(terms("record", "completed", property="status")), everybody=True)[1] == ["r0"]


def test_a_record_ends_in_the_right_state_when_one_takes_back_while_another_submits(
    owner: Api, annotators: list[Api]
) -> None:
    """The server counts submissions, then writes the state: unprotected, 3 of 150 records ended in a wrong one."""
    one, other, _ = annotators
    pilot = make_pilot(owner, "hands", min_submitted=1)
    ids = pilot.push(owner, [pilot.item(f"r{number:03}", "text") for number in range(100)])
    given = [one.answer(record, {"label": "positive"})["id"] for record in ids]

    with ThreadPoolExecutor(2) as hands:
        for record, response in zip(ids, given, strict=True):
            taken_back = hands.submit(one.call, "PUT", f"/responses/{response}", {"status": "discarded"})
            submitted = hands.submit(other.answer, record, {"label": "positive"})
            taken_back.result()
            submitted.result()

    assert pilot.progress(owner) == {"total": 100, "completed": 100, "pending": 0}


def test_three_people_at_once_lose_no_answer(owner: Api, annotators: list[Api]) -> None:
    pilot = make_pilot(owner, "crowd", min_submitted=3)
    ids = pilot.push(owner, [pilot.item(f"r{number:02}", "text") for number in range(30)])

    with ThreadPoolExecutor(3) as hands:
        list(hands.map(lambda user: [user.answer(record, {"label": "positive"}) for record in ids], annotators))

    assert pilot.progress(owner) == {"total": 30, "completed": 30, "pending": 0}
    assert [pilot.own_progress(user)["submitted"] for user in annotators] == [30, 30, 30]


def test_a_push_again_updates_and_doubles_nothing(owner: Api, annotators: list[Api]) -> None:
    pilot = make_pilot(owner, "again")
    items = [pilot.item(f"r{number}", "text", metadata={"source": "shop"}) for number in range(20)]
    ids = pilot.push(owner, items)
    annotators[0].answer(ids[3], {"label": "positive"})

    assert pilot.push(owner, [{**item, "metadata": {"source": "posts"}} for item in items]) == ids

    assert pilot.progress(owner)["total"] == 20
    assert pilot.own_progress(annotators[0])["submitted"] == 1
    assert pilot.search(owner, where(terms("metadata", "posts", metadata_property="source")), everybody=True)[0] == 20


def test_a_single_record_comes_with_its_vectors_and_answers(owner: Api, annotators: list[Api]) -> None:
    """An error of argilla-server 2.8.0 that the local one mends: the UI asks for this after "Find similar"."""
    pilot = make_pilot(owner, "single")
    [record] = pilot.push(owner, [pilot.item("r0", "text", vectors={"meaning": [1, 2]})])
    annotators[0].answer(record, {"label": "positive"})

    found = owner.get(f"/records/{record}")

    assert found["vectors"] == {"meaning": [1.0, 2.0]}
    assert [answer["values"]["label"]["value"] for answer in found["responses"]] == ["positive"]
    assert annotators[0].get(f"/records/{record}")["external_id"] == "r0"


def test_a_deleted_dataset_takes_its_records_and_answers_along(owner: Api, annotators: list[Api]) -> None:
    pilot = make_pilot(owner, "deleted")
    annotators[0].answer(pilot.push(owner, [pilot.item("r0", "text")])[0], {"label": "positive"})

    owner.call("DELETE", f"/datasets/{pilot.dataset_id}")

    with pytest.raises(ApiError) as gone:
        pilot.progress(owner)
    assert gone.value.status == 404


@contextmanager
def listener(answers: list[int]) -> Generator[tuple[str, "Queue[Call]"]]:
    """A server that keeps what it is sent; it answers with the codes given, then always 200."""
    calls: Queue[Call] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(answers.pop(0) if answers else 200)
            self.end_headers()
            calls.put((dict(self.headers.items()), body))

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", calls
        server.shutdown()


@pytest.mark.parametrize("answers", [[], [500]], ids=["at once", "again after a refusal"])
def test_a_webhook_is_called_with_a_valid_signature(owner: Api, annotators: list[Api], answers: list[int]) -> None:
    from standardwebhooks.webhooks import Webhook

    attempts = len(answers) + 1
    pilot = make_pilot(owner, f"webhook{attempts}")
    [record] = pilot.push(owner, [pilot.item("r0", "text")])
    with listener(answers) as (url, calls):
        hook = owner.post("/webhooks", {"url": url, "events": ["response.created"]})
        annotators[0].answer(record, {"label": "positive"})
        # Argilla tries again after 10 s.
        received = [calls.get(timeout=600) for _ in range(attempts)]
        owner.call("DELETE", f"/webhooks/{hook['id']}")

    for headers, body in received:
        signed = {name.lower(): value for name, value in headers.items()}
        assert Webhook(hook["secret"]).verify(body, signed)["type"] == "response.created"
    assert json.loads(received[0][1])["data"]["values"] == {"label": {"value": "positive"}}


def test_the_server_listens_on_loopback_alone(argilla_server: LocalArgilla) -> None:
    port = urlsplit(argilla_server.url).port
    assert port

    with socket.socket() as probe:
        # All of 127/8 leads here, and a server bound to every address would answer there too.
        assert probe.connect_ex(("127.0.0.2", port)) != 0


@pytest.mark.parametrize("key", ["", "argilla.apikey", "owner"])
def test_a_wrong_key_is_refused(argilla_server: LocalArgilla, key: str) -> None:
    with pytest.raises(ApiError) as refused:
        Api(argilla_server.url, key).get("/me")

    assert refused.value.status == 401


def test_an_annotator_may_not_make_datasets(argilla_server: LocalArgilla) -> None:
    with pytest.raises(ApiError) as refused:
        make_pilot(api(argilla_server, "annotator_1"), "forbidden")

    assert refused.value.status == 403
