"""A customer's message and its answer, as the outside meets them: stored once, answered once, awaited or followed."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agent import metrics
from agent.parts import Parts
from agent.turns.running import Turns
from memory import chats, idempotency, turns
from memory.database import Connection
from memory.errors import Conflict, NotAllowed, NotFound
from memory.events import Journal, journal, journal_once
from memory.models import ChatMessage, ChatSession, new_id
from memory.streams import Cursor, Inbox
from memory.tenancy import Principal, Role
from memory.turns import Accepted
from tools.attachments import storing
from tools.conversations import seen_by
from tools.handoffs import taking, trail
from tools.identity.principals import customer_of_user

ROUTE = "chat.messages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A stored message, and the turn that answers it; no turn while a person has the session."""

    message_id: UUID
    n: int
    turn_id: UUID | None
    replayed: bool = False
    inbox: Inbox | None = None
    """Has the message's event and all that follow, where its turn began at once."""


@dataclass(frozen=True, slots=True)
class Conversations:
    parts: Parts
    turns: Turns

    async def send(
        self,
        principal: Principal,
        session_id: UUID,
        text: str,
        *,
        reject_if_busy: bool = False,
        idempotency_key: str | None = None,
        raw: bytes = b"",
        attachment_ids: Sequence[UUID] = (),
        awaited: bool = False,
    ) -> Sent:
        """Store a message with the uploads that go with it and start its turn. A retry under the same key finds the
        message that is there; `awaited` says that somebody will read its events at once."""
        key = _key(principal, session_id, idempotency_key, raw)
        message_id = new_id()
        begun: Accepted | None = None
        if _speaks_for_itself(principal) and not attachment_ids:
            async with journal_once(self.parts.database, self.parts.streams, principal.tenant_id) as entry:
                begun = await self.turns.begin(entry, principal, session_id, text, key=key, message_id=message_id)
                inbox = self.parts.streams.expect(session_id) if begun and awaited else None
        if begun is None:
            async with journal(self.parts.database, self.parts.streams, principal.tenant_id) as entry:
                found = await self._store(
                    entry, principal, session_id, text, reject_if_busy, key, message_id, attachment_ids
                )
                if isinstance(found, Sent):
                    return found
                begun = found
                inbox = self.parts.streams.expect(session_id) if begun.lease and awaited else None
        metrics.chat_messages_total.labels("customer").inc()
        self.turns.start(begun.lease)
        return Sent(message_id=begun.message_id, n=begun.n, turn_id=begun.turn_id, inbox=inbox)

    async def _store(
        self, entry: Journal, principal: Principal, session_id: UUID, text: str, reject_if_busy: bool,
        key: idempotency.Key | None, message_id: UUID, attachment_ids: Sequence[UUID],
    ) -> Accepted | Sent:  # fmt: skip
        """A message that does not simply begin a turn; what an earlier one under its key came to."""
        asked = [chats.one_session(session_id, customer_id=_own(principal), lock=True)]
        if key:
            asked.append(idempotency.claim(key, message_id))
        found, *claimed = await entry.connection.together(*asked)
        session = await _may_speak(entry.connection, principal, chats.the_session(found))
        if key and not claimed[0]:
            return await _earlier(entry.connection, await idempotency.earlier(entry.connection, key))
        files = await storing.claim(entry.connection, principal, attachment_ids)
        accepted = await self.turns.accept(
            entry, _as_customer(principal, session), session, text, reject_if_busy=reject_if_busy,
            message_id=message_id, details={"attachments": storing.shown(files)} if files else None,
        )  # fmt: skip
        await storing.attach_to_message(
            entry.connection, files, customer_id=session.customer_id, session_id=session_id, message_id=message_id
        )
        if accepted.turn_id is None:
            await taking.customer_waits(entry, session_id)
            await trail.customer_said(entry.connection, session_id, text, actor=principal.key)
        return accepted

    async def answer_of(self, tenant_id: UUID, session_id: UUID, sent: Sent) -> dict[str, Any]:
        """Wait for the end of a message's turn and return its answer."""
        assert sent.turn_id is not None  # without a turn there is nothing to wait for
        events = self.parts.streams.watch(tenant_id, session_id, Cursor(sent.n - 1), sent.inbox)
        async with aclosing(events) as stream:
            async for event in stream:
                if event.ends_turn and event.data["turn_id"] == str(sent.turn_id):
                    break
        async with self.parts.database.connection(tenant_id) as connection:
            return await _answer(connection, sent.turn_id)

    async def close(self, principal: Principal, session_id: UUID) -> None:
        """End a conversation together with what is being written or waits in it; closing twice changes nothing."""
        async with journal(self.parts.database, self.parts.streams, principal.tenant_id) as entry:
            session = await chats.get_session(entry.connection, session_id, customer_id=seen_by(principal), lock=True)
            stopped = await turns.stop(entry, session_id, status="cancelled", reason="closed")
            await turns.cancel_queued(entry, session_id, reason="closed")
            await taking.end_with_session(entry, session, "session_closed")
            await chats.close_session(entry, session)
        if stopped:
            metrics.turns_total.labels("cancelled", "closed").inc()
            self.turns.interrupt(stopped.id)


def _key(principal: Principal, session_id: UUID, key: str | None, raw: bytes) -> idempotency.Key | None:
    return idempotency.Key.of(principal, f"{ROUTE}:{session_id}", key, raw) if key else None


def _speaks_for_itself(principal: Principal) -> bool:
    """Whether the caller may speak in any session that they find, without a look at who they are there."""
    return principal.is_server or (principal.role is Role.CUSTOMER and principal.customer_id is not None)


def _own(principal: Principal) -> UUID | None:
    """The customer whose sessions alone the caller may find; None for servers and colleagues."""
    if principal.is_server or principal.role is not Role.CUSTOMER:
        return None
    if principal.customer_id is None:
        raise NotFound("no such session")
    return principal.customer_id


async def _may_speak(connection: Connection, principal: Principal, session: ChatSession) -> ChatSession:
    """The session, if the caller may speak in it: its customer, or the server that speaks for them. Raises NotAllowed."""
    if not principal.is_server and principal.role is not Role.CUSTOMER:
        principal = await customer_of_user(connection, principal)
        if session.customer_id != principal.customer_id:
            raise NotAllowed("claim the conversation to speak in it")
    return session


def _as_customer(principal: Principal, session: ChatSession) -> Principal:
    return Principal(tenant_id=principal.tenant_id, role=Role.CUSTOMER, customer_id=session.customer_id)


async def _earlier(connection: Connection, earlier: idempotency.Earlier) -> Sent:
    if earlier.resource_id is None:
        raise Conflict("the first request under this key has not finished", retry_after=1)
    message = await chats.get_message(connection, earlier.resource_id)
    return Sent(message_id=message.id, n=message.n, turn_id=message.turn_id, replayed=True)


async def _answer(connection: Connection, turn_id: UUID) -> dict[str, Any]:
    """The wire's answer of an ended turn, from its rows."""
    turn = await turns.get_turn(connection, turn_id)
    if turn is None:
        raise NotFound("no such turn")
    message: ChatMessage | None = await chats.get_message(connection, turn.answer_id) if turn.answer_id else None
    status = turn.status if turn.status in ("cancelled", "failed") else message.status if message else "incomplete"
    known = dict(message.details) if message else {}
    said = [message.content] if message else []
    for word in await chats.said_by_system(connection, turn_id):
        known |= word.details
        said.append(word.content)
    return {
        **{name: value for name, value in known.items() if name in ANSWERED},
        "message_id": message.id if message else None,
        "turn_id": turn.id,
        "status": status,
        "reason": turn.reason,
        "message": "\n\n".join(said),
    }


ANSWERED = (
    "sources", "requires_escalation", "confidence", "intent", "severity", "tier", "guardrail", "ticket_id",
)  # fmt: skip
