"""Brings a database to the newest schema: ours through Alembic, then the libraries' own tables, then the grants.

One process works, the others wait by asking again: a waiting `pg_advisory_lock` would hold a snapshot that
LangGraph's CREATE INDEX CONCURRENTLY waits for in turn, and hang both.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from langgraph.checkpoint.postgres import PostgresSaver
from procrastinate import App, SyncPsycopgConnector
from psycopg import sql
from psycopg.rows import dict_row

from memory.errors import Misconfigured, Unavailable

LOCK = 7_420_001
APPEND_ONLY = ("audit_log", "session_events", "kb_article_versions")


def migrate(owner_url: str, app_role: str, *, wait_s: float = 120) -> bool:
    """Migrate as the owner and let `app_role` in; safe to repeat and to run in many processes. True if it changed."""
    engine = sa.create_engine(sqlalchemy_url(owner_url), poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            if _is_current(connection):
                return False
            connection.commit()
            with _lock(connection, wait_s):
                if _is_current(connection):
                    return False
                connection.commit()
                _upgrade(connection)
                _set_up_libraries(owner_url)
                _grant(owner_url, app_role)
        return True
    finally:
        engine.dispose()


def sqlalchemy_url(url: str) -> str:
    """The same address for SQLAlchemy, which wants its driver named."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme.startswith("postgres") else url


def config(connection: sa.Connection | None = None) -> Config:
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    found.attributes["connection"] = connection
    return found


def _is_current(connection: sa.Connection) -> bool:
    """At the newest revision, grants included: the marker is written last."""
    head = ScriptDirectory.from_config(config()).get_current_head()
    if connection.scalar(sa.text("select to_regclass('public.schema_ready')")) is None:
        return False
    return bool(connection.scalar(sa.text("select revision from schema_ready")) == head)


@contextmanager
def _lock(connection: sa.Connection, wait_s: float) -> Iterator[None]:
    until = time.monotonic() + wait_s
    while not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(LOCK))):
        connection.commit()
        if time.monotonic() > until:
            raise Unavailable("another process has been migrating the database for too long")
        time.sleep(0.1)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(sa.select(sa.func.pg_advisory_unlock(LOCK)))
        connection.commit()


def _upgrade(connection: sa.Connection) -> None:
    try:
        connection.execute(sa.text("create extension if not exists vector"))
        connection.commit()
    except sa.exc.ProgrammingError as error:
        raise Misconfigured(
            "the owner of DATABASE_OWNER_URL may not create the extension `vector`: "
            "let an administrator run `create extension vector` in this database once"
        ) from error
    command.upgrade(config(connection), "head")
    connection.commit()


def _set_up_libraries(owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True, prepare_threshold=0, row_factory=dict_row) as connection:
        PostgresSaver(connection).setup()
        if connection.execute("select to_regclass('public.procrastinate_jobs') as found").fetchone() == {"found": None}:
            with App(connector=SyncPsycopgConnector(conninfo=owner_url)).open() as jobs:
                jobs.schema_manager.apply_schema()


def _grant(owner_url: str, app_role: str) -> None:
    """The application's role may use the rows and change no structure; histories only grow."""
    role = sql.Identifier(app_role)
    head = ScriptDirectory.from_config(config()).get_current_head()
    with psycopg.connect(owner_url) as connection:
        for statement in (
            "grant usage on schema public to {role}",
            "grant select, insert, update, delete on all tables in schema public to {role}",
            "grant usage, select on all sequences in schema public to {role}",
            "grant execute on all functions in schema public to {role}",
            "revoke insert, update, delete on tenants, alembic_version from {role}",
            "revoke delete on audit_log from {role}",
        ):
            connection.execute(sql.SQL(statement).format(role=role))
        for table in APPEND_ONLY:
            connection.execute(
                sql.SQL("revoke update on {table} from {role}").format(table=sql.Identifier(table), role=role)
            )
        connection.execute("create table if not exists schema_ready (revision text not null)")
        connection.execute("delete from schema_ready")
        connection.execute("insert into schema_ready values (%s)", (head,))
        connection.execute(sql.SQL("grant select on schema_ready to {role}").format(role=role))
