"""HTTP: requests read, answers sent, connections broken on order."""

import base64
import binascii
import hmac
import json
import logging
import os
import re
import socket
import struct
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from workflows_dagster_tests.lakefs_server import api
from workflows_dagster_tests.lakefs_server.exchange import (
    BLOCK_BYTES,
    Body,
    ChunkedBody,
    Interrupted,
    PlainBody,
    Request,
    Response,
    answer,
    query_of,
    refusal,
)
from workflows_dagster_tests.lakefs_server.faults import Fault, Faults, Requests, Seen
from workflows_dagster_tests.lakefs_server.installation import Installation
from workflows_dagster_tests.lakefs_server.refusal import Refused

_LOG = logging.getLogger(__name__)
_CONTROL = re.compile(r"/_(faults|requests)")


class Server(ThreadingHTTPServer):
    """Serves an installation, each connection in a thread."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], installation: Installation, keys: tuple[str, str]) -> None:
        self.installation = installation
        self.keys = keys
        self.faults = Faults()
        self.requests = Requests()
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        _LOG.debug("a connection ended in an error", exc_info=True)

    def stop(self) -> None:
        """Ends all connections, also those that wait for their next request, then their threads."""
        self.stopping.set()
        self.shutdown()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                _LOG.debug("a connection had ended already")
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]  # it is always ours
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        _LOG.debug(format, *args)

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        seen = Seen(self.command, self.path)
        body = _Counted(self._body(), seen)
        if _CONTROL.fullmatch(path):
            self._send(self._control(path, body))
            return
        self.server.requests.add(seen)
        fault = self.server.faults.take(self.command, self.path)
        try:
            self._meet(fault, seen, path, query, body)
        except Interrupted:
            self.close_connection = True

    # One way for all methods.
    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_GET

    def _meet(self, fault: Fault | None, seen: Seen, path: str, query: str, body: "_Counted") -> None:
        if fault is not None:
            seen.fault = fault.kind
            self.server.stopping.wait(fault.delay_s)
        kind = fault.kind if fault else None
        if fault is not None and kind == "reset_in_body":
            body.skip(fault.after_bytes)
        if kind in ("reset", "reset_in_body"):
            self._reset()
            return
        response = _ordered(fault) if fault is not None and kind == "status" else self._answer(path, query, body)
        # What a handler left of the body would be taken for the next request.
        body.skip()
        if kind == "lost_answer":
            self._reset()
            return
        seen.status = response.status
        self._send(response, fault.after_bytes if fault is not None and kind == "truncate" else None)

    def _answer(self, path: str, query: str, body: Body) -> Response:
        try:
            handler, names = api.route(self.command, path)
            if api.needs_key(handler) and not self._has_key():
                return answer(401, {"message": "error authenticating request"})
            return handler(self.server.installation, Request(names, query_of(query), self.headers, body))
        except Refused as error:
            return refusal(error)
        except Interrupted:
            raise
        except Exception as error:  # the boundary of the server: whatever went wrong is answered with 500
            _LOG.exception("%s %s failed", self.command, self.path)
            return answer(500, {"message": str(error)})

    def _has_key(self) -> bool:
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic":
            return False
        try:
            given = base64.b64decode(text.strip(), validate=True)
        except binascii.Error:
            return False
        return hmac.compare_digest(given, ":".join(self.server.keys).encode())

    def _body(self) -> Body:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return ChunkedBody(self.rfile)
        return PlainBody(self.rfile, int(self.headers.get("Content-Length") or 0))

    def _send(self, response: Response, cut_after: int | None = None) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("X-Request-ID", str(uuid4()))
        if response.status not in (204, 304):
            self.send_header("Content-Length", str(response.length))
        if self.server.stopping.is_set():
            self.close_connection = True
        self.end_headers()
        sent = 0
        for block in () if self.command == "HEAD" else response.content:
            if cut_after is not None:
                block = block[: cut_after - sent]
            self.wfile.write(block)
            sent += len(block)
        if sent < response.length and self.command != "HEAD":
            self.close_connection = True

    def _reset(self) -> None:
        """Breaks the connection off: the client sees ECONNRESET."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def _control(self, path: str, body: "_Counted") -> Response:
        """What a test in another process orders and reads."""
        text = b"".join(_all(body))
        faults, requests = self.server.faults, self.server.requests
        if self.command == "DELETE":
            (faults if path == "/_faults" else requests).clear()
            return answer(204)
        if self.command == "POST" and path == "/_faults":
            try:
                rules = json.loads(text)
                faults.add(*(Fault(**rule) for rule in (rules if isinstance(rules, list) else [rules])))
            except (TypeError, ValueError) as error:
                return answer(400, {"message": str(error)})
            return answer(201, faults.to_answer())
        return answer(200, (faults if path == "/_faults" else requests).to_answer())


class _Counted:
    """A body that notes how much of it was read."""

    def __init__(self, body: Body, seen: Seen) -> None:
        self._body = body
        self._seen = seen

    def read(self, size: int) -> bytes:
        block = self._body.read(size)
        self._seen.body_bytes += len(block)
        return block

    def skip(self, most: int | None = None) -> None:
        """Reads on, to the end or to so many bytes in all."""
        while most is None or self._seen.body_bytes < most:
            if not self.read(BLOCK_BYTES if most is None else min(BLOCK_BYTES, most - self._seen.body_bytes)):
                return


def _all(body: _Counted) -> Iterable[bytes]:
    while block := body.read(BLOCK_BYTES):
        yield block


def _ordered(fault: Fault) -> Response:
    text = fault.body.encode()
    if not text:
        plain = answer(fault.status, {"message": fault.text})
        return Response(plain.status, plain.headers | fault.headers, plain.content, plain.length)
    return Response(fault.status, {"Content-Type": "text/html"} | fault.headers, (text,), len(text))
