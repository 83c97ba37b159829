"""The webhook against a real HTTP server on this machine."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from workflows_dagster.lib.errors import ConfigurationError, WebhookError
from workflows_dagster.resources.webhook import WebhookResource

SECRET = "T0K3N"


class Receiver(HTTPServer):
    """Keeps the payloads it is sent; answers with the statuses it was given in turn, 0 for hanging up, then 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses: list[int] = []
        self.received: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/{SECRET}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver  # pyright: ignore[reportIncompatibleVariableOverride] - it serves no other

    def do_POST(self) -> None:
        self.server.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status:
            self.send_response(status)
            self.end_headers()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing on the terminal."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_post_sends_the_payload_as_json(receiver: Receiver) -> None:
    assert WebhookResource(url=receiver.url).post({"job": "training_job", "partition": None})
    assert receiver.received == [{"job": "training_job", "partition": None}]


def test_post_says_that_nothing_is_configured() -> None:
    assert WebhookResource().post({"job": "training_job"}) is False


def test_post_tries_again_when_the_connection_breaks(receiver: Receiver) -> None:
    receiver.statuses = [0, 0]
    assert WebhookResource(url=receiver.url, pause_s=0).post({"n": 1})
    assert receiver.received == [{"n": 1}] * 3


@pytest.mark.parametrize("status", [404, 500])
def test_post_does_not_try_again_when_it_is_refused(receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    with pytest.raises(WebhookError, match=f"it answered {status}") as caught:
        WebhookResource(url=receiver.url, pause_s=0).post({"n": 1})
    assert receiver.received == [{"n": 1}]
    assert SECRET not in str(caught.value)


def test_post_gives_up_when_nobody_answers() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/{SECRET}"
    with pytest.raises(WebhookError, match=r"webhook at 127\.0\.0\.1.*2 attempts without an answer") as caught:
        WebhookResource(url=url, attempts=2, pause_s=0).post({"n": 1})
    assert SECRET not in str(caught.value)


def test_post_refuses_other_schemes() -> None:
    with pytest.raises(ConfigurationError, match="'file'") as caught:
        WebhookResource(url=f"file:///{SECRET}").post({"n": 1})
    assert SECRET not in str(caught.value)
