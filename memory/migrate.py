"""Brings a database to the newest schema: ours through Alembic, then the libraries' own tables, then the grants.

One process works, the others wait by asking again: a waiting `pg_advisory_lock` would hold a snapshot that
LangGraph's CREATE INDEX CONCURRENTLY waits for in turn, and hang both.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from memory.errors import Unavailable

LOCK = 7_420_001
HEAD = "0011"
"""The newest revision in `memory/migrations`; a test holds it against Alembic."""


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
                from memory.upgrade import upgrade  # only where there is something to do

                upgrade(connection, owner_url, app_role, HEAD)
        return True
    finally:
        engine.dispose()


def sqlalchemy_url(url: str) -> str:
    """The same address for SQLAlchemy, which wants its driver named."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme.startswith("postgres") else url


def _is_current(connection: sa.Connection) -> bool:
    """At the newest revision, grants included: the marker is written last."""
    if connection.scalar(sa.text("select to_regclass('public.schema_ready')")) is None:
        return False
    return bool(connection.scalar(sa.text("select revision from schema_ready")) == HEAD)


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
