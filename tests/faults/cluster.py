"""The whole product as separate processes: two APIs, a worker, a Postgres and a Redis of their own, and a model.

The knowledge base has a database of its own, and each process has a relay in front of it, so that the index can be away or
slow while the rest works.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from agent.resources import open_resources
from agent.settings import Settings
from kbs.articles.global_content import open_global_content
from kbs.articles.ingest import ingest_folder
from memory.database import open_owner
from memory.embedded import APP, OWNER
from memory.encryption import Cipher
from memory.migrate import migrate
from memory.models import Tenant
from tests.browser.wire import wire_to
from tests.faults.model import Model
from tests.faults.processes import Process
from tests.faults.servers import Postgres, RedisServer
from tests.forked import Forks
from tests.model_server import model_server
from tools.identity import provisioning

ARTICLES = ("email-reset-password", "email-phone-setup", "billing-invoices", "ssl-install-free-certificate")
MAIN, KNOWLEDGE = "helpdesk", "knowledge"
PROCESSES: tuple[tuple[Literal["serve", "worker"], str], ...] = (
    ("serve", "api-1"),
    ("serve", "api-2"),
    ("worker", "worker"),
)
COMPILERS = ("cc", "gcc")
HIDDEN = ("SECRET_KEY", "ENCRYPTION_KEYS", "OPENAI_API_KEY")
ANSWERED_WHATEVER = {"clarify_at": 0, "answerable_at": 0}
"""The stub's vectors are far apart: with the defaults, good passages would count as none."""


@dataclass
class Cluster:
    """What runs, and the ways to hurt it; `truth` is when the database was away, for those who ask whether it is."""

    folder: Path
    postgres: Postgres
    redis: RedisServer
    model: Model
    apis: list[Process]
    worker: Process
    tenant: Tenant
    secrets: list[str]
    """What must stand in no log."""
    away: list[tuple[float, float]] = field(default_factory=list)
    """When the database did not take writes: from, until, by `time.monotonic()`."""

    @property
    def processes(self) -> list[Process]:
        return [*self.apis, self.worker]

    @property
    def doors(self) -> list[str]:
        """Where a client may knock now."""
        return [api.url for api in self.apis if api.answers]

    async def rows(self, statement: str, *values: Any, database: str = MAIN) -> list[dict[str, Any]]:
        """Read or change anything, past row-level security."""
        url = self.postgres.url("postgres", database)
        connecting = psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row)
        async with await connecting as connection:
            cursor = await connection.execute(statement, values)  # type: ignore[call-overload]
            return await cursor.fetchall() if cursor.description else []

    async def restart(self, process: Process, **settings: str) -> None:
        process.start(**settings)
        await process.ready()

    async def heal(self) -> None:
        """Bring back whatever is down; what is well is left alone."""
        for process in self.processes:
            process.knowledge.mend()
            process.knowledge.delay_s = 0
        down = [process for process in self.processes if not process.alive]
        for process in down:
            process.start()
        await asyncio.gather(*(process.ready() for process in down))

    def database_away(self) -> "contextlib.AbstractContextManager[None]":
        """Marks a time in which the database takes no writes."""

        @contextlib.contextmanager
        def mark() -> Any:
            began = time.monotonic()
            self.away.append((began, float("inf")))
            try:
                yield
            finally:
                self.away[-1] = (began, time.monotonic())

        return mark()


@asynccontextmanager
async def running_cluster(
    change_second: Callable[[Path], dict[str, str]] = lambda folder: {}, forks: Forks | None = None
) -> AsyncIterator[Cluster]:
    """Everything started and ready; all of it is gone afterwards. `change_second` is what only the second API is told."""
    folder = _new_folder()
    postgres, redis = Postgres(folder / "postgres"), RedisServer()
    started: list[Process] = []
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(postgres.destroy)
        stack.callback(redis.kill)
        await asyncio.to_thread(_start_servers, postgres, redis)
        model = Model(await stack.enter_async_context(model_server()))
        model.install()
        environment = settings_of(postgres, redis, model, folder)
        for kind, name in PROCESSES:
            wire = await stack.enter_async_context(wire_to(postgres.port))
            own = environment | {"CONNECTION_PG_VECTORDB": postgres.url(APP, KNOWLEDGE, port=wire.port)}
            started.append(Process(kind, name, own, folder / f"{name}.log", wire, forks=forks))
            stack.callback(started[-1].kill)
        *apis, worker = started
        apis[0].start()
        apis[1].start(**change_second(folder))
        worker.start()
        tenant, *_ = await asyncio.gather(_fill(environment, postgres), *(process.ready() for process in started))
        yield Cluster(
            folder=folder, postgres=postgres, redis=redis, model=model, apis=apis, worker=worker, tenant=tenant,
            secrets=[postgres.password, redis.password, *(environment[name] for name in HIDDEN)],
        )  # fmt: skip


def _new_folder() -> Path:
    """In memory where that is possible, and open to the user that Postgres runs as."""
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="helpdesk-faults-", dir=shm))
    folder.chmod(0o755)
    return folder


def _start_servers(postgres: Postgres, redis: RedisServer) -> None:
    redis.start()
    postgres.create()
    postgres.start()
    postgres.make_roles(MAIN)
    migrate(postgres.url(OWNER, MAIN), APP)
    with psycopg.connect(postgres.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"create database {KNOWLEDGE} template {MAIN} strategy file_copy")  # type: ignore[call-overload]


def settings_of(postgres: Postgres, redis: RedisServer, model: Model, folder: Path) -> dict[str, str]:
    """The environment of every process, as compose gives it."""
    return {
        "DATABASE_URL": postgres.url(APP, MAIN), "CONNECTION_PG_VECTORDB": postgres.url(APP, KNOWLEDGE),
        "REDIS_URL": redis.url, "SECRET_KEY": secrets.token_urlsafe(48), "ENCRYPTION_KEYS": Cipher.new_key(),
        "CHAT_MODEL": "stub", "FAST_MODEL": "stub-fast", "EMBEDDING_MODEL": "stub-384",
        "OPENAI_BASE_URL": model.server.base_url, "OPENAI_API_KEY": f"sk-{secrets.token_hex(16)}",
        "DATA_DIR": str(folder / "files"), "DEBUG": "true", "REQUESTS_PER_MINUTE": "100000", "MESSAGES_PER_MINUTE": "100000",
    }  # fmt: skip


async def _fill(environment: dict[str, str], postgres: Postgres) -> Tenant:
    """A tenant whose knowledge base has a few articles."""
    owner_url, knowledge_url = postgres.url(OWNER, MAIN), postgres.url(OWNER, KNOWLEDGE)
    settings = Settings.load(None, **environment, DATABASE_OWNER_URL=owner_url)
    with tempfile.TemporaryDirectory() as folder, open_global_content("hosting") as content:
        for name in ARTICLES:
            shutil.copy(content / f"{name}.md", folder)
        async with open_resources(settings) as resources, open_owner(owner_url) as owner:
            tenant = await provisioning.add_tenant(owner, "shop", "A shop")
            async with owner.connection(tenant.id) as connection:
                await connection.execute(
                    "update tenant_settings set options = %s where tenant_id = %s",
                    (Jsonb(ANSWERED_WHATEVER), tenant.id),
                )
            async with open_owner(knowledge_url) as knowledge:
                await provisioning.mirror_tenants(owner, knowledge)
            report = await ingest_folder(
                resources.knowledge, resources.index, resources.embedder, Path(folder), tenant_id=tenant.id,
                collection="hosting",
            )  # fmt: skip
            assert report.added == len(ARTICLES), report
    return tenant


def skewed_clock(folder: Path) -> str | None:
    """A library that moves the clock of the process that preloads it; None where nothing compiles it."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        return None
    source, library = Path(__file__).with_name("skewed_clock.c"), folder / "skewed_clock.so"
    if not library.exists():
        done = subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], capture_output=True
        )
        if done.returncode != 0:
            return None
    return str(library)
