"""The agent's jobs: how each ends when all is well, when something is wrong for good, and when something is away."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray
from procrastinate import App
from structlog.testing import capture_logs

from agent.jobs.registry import INGEST, Jobs, define_jobs
from agent.parts import Parts
from kbs.embedding.embedder import EmbeddingUnavailable
from kbs.indexes.pgvector import PgvectorIndex
from memory.database import Database
from memory.embedded import EmbeddedUrls
from memory.files import Files
from memory.jobs import KEEP_FAILED_H, RETRY, open_jobs
from memory.models import GLOBAL_TENANT
from tests.kbs.words import WordEmbedder


class Embedder(WordEmbedder):
    """Can be away."""

    away = False

    async def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.away:
            raise EmbeddingUnavailable("the embedding endpoint answered 503")
        return await super().embed_texts(texts)


@dataclass
class Office:
    """A process that takes jobs, and a folder to ingest."""

    database: Database
    jobs: Jobs
    folder: Path
    tenant_id: UUID
    embedder: Embedder
    logs: list[Any] = field(default_factory=list)

    @property
    def app(self) -> App:
        return self.jobs.app

    async def ingest(self, tenant_id: UUID | None = None, folder: Path | None = None) -> dict[str, Any]:
        """What became of the job, in the row that the one who handed it over looks at."""
        task = self.app.configure_task(INGEST, queue="agent", allow_unknown=True)
        job = await task.defer_async(
            folder=str(folder or self.folder), tenant_id=str(tenant_id or self.tenant_id), collection="handbook"
        )
        await self.run_all()
        [row] = await self.rows("select * from procrastinate_jobs where id = %s", job)
        return row

    async def run_all(self) -> None:
        with capture_logs() as logs:
            await self.app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
        self.logs += logs

    async def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        async with self.database.connection(self.tenant_id) as connection:
            return await (await connection.execute(statement, values)).fetchall()

    async def articles(self, tenant_id: UUID | None = None) -> list[str]:
        found = await self.rows(
            "select ref from kb_articles where status = 'published' and tenant_id = %s order by ref",
            tenant_id or self.tenant_id,
        )
        return [row["ref"] for row in found]


Open = Callable[..., "Any"]


@pytest.fixture
def office(
    database: Database,
    database_urls: EmbeddedUrls,
    tenant: Callable[..., Awaitable[UUID]],
    tmp_path: Path,
) -> Open:
    @asynccontextmanager
    async def open_office(*, owner: str | None = database_urls.owner) -> AsyncIterator[Office]:
        embedder = Embedder()
        parts = SimpleNamespace(
            database=database, knowledge=database, embedder=embedder, files=Files(tmp_path / "files"),
            index=PgvectorIndex(database, embedder=embedder.id, dimensions=embedder.dimensions),
        )  # fmt: skip
        async with database.lookup() as connection:
            await connection.execute("delete from procrastinate_jobs")
        async with open_jobs(database) as app:
            jobs = define_jobs(app, cast(Parts, parts), knowledge_owner=owner)
            yield Office(database, jobs, tmp_path, await tenant(), embedder)

    return open_office


class TestIngest:
    async def test_a_folder_becomes_a_collection(self, office: Open, tmp_path: Path) -> None:
        (tmp_path / "mail.md").write_text("# Mail\n\nOpen the webmail page.\n")
        async with office() as one:
            assert (await one.ingest())["status"] == "succeeded"
            assert await one.articles() == ["mail"]

    async def test_what_cannot_be_taken_is_told_and_fails_the_job_after_the_rest_is_in(
        self, office: Open, tmp_path: Path
    ) -> None:
        (tmp_path / "mail.md").write_text("# Mail\n\nOpen the webmail page.\n")
        (tmp_path / "dns.md").write_text("---\naudience: [unclosed\n---\nEdit the zone.\n")
        (tmp_path / "ftp.md").write_bytes(b"\xff\xfe\x00")
        async with office() as one:
            row = await one.ingest()
            assert await one.articles() == ["mail"]
        assert (row["status"], row["attempts"]) == ("failed", 1)
        told = [entry for entry in one.logs if entry["event"] == "an article was not taken"]
        assert {entry["reason"].split(":")[0] for entry in told} == {"dns.md", "ftp.md"}
        assert all(len(entry["reason"]) > len("dns.md: ") for entry in told)
        assert {(entry["collection"], entry["tenant_id"]) for entry in told} == {("handbook", str(one.tenant_id))}

    async def test_the_failure_says_how_many(self, office: Open, tmp_path: Path, caplog: Any) -> None:
        (tmp_path / "dns.md").write_text("---\naudience: [unclosed\n---\nEdit the zone.\n")
        async with office() as one:
            await one.ingest()
        [error] = [record for record in caplog.records if record.name.startswith("procrastinate") and record.exc_info]
        assert "1 article was not taken into `handbook`" in str(error.exc_info[1])

    async def test_a_folder_that_is_not_there_fails_at_once(self, office: Open, tmp_path: Path) -> None:
        async with office() as one:
            row = await one.ingest(folder=tmp_path / "nowhere")
        assert (row["status"], row["attempts"]) == ("failed", 1)

    async def test_while_the_embedder_is_away_it_waits_and_then_goes_on(self, office: Open, tmp_path: Path) -> None:
        (tmp_path / "mail.md").write_text("# Mail\n\nOpen the webmail page.\n")
        async with office() as one:
            one.embedder.away = True
            row = await one.ingest()
            assert (row["status"], row["attempts"]) == ("todo", 1)
            one.embedder.away = False
            await one.rows("update procrastinate_jobs set scheduled_at = now() where id = %s returning id", row["id"])
            await one.run_all()
            assert await one.articles() == ["mail"]

    async def test_two_folders_may_wait_at_the_same_time(self, office: Open) -> None:
        async with office() as one:
            task = one.app.tasks[INGEST]
            for folder in ("a", "b"):
                await task.defer_async(folder=folder, tenant_id=str(one.tenant_id), collection=folder)
            assert len(await one.rows("select id from procrastinate_jobs where status = 'todo'")) == 2


class TestGlobalIngest:
    async def test_with_the_owners_url_it_is_done(self, office: Open, tmp_path: Path) -> None:
        (tmp_path / "mail.md").write_text("# Mail\n\nOpen the webmail page.\n")
        async with office() as one:
            assert (await one.ingest(GLOBAL_TENANT))["status"] == "succeeded"
            assert await one.articles(GLOBAL_TENANT) == ["mail"]

    async def test_without_it_it_fails_and_says_what_to_set(self, office: Open, tmp_path: Path, caplog: Any) -> None:
        (tmp_path / "dns.md").write_text("# DNS\n\nEdit the zone.\n")
        async with office(owner=None) as one:
            row = await one.ingest(GLOBAL_TENANT)
            assert "dns" not in await one.articles(GLOBAL_TENANT)
        assert (row["status"], row["attempts"]) == ("failed", 1)
        assert any("DATABASE_OWNER_URL" in str(record.exc_info[1]) for record in caplog.records if record.exc_info)


class TestSweep:
    async def test_yesterdays_keys_and_old_jobs_go(self, office: Open, database_urls: EmbeddedUrls) -> None:
        async with office() as one:
            for key, age in (("old", 25), ("new", 23)):
                await one.rows(
                    "insert into idempotency_keys (tenant_id, principal, route, key, body_hash, created_at)"
                    " values (%s, 'p', 'r', %s, 'h', now() - make_interval(hours => %s)) returning key",
                    one.tenant_id, key, age,
                )  # fmt: skip
            old = await one.jobs.sweep.defer_async(timestamp=0)
            await one.rows("update procrastinate_jobs set status = 'failed' where id = %s returning id", old)
            await one.rows(
                "update procrastinate_events set at = now() - make_interval(hours => %s) where job_id = %s returning id",
                KEEP_FAILED_H + 1, old,
            )  # fmt: skip
            this = await one.jobs.sweep.defer_async(timestamp=3600)
            await one.run_all()
            assert [row["key"] for row in await one.rows("select key from idempotency_keys")] == ["new"]
            jobs = await one.rows("select id, status from procrastinate_jobs")
        assert [(row["id"], row["status"]) for row in jobs] == [(this, "succeeded")]


class TestEveryTask:
    async def test_waits_for_what_is_away_and_can_go_back_into_the_queue(self, office: Open) -> None:
        async with office() as one:
            ours = [task for task in one.app.tasks.values() if task.queue == "agent"]
        assert {task.name for task in ours} >= {INGEST, "tidy_session", "sweep"}
        for task in ours:
            assert (task.retry_strategy, task.queueing_lock) == (RETRY, None), task.name
