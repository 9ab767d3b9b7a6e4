"""What a person does with a conversation: takes it, speaks in it, hands it on, gives it back, ends it.

    requested ──claim, or a person's first words──▶ claimed ──release──▶ released      the bot goes on
        ▲                                             │  └───resolve──▶ resolved      the session ends
        └──────────── nobody answered in time ────────┘

The session is locked before its handoff, always. A claim raises the session's epoch, so that whatever the bot was
still writing finds no row to write to; the turn that it stopped is returned, for its process to drop the work.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from memory import chats, turns
from memory.database import Connection
from memory.errors import AlreadyTaken, Conflict, NotFound
from memory.events import Journal
from memory.models import ChatSession, Handoff, Turn
from memory.turns import Lease
from tools.staff import Colleague, colleague


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A handoff after a change, and what its process has to do about turns."""

    handoff: Handoff
    stopped: Turn | None = None
    """The bot's turn that a takeover ended."""
    started: Lease | None = None
    """The bot's turn that answers what nobody had answered."""
    message_id: UUID | None = None


async def claim(entry: Journal, handoff_id: UUID, by: Colleague) -> Change:
    """Take a conversation; claiming one's own again changes nothing. Raises AlreadyTaken with who has it."""
    handoff, session = await _locked(entry, handoff_id)
    if handoff.status == "claimed" and handoff.claimed_by == by.id:
        return Change(handoff=handoff)
    await _must_be_open(entry, handoff, by)
    return await _take(entry, handoff, session, by)


async def say(
    entry: Journal, handoff_id: UUID, by: Colleague, text: str, *, details: dict[str, Any] | None = None
) -> Change:
    """Speak to the customer; whoever speaks first has the conversation."""
    handoff, session = await _locked(entry, handoff_id)
    await _must_be_open(entry, handoff, by)
    stopped = None
    if handoff.status == "requested":
        stopped = (await _take(entry, handoff, session, by)).stopped
    message_id, _ = await chats.add_message(
        entry, session.id, author="agent", content=text, author_id=by.id, details={"name": by.shown, **(details or {})}
    )
    await entry.connection.execute(ANSWERED, (handoff.id,))
    return Change(handoff=await get(entry.connection, handoff.id), stopped=stopped, message_id=message_id)


async def reassign(entry: Journal, handoff_id: UUID, by: Colleague, to: UUID) -> Change:
    """Give a conversation to a colleague: at once where somebody has it, else the queue keeps it for them."""
    handoff, session = await _locked(entry, handoff_id)
    await _must_be_theirs(entry, handoff, by)
    taker = await colleague(entry.connection, to)
    if handoff.status == "requested":
        await entry.connection.execute(RESERVE, (taker.id, handoff.id))
    elif handoff.status == "claimed":
        if handoff.claimed_by != taker.id:
            await entry.connection.execute(HAND_ON, (taker.id, handoff.id))
            await _tell_claimed(entry, session, handoff, taker)
    else:
        raise Conflict("this handoff has ended")
    return Change(handoff=await get(entry.connection, handoff.id))


async def release(entry: Journal, handoff_id: UUID, by: Colleague, *, owner: str) -> Change:
    """Give the session back to the bot, which answers at once what the customer still waits for."""
    handoff, session = await _locked(entry, handoff_id)
    if handoff.status != "claimed":
        raise Conflict("nobody has this conversation")
    await _must_be_theirs(entry, handoff, by)
    await entry.connection.execute(END, {"id": handoff.id, "status": "released", "outcome": None})
    started = await _back_to_bot(entry, session, handoff, reason="released", owner=owner)
    return Change(handoff=await get(entry.connection, handoff.id), started=started)


async def resolve(entry: Journal, handoff_id: UUID, by: Colleague, *, outcome: str) -> Change:
    """End the matter and, where a person had it, the conversation; a message within seven days opens it again."""
    handoff, session = await _locked(entry, handoff_id)
    if handoff.status not in ("requested", "claimed"):
        raise Conflict("this handoff has ended")
    await _must_be_theirs(entry, handoff, by)
    await _end(entry, session, handoff, outcome)
    if handoff.status == "claimed":
        await chats.close_session(entry, session)
    return Change(handoff=await get(entry.connection, handoff.id))


async def end_with_session(entry: Journal, session: ChatSession, outcome: str) -> None:
    """A session that ends ends its handoff too; its ticket stays open. `session` is locked by the caller."""
    row = await (await entry.connection.execute(OPEN, (session.id,))).fetchone()
    if row:
        await _end(entry, session, Handoff(**row), outcome)


async def return_to_queue(entry: Journal, session_id: UUID, handoff_id: UUID, *, after_s: int, words: str,
                          owner: str) -> Change | None:  # fmt: skip
    """Take a conversation from a person who has not answered for `after_s`, or whose account is closed; None when neither
    is so any more."""
    session = await chats.get_session(entry.connection, session_id, lock=True)
    row = await (await entry.connection.execute(RETURN, (handoff_id, after_s))).fetchone()
    if row is None:
        return None
    handoff = Handoff(**row)
    started = await _back_to_bot(entry, session, handoff, reason="unanswered", owner=owner, words=words)
    return Change(handoff=handoff, started=started)


async def has_left(connection: Connection, handoff_id: UUID) -> bool:
    """Whether the account of the colleague who has this conversation is closed."""
    return await (await connection.execute(HAS_LEFT, (handoff_id,))).fetchone() is not None


async def customer_waits(entry: Journal, session_id: UUID) -> None:
    """Note since when the customer of a claimed session has waited."""
    await entry.connection.execute(WAITS, (session_id,))


async def _locked(entry: Journal, handoff_id: UUID) -> tuple[Handoff, ChatSession]:
    handoff = await get(entry.connection, handoff_id)
    session = await chats.get_session(entry.connection, handoff.session_id, lock=True)
    return await get(entry.connection, handoff_id), session  # what it was before the lock may be over


async def get(connection: Connection, handoff_id: UUID) -> Handoff:
    row = await (await connection.execute(GET, (handoff_id,))).fetchone()
    if row is None:
        raise NotFound("no such handoff")
    return Handoff(**row)


async def _must_be_theirs(entry: Journal, handoff: Handoff, by: Colleague) -> None:
    """An admin may take part in everything but the conversation itself."""
    if by.role != "admin":
        await _must_not_be_anothers(entry, handoff, by)


async def _must_not_be_anothers(entry: Journal, handoff: Handoff, by: Colleague) -> None:
    if handoff.status == "claimed" and handoff.claimed_by != by.id:
        owner = await (await entry.connection.execute(NAME, (handoff.claimed_by,))).fetchone()
        raise AlreadyTaken(f"{owner['known_as'] if owner else 'a colleague'} has this conversation")


async def _must_be_open(entry: Journal, handoff: Handoff, by: Colleague) -> None:
    await _must_not_be_anothers(entry, handoff, by)
    if handoff.status not in ("requested", "claimed"):
        raise Conflict("this handoff has ended")


async def _take(entry: Journal, handoff: Handoff, session: ChatSession, by: Colleague) -> Change:
    await entry.connection.execute(CLAIM, (by.id, handoff.id))
    await chats.set_mode(entry.connection, session.id, "human")
    await _tell_claimed(entry, session, handoff, by)
    stopped = await turns.stop(entry, session.id, status="cancelled", reason="takeover")
    await turns.cancel_queued(entry, session.id, reason="takeover")
    return Change(handoff=await get(entry.connection, handoff.id), stopped=stopped)


async def _tell_claimed(entry: Journal, session: ChatSession, handoff: Handoff, by: Colleague) -> None:
    await entry.append(session.id, "handoff.claimed", {"handoff_id": str(handoff.id), "agent": {"name": by.shown}})


async def _end(entry: Journal, session: ChatSession, handoff: Handoff, outcome: str) -> None:
    await entry.connection.execute(END, {"id": handoff.id, "status": "resolved", "outcome": outcome})
    if session.mode == "human":
        await chats.set_mode(entry.connection, session.id, "bot")
    await entry.append(session.id, "handoff.resolved", {"handoff_id": str(handoff.id)})


async def _back_to_bot(
    entry: Journal, session: ChatSession, handoff: Handoff, *, reason: str, owner: str, words: str = ""
) -> Lease | None:
    await chats.set_mode(entry.connection, session.id, "bot")
    await entry.append(session.id, "handoff.released", {"handoff_id": str(handoff.id), "reason": reason})
    if words:
        await chats.add_message(entry, session.id, author="system", content=words)
    return await turns.answer_rest(entry, session.id, owner=owner)


GET = "select * from handoffs where id = %s and tenant_id = current_tenant()"
OPEN = """
select * from handoffs
where session_id = %s and tenant_id = current_tenant() and status in ('requested', 'claimed')
"""
NAME = """
select coalesce(nullif(name, ''), email) as known_as from users where id = %s and tenant_id = current_tenant()
"""
CLAIM = """
update handoffs set status = 'claimed', claimed_by = %s, claimed_at = clock_timestamp(), assigned_to = null,
       waiting_since = clock_timestamp()
where id = %s and tenant_id = current_tenant() and status = 'requested'
"""
HAND_ON = "update handoffs set claimed_by = %s where id = %s and tenant_id = current_tenant()"
RESERVE = "update handoffs set assigned_to = %s where id = %s and tenant_id = current_tenant()"
ANSWERED = "update handoffs set waiting_since = null where id = %s and tenant_id = current_tenant()"
WAITS = """
update handoffs set waiting_since = coalesce(waiting_since, clock_timestamp())
where session_id = %s and tenant_id = current_tenant() and status = 'claimed'
"""
END = """
update handoffs set status = %(status)s, outcome = %(outcome)s, ended_at = clock_timestamp(), waiting_since = null
where id = %(id)s and tenant_id = current_tenant()
"""
HAS_LEFT = """
select 1 from handoffs h join users u on u.id = h.claimed_by and u.tenant_id = h.tenant_id
where h.id = %s and h.tenant_id = current_tenant() and not u.is_active
"""
RETURN = """
update handoffs set status = 'requested', claimed_by = null, claimed_at = null, waiting_since = null,
       returned = returned + 1
where id = %s and tenant_id = current_tenant() and status = 'claimed'
      and (waiting_since <= clock_timestamp() - make_interval(secs => %s) or not exists (
          select 1 from users u where u.id = claimed_by and u.tenant_id = current_tenant() and u.is_active))
returning *
"""
