"""The accounts of a local Argilla: made at random at first start, kept in a file that only its owner may read."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from workflows_dagster.lib.annotation.local_argilla.server.files import CREDENTIALS, DATABASE, UNFINISHED
from workflows_dagster.lib.errors import ConfigurationError

DEFAULT_ANNOTATORS: Final = 3
DEFAULT_WORKSPACE: Final = "reviews"
OWNER: Final = "owner"
_PASSWORD_BYTES: Final = 9
_KEY_BYTES: Final = 32


@dataclass(frozen=True)
class Account:
    """One user of the server, with the secrets that the server itself keeps only in part."""

    username: str
    role: Literal["owner", "annotator"]
    password: str
    api_key: str

    def __repr__(self) -> str:
        """Name and role only: secrets never reach logs."""
        return f"Account({self.username!r}, {self.role!r})"


@dataclass(frozen=True, repr=False)
class Credentials:
    """Everything that opens a local Argilla.

    Args:
        workspace: Name of the workspace that every account belongs to.
        secret_key: Signs the sessions of browsers, which so survive a restart.
        accounts: The owner first, then the annotators.
    """

    workspace: str
    secret_key: str
    accounts: tuple[Account, ...]

    @property
    def owner(self) -> Account:
        """Who may make datasets and users."""
        return next(account for account in self.accounts if account.role == "owner")

    @property
    def annotators(self) -> tuple[Account, ...]:
        """Who answers."""
        return tuple(account for account in self.accounts if account.role == "annotator")


def prepare_credentials(home: Path, *, annotators: int | None, workspace: str | None) -> Credentials:
    """The credentials of a home folder, made at first start and extended where more is asked for.

    Args:
        home: Folder of the server.
        annotators: How many there must be at least; none is ever removed. Without it, three for a new home.
        workspace: Name of the workspace. Without it, the one of last time.

    Raises:
        ConfigurationError: The file is not one that this module wrote, or is gone while the database is there.
    """
    path = home / CREDENTIALS
    new = not path.exists() and (not (home / DATABASE).exists() or (home / UNFINISHED).exists())
    found = (
        Credentials(DEFAULT_WORKSPACE, secrets.token_hex(_KEY_BYTES), (_new(OWNER),)) if new else read_credentials(home)
    )
    have = {account.username for account in found.accounts}
    asked = (DEFAULT_ANNOTATORS if new else 0) if annotators is None else annotators
    names = [f"annotator_{number}" for number in range(1, asked + 1)]
    accounts = (*found.accounts, *(_new(name) for name in names if name not in have))
    wanted = Credentials(workspace or found.workspace, found.secret_key, accounts)
    if new or wanted != found:
        _write(path, wanted)
    return wanted


def read_credentials(home: Path) -> Credentials:
    """The credentials that a home folder keeps.

    Raises:
        ConfigurationError: There are none, or they cannot be read.
    """
    path = home / CREDENTIALS
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        accounts = tuple(Account(**account) for account in record["accounts"])
        credentials = Credentials(record["workspace"], record["secret_key"], accounts)
        _ = credentials.owner
    except (OSError, ValueError, TypeError, KeyError, StopIteration) as error:
        raise ConfigurationError(
            f"{path} does not hold the accounts of a local Argilla",
            given=type(error).__name__,
            expected="the file that `workflows-dagster argilla` wrote at first start",
            remedy="bring it back, or start with another --home",
        ) from error
    return credentials


def _new(username: str) -> Account:
    role = "owner" if username == OWNER else "annotator"
    return Account(username, role, secrets.token_urlsafe(_PASSWORD_BYTES), secrets.token_urlsafe(_KEY_BYTES))


def _write(path: Path, credentials: Credentials) -> None:
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    # Created with its mode, never opened up for a moment first.
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(credentials), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
