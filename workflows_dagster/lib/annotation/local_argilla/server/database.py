# pyright: reportMissingImports=false
"""The SQLite database of the local server: made in one piece, opened so that a kill never harms it, mended at start."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import alembic.command
from alembic.config import Config
from alembic.script import ScriptDirectory
from argilla_server.contexts import accounts
from argilla_server.database import ALEMBIC_CONFIG_FILE, AsyncSessionLocal
from argilla_server.models import Record, User, UserRole, Vector, Workspace, WorkspaceUser
from argilla_server.settings import settings
from files import DATABASE, UNFINISHED
from sql_search import register_sql_functions
from sqlalchemy import Connection, Select, event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import ORMExecuteState, Session, defaultload
from sqlalchemy.pool import NullPool

_MEND = """
WITH due AS (
    SELECT records.id, CASE WHEN count(responses.id) >= json_extract(datasets.distribution, '$.min_submitted')
           THEN 'completed' ELSE 'pending' END AS status
    FROM records JOIN datasets ON datasets.id = records.dataset_id
    LEFT JOIN responses ON responses.record_id = records.id AND responses.status = 'submitted'
    GROUP BY records.id)
UPDATE records SET status = due.status FROM due WHERE due.id = records.id AND due.status <> records.status
"""


def migrate(home: Path) -> bool:
    """Makes the tables where there are none; whether it did.

    Raises:
        SystemExit: The database was made by another version of Argilla.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(ALEMBIC_CONFIG_FILE).parent / "alembic"))
    newest = ScriptDirectory.from_config(config).get_current_head()
    database, unfinished = home / DATABASE, home / UNFINISHED
    if unfinished.exists():
        for left in home.glob(f"{DATABASE}-*"):
            left.unlink()
        database.unlink(missing_ok=True)
    if not database.exists():
        unfinished.touch()
        alembic.command.upgrade(config, "head")
        return True
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    if found != [(newest,)]:
        raise SystemExit(
            f"{database} is at revision {found}. Expected: {newest}. Next: migrate it, or use another --home."
        )
    return False


def mend(home: Path) -> int:
    """Sets the states of records that a kill left behind their responses; how many it were.

    The server commits a response first and the state of its record after that.
    """
    with closing(sqlite3.connect(home / DATABASE)) as connection, connection:
        connection.execute(_MEND)
        return connection.total_changes


def keep_open(home: Path) -> sqlite3.Connection:
    """Switches the write-ahead log on, in which readers never wait for a writer, and holds it.

    Without a connection that stays, each request would be the last to close and would merge the log into the database.
    """
    connection = sqlite3.connect(home / DATABASE)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("SELECT count(*) FROM users").fetchall()
    return connection


def configure_sessions() -> None:
    """Has every session open its own connection, so that the jobs' thread and the server never share one."""
    engine = create_async_engine(settings.database_url, poolclass=NullPool, **settings.database_engine_args)
    event.listen(engine.sync_engine, "connect", register_sql_functions)
    event.listen(engine.sync_engine, "begin", _begin)
    event.listen(Session, "do_orm_execute", _load_names_of_vectors)
    AsyncSessionLocal.configure(bind=engine)


def _begin(connection: Connection) -> None:
    """Takes the lock for writing at once where a handler asks for SERIALIZABLE, which SQLite's driver ignores.

    The server counts a record's responses and then writes its state: two of these must not run into each other.
    """
    if connection.get_execution_options().get("isolation_level") == "SERIALIZABLE":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _load_names_of_vectors(execution: ORMExecuteState) -> None:
    """Loads what a vector is called wherever vectors are loaded.

    Without it argilla-server 2.8.0 answers `GET /records/{id}` with 500 where a record has vectors: it forgets them.
    """
    found = execution.statement
    if isinstance(found, Select) and any(entity["expr"] is Record for entity in found.column_descriptions):
        execution.statement = found.options(defaultload(Record.vectors).joinedload(Vector.vector_settings))


async def ensure_accounts(credentials: Path, home: Path) -> list[str]:
    """Creates the workspace and the users that the file names and the database lacks; the names of new users."""
    wanted: dict[str, Any] = json.loads(credentials.read_text("utf-8"))
    async with AsyncSessionLocal() as db:
        workspace = await Workspace.get_by(db, name=wanted["workspace"])
        if workspace is None:
            workspace = await Workspace.create(db, name=wanted["workspace"], autocommit=False)
        created = [account["username"] for account in wanted["accounts"] if await _ensure(db, account, workspace)]
        await db.commit()
    (home / UNFINISHED).unlink(missing_ok=True)
    return created


async def _ensure(db: AsyncSession, account: dict[str, str], workspace: Workspace) -> bool:
    user = await User.get_by(db, username=account["username"])
    created = user is None
    if user is None:
        user = await User.create(
            db,
            first_name=account["username"],
            username=account["username"],
            role=UserRole(account["role"]),
            password_hash=accounts.hash_password(account["password"]),
            api_key=account["api_key"],
            autocommit=False,
        )
    if not user.is_owner and await WorkspaceUser.get_by(db, workspace_id=workspace.id, user_id=user.id) is None:
        await WorkspaceUser.create(db, workspace_id=workspace.id, user_id=user.id, autocommit=False)
    return created
