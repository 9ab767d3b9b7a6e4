"""The background work of the agent: what a turn leaves for later, and what is swept up every hour."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from procrastinate import App

from agent.parts import Parts
from kbs.ingest import ingest_folder
from memory import chats, checkpoints
from memory.database import Database, open_owner
from memory.models import GLOBAL_TENANT
from tools.recall import keep_summary

INGEST = "ingest"


@dataclass(frozen=True, slots=True)
class Jobs:
    """The tasks of one process, by name."""

    app: App
    tidy_session: Any
    sweep: Any

    async def tidy(self, tenant_id: UUID, session_id: UUID) -> None:
        """Have a session tidied some time soon."""
        await self.tidy_session.defer_async(tenant_id=str(tenant_id), session_id=str(session_id))


async def _ingest(parts: Parts, database: Database, folder: Path, tenant_id: UUID, collection: str) -> None:
    await ingest_folder(database, parts.index, parts.embedder, folder, tenant_id=tenant_id, collection=collection)


def define_jobs(app: App, parts: Parts, *, knowledge_owner: str | None) -> Jobs:
    """Register the tasks; called once, by the composition root."""

    @app.task(name=INGEST, queue="agent", queueing_lock=INGEST)
    async def ingest(folder: str, tenant_id: str, collection: str) -> None:
        """Ingest a folder of this machine, for a command that found the index held by this process."""
        tenant = UUID(tenant_id)
        if tenant != GLOBAL_TENANT:
            await _ingest(parts, parts.knowledge, Path(folder), tenant, collection)
        elif knowledge_owner:
            async with open_owner(knowledge_owner) as owner:
                await _ingest(parts, owner, Path(folder), tenant, collection)

    @app.task(name="tidy_session", queue="agent")
    async def tidy_session(tenant_id: str, session_id: str) -> None:
        """Fold old messages into the summary and drop old checkpoints of one session."""
        tenant, session = UUID(tenant_id), UUID(session_id)
        async with parts.database.connection(tenant) as connection:
            await keep_summary(connection, await chats.get_session(connection, session, lock=True))
        await checkpoints.prune(parts.checkpointer, tenant, session)

    @app.periodic(cron="7 * * * *")
    @app.task(name="sweep", queue="agent", queueing_lock="sweep")
    async def sweep(timestamp: int) -> None:
        """Forget idempotency keys of yesterday, tenant by tenant."""
        async with parts.database.lookup() as connection:
            tenants = await (await connection.execute("select * from active_tenants() as id")).fetchall()
        for row in tenants:
            async with parts.database.connection(row["id"]) as connection:
                await connection.execute("delete from idempotency_keys where created_at < now() - interval '1 day'")

    return Jobs(app=app, tidy_session=tidy_session, sweep=sweep)
