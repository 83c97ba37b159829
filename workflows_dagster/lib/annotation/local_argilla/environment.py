"""The server's own Python environment: its old pins cannot live beside ours, so uv keeps it apart."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from workflows_dagster.lib.errors import ConfigurationError, WorkerFailedError

SCRIPT: Final = Path(__file__).parent / "server" / "serve.py"
STDERR_LINES: Final = 15
_FOREIGN: Final = ("ARGILLA_", "PYTHON", "VIRTUAL_ENV", "UV_PROJECT")
"""Variables that would lead the server, or uv, away from what is meant here."""


def find_uv() -> Path:
    """The uv to use: the one that runs this, beside this interpreter, on PATH, or where the Makefile puts it.

    Raises:
        ConfigurationError: There is none.
    """
    beside = Path(sys.executable).parent / "uv"
    brought_along = Path(sys.prefix).parent / ".uv" / "bin" / "uv"
    candidates = [os.environ.get("UV"), beside, shutil.which("uv"), brought_along]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate)
    raise ConfigurationError(
        "uv was not found; it makes the environment of the Argilla server",
        given=[str(candidate) for candidate in candidates if candidate],
        expected="uv on PATH or beside Python",
        remedy="run `make setup`, which brings it along, or `pip install uv`",
    )


def prepare_interpreter(say: Callable[[str], None]) -> Path:
    """The interpreter of the server's environment, which is installed first where it is missing.

    Only that first time needs PyPI (or a filled cache of uv); what is installed is fixed by serve.py.lock.

    Raises:
        ConfigurationError: There is no uv.
        WorkerFailedError: The installation failed; with the end of what uv said.
    """
    uv = find_uv()
    sync = ["sync", "--script", str(SCRIPT), "--frozen", "--python", sys.executable, "--compile-bytecode"]
    if _run(uv, *sync, "--offline").returncode:
        say("Installing the Argilla server into an environment of its own: once, about 450 MB, from PyPI ...")
        _checked(_run(uv, *sync), "the environment of the Argilla server could not be installed")
    found = _run(uv, "python", "find", "--script", str(SCRIPT))
    _checked(found, "uv does not find the environment that it has just made")
    return Path(found.stdout.strip())


def clean_environment() -> dict[str, str]:
    """The environment of this process without what would lead the server astray."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**kept, "UV_PYTHON_DOWNLOADS": "never"}


def _run(uv: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [uv, *arguments], capture_output=True, text=True, check=False, env=clean_environment(), stdin=subprocess.DEVNULL
    )


def _checked(process: "subprocess.CompletedProcess[str]", problem: str) -> None:
    if process.returncode:
        raise WorkerFailedError(
            problem,
            given="uv ended with: " + "\n".join(process.stderr.splitlines()[-STDERR_LINES:]),
            expected="PyPI, or a mirror that uv knows, within reach the first time",
            remedy="mend what uv names and start again; it needs no network once it has been installed",
        )
