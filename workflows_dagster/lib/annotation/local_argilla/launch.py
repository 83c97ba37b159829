"""Starts, watches and ends the local Argilla: one process, bound to loopback, with one folder for its data."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from workflows_dagster.lib.annotation.local_argilla.credentials import Credentials, prepare_credentials
from workflows_dagster.lib.annotation.local_argilla.environment import SCRIPT, clean_environment, prepare_interpreter
from workflows_dagster.lib.errors import ConfigurationError, WorkerFailedError
from workflows_dagster.lib.process_guard import die_with_parent, exclusive

HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 6900
LOG_FILE: Final = "argilla.log"
START_TIMEOUT_S: Final = 180.0
STOP_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.1
_LOG_LINES: Final = 15

Say = Callable[[str], None]


@dataclass(frozen=True)
class LocalArgilla:
    """A server that answers.

    Args:
        url: Where.
        home: Folder of its database, credentials and log.
        credentials: What opens it.
        created: Names of the accounts that this start has made.
        repaired_records: Records whose state a kill had left behind their responses, mended by this start.
        process: The server.
    """

    url: str
    home: Path
    credentials: Credentials
    created: tuple[str, ...]
    repaired_records: int
    process: "subprocess.Popen[bytes]"

    def wait(self) -> None:
        """Waits as long as the server runs.

        Raises:
            WorkerFailedError: It ended, which nobody had asked for.
        """
        self.process.wait()
        raise _died(self.process, self.home)


@contextmanager
def local_argilla(
    home: Path,
    *,
    port: int = DEFAULT_PORT,
    annotators: int | None = None,
    workspace: str | None = None,
    say: Say = lambda _line: None,
) -> Generator[LocalArgilla]:
    """Runs the real argilla-server on loopback for as long as the context lasts.

    Args:
        home: Folder of everything it keeps; made where it is missing, readable by its owner only.
        port: Port on 127.0.0.1; 0 takes a free one.
        annotators: Makes sure of so many. Without it, the first start makes three and later ones none.
        workspace: Name of the workspace, made where it is missing. Without it, the one of last time.
        say: Told what takes long.

    Raises:
        ConfigurationError: No uv, the port is taken, or the credentials in the folder cannot be read.
        AlreadyRunningError: Another server works on this folder.
        WorkerFailedError: The environment could not be installed, or the server did not come up.
    """
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with exclusive(home), _scratch(home) as scratch, _listening(port) as listening:
        interpreter = prepare_interpreter(say)
        credentials = prepare_credentials(home, annotators=annotators, workspace=workspace)
        url = f"http://{HOST}:{listening.getsockname()[1]}"
        report = scratch / "report.json"
        arguments = ["--home", str(home), "--url", url, "--report", str(report), "--socket", str(listening.fileno())]
        if annotators is not None or workspace is not None:
            arguments.append("--ensure-accounts")
        with _running(interpreter, arguments, listening, home, scratch) as process:
            _await_answer(process, url, home)
            told = json.loads(report.read_text("utf-8"))
            yield LocalArgilla(url, home, credentials, tuple(told["created"]), told["repaired_records"], process)


def run_argilla(
    home: Path,
    *,
    port: int = DEFAULT_PORT,
    annotators: int | None = None,
    workspace: str | None = None,
    say: Say,
) -> None:
    """Runs a local Argilla in the foreground until Ctrl-C, SIGTERM or the terminal's end; see `local_argilla`."""
    with _signals_as_interrupt():
        try:
            with local_argilla(home, port=port, annotators=annotators, workspace=workspace, say=say) as server:
                for line in describe(server):
                    say(line)
                server.wait()
        except KeyboardInterrupt:
            say("Argilla has ended; its data stay.")


def describe(server: LocalArgilla) -> list[str]:
    """What a person must know once the server answers; passwords only of accounts made just now."""
    made = [account for account in server.credentials.accounts if account.username in server.created]
    lines = [f"Argilla answers at {server.url} (workspace {server.credentials.workspace}, data in {server.home})"]
    if made:
        width = max(len(account.username) for account in made)
        lines += [f"  {account.username:<{width}}  password {account.password}" for account in made]
        lines.append("Passwords are shown this once; they are kept, with the API keys, in credentials.json there.")
    if server.repaired_records:
        lines.append(f"Mended {server.repaired_records} records whose state the last end had left behind.")
    lines.append("Good for pilots of a few thousand records on this machine; production uses a full Argilla.")
    return [*lines, "Ctrl-C ends it."]


@contextmanager
def _scratch(home: Path) -> Generator[Path]:
    """An empty folder for temporary files, gone afterwards; what a kill left there goes first."""
    scratch = home / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _listening(port: int) -> Generator[socket.socket]:
    """The listening socket, which the server inherits: a port that is taken shows at once, and no other can slip in."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"the local Argilla cannot listen on port {port}: {error}",
                given=port,
                expected="a free port of 127.0.0.1, above 1023 unless you are root",
                remedy="choose another with --port, or --port 0 for any free one",
            ) from error
        listening.listen(128)
        listening.set_inheritable(True)
        yield listening


@contextmanager
def _running(
    interpreter: Path, arguments: list[str], listening: socket.socket, home: Path, scratch: Path
) -> Generator["subprocess.Popen[bytes]"]:
    """The server's process, which ends with this context, and with this process however that ends."""
    with (home / LOG_FILE).open("ab") as log:
        process = subprocess.Popen(
            [interpreter, "-s", SCRIPT, *arguments],
            cwd=home,
            env={**clean_environment(), "TMPDIR": str(scratch)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[listening.fileno()],
            # Ctrl-C reaches this process alone, which then ends the server in order.
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    # From here on the port is the server's: when it dies, callers are refused instead of left waiting.
    listening.close()
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except BaseException:
            process.kill()
            process.wait()
            raise


def _await_answer(process: "subprocess.Popen[bytes]", url: str, home: Path) -> None:
    give_up = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise _died(process, home)
        try:
            with urllib.request.urlopen(f"{url}/api/v1/status", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_S)
    raise WorkerFailedError(
        "the local Argilla did not come up",
        given=f"no answer within {START_TIMEOUT_S:g} s; its log ends: {_log_end(home)}",
        expected=f"an answer at {url}/api/v1/status",
        remedy=f"look into {home / LOG_FILE}, then start again",
    )


def _died(process: "subprocess.Popen[bytes]", home: Path) -> WorkerFailedError:
    return WorkerFailedError(
        "the local Argilla has ended",
        given=f"exit code {process.returncode}; its log ends: {_log_end(home)}",
        expected="a server that runs until it is told to end",
        remedy=f"look into {home / LOG_FILE}, then start again: what was answered is kept",
    )


def _log_end(home: Path) -> str:
    return "\n".join((home / LOG_FILE).read_text("utf-8", "replace").splitlines()[-_LOG_LINES:]) or "(empty)"


@contextmanager
def _signals_as_interrupt() -> Generator[None]:
    """Has SIGTERM and SIGHUP do what Ctrl-C does, and Ctrl-C that for certain, whatever a library made of it.

    What this process was started to ignore stays ignored, as SIGHUP under nohup.
    """

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    heeded = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]
    before = {number: signal.signal(number, interrupt) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
