"""Replays in the background. One is worked on by one worker at a time; one that has stood still is taken up again."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from procrastinate import App
from procrastinate.exceptions import ConnectorException

from agent.parts import Parts
from agent.replays import rows
from agent.replays.rows import Row, Wish
from agent.replays.running import run_replay
from memory.jobs import RETRY
from memory.tenancy import Principal

log = structlog.get_logger()
QUIET = "3 minutes"
"""Without a case that ended, after which a replay's job is taken for lost."""
AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Replays:
    """Where replays are asked for."""

    parts: Parts
    _run: Any

    async def start(self, principal: Principal, wish: Wish, **who: Any) -> Row:
        """Keep the wish and hand it to the workers. Raises as `rows.start`."""
        row = await rows.start(self.parts.database, principal, wish, **who)
        await self.defer(principal.tenant_id, row["id"])
        return row

    async def defer(self, tenant_id: UUID, replay_id: UUID) -> None:
        """What can't be queued now is found by the next look."""
        try:
            await self._run.configure(lock=f"replay:{replay_id}").defer_async(
                tenant_id=str(tenant_id), replay_id=str(replay_id)
            )
        except ConnectorException as error:
            log.warning("a replay could not be queued", error=type(error).__name__)

    async def look(self) -> int:
        """Queue again what has stood still; how many."""
        async with self.parts.database.lookup() as connection:
            found = await connection.execute("select * from stalled_replays(%s::interval, %s)", (QUIET, AT_ONCE))
            stalled = await found.fetchall()
        for row in stalled:
            await self.defer(row["tenant_id"], row["replay_id"])
        return len(stalled)


def define_replay_jobs(app: App, parts: Parts) -> Replays:
    """Register the tasks; called once, by the composition root."""

    @app.task(name="replay", queue="agent", retry=RETRY)
    async def replay(tenant_id: str, replay_id: str) -> None:
        await run_replay(parts, UUID(tenant_id), UUID(replay_id))

    replays = Replays(parts, replay)

    @app.periodic(cron="*/2 * * * *")
    @app.task(name="look_at_replays", queue="agent", retry=RETRY)
    async def look_at_replays(timestamp: int) -> None:
        await replays.look()

    return replays
