# pyright: reportMissingImports=false
"""The SQLite database of the local server: created, opened and repaired so that a kill at any time is safe."""

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
from search import register_sql_functions
from sqlalchemy import Connection, Select, event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import ORMExecuteState, Session, defaultload
from sqlalchemy.pool import NullPool

_REPAIR = """
WITH due AS (
    SELECT records.id, CASE WHEN count(responses.id) >= json_extract(datasets.distribution, '$.min_submitted')
           THEN 'completed' ELSE 'pending' END AS status
    FROM records JOIN datasets ON datasets.id = records.dataset_id
    LEFT JOIN responses ON responses.record_id = records.id AND responses.status = 'submitted'
    GROUP BY records.id)
UPDATE records SET status = due.status FROM due WHERE due.id = records.id AND due.status <> records.status
"""


def migrate(home: Path) -> bool:
    """Creates the tables if there are none; returns whether it did.

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


def repair(home: Path) -> int:
    """Corrects the states of records that do not match their responses; returns how many were wrong.

    The server commits a response before the state of its record: a kill between the two leaves the old state.
    """
    with closing(sqlite3.connect(home / DATABASE)) as connection, connection:
        connection.execute(_REPAIR)
        return connection.total_changes


def keep_open(home: Path) -> sqlite3.Connection:
    """Turns on the write-ahead log, so that readers never wait for a writer; returns a connection to keep open.

    Without it, each request would close the last connection, and SQLite would merge the log into the database.
    """
    connection = sqlite3.connect(home / DATABASE)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("SELECT count(*) FROM users").fetchall()
    return connection


def configure_sessions() -> None:
    """Gives every session a connection of its own, so that the thread of the jobs and the server never share one."""
    engine = create_async_engine(settings.database_url, poolclass=NullPool, **settings.database_engine_args)
    event.listen(engine.sync_engine, "connect", register_sql_functions)
    event.listen(engine.sync_engine, "begin", _begin)
    event.listen(Session, "do_orm_execute", _load_names_of_vectors)
    AsyncSessionLocal.configure(bind=engine)


def _begin(connection: Connection) -> None:
    """Takes the write lock at once where a handler asks for SERIALIZABLE, which SQLite's driver ignores.

    The server counts the responses of a record and then writes its state; no two handlers may interleave in this.
    """
    if connection.get_execution_options().get("isolation_level") == "SERIALIZABLE":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _load_names_of_vectors(execution: ORMExecuteState) -> None:
    """Loads the settings of vectors, which hold their names, wherever vectors are loaded.

    argilla-server 2.8.0 forgets to, and answers `GET /records/{id}` with 500 for a record with vectors.
    """
    found = execution.statement
    if isinstance(found, Select) and any(entity["expr"] is Record for entity in found.column_descriptions):
        execution.statement = found.options(defaultload(Record.vectors).joinedload(Vector.vector_settings))


async def ensure_accounts(credentials: Path, home: Path) -> list[str]:
    """Creates the workspace and the users of the file that the database lacks; returns the names of the new users."""
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
