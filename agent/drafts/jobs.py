"""The background work of drafts, and the look every minute for what was left undone.

A job of one draft, reply or lesson may be queued twice and then finds nothing to do. It is not tried again by the queue
but by the look, which knows what is still to be done; so it may carry a queueing lock, under which no heap grows.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from procrastinate import App
from procrastinate.exceptions import AlreadyEnqueued

from agent.drafts import automatic
from agent.drafts.sending import send_reply
from agent.parts import Parts
from memory.errors import HelpdeskError
from memory.jobs import RETRY
from tools.learning.indexing import index_lesson

log = structlog.get_logger()
AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class DraftJobs:
    """The tasks, by what they do."""

    parts: Parts
    _send: Any
    _index: Any
    _draft: Any

    async def send(self, tenant_id: UUID, reply_id: UUID) -> None:
        await _defer(self._send, f"send:{reply_id}", tenant_id=str(tenant_id), reply_id=str(reply_id))

    async def index(self, tenant_id: UUID, lesson_id: UUID) -> None:
        await _defer(self._index, f"lesson:{lesson_id}", tenant_id=str(tenant_id), lesson_id=str(lesson_id))

    async def draft(self, tenant_id: UUID, ticket_id: UUID) -> None:
        await _defer(self._draft, f"draft:{ticket_id}", tenant_id=str(tenant_id), ticket_id=str(ticket_id))

    async def look(self) -> None:
        """Queue what was left undone: replies without an end, lessons that the index does not have."""
        async with self.parts.database.lookup() as connection:
            replies = await (await connection.execute("select * from unsettled_replies(%s)", (AT_ONCE,))).fetchall()
            lessons = await (await connection.execute("select * from unindexed_lessons(%s)", (AT_ONCE,))).fetchall()
        for row in replies:
            await self.send(row["tenant_id"], row["reply_id"])
        for row in lessons:
            await self.index(row["tenant_id"], row["lesson_id"])


def define_draft_jobs(app: App, parts: Parts) -> DraftJobs:
    """Register the tasks; called once, by the composition root."""

    @app.task(name="send_reply", queue="agent")
    async def send(tenant_id: str, reply_id: str) -> None:
        await send_reply(parts.database, parts.channels, UUID(tenant_id), UUID(reply_id))

    @app.task(name="index_lesson", queue="agent")
    async def index(tenant_id: str, lesson_id: str) -> None:
        await index_lesson(
            parts.database, parts.knowledge, parts.index, parts.embedder, UUID(tenant_id), UUID(lesson_id)
        )

    @app.task(name="draft_ticket", queue="agent")
    async def draft(tenant_id: str, ticket_id: str) -> None:
        await automatic.draft_ticket(parts, UUID(tenant_id), UUID(ticket_id))

    jobs = DraftJobs(parts, send, index, draft)

    @app.periodic(cron="* * * * *")
    @app.task(name="look_at_drafts", queue="agent", retry=RETRY)
    async def look_at_drafts(timestamp: int) -> None:
        """Find what a crash left behind, and tickets that want a draft."""
        await jobs.look()
        for tenant_id in await automatic.tenants_that_want_drafts(parts):
            await _each(jobs.draft, tenant_id, await automatic.tickets_without_draft(parts, tenant_id))

    return jobs


async def _each(defer: Callable[[UUID, UUID], Awaitable[None]], tenant_id: UUID, ids: list[UUID]) -> None:
    for each in ids:
        await defer(tenant_id, each)


async def _defer(task: Any, lock: str, **values: str) -> None:
    """Queue a job, unless an equal one waits. What can't be queued now is found by the look."""
    try:
        with suppress(AlreadyEnqueued):
            await task.configure(queueing_lock=lock).defer_async(**values)
    except HelpdeskError as error:
        log.warning("a job of drafts could not be queued", error=error.code)
    except Exception:
        log.exception("a job of drafts could not be queued")
