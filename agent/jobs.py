"""The background work of the agent: what a turn leaves for later, and what is swept up every hour."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from procrastinate import App

from memory import chats, checkpoints
from tools.recall import keep_summary

if TYPE_CHECKING:
    from agent.resources import Resources


@dataclass(frozen=True, slots=True)
class Jobs:
    """The tasks of one process, by name."""

    app: App
    tidy_session: Any
    sweep: Any


def define_jobs(app: App, resources: "Resources") -> Jobs:
    """Register the tasks; called once, by the composition root."""

    @app.task(name="tidy_session", queue="agent")
    async def tidy_session(tenant_id: str, session_id: str) -> None:
        """Fold old messages into the summary and drop old checkpoints of one session."""
        tenant, session = UUID(tenant_id), UUID(session_id)
        async with resources.database.connection(tenant) as connection:
            await keep_summary(connection, await chats.get_session(connection, session, lock=True))
        await checkpoints.prune(resources.checkpointer, tenant, session)

    @app.periodic(cron="7 * * * *")
    @app.task(name="sweep", queue="agent", queueing_lock="sweep")
    async def sweep(timestamp: int) -> None:
        """Forget idempotency keys of yesterday, tenant by tenant."""
        async with resources.database.lookup() as connection:
            tenants = await (await connection.execute("select * from active_tenants() as id")).fetchall()
        for row in tenants:
            async with resources.database.connection(row["id"]) as connection:
                await connection.execute("delete from idempotency_keys where created_at < now() - interval '1 day'")

    return Jobs(app=app, tidy_session=tidy_session, sweep=sweep)
