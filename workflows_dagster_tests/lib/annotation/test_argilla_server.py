"""The way to an Argilla: every refusal has a name, and no message shows the key."""

import json
import traceback
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from workflows_dagster.lib.annotation.argilla.desk import ArgillaDesk
from workflows_dagster.lib.annotation.argilla.server import ArgillaServer
from workflows_dagster.lib.errors import (
    AnnotationPermissionError,
    AnnotationUnavailableError,
    AnnotationVersionError,
    ConfigurationError,
    WorkflowError,
)

KEY = "a-key-that-nobody-must-see"
Answer = tuple[int, Any]


@pytest.fixture
def answers() -> dict[str, Answer]:
    """What the server answers to each path; anything else is not found."""
    return {"/api/v1/version": (200, {"version": "2.8.0"})}


@pytest.fixture
def requests() -> list[str]:
    return []


@pytest.fixture
def url(answers: dict[str, Answer], requests: list[str]) -> Generator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            status, body = answers.get(self.path, (404, {"detail": "not found"}))
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def fail(url: str, attempts: int = 1) -> WorkflowError:
    """The error of asking for a status, which never shows the key."""
    desk = ArgillaDesk(ArgillaServer(url, KEY, "reviews", attempts=attempts, timeout_s=60))
    with pytest.raises(WorkflowError) as caught:
        desk.status("r1")
    assert KEY not in "".join(traceback.format_exception(caught.value))
    return caught.value


@pytest.mark.parametrize(
    ("answer", "given"),
    [
        ((200, {"version": "1.29.1"}), "version 1.29"),
        ((200, {"version": "2.7.0"}), "version 2.7"),
        ((200, {"version": "3.0.0"}), "version 3.0"),
        ((200, {"version": "soon"}), "HTTP 200, no version"),
        ((200, "<html>a shop</html>"), "HTTP 200, no version"),
        ((404, {"detail": "not found"}), "HTTP 404, no version"),
    ],
)
def test_another_version_is_named(url: str, answers: dict[str, Answer], answer: Answer, given: str) -> None:
    answers["/api/v1/version"] = answer
    error = fail(url)
    assert isinstance(error, AnnotationVersionError)
    assert error.given == given


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_is_a_permission_error_at_once(
    url: str, answers: dict[str, Answer], requests: list[str], status: int
) -> None:
    answers["/api/v1/me"] = (status, {"detail": "no"})
    assert isinstance(fail(url, attempts=3), AnnotationPermissionError)
    assert requests == ["/api/v1/version", "/api/v1/me"]


def test_proxy_without_a_server_is_unavailable_after_each_attempt(
    url: str, answers: dict[str, Answer], requests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows_dagster.lib.annotation.argilla.server._PAUSE_S", 0)
    answers["/api/v1/version"] = (503, "nobody at home")
    assert isinstance(fail(url, attempts=3), AnnotationUnavailableError)
    assert requests == ["/api/v1/version"] * 3


def test_no_server_is_unavailable() -> None:
    error = fail("http://127.0.0.1:9")
    assert isinstance(error, AnnotationUnavailableError)
    assert "workflows-dagster argilla" in str(error)


@pytest.mark.parametrize("url", ["", "127.0.0.1:6900", "ftp://argilla", "http://", "https://me:word@argilla.example"])
def test_what_is_no_address_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ARGILLA_API_URL") as caught:
        ArgillaServer(url, KEY, "reviews")
    assert "word" not in str(caught.value).replace("password", "")


def test_key_is_not_shown() -> None:
    assert KEY not in repr(ArgillaServer("http://127.0.0.1:6900", KEY, "reviews"))
