"""Serves a lakeFS server for tests in a process of its own: python -m workflows_dagster_tests.lakefs_server --root DIR.

It prints its address in one line. Keys come from LAKEFS_ACCESS_KEY_ID and LAKEFS_SECRET_ACCESS_KEY. A fault is ordered
by POST /_faults, with the fields of `Fault`; the requests that came are at /_requests.
"""

import argparse
import os
import signal
import threading
from pathlib import Path

from workflows_dagster_tests.lakefs_server.server import LoopbackLakeFS

parser = argparse.ArgumentParser(description="A lakeFS server for tests.")
parser.add_argument("--root", type=Path, required=True, help="folder that holds what it stores")
parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 is any free one")
chosen = parser.parse_args()
keys = os.environ["LAKEFS_ACCESS_KEY_ID"], os.environ["LAKEFS_SECRET_ACCESS_KEY"]
stop = threading.Event()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stop.set())
with LoopbackLakeFS(chosen.root, *keys, port=chosen.port) as server:
    print(server.endpoint, flush=True)
    stop.wait()
