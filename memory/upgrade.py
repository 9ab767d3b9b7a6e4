"""The work of a migration: our own schema through Alembic, the libraries' tables, and the grants.

Apart from `memory/migrate.py`, which every start runs, because these imports take half a second.
"""

from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from langgraph.checkpoint.postgres import PostgresSaver
from procrastinate import App, SyncPsycopgConnector
from psycopg import sql
from psycopg.rows import dict_row

from memory.errors import Misconfigured

APPEND_ONLY = ("audit_log", "session_events", "kb_article_versions")


def upgrade(connection: sa.Connection, owner_url: str, app_role: str, head: str) -> None:
    """Bring everything to `head`, whose name is written last: whoever reads it finds the rest in place."""
    _upgrade(connection)
    _set_up_libraries(owner_url)
    _grant(owner_url, app_role, head)


def config(connection: sa.Connection | None = None) -> Config:
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    found.attributes["connection"] = connection
    return found


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


def _grant(owner_url: str, app_role: str, head: str) -> None:
    """The application's role may use the rows and change no structure; histories only grow."""
    role = sql.Identifier(app_role)
    with psycopg.connect(owner_url) as connection:
        for statement in (
            "grant usage on schema public to {role}",
            "grant select, insert, update, delete on all tables in schema public to {role}",
            "grant usage, select on all sequences in schema public to {role}",
            "grant execute on all functions in schema public to {role}",
            "revoke insert, update, delete on tenants, alembic_version from {role}",
            "revoke delete on audit_log, session_events from {role}",
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
