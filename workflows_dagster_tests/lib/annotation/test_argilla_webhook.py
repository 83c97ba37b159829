"""Webhooks of Argilla: only what is signed wakes anybody, and nothing stays registered."""

import base64
import hashlib
import hmac
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial

import pytest

from workflows_dagster.lib.annotation.argilla.webhook import (
    EVENTS,
    LARGEST_BODY_BYTES,
    Listener,
    is_signed,
    listening,
    registered,
)
from workflows_dagster.lib.errors import AnnotationPermissionError, ConfigurationError
from workflows_dagster.local_argilla.launch import LocalArgilla
from workflows_dagster_tests.lib.annotation.argilla_bench import ArgillaBench
from workflows_dagster_tests.lib.annotation.desk_contract import make_round

SECRET = base64.b64encode(b"a secret of thirty-two characters").decode()
BODY = b'{"type": "response.created"}'


def signed(body: bytes = BODY, secret: str = SECRET, age_s: float = 0) -> dict[str, str]:
    """The headers of a message, signed as the specification says."""
    moment = str(int(time.time() - age_s))
    content = b".".join([b"msg_1", moment.encode(), body])
    digest = base64.b64encode(hmac.digest(base64.b64decode(secret), content, hashlib.sha256)).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": moment, "webhook-signature": f"v1,{digest}"}


@pytest.mark.parametrize(
    ("headers", "body", "secret", "believed"),
    [
        (signed, BODY, SECRET, True),
        (signed, BODY + b" ", SECRET, False),
        (partial(signed, secret=base64.b64encode(b"another").decode()), BODY, SECRET, False),
        (partial(signed, age_s=360), BODY, SECRET, False),
        (partial(signed, age_s=-360), BODY, SECRET, False),
        (lambda: {**signed(), "webhook-signature": "v1a,only others"}, BODY, SECRET, False),
        (lambda: {**signed(), "webhook-signature": "v1"}, BODY, SECRET, False),
        (lambda: {**signed(), "webhook-signature": "v1,###"}, BODY, SECRET, False),
        (lambda: {**signed(), "webhook-timestamp": "soon"}, BODY, SECRET, False),
        (dict, BODY, SECRET, False),
        (partial(signed, b"\xff"), b"\xff", SECRET, False),
        (signed, BODY, "", False),
    ],
)
def test_message_is_believed_only_with_its_signature(
    headers: Callable[[], dict[str, str]], body: bytes, secret: str, believed: bool
) -> None:
    # Signed now, not when tests were collected, which may be minutes ago.
    assert is_signed(secret, headers(), body) == believed


def post(listener: Listener, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{listener.port}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_only_a_signed_message_wakes_the_listener() -> None:
    with listening("127.0.0.1", 0) as listener:
        assert (post(listener, BODY, signed()), listener.heard.is_set()) == (401, False)
        listener.secret = SECRET
        assert (post(listener, b"{}", signed()), listener.heard.is_set()) == (401, False)
        long = {**signed(), "content-length": str(LARGEST_BODY_BYTES + 1)}
        assert (post(listener, b"", long), listener.heard.is_set()) == (413, False)
        assert (post(listener, BODY, signed()), listener.heard.is_set()) == (200, True)
    assert listener.refused == 2
    assert SECRET not in repr(listener)


def test_taken_port_is_named() -> None:
    with listening("127.0.0.1", 0) as first:
        again = listening("127.0.0.1", first.port)
        with pytest.raises(ConfigurationError, match=f"Given: {first.port}"), again:
            pass


@pytest.mark.slow
def test_answer_at_a_real_argilla_is_heard_and_nothing_stays_registered(argilla_server: LocalArgilla) -> None:
    bench = ArgillaBench(argilla_server)
    bench.desk.request(make_round("heard", rows=1))
    with listening("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.port}"
        left = bench.owner.post("/webhooks", {"url": url, "events": ["dataset.created"]})
        with registered(bench.settings(), url) as listener.secret:
            [held] = bench.owner.get("/webhooks")["items"]
            assert (held["id"], held["events"]) == (left["id"], list(EVENTS))
            assert not listener.heard.is_set()
            bench.answer("heard", [("annotator_1", "r/0", "neutral")])
            assert listener.heard.wait(600)
        assert bench.owner.get("/webhooks")["items"] == []
    assert listener.refused == 0


@pytest.mark.slow
def test_webhook_needs_an_owner(argilla_server: LocalArgilla) -> None:
    settings = ArgillaBench(argilla_server).settings(api_key=argilla_server.credentials.annotators[0].api_key)
    with pytest.raises(AnnotationPermissionError), registered(settings, "http://127.0.0.1:9"):
        pass
