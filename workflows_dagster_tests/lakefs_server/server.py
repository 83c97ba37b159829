"""A lakeFS server for tests, in threads of this process: HTTP read and answered, connections broken on order."""

import base64
import json
import os
import socket
import struct
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from workflows_dagster_tests.lakefs_server.api import Request, Response, answer, respond
from workflows_dagster_tests.lakefs_server.faults import Fault, Faults
from workflows_dagster_tests.lakefs_server.state import Lake

_POLL_S = 0.02


@dataclass
class Seen:
    """A request that came.

    Attributes:
        method: Its method.
        target: Path and query, as sent.
        status: Of the answer; None where none was sent.
        fault: Kind of the fault that it met, if any.
    """

    method: str
    target: str
    status: int | None = None
    fault: str | None = None


class LoopbackLakeFS:
    """Speaks the API of lakeFS on 127.0.0.1 while its context is open; what it holds stays in its folder.

    Args:
        root: Its folder; made where it is missing. One server at a time may have it.
        access_key_id: The key that it accepts.
        secret_access_key: Its secret.
        port: Where to listen; 0 is any free port.

    Attributes:
        endpoint: Its address.
        faults: What is to go wrong.
        requests: What was asked, in order.
    """

    endpoint: str
    faults: Faults
    requests: list[Seen]

    def __init__(
        self,
        root: Path,
        access_key_id: str = "AKIALOOPBACKEXAMPLE",
        secret_access_key: str = "loopback-secret-for-tests",
        port: int = 0,
    ) -> None:
        self.access_key_id = access_key_id
        self.secret_access_key = secret_access_key
        self._root = root
        self._port = port
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        lake = Lake(self._root)
        self._stack.callback(lake.close)
        server = _Server(("127.0.0.1", self._port), lake, f"{self.access_key_id}:{self.secret_access_key}")
        self.endpoint = f"http://127.0.0.1:{server.server_port}"
        self.faults, self.requests = server.faults, server.requests
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), name="lakefs")
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(server.stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


class _Server(ThreadingHTTPServer):
    """Serves each connection in a thread."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], lake: Lake, keys: str) -> None:
        self.lake = lake
        self.authorization = f"Basic {base64.b64encode(keys.encode()).decode()}"
        self.faults = Faults()
        self.requests: list[Seen] = []
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients that hang up are part of the tests; anything else is a fault of the double, and is shown.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """Ends all connections, also those that wait for their next request, then their threads."""
        self.stopping.set()
        self.shutdown()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]  # it is always ours
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Tests look at `requests` instead."""

    def do_GET(self) -> None:
        if self.path == "/_requests":
            self._send(answer(200, [asdict(seen) for seen in self.server.requests]))
        elif self.path == "/_faults":
            self.server.faults.add(Fault(**json.loads(self._body())))
            self._send(Response(204))
        else:
            seen = Seen(self.command, self.path)
            self.server.requests.append(seen)
            self._serve(seen, self.server.faults.take(self.command, self.path))

    # One way for all methods.
    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _serve(self, seen: Seen, fault: Fault | None) -> None:
        kind, cut_after = None, None
        if fault is not None:
            seen.fault = kind = fault.kind
            self.server.stopping.wait(fault.delay_s)
            if kind == "truncate":
                cut_after = fault.after_bytes
            if kind == "reset_in_body":
                self.rfile.read(min(fault.after_bytes, int(self.headers["Content-Length"])))
        if kind in ("reset", "reset_in_body"):
            self._reset()
            return
        # Read in any case: what is left of it would be taken for the next request.
        body = self._body()
        response = _refusal(fault) if fault is not None and kind == "status" else self._answer(body)
        if kind == "lost_answer":
            self._reset()
            return
        seen.status = response.status
        self._send(response, cut_after)

    def _answer(self, body: bytes) -> Response:
        if self.headers["Authorization"] != self.server.authorization:
            return answer(401, {"message": "error authenticating request"})
        path, _, query = self.path.partition("?")
        headers = {name.lower(): text for name, text in self.headers.items()}
        return respond(self.server.lake, self.command, path, Request(parse_qs(query), headers, body))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self._read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self._read(size + 2)[:size]  # a chunk, and the end of its line
        self.rfile.readline()
        return body

    def _read(self, size: int) -> bytes:
        text = self.rfile.read(size)
        if len(text) < size:
            raise ConnectionAbortedError("the client went away before the end of its request")
        return text

    def _send(self, response: Response, cut_after: int | None = None) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status != 204:
            self.send_header("Content-Length", str(len(response.content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.content[:cut_after])
        if cut_after is not None or self.server.stopping.is_set():
            self.close_connection = True

    def _reset(self) -> None:
        """Breaks the connection off: the client sees ECONNRESET."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())


def _refusal(fault: Fault) -> Response:
    if fault.body:
        return Response(fault.status, fault.body.encode(), {"Content-Type": "text/html"})
    return answer(fault.status, {"message": f"status {fault.status}, as the test ordered"})
