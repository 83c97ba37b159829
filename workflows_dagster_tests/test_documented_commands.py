"""Every command of the documentation, run as written and in the order in which a reader comes to it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import pytest

from workflows_dagster_tests.readme.document import DOCUMENTS, ROOT
from workflows_dagster_tests.readme.shell import Block, blocks_of, mismatch

PAGES: Final = [path for path in DOCUMENTS if path.parent.name == "docs"]
# Ends with what the next block needs to know.
SCRIPT: Final = """
set -euo pipefail
cd "$(cat {state}/folder)"
. {state}/variables
{commands}
pwd > {state}/folder
export -p > {state}/variables
"""


class Reader:
    """Somebody who has a checkout, make, Python and no uv, and types what the documentation says.

    The set-up is taken as done: the environment of these tests stands in for what `make setup` installs.
    """

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "workflows_dagster"
        self._state = folder / "state"
        self._state.mkdir()
        (self._state / "variables").touch()
        left = shutil.ignore_patterns(
            ".git", ".venv", ".uv", "site", ".*cache", ".hypothesis", ".workflows_dagster", ".dagster_home"
        )
        shutil.copytree(ROOT, self.checkout, ignore=left)
        _stand_in(self.checkout)
        (folder / "home").mkdir()
        path = [
            one for one in os.environ["PATH"].split(os.pathsep) if not (Path(one) / "uv").exists() and "venv" not in one
        ]
        self._environment = {"HOME": str(folder / "home"), "PATH": os.pathsep.join(path), "COLUMNS": "200"}

    def read(self, document: Path) -> None:
        """Does what a document says, block by block, from the checkout on."""
        (self._state / "folder").write_text(str(self.checkout))
        printed = ""
        for block in blocks_of(document.read_text("utf-8")):
            where = f"{document.name}:{block.line}"
            match block.kind:
                case "commands":
                    printed = self._run(block, where)
                case "output":
                    missing = mismatch(block.text, printed)
                    assert missing is None, f"{where}: {missing!r} was not printed, but\n{printed}"
                case "file":
                    folder = Path((self._state / "folder").read_text().strip())
                    (folder / block.name).write_text(block.text, "utf-8")
                case "not run":
                    assert block.name, f"{where} has to say why it is not run"
                case "shown":
                    pass

    def _run(self, block: Block, where: str) -> str:
        script = SCRIPT.format(state=self._state, commands=block.text)
        done = subprocess.run(
            ["bash", "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=self._environment,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{where}:\n{block.text}\nended with {done.returncode}:\n{done.stdout}"
        return done.stdout


def _stand_in(checkout: Path) -> None:
    """An environment in the checkout that has the packages of this one, and the commands that they install."""
    venv.create(checkout / ".venv", symlinks=True)
    bin_folder = checkout / ".venv" / "bin"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(checkout / ".venv")}))
    (packages / "stand_in.pth").write_text(f"{checkout}\n{sysconfig.get_path('purelib')}\n")
    for entry in entry_points(group="console_scripts", name="workflows-dagster"):
        script = bin_folder / entry.name
        script.write_text(f"#!{bin_folder / 'python'}\nfrom {entry.module} import {entry.attr}\n{entry.attr}()\n")
        script.chmod(0o755)
    uv = checkout / ".uv" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.touch()
    for stamp in (".running", ".developing"):
        (checkout / ".venv" / stamp).touch()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """One reader for all pages, who begins with README.md: the pages after it build on its demo."""
    reader = Reader(tmp_path_factory.mktemp("reader"))
    reader.read(ROOT / "README.md")
    return reader


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the documentation's outputs are those of Linux")
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_work_as_written(reader: Reader, page: Path) -> None:
    reader.read(page)
