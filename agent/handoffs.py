"""People in the conversation, for this process: each step in one transaction, then what it means for running turns."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from uuid import UUID

import structlog

from agent import metrics
from agent.parts import Parts
from agent.phrases import Phrase, say
from agent.turns.running import Turns
from memory import audit, chats
from memory.errors import HelpdeskError, SessionClosed
from memory.events import Journal, journal
from memory.models import Handoff, Ticket
from memory.tenancy import Principal
from tools.attachments import storing
from tools.conversations import seen_by
from tools.escalation_policy import EscalationReason
from tools.handoffs import taking, trail
from tools.handoffs.findings import findings_of
from tools.handoffs.requesting import Request, request_handoff
from tools.handoffs.taking import Change
from tools.staff import colleague, people_are_there
from tools.tenants import TenantOptions, load_options

log = structlog.get_logger()
LOOK_EVERY_S = 15.0
AT_ONCE = 20
RETURN_AFTER_S: int = TenantOptions.model_fields["handoff_return_s"].default


@dataclass(frozen=True, slots=True)
class Handoffs:
    parts: Parts
    turns: Turns

    async def ask(self, principal: Principal, session_id: UUID, *, reason: str) -> tuple[Handoff, Ticket, str]:
        """Ask for a person outright; the words tell the customer, in their language, what is true of it."""
        async with self._journal(principal) as entry:
            connection = entry.connection
            session = await chats.get_session(connection, session_id, customer_id=seen_by(principal), lock=True)
            if session.status == "closed" and not await chats.reopen_if_recent(connection, session_id):
                raise SessionClosed("this conversation has ended; please start a new one")
            options = await load_options(connection, principal.tenant_id)
            findings = await findings_of(connection, session_id)
            last = findings["open"][-1:] or [findings["asked"].rsplit("\n", 1)[-1]]
            request = Request(
                session_id=session_id, customer_id=session.customer_id, reason=EscalationReason.HUMAN_REQUESTED,
                summary=reason or last[0] or "The customer asked for a person",
                findings={"reason": reason}, actor=principal.key, language=session.language,
            )  # fmt: skip
            handoff, ticket, new = await request_handoff(entry, request)
            there: Phrase = "handed_over" if await people_are_there(connection, options) else "nobody_there"
            words = say(there if new else "already_waiting", session.language, number=ticket.number)
            if new:
                await chats.add_message(entry, session_id, author="system", content=words)
        if new:
            metrics.handoffs_total.labels(EscalationReason.HUMAN_REQUESTED).inc()
        return handoff, ticket, words

    async def claim(self, principal: Principal, handoff_id: UUID, **trace: str) -> Change:
        async with self._journal(principal) as entry:
            by = await colleague(entry.connection, principal.user_id)
            change = await taking.claim(entry, handoff_id, by)
            await trail.claimed(entry.connection, change.handoff.session_id, by, actor=principal.key)
            await self._audited(entry, principal, change, "claimed", {"by": by.known_as}, trace)
        return self._settled(change)

    async def say(
        self, principal: Principal, handoff_id: UUID, text: str, attachment_ids: Sequence[UUID] = ()
    ) -> Change:
        """Speak to the customer, with uploads of one's own."""
        async with self._journal(principal) as entry:
            by = await colleague(entry.connection, principal.user_id)
            files = await storing.claim(entry.connection, principal, attachment_ids)
            sent = {"attachments": storing.shown(files)} if files else None
            change = await taking.say(entry, handoff_id, by, text, details=sent)
            assert change.message_id is not None  # saying stores a message
            session = await chats.get_session(entry.connection, change.handoff.session_id)
            await storing.attach_to_message(
                entry.connection, files, customer_id=session.customer_id, session_id=session.id,
                message_id=change.message_id,
            )  # fmt: skip
            await trail.said(entry.connection, change.handoff.session_id, by, text, actor=principal.key)
        metrics.chat_messages_total.labels("agent").inc()
        return self._settled(change)

    async def note(self, principal: Principal, handoff_id: UUID, text: str) -> Handoff:
        """Words for colleagues alone, kept with the ticket."""
        async with self._journal(principal) as entry:
            handoff = await taking.get(entry.connection, handoff_id)
            await trail.noted(entry.connection, handoff.session_id, "note", {"text": text}, actor=principal.key)
        return handoff

    async def reassign(self, principal: Principal, handoff_id: UUID, to: UUID, **trace: str) -> Change:
        async with self._journal(principal) as entry:
            by = await colleague(entry.connection, principal.user_id)
            change = await taking.reassign(entry, handoff_id, by, to)
            taker = await colleague(entry.connection, to)
            if change.handoff.status == "claimed":
                await trail.claimed(
                    entry.connection, change.handoff.session_id, taker, actor=principal.key, kind="reassigned"
                )
            data = {"by": by.known_as, "to": taker.known_as}
            await self._audited(entry, principal, change, "reassigned", data, trace)
        return self._settled(change)

    async def release(self, principal: Principal, handoff_id: UUID, **trace: str) -> Change:
        async with self._journal(principal) as entry:
            by = await colleague(entry.connection, principal.user_id)
            change = await taking.release(entry, handoff_id, by, owner=self.parts.process)
            data = {"by": by.known_as}
            await trail.noted(entry.connection, change.handoff.session_id, "released", data, actor=principal.key)
            await self._audited(entry, principal, change, "released", data, trace)
        return self._settled(change)

    async def resolve(self, principal: Principal, handoff_id: UUID, *, outcome: str, **trace: str) -> Change:
        async with self._journal(principal) as entry:
            by = await colleague(entry.connection, principal.user_id)
            change = await taking.resolve(entry, handoff_id, by, outcome=outcome)
            await trail.resolved(entry.connection, change.handoff.session_id, by, outcome, actor=principal.key)
            await self._audited(entry, principal, change, "resolved", {"by": by.known_as, "outcome": outcome}, trace)
        return self._settled(change)

    async def return_neglected(self) -> int:
        """Put conversations back into the queue whose customers have waited too long for the person who has them, and
        those of colleagues whose accounts are closed."""
        async with self.parts.database.lookup() as connection:
            rows = await connection.execute("select * from neglected_handoffs(%s, %s)", (RETURN_AFTER_S, AT_ONCE))
            found = await rows.fetchall()
        returned = 0
        for row in found:
            try:
                returned += await self._return(row["tenant_id"], row["session_id"], row["handoff_id"])
            except HelpdeskError as error:  # one that can't be returned now must not hide the others
                log.warning("a handoff could not be returned to the queue", error=error.code)
        return returned

    async def _return(self, tenant_id: UUID, session_id: UUID, handoff_id: UUID) -> bool:
        async with journal(self.parts.database, self.parts.streams, tenant_id) as entry:
            options = await load_options(entry.connection, tenant_id)
            session = await chats.get_session(entry.connection, session_id)
            left = await taking.has_left(entry.connection, handoff_id)
            change = await taking.return_to_queue(
                entry, session_id, handoff_id, after_s=options.handoff_return_s,
                words=say("colleague_left" if left else "back_in_queue", session.language), owner=self.parts.process,
            )  # fmt: skip
            if change is None:
                return False
            await trail.returned(entry.connection, session_id)
        self._settled(change)
        return True

    async def watch_for_neglected(self, every_s: float = LOOK_EVERY_S) -> None:
        """Look for neglected conversations for as long as this task lives."""
        while True:
            try:
                await self.return_neglected()
            except HelpdeskError as error:
                log.warning("could not look for neglected conversations", error=error.code)
            except Exception:  # the watch must outlive whatever it meets
                log.exception("could not look for neglected conversations")
            await asyncio.sleep(every_s)

    def _settled(self, change: Change) -> Change:
        """After the commit: drop the work of a turn that was ended, begin the one that was started."""
        if change.stopped:
            metrics.turns_total.labels("cancelled", "takeover").inc()
            self.turns.interrupt(change.stopped.id)
        self.turns.start(change.started)
        return change

    async def _audited(
        self, entry: Journal, principal: Principal, change: Change, what: str, data: dict[str, str],
        trace: dict[str, str],
    ) -> None:  # fmt: skip
        await audit.write(
            entry.connection, principal, f"handoff.{what}", "handoff", change.handoff.id, changes=data, **trace
        )

    def _journal(self, principal: Principal) -> AbstractAsyncContextManager[Journal]:
        return journal(self.parts.database, self.parts.streams, principal.tenant_id)
