"""A headless Chromium to drive web pages with: go to an address, run JavaScript, type, take pictures.

with browser() as page:
    page.open("http://127.0.0.1:6900")
    page.wait_for("document.querySelector('input')")
    page.type("input", "text")
    page.picture(Path("page.png"))
"""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

WAIT_S = 600
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


class Page:
    """One page, spoken to by the DevTools protocol.

    `requests` holds the address of everything that it asked for, by number; what the browser blocked is taken out.
    """

    def __init__(self, socket_: ClientConnection) -> None:
        self._socket = socket_
        self._numbers = count(1)
        self.requests: dict[str, str] = {}
        self.call("Page.enable")
        self.call("Network.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """The result of one command."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message: dict[str, Any] = json.loads(self._socket.recv(WAIT_S))
            self._note(message.get("method"), message.get("params", {}))
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def _note(self, event: str | None, parameters: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests[parameters["requestId"]] = parameters["request"]["url"]
        elif event == "Network.loadingFailed" and parameters.get("blockedReason"):
            self.requests.pop(parameters["requestId"], None)

    def open(self, url: str) -> None:
        """Goes to an address."""
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        reply = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in reply:
            raise RuntimeError(f"{expression}: {reply['exceptionDetails']}")
        return reply["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """The value of an expression once it is true."""
        give_up = time.monotonic() + WAIT_S
        while time.monotonic() < give_up:
            if value := self.evaluate(f"(() => {{ const found = {expression}; return found ? true : false }})()"):
                return value
            time.sleep(0.1)
        raise TimeoutError(f"not true within {WAIT_S} s: {expression}; the page reads: {self.text()[:800]}")

    def text(self) -> str:
        """What can be read on the page."""
        return self.evaluate("document.body ? document.body.innerText : ''")

    def type(self, selector: str, text: str) -> None:
        """Types into the element that a selector finds."""
        self.wait_for(f"document.querySelector({json.dumps(selector)})")
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def click(self, expression: str) -> None:
        """Clicks the element that an expression yields, once it is there."""
        self.wait_for(expression)
        self.evaluate(f"({expression}).click()")

    def picture(self, path: Path) -> None:
        """Keeps what the page looks like."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def browser(width: int = 1500, height: int = 950) -> Generator[Page]:
    """A page of a fresh browser; the test is skipped where there is no Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        started = subprocess.Popen(
            [
                *(found, *_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"),
                *(f"--remote-debugging-port={port}", "about:blank"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            with connect(_address(port), max_size=None, proxy=None) as socket_:
                page = Page(socket_)
                metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
                page.call("Emulation.setDeviceMetricsOverride", **metrics)
                yield page
        finally:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def _address(port: int) -> str:
    """Where the browser's page is spoken to, once it is there."""
    give_up = time.monotonic() + WAIT_S
    while time.monotonic() < give_up:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=5) as answer:
                pages = [target for target in json.load(answer) if target["type"] == "page"]
        except OSError:
            pages = []
        if pages:
            return pages[0]["webSocketDebuggerUrl"]
        time.sleep(0.2)
    raise TimeoutError(f"Chromium did not open a page within {WAIT_S} s")
