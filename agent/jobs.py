"""The background work of the agent: what a turn leaves for later, and what is swept up every hour."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from procrastinate import App

from agent.parts import Parts
from memory import chats, checkpoints
from tools.recall import keep_summary


@dataclass(frozen=True, slots=True)
class Jobs:
    """The tasks of one process, by name."""

    app: App
    tidy_session: Any
    sweep: Any

    async def tidy(self, tenant_id: UUID, session_id: UUID) -> None:
        """Have a session tidied some time soon."""
        await self.tidy_session.defer_async(tenant_id=str(tenant_id), session_id=str(session_id))


def define_jobs(app: App, parts: Parts) -> Jobs:
    """Register the tasks; called once, by the composition root."""

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
