"""A lakeFS server for tests, in a thread of this process."""

import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from workflows_dagster.lib.store.git.lock import locked
from workflows_dagster_tests.lakefs_server.faults import Faults, Requests
from workflows_dagster_tests.lakefs_server.installation import Installation
from workflows_dagster_tests.lakefs_server.wire import Server

_LOCK_S = 30.0
_POLL_S = 0.02


class LoopbackLakeFS:
    """Speaks the API of lakeFS on 127.0.0.1 while its context is open; what it holds stays in its folder.

    Args:
        root: Its folder; made where it is missing. One server at a time has it.
        access_key_id: The key that it accepts.
        secret_access_key: Its secret.
        port: Where to listen; 0 is any free port.

    Attributes:
        endpoint: Its address.
        faults: What is to go wrong.
        requests: What was asked.
    """

    endpoint: str
    faults: Faults
    requests: Requests

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
        self._root.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(locked(self._root / "server.lock", shared=False, timeout_s=_LOCK_S))
            keys = (self.access_key_id, self.secret_access_key)
            server = Server(("127.0.0.1", self._port), Installation(self._root, "admin"), keys)
            self.endpoint = f"http://127.0.0.1:{server.server_port}"
            self.faults, self.requests = server.faults, server.requests
            thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), name="lakefs")
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
