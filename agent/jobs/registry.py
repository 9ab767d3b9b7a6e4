"""The background work of the agent: what a turn leaves for later, and what is swept up every hour."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from procrastinate import App

from agent.jobs.analytics import define_analytics_jobs
from agent.jobs.knowledge import KnowledgeJobs, define_knowledge_jobs
from agent.parts import Parts
from kbs.articles.ingest import ingest_folder
from memory import chats, idempotency
from memory.database import Database, open_owner
from memory.errors import Invalid
from memory.jobs import RETRY, forget_old
from memory.models import GLOBAL_TENANT
from tools.attachments.forgetting import forget_unsent
from tools.recall import keep_summary
from tools.tenants import active_tenants
from tools.tickets import mark_late
from tools.webhooks import log as log_of_deliveries

log = structlog.get_logger()
INGEST = "ingest"


@dataclass(frozen=True, slots=True)
class Jobs:
    """The tasks of one process, by name."""

    app: App
    tidy_session: Any
    sweep: Any
    knowledge: KnowledgeJobs

    async def tidy(self, tenant_id: UUID, session_id: UUID) -> None:
        """Have a session tidied some time soon."""
        await self.tidy_session.defer_async(tenant_id=str(tenant_id), session_id=str(session_id))


async def _ingest(parts: Parts, database: Database, folder: Path, tenant_id: UUID, collection: str) -> None:
    """Raises Invalid where articles were not taken: the others are in, and trying again would change nothing."""
    report = await ingest_folder(
        database, parts.index, parts.embedder, folder, tenant_id=tenant_id, collection=collection
    )
    for bad in report.failed:
        log.warning("an article was not taken", reason=bad.detail, collection=collection, tenant_id=str(tenant_id))
    for conflict in report.conflicts:
        log.warning("a person has to decide", what=conflict.detail, collection=collection, tenant_id=str(tenant_id))
    if report.failed:
        count = len(report.failed)
        what = "1 article was" if count == 1 else f"{count} articles were"
        raise Invalid(f"{what} not taken into `{collection}`, first {report.failed[0].detail}")


def define_jobs(app: App, parts: Parts, *, knowledge_owner: str | None) -> Jobs:
    """Register the tasks; called once, by the composition root."""

    @app.task(name=INGEST, queue="agent", retry=RETRY)
    async def ingest(folder: str, tenant_id: str, collection: str) -> None:
        """Ingest a folder of this machine, for a command that found the index held by this process."""
        tenant = UUID(tenant_id)
        if tenant != GLOBAL_TENANT:
            await _ingest(parts, parts.knowledge, Path(folder), tenant, collection)
            return
        async with open_owner(knowledge_owner) as owner:
            await _ingest(parts, owner, Path(folder), tenant, collection)

    @app.task(name="tidy_session", queue="agent", retry=RETRY)
    async def tidy_session(tenant_id: str, session_id: str) -> None:
        """Fold old messages of one session into its summary."""
        tenant, session = UUID(tenant_id), UUID(session_id)
        async with parts.database.connection(tenant) as connection:
            await keep_summary(connection, await chats.get_session(connection, session, lock=True))

    @app.periodic(cron="* * * * *")
    @app.task(name="look_at_clocks", queue="agent", retry=RETRY)
    async def look_at_clocks(timestamp: int) -> None:
        """Mark the tickets that have missed a target; the next minute looks again."""
        await mark_late(parts.database)

    @app.periodic(cron="7 * * * *")
    @app.task(name="sweep", queue="agent", retry=RETRY)
    async def sweep(timestamp: int) -> None:
        """Forget old jobs, and tenant by tenant yesterday's keys, uploads that were never sent, and old deliveries."""
        await forget_old(app)
        for tenant_id in await active_tenants(parts.database):
            async with parts.database.connection(tenant_id) as connection:
                await idempotency.forget_old(connection)
                await log_of_deliveries.forget_old(connection)
            await forget_unsent(parts.database, parts.files, tenant_id)

    define_analytics_jobs(app, parts)
    return Jobs(app=app, knowledge=define_knowledge_jobs(app, parts), tidy_session=tidy_session, sweep=sweep)
