"""A migrated Postgres in memory, a database per module cloned from a template, and tenants on request."""

import gc
import logging
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio
import structlog
from argon2 import PasswordHasher

from memory.database import Database, open_database, open_owner
from memory.embedded import APP, EmbeddedUrls, embedded_postgres
from memory.migrate import migrate
from memory.models import new_id
from tests.forked import Forks, forking
from tools.identity import passwords

if TYPE_CHECKING:
    from tests.product import Product

pytest_plugins = ("tests.stand_ins", "tests.watchdog")
TEMPLATE = "helpdesk"
LONGEST = (
    "test_faults.py", "test_access.py", "test_console.py", "test_console_people.py", "test_bad_input.py",
    "test_widget.py", "test_command_line.py", "test_openapi.py", "test_safety.py", "test_stories.py",
    "test_accessibility.py", "test_attachments.py", "test_attachments_files.py", "test_whmcs.py", "test_replays.py",
    "test_index_contract.py",
)  # fmt: skip
"""These files begin first, so that no worker is alone with one of them at the end; the first, which waits a lot, beside
those that compute."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Thousands of tests are made and all of them stay: the collector would only walk through them again and again."""
    gc.disable()
    yield
    gc.enable()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (places.get(item.path.name, len(LONGEST)), str(item.path)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One running server; `clone()` gives a fresh migrated database on it in some milliseconds."""

    urls: EmbeddedUrls

    def clone(self, template: str = TEMPLATE) -> EmbeddedUrls:
        """A database of its own with what `template` holds; nobody may be connected to that."""
        name = f"t_{uuid.uuid4().hex}"
        with psycopg.connect(self.named("postgres", self.urls.superuser), autocommit=True) as connection:
            connection.execute(f"create database {name} template {template} strategy file_copy")  # type: ignore[call-overload]
        return EmbeddedUrls(
            app=self.named(name, self.urls.app),
            owner=self.named(name, self.urls.owner),
            superuser=self.named(name, self.urls.superuser),
        )

    def drop(self, urls: EmbeddedUrls) -> None:
        name = urls.superuser.split("?")[0].rsplit("/", 1)[1]
        with psycopg.connect(self.named("postgres", self.urls.superuser), autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")  # type: ignore[call-overload]

    @staticmethod
    def named(name: str, url: str) -> str:
        return url.replace(f"/{TEMPLATE}?", f"/{name}?", 1)


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """A hash as it should be takes longer than most tests; `tests/api/operations/test_command_line.py` signs in with one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="helpdesk-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    folder.chmod(0o755)
    try:
        with embedded_postgres(folder / "data", database=TEMPLATE) as urls:
            with psycopg.connect(urls.superuser, autocommit=True) as connection:
                for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                    connection.execute(f"alter system set {setting} = off")  # type: ignore[call-overload]
                connection.execute("select pg_reload_conf()")
            migrate(urls.owner, APP)
            yield Cluster(urls=urls)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def database_urls(postgres: Cluster) -> Iterator[EmbeddedUrls]:
    urls = postgres.clone()
    yield urls
    postgres.drop(urls)


@pytest_asyncio.fixture(loop_scope="session")
async def database(database_urls: EmbeddedUrls) -> AsyncIterator[Database]:
    async with open_database(database_urls.app, pool_size=8) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def owner(database_urls: EmbeddedUrls) -> AsyncIterator[Database]:
    """The same database past row-level security."""
    async with open_owner(database_urls.owner) as opened:
        yield opened


@pytest.fixture
def tenant(database_urls: EmbeddedUrls) -> Callable[..., Awaitable[UUID]]:
    """`await tenant()` makes a new tenant: tests that share a database meet only their own rows."""

    async def create(slug: str = "") -> UUID:
        tenant_id = new_id()
        name = slug or tenant_id.hex
        async with await psycopg.AsyncConnection.connect(database_urls.owner) as connection:
            await connection.execute(
                "insert into tenants (id, slug, name, status, widget_key) values (%s, %s, %s, 'active', %s)",
                (tenant_id, name, name, f"key-{tenant_id.hex}"),
            )
        return tenant_id

    return create


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of our own on a free port, where a `redis-server` is on the PATH."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server on the PATH")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [binary, "--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with forking(tmp_path_factory.mktemp("forks")) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def seeded(postgres: Cluster) -> str:
    """Name of a template with everything that `helpdesk seed` writes: the embedding of it is done once for all tests."""
    from agent.resources import open_resources
    from agent.seeding import seed_all
    from tests.product import settings_for

    urls = postgres.clone()
    async with open_resources(settings_for(urls)) as resources:
        await seed_all(resources)
    return urls.app.split("?")[0].rsplit("/", 1)[1]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def product(postgres: Cluster, seeded: str) -> AsyncIterator["Product"]:
    """The whole product on a real socket with the embedded defaults."""
    from tests.product import running, settings_for

    async with running(settings_for(postgres.clone(seeded))) as started:
        yield started


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Let a test configure the logging of this process, and put it back for those that share the process."""
    names = [None, *logging.Logger.manager.loggerDict]
    kept = {name: _state_of(logging.getLogger(name)) for name in names}
    structured = structlog.get_config()
    yield
    structlog.configure(**structured)
    for name, (level, propagate, disabled, handlers) in kept.items():
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.propagate, logger.disabled, logger.handlers = propagate, disabled, handlers


def _state_of(logger: logging.Logger) -> tuple[int, bool, bool, list[logging.Handler]]:
    return logger.level, logger.propagate, logger.disabled, list(logger.handlers)
