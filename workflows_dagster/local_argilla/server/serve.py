# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = [
#     "argilla-server==2.8.0",
#     "click<8.2",  # typer 0.9, which argilla-server holds, breaks with newer ones
#     "fakeredis>=2.26",
#     "numpy>=2.0",
# ]
# ///
# pyright: reportMissingImports=false
"""Serves the real argilla-server on loopback with SQLite alone, in the environment that the block above declares.

serve.py.lock locks that environment. `local_argilla/launch.py` starts this script.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from files import CREDENTIALS

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

BUSY_TIMEOUT_S = 30
STOP_TIMEOUT_S = 3
CONTENT_POLICY = "style-src 'self' 'unsafe-inline'; font-src 'self' data:"
"""Keeps the UI from loading fonts from Google, which would tell Google who annotates; the system's fonts are used."""


def main() -> None:
    """Prepares the database, writes a report file, and serves until it is told to end."""
    asked = _arguments()
    os.chdir(asked.home)
    credentials = Path(CREDENTIALS)
    os.environ.update(_environment(json.loads(credentials.read_text("utf-8"))["secret_key"], asked.url))

    import fakeredis
    import redis

    # Before argilla_server is imported: it connects on import.
    redis.from_url = fakeredis.FakeRedis.from_url

    import database

    home = Path()
    first = database.migrate(home)
    repaired = database.repair(home)
    kept = database.keep_open(home)
    database.configure_sessions()
    created = asyncio.run(database.ensure_accounts(credentials, home)) if first or asked.ensure_accounts else []

    import uvicorn
    from argilla_server._app import app
    from jobs import start_worker

    start_worker()
    asked.report.write_text(json.dumps({"created": created, "repaired_records": repaired}), "utf-8")
    config = uvicorn.Config(
        _with_policy(app), access_log=False, log_level="warning", timeout_graceful_shutdown=STOP_TIMEOUT_S
    )
    # uvicorn ends in order and then sends itself the signal again, which would cut off what follows.
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=asked.socket)])
    kept.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder with credentials.json and the database")
    parser.add_argument("--socket", type=int, required=True, help="file descriptor of the listening socket")
    parser.add_argument("--url", required=True, help="address that the socket is reached at")
    parser.add_argument("--report", type=Path, required=True, help="file to write once everything is prepared")
    parser.add_argument("--ensure-accounts", action="store_true", help="create what credentials.json names")
    return parser.parse_args()


def _environment(secret_key: str, url: str) -> dict[str, str]:
    return {
        "ARGILLA_HOME_PATH": ".",
        "ARGILLA_DATABASE_URL": "sqlite+aiosqlite:///argilla.db",
        "ARGILLA_DATABASE_SQLITE_TIMEOUT": str(BUSY_TIMEOUT_S),
        "ARGILLA_SEARCH_ENGINE": "sql",
        "ARGILLA_AUTH_SECRET_KEY": secret_key,
        "ARGILLA_AUTH_OAUTH_CFG": "oauth.yaml",
        "ARGILLA_CORS_ORIGINS": json.dumps([url]),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def _with_policy(app: App) -> App:
    """Adds the content policy to every answer."""

    async def serve(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                header = (b"content-security-policy", CONTENT_POLICY.encode())
                message = {**message, "headers": [*message["headers"], header]}
            await send(message)

        await app(scope, receive, send_with_policy)

    return serve


if __name__ == "__main__":
    main()
