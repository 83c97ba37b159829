"""Starts, watches and ends the local Argilla: one process, bound to loopback, with one folder for its data."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from workflows_dagster.lib.errors import ConfigurationError, WorkerFailedError
from workflows_dagster.lib.process_guard import die_with_parent, exclusive
from workflows_dagster.local_argilla import DEFAULT_PORT
from workflows_dagster.local_argilla.credentials import Credentials, prepare_credentials

HOST: Final = "127.0.0.1"
LOG_FILE: Final = "argilla.log"
START_TIMEOUT_S: Final = 180.0
STOP_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.1
_LINES_SHOWN: Final = 15
_SCRIPT: Final = Path(__file__).parent / "server" / "serve.py"
_FOREIGN: Final = ("ARGILLA_", "PYTHON", "VIRTUAL_ENV", "UV_PROJECT")
"""Prefixes of variables that would configure the server, or uv, otherwise than is meant here."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class LocalArgilla:
    """A server that answers.

    Attributes:
        url: Its address.
        home: Folder of its database, credentials and log.
        credentials: What opens it.
        created: Names of the accounts that this start created.
        repaired_records: Records whose state this start corrected, after a kill between an answer and the state.
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
            WorkerFailedError: It ended by itself.
        """
        self.process.wait()
        raise _died(self.process, self.home)


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
    """What a person must know once the server answers; passwords only of accounts that were just created."""
    made = [account for account in server.credentials.accounts if account.username in server.created]
    lines = [f"Argilla answers at {server.url} (workspace {server.credentials.workspace}, data in {server.home})"]
    if made:
        width = max(len(account.username) for account in made)
        lines += [f"  {account.username:<{width}}  password {account.password}" for account in made]
        lines.append("Passwords are shown this once; they are kept, with the API keys, in credentials.json there.")
    if server.repaired_records:
        lines.append(f"Repaired the state of {server.repaired_records} records after an unclean end.")
    lines.append("Good for pilots of a few thousand records on this machine; production uses a full Argilla.")
    return [*lines, "Ctrl-C ends it."]


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
        home: Folder of everything it keeps; created if it is missing, readable by its owner only.
        port: Port on 127.0.0.1; 0 takes a free one.
        annotators: The least number of annotators. None: three at the first start, later those that there are.
        workspace: Name of the workspace, created if it is missing. None: the one of the last start.
        say: Is told what takes long.

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


def prepare_interpreter(say: Say) -> Path:
    """The interpreter of the server's environment, which is installed first if it is missing.

    Only the installation needs PyPI (or a filled cache of uv); serve.py.lock fixes what is installed.

    Raises:
        ConfigurationError: There is no uv.
        WorkerFailedError: The installation failed; with the end of uv's output.
    """
    uv = find_uv()
    sync = ["sync", "--script", str(_SCRIPT), "--frozen", "--python", sys.executable, "--compile-bytecode"]
    if _run(uv, *sync, "--offline").returncode:
        say("Installing the Argilla server into an environment of its own: once, about 450 MB, from PyPI ...")
        _check(_run(uv, *sync), "the environment of the Argilla server could not be installed")
    found = _run(uv, "python", "find", "--script", str(_SCRIPT))
    _check(found, "uv does not find the environment that it has just made")
    return Path(found.stdout.strip())


def find_uv() -> Path:
    """The uv to use: the one that runs this, beside this interpreter, on PATH, or where the Makefile puts it.

    Raises:
        ConfigurationError: There is none.
    """
    beside = Path(sys.executable).parent / "uv"
    of_makefile = Path(sys.prefix).parent / ".uv" / "bin" / "uv"
    candidates = [os.environ.get("UV"), beside, shutil.which("uv"), of_makefile]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate)
    raise ConfigurationError(
        "uv was not found; it makes the environment of the Argilla server",
        given=[str(candidate) for candidate in candidates if candidate],
        expected="uv on PATH or beside Python",
        remedy="run `make setup`, which brings it along, or `pip install uv`",
    )


def clean_environment() -> dict[str, str]:
    """The environment of this process without variables that would configure the server or uv."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**kept, "UV_PYTHON_DOWNLOADS": "never"}


def _run(uv: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [uv, *arguments], capture_output=True, text=True, check=False, env=clean_environment(), stdin=subprocess.DEVNULL
    )


def _check(process: "subprocess.CompletedProcess[str]", problem: str) -> None:
    if process.returncode:
        raise WorkerFailedError(
            problem,
            given="uv ended with: " + "\n".join(process.stderr.splitlines()[-_LINES_SHOWN:]),
            expected="PyPI, or a mirror that uv knows, within reach the first time",
            remedy="correct what uv names and start again; once installed, it needs no network",
        )


@contextmanager
def _scratch(home: Path) -> Generator[Path]:
    """An empty folder for temporary files, removed afterwards; leftovers of a kill are removed first."""
    scratch = home / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _listening(port: int) -> Generator[socket.socket]:
    """The listening socket, which the server inherits: a taken port shows at once, and nobody can take it meanwhile."""
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
            [interpreter, "-s", _SCRIPT, *arguments],
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
    # From here on only the server holds the port: when it dies, callers are refused instead of left waiting.
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
    def ask() -> None:
        if process.poll() is not None:
            raise _died(process, home)
        urllib.request.urlopen(f"{url}/api/v1/status", timeout=5).close()

    patiently = Retrying(
        retry=retry_if_exception_type(OSError),
        stop=stop_after_delay(START_TIMEOUT_S),
        wait=wait_fixed(_POLL_S),
        reraise=True,
    )
    try:
        patiently(ask)
    except OSError as error:
        raise WorkerFailedError(
            "the local Argilla did not come up",
            given=f"no answer within {START_TIMEOUT_S:g} s; its log ends: {_log_end(home)}",
            expected=f"an answer at {url}/api/v1/status",
            remedy=f"look into {home / LOG_FILE}, then start again",
        ) from error


def _died(process: "subprocess.Popen[bytes]", home: Path) -> WorkerFailedError:
    return WorkerFailedError(
        "the local Argilla has ended",
        given=f"exit code {process.returncode}; its log ends: {_log_end(home)}",
        expected="a server that runs until it is told to end",
        remedy=f"look into {home / LOG_FILE}, then start again: what was answered is kept",
    )


def _log_end(home: Path) -> str:
    return "\n".join((home / LOG_FILE).read_text("utf-8", "replace").splitlines()[-_LINES_SHOWN:]) or "(empty)"


@contextmanager
def _signals_as_interrupt() -> Generator[None]:
    """Makes SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, whatever handler a library has installed.

    Signals that this process was started to ignore stay ignored, as SIGHUP under nohup.
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
