"""The accounts of a local Argilla: made at random at the first start, kept in a file that only its owner may read."""

import os
import secrets
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.local_argilla.server.files import CREDENTIALS, DATABASE, UNFINISHED

DEFAULT_ANNOTATORS: Final = 3
DEFAULT_WORKSPACE: Final = "reviews"
_PASSWORD_BYTES: Final = 9
_KEY_BYTES: Final = 32


class Account(BaseModel):
    """One user of the server. Its secrets never reach logs: neither `repr` nor an error shows them."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    username: str
    role: Literal["owner", "annotator"]
    password: str = Field(repr=False)
    api_key: str = Field(repr=False)


class Credentials(BaseModel):
    """Everything that opens a local Argilla.

    Attributes:
        workspace: Name of the workspace that every account belongs to.
        secret_key: Signs the sessions of browsers, so that they survive a restart.
        accounts: The owner first, then the annotators.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    workspace: str
    secret_key: str = Field(repr=False)
    accounts: tuple[Account, ...] = Field(min_length=1)

    @property
    def owner(self) -> Account:
        """The account that may create datasets and users."""
        return self.accounts[0]

    @property
    def annotators(self) -> tuple[Account, ...]:
        """The accounts that answer."""
        return self.accounts[1:]


def prepare_credentials(home: Path, *, annotators: int | None, workspace: str | None) -> Credentials:
    """The credentials of a home folder, made at the first start and extended where more is asked for.

    Args:
        home: Folder of the server.
        annotators: How many there must be at least; none is ever removed. None: three for a new home.
        workspace: Name of the workspace. None: the one of the last start.

    Raises:
        ConfigurationError: The file cannot be read, or is gone while the database is there.
    """
    new = not (home / CREDENTIALS).exists() and (not (home / DATABASE).exists() or (home / UNFINISHED).exists())
    if new:
        owner = _new_account("owner", "owner")
        found = Credentials(
            workspace=DEFAULT_WORKSPACE, secret_key=secrets.token_urlsafe(_KEY_BYTES), accounts=(owner,)
        )
    else:
        found = read_credentials(home)
    have = {account.username for account in found.accounts}
    asked = (DEFAULT_ANNOTATORS if new else 0) if annotators is None else annotators
    names = [f"annotator_{number}" for number in range(1, asked + 1)]
    accounts = (*found.accounts, *(_new_account(name, "annotator") for name in names if name not in have))
    wanted = found.model_copy(update={"workspace": workspace or found.workspace, "accounts": accounts})
    if new or wanted != found:
        _write(home / CREDENTIALS, wanted)
    return wanted


def read_credentials(home: Path) -> Credentials:
    """The credentials that a home folder keeps.

    Raises:
        ConfigurationError: There are none, or they cannot be read.
    """
    path = home / CREDENTIALS
    try:
        return Credentials.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} does not hold the accounts of a local Argilla",
            given=type(error).__name__,
            expected="the file that `workflows-dagster argilla` wrote at first start",
            remedy="bring it back, or start with another --home",
        ) from error


def _new_account(username: str, role: Literal["owner", "annotator"]) -> Account:
    return Account(
        username=username,
        role=role,
        password=secrets.token_urlsafe(_PASSWORD_BYTES),
        api_key=secrets.token_urlsafe(_KEY_BYTES),
    )


def _write(path: Path, credentials: Credentials) -> None:
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    # Created with its mode: at no moment can others read it.
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(credentials.model_dump_json(indent=2))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
