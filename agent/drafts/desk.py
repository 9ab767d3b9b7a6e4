"""Drafts as rows, for people and for jobs: composed outside any transaction, kept in one, decided about in one.

What a decision leaves to do (the lesson's way into the index, the reply's way to another system) is a job. It is handed
over after the commit; where a crash lies between the two, a look every minute finds what was left.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agent import metrics
from agent.drafts.composing import compose
from agent.drafts.filing import new_draft, request_of
from agent.drafts.jobs import AT_ONCE, DraftJobs
from agent.parts import Parts
from agent.scoring.calibration import load_calibration
from memory import audit
from memory.database import Connection
from memory.errors import Conflict
from memory.tenancy import Principal
from tools.contacts import NOTHING_PUBLIC, Contacts
from tools.drafts import deciding, outbox
from tools.drafts.asking import Asked, asked_of, may_be_answered
from tools.drafts.deciding import Approval
from tools.drafts.reading import read_draft, waiting_draft
from tools.drafts.writing import Waiting, put_draft
from tools.learning.indexing import want_indexed_again
from tools.learning.lessons import LessonKind
from tools.learning.public import public_contacts


@dataclass(frozen=True, slots=True)
class Desk:
    """Where drafts are written and decided about."""

    parts: Parts
    jobs: DraftJobs

    async def generate(self, principal: Principal, ticket_id: UUID, *, instruction: str = "", **trace: Any) -> UUID:
        """A draft for a ticket; the one that waits already, where it still answers the last word and nobody wants it
        otherwise. Raises NotFound, Unavailable, and Conflict for a ticket that has ended."""
        async with self._connection(principal.tenant_id) as connection:
            asked = await asked_of(connection, ticket_id)
            waiting = await waiting_draft(connection, ticket_id)
        _must_be_open(asked)
        if waiting and not waiting.outdated and not instruction:
            return waiting.id
        return await self._write(principal, asked, instruction, waiting, trace)

    async def regenerate(
        self, principal: Principal, draft_id: UUID, *, instruction: str, version: int | None = None, **trace: Any
    ) -> UUID:
        """Write a draft again as a colleague wants it; the old one is superseded. Raises NotFound, Unavailable, and
        Conflict where it does not wait any more or has changed."""
        async with self._connection(principal.tenant_id) as connection:
            draft = await read_draft(connection, draft_id)
            waiting = await waiting_draft(connection, draft["ticket_id"])
            if waiting is None or waiting.id != draft_id:
                raise Conflict(f"this draft was {draft['status']} already")
            if version is not None and version != waiting.version:
                raise Conflict(f"this draft was changed meanwhile; its version is {waiting.version}")
            asked = await asked_of(connection, draft["ticket_id"])
        _must_be_open(asked)
        return await self._write(principal, asked, instruction, waiting, trace)

    async def approve(self, principal: Principal, approval: Approval, **trace: Any) -> deciding.Approved:
        public = await self.public(principal.tenant_id) if approval.teach else NOTHING_PUBLIC
        async with self._connection(principal.tenant_id) as connection:
            approved = await deciding.approve(connection, principal, approval, public=public, **trace)
        metrics.count_approval(approved.distance)
        if approved.channel != deciding.OWN:
            await self.jobs.send(principal.tenant_id, approved.reply_id)
        if approved.lesson_id:
            await self.jobs.index(principal.tenant_id, approved.lesson_id)
        return approved

    async def reject(
        self, principal: Principal, draft_id: UUID, *, version: int | None, reason: str, **trace: Any
    ) -> None:
        """Raises NotFound and AlreadyTaken, and Conflict for an older version."""
        async with self._connection(principal.tenant_id) as connection:
            await deciding.reject(connection, principal, draft_id, version=version, reason=reason, **trace)
        metrics.draft_decisions_total.labels("rejected").inc()

    async def send_again(self, principal: Principal, draft_id: UUID, **trace: Any) -> None:
        async with self._connection(principal.tenant_id) as connection:
            reply_id = await outbox.send_again(connection, principal, draft_id, **trace)
        await self.jobs.send(principal.tenant_id, reply_id)

    async def public(self, tenant_id: UUID) -> Contacts:
        """What is public of the tenant's team, for whoever keeps what people wrote."""
        return await public_contacts(self.parts.database, self.parts.knowledge, tenant_id)

    async def changed(self, tenant_id: UUID, lesson_id: UUID) -> None:
        """A lesson was changed by hand: have the index follow it."""
        await self.jobs.index(tenant_id, lesson_id)

    async def rebuild(self, principal: Principal, kind: LessonKind, **trace: Any) -> int:
        """Have all lessons of a kind indexed anew; how many."""
        async with self._connection(principal.tenant_id) as connection:
            ids = await want_indexed_again(connection, kind)
            told = {"queued": len(ids)}
            await audit.write(
                connection, principal, f"{kind}.rebuilt", "tenant", principal.tenant_id, changes=told, **trace
            )
        for lesson_id in ids[:AT_ONCE]:  # the look every minute takes the rest
            await self.jobs.index(principal.tenant_id, lesson_id)
        return len(ids)

    async def _write(
        self, principal: Principal, asked: Asked, instruction: str, replaces: Waiting | None, trace: dict[str, Any]
    ) -> UUID:
        composed = await compose(self.parts, request_of(principal.tenant_id, asked, instruction))
        async with self._connection(principal.tenant_id) as connection:
            calibration = await load_calibration(connection, principal.tenant_id)
            new = new_draft(asked, composed, calibration, instruction=instruction, created_by=principal.key)
            draft_id = await put_draft(connection, principal.tenant_id, new, replaces=replaces)
            if draft_id is None:  # a second click was faster
                waiting = await waiting_draft(connection, asked.ticket.id)
                if waiting is None:
                    raise Conflict("another draft of this ticket was decided about just now")
                return waiting.id
            told = {"ticket_id": str(asked.ticket.id), "instructed": bool(instruction)}
            await audit.write(connection, principal, "draft.written", "draft", draft_id, changes=told, **trace)
        metrics.count_draft("person", composed.steps_ms)
        return draft_id

    def _connection(self, tenant_id: UUID) -> AbstractAsyncContextManager[Connection]:
        return self.parts.database.connection(tenant_id)


def _must_be_open(asked: Asked) -> None:
    if not may_be_answered(asked.ticket):
        raise Conflict(f"this ticket is {asked.ticket.status}; reopen it first")
