"""A way to a server that can be slow, or break off at a chosen request."""

import http.client
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Trouble = Callable[[str, str, int], bool]
"""Told method, path and how many requests of that kind there were; True breaks the connection off unanswered."""


class FlakyProxy:
    """Passes requests on to a server.

    Args:
        target: Address of the server; may be changed at any time.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.delay_s = 0.0
        self.before: Trouble = lambda *_: False
        self.after: Trouble = lambda *_: False
        self.requests: list[tuple[str, str]] = []
        self.url = ""

    def count(self, method: str, ending: str) -> int:
        """Requests so far of a method whose path ends so."""
        return sum(path.endswith(ending) and method == used for used, path in self.requests)


@contextmanager
def flaky_proxy(target: str) -> Generator[FlakyProxy]:
    """A proxy that answers as long as the context lasts."""
    proxy = FlakyProxy(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            method, path = self.command, self.path.partition("?")[0]
            proxy.requests.append((method, path))
            number = sum(request == (method, path) for request in proxy.requests)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            time.sleep(proxy.delay_s)
            if proxy.before(method, path, number):
                self.close_connection = True
                return
            status, headers, found = self._ask(method, body)
            if status is None or proxy.after(method, path, number):
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("content-type", headers or "application/json")
            self.send_header("content-length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        def _ask(self, method: str, body: bytes) -> tuple[int | None, str | None, bytes]:
            parts = urlsplit(proxy.target)
            way = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=600)
            kept = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in {"host", "connection", "accept-encoding"}
            }
            try:
                way.request(method, self.path, body=body, headers=kept)
                answer = way.getresponse()
                return answer.status, answer.getheader("content-type"), answer.read()
            except (OSError, http.client.HTTPException):
                return None, None, b""
            finally:
                way.close()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Callers that gave up waiting are what this is for."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        proxy.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
