"""Argilla's webhooks: registered while somebody listens, and accepted only with a valid signature."""

import json
import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from workflows_dagster.lib.annotation.argilla.server import ArgillaServer
from workflows_dagster.lib.annotation.libraries import load
from workflows_dagster.lib.errors import AnnotationError, ConfigurationError

EVENTS: Final = ("response.created", "response.updated", "response.deleted", "record.deleted", "dataset.deleted")
"""The events that can finish a round, or make it unfinished again."""

LARGEST_BODY_BYTES: Final = 4_000_000
READ_TIMEOUT_S: Final = 10.0

_logger = logging.getLogger(__name__)


@dataclass
class Listener:
    """An endpoint that is waiting for messages.

    Attributes:
        host: Address that it listens on.
        port: Port that it listens on.
        secret: What messages must be signed with; none is accepted before it is set.
        heard: Set when a message was accepted; whoever acts on it clears it.
        refused: Messages that were not accepted.
    """

    host: str
    port: int
    secret: str = ""
    heard: threading.Event = field(default_factory=threading.Event)
    refused: int = 0

    def __repr__(self) -> str:
        """Address only: the secret never reaches logs."""
        return f"Listener({self.host!r}, {self.port})"

    def take(self, headers: dict[str, str], body: bytes) -> bool:
        """Whether a message is accepted; its content is not used, because the server is asked for the status."""
        if not is_signed(self.secret, headers, body):
            self.refused += 1
            _logger.warning("a message without a valid signature was refused; %d so far", self.refused)
            return False
        self.heard.set()
        return True


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether a message has a signature by this secret that is at most five minutes old.

    Source: https://www.standardwebhooks.com (symmetric signatures, v1).

    Raises:
        MissingExtraError: standardwebhooks, a dependency of Argilla's client, is not installed.
    """
    webhooks = load("standardwebhooks.webhooks", "checking the signature of webhooks")
    if not secret:
        return False
    try:
        webhooks.Webhook(secret).verify(body, headers, json_parse=False)
    except (webhooks.WebhookVerificationError, ValueError):
        # ValueError: a signature that is no base64, or a body that is no text.
        return False
    return True


@contextmanager
def listening(host: str, port: int) -> Generator[Listener]:
    """An endpoint that answers for as long as the context lasts.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.

    Raises:
        ConfigurationError: The port is not free.
    """
    listener = Listener(host, port)
    try:
        server = ThreadingHTTPServer((host, port), _handler(listener))
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"nothing can listen on port {port} of {host}: {error}",
            given=port,
            expected="a free port of this machine",
            remedy="choose another with --port, or --port 0 for any free one",
        ) from error
    with server:
        server.daemon_threads = True
        listener.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="webhooks", daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def registered(server: ArgillaServer, url: str) -> Generator[str]:
    """The secret of a webhook that Argilla calls for as long as the context lasts.

    A webhook of the same address, left behind by a killed listener, is used again.

    Args:
        server: The Argilla server; needs the key of an owner.
        url: Address that Argilla reaches the listener at.

    Raises:
        AnnotationUnavailableError: Argilla does not answer.
        AnnotationPermissionError: The key is not an owner's.
    """
    with server.connect() as connection:
        held = connection.call("GET", "/webhooks")["items"]
        found = next((item for item in held if item["url"].rstrip("/") == url.rstrip("/")), None)
        wanted: dict[str, Any] = {"url": url, "events": list(EVENTS), "description": "workflows_dagster: rounds"}
        if found is None:
            found = connection.call("POST", "/webhooks", wanted)
        else:
            connection.call("PATCH", f"/webhooks/{found['id']}", {"events": list(EVENTS), "enabled": True})
    try:
        yield found["secret"]
    finally:
        _forget(server, found["id"])


def _forget(server: ArgillaServer, webhook_id: str) -> None:
    try:
        with server.connect() as connection:
            connection.call("DELETE", f"/webhooks/{webhook_id}")
    except AnnotationError as error:
        _logger.warning("the webhook stays registered: %s", error)


def _handler(listener: Listener) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = READ_TIMEOUT_S

        def do_POST(self) -> None:
            written = self.headers.get("content-length", "")
            if not written.isdecimal() or int(written) > LARGEST_BODY_BYTES:
                self._answer(413, "a message of known and moderate length is expected")
                return
            body = self.rfile.read(int(written))
            if listener.take(dict(self.headers.items()), body):
                self._answer(200, "heard")
            else:
                self._answer(401, "no valid signature")

        def _answer(self, status: int, said: str) -> None:
            data = json.dumps({"detail": said}).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            _logger.debug(format, *args)

    return Handler
