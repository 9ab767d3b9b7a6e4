"""A turn's life in the database: accepted, leased, written under a fence, ended exactly once.

    accept ──▶ running ──▶ completed | failed | cancelled
       └─────▶ queued ──▶ running …          (behind a running turn; all messages that wait are answered together)

The lease is 15 s by the database's clock. Each owner gets the next fence, and every write names it: whoever lost the
lease, or whose session a person has taken over, finds no row to write to (LeaseLost).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from memory import chats, idempotency
from memory import turn_queries as sql
from memory.database import Connection
from memory.errors import LeaseLost, SessionClosed, TurnBusy
from memory.events import Journal
from memory.idempotency import Key
from memory.models import ChatSession, Turn, new_id
from memory.once import Asking
from memory.pipeline import Asked, Values
from memory.rows import to_read

LEASE_S = 15
MAX_ATTEMPTS = 3
_NO_KEY = {"principal": None, "route": None, "key": None}
TITLE = 120
"""Characters of a conversation's title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to write one turn."""

    tenant_id: UUID
    session_id: UUID
    turn_id: UUID
    fence: int
    epoch: int
    started_n: int
    attempts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What became of a customer's message."""

    message_id: UUID
    n: int
    turn_id: UUID | None
    """The turn that will answer it; None while a person has the session."""
    lease: Lease | None
    """Given when the turn starts at once, in this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a turn that ended left behind."""

    message_id: UUID
    waiting: bool
    """Another turn of the session waits to be started. A message that comes later starts its own."""


async def begin(
    journal: Journal, session_id: UUID, content: str, *, owner: str, customer_id: UUID | None = None,
    key: Key | None = None, message_id: UUID | None = None, details: dict[str, Any] | None = None,
) -> Accepted | None:  # fmt: skip
    """Store a customer's message and begin its turn, under the `key` of its request, in one message to the database.

    None, and nothing is changed, where there is more to see to: the session is not open, not the bot's or not
    `customer_id`'s, another turn runs or waits in it, or the key was used before.
    """
    message_id, turn_id = message_id or new_id(), new_id()
    told = chats.told_of(message_id, "customer", content, turn_id, details)
    rows = await journal.append_all(
        session_id, (("message.created", told), ("turn.started", {"turn_id": str(turn_id)})), sql.BEGIN,
        before=((sql.LOCK, {"session": session_id}),),
        after=(idempotency.claim(key, message_id, if_there=message_id),) if key else (),
        **(key.values if key else {**_NO_KEY, "tenant": journal.tenant_id}), turn=turn_id, message=message_id, content=content,
        customer=customer_id, details=Jsonb(details or {}), owner=owner, lease=LEASE_S, title=title_of(content),
    )  # fmt: skip
    if not rows:
        return None
    lease = Lease(
        tenant_id=journal.tenant_id, session_id=session_id, turn_id=turn_id, fence=1, epoch=rows[0]["epoch"],
        started_n=rows[1]["n"],
    )  # fmt: skip
    return Accepted(message_id=message_id, n=rows[0]["n"], turn_id=turn_id, lease=lease)


async def accept(
    journal: Journal,
    session: ChatSession,
    content: str,
    *,
    author_id: UUID,
    owner: str,
    reject_if_busy: bool,
    message_id: UUID | None = None,
    details: dict[str, Any] | None = None,
) -> Accepted:
    """Store a customer's message and see to the turn that answers it. `session` is locked by the caller; `details` are
    told with the message."""
    said = _Said(message_id or new_id(), content, author_id, details)
    if session.status == "closed" and not await chats.reopen_if_recent(journal.connection, session.id):
        raise SessionClosed("this conversation has ended; please start a new one")
    if session.mode == "human":
        return await _store(journal, session, said, None)
    begun = await begin(journal, session.id, content, owner=owner, message_id=said.id, details=details)
    if begun:
        return begun
    if reject_if_busy:
        raise TurnBusy("an answer is being written", retry_after=2)
    if waiting := await queued_turn(journal.connection, session.id):
        return await _store(journal, session, said, waiting)
    queued = {"id": new_id(), "tenant": journal.tenant_id, "session": session.id}
    return await _enqueue(journal, session, said, queued)


def title_of(content: str) -> str:
    """A conversation's, by what its customer said first."""
    return " ".join(content.split())[:TITLE]


@dataclass(frozen=True, slots=True)
class _Said:
    """A customer's message."""

    id: UUID
    content: str
    author_id: UUID
    details: dict[str, Any] | None


async def _enqueue(journal: Journal, session: ChatSession, said: _Said, turn: dict[str, UUID]) -> Accepted:
    """Behind the running turn."""
    await journal.connection.execute(sql.INSERT, turn)
    accepted = await _store(journal, session, said, turn["id"])
    data = {"turn_id": str(turn["id"]), "message_id": str(accepted.message_id)}
    await journal.append(session.id, "turn.queued", data)
    return accepted


async def _announce_start(journal: Journal, session_id: UUID, turn_id: UUID) -> int:
    """The number of the event that says so."""
    row = await journal.append_and(
        session_id, "turn.started", {"turn_id": str(turn_id)}, sql.AND_TURN_STARTED, turn=turn_id
    )  # fmt: skip
    return int(row["n"])


async def _store(journal: Journal, session: ChatSession, said: _Said, turn_id: UUID | None) -> Accepted:
    message_id, event = await chats.add_message(
        journal, session.id, author="customer", content=said.content, author_id=said.author_id, turn_id=turn_id,
        details=said.details, message_id=said.id,
    )  # fmt: skip
    if not session.title:
        await chats.update_session(journal.connection, session.id, title=title_of(said.content))
    return Accepted(message_id=message_id, n=event.n or 0, turn_id=turn_id, lease=None)


async def claim(journal: Journal, turn_id: UUID, *, owner: str) -> Lease | None:
    """Take a queued turn, or one whose lease has lapsed; None when somebody else has it. Lock the session first."""
    row = await _one(journal.connection, sql.CLAIM, {"id": turn_id, "owner": owner, "lease": LEASE_S})
    if row is None:
        return None
    started_n = row["started_n"] or await _announce_start(journal, row["session_id"], turn_id)
    return Lease(
        tenant_id=journal.tenant_id, session_id=row["session_id"], turn_id=turn_id, fence=row["fence"],
        epoch=row["epoch"], started_n=started_n, attempts=row["attempts"],
    )  # fmt: skip


async def renew(connection: Connection, lease: Lease) -> None:
    """Hold the lease for another 15 s."""
    renewed = await connection.execute(sql.RENEW, (LEASE_S, lease.turn_id, lease.fence))
    _keeps(renewed.rowcount)


async def give_back(connection: Connection, lease: Lease) -> None:
    """Let another process take the turn at once instead of after the lease."""
    await connection.execute(sql.GIVE_BACK, (lease.turn_id, lease.fence))


async def hold(connection: Connection, lease: Lease) -> None:
    """Make sure, inside the transaction of a write, that it is still ours to make; keeps others out until commit."""
    _, held = await connection.together((sql.LOCK, {"session": lease.session_id}), (sql.HOLD, _names(lease)))
    _keeps(held)


async def release_text(asking: Asking, lease: Lease, text: str) -> None:
    """Add released text to the turn before any customer sees it: whatever happens next, it is kept. On a connection of
    the lease's tenant, or as one of its calls."""
    ((row,),) = await asking.together((sql.RELEASE, {**_names(lease), "text": text}))
    _keeps(row["held"])


async def finish(
    journal: Journal,
    lease: Lease,
    *,
    content: str,
    complete: bool,
    answer: dict[str, Any],
    details: dict[str, Any],
    prompt_version_id: UUID | None,
    references: Sequence[dict[str, Any]] = (),
    status: str = "completed",
    reason: str | None = None,
    language: str | None = None,
    checkpoint: Values | None = None,
) -> Ended:
    """Store the answer with what it cites, the conversation's new language and the thread's checkpoint, and end the turn
    and the transaction, if it is still the bot's to write."""
    message_id = new_id()
    kept = "complete" if complete else "incomplete"
    data = {**answer, "message_id": str(message_id), "turn_id": str(lease.turn_id), "status": kept}
    ended = (f"turn.{status}", {"turn_id": str(lease.turn_id), "reason": reason})
    before: list[Asked] = [(sql.LOCK, {"session": lease.session_id})]
    if checkpoint:
        before.append((sql.KEEP, {**checkpoint, **_names(lease)}))
    rows = await journal.append_all(
        lease.session_id, (("message.completed", data), ended), sql.FINISH, before=before, turn=lease.turn_id,
        fence=lease.fence, epoch=lease.epoch, message=message_id, content=content, kept=kept, details=Jsonb(details),
        prompt=prompt_version_id, references=Jsonb(references), status=status, reason=reason, language=language,
    )  # fmt: skip
    _keeps(rows)
    return Ended(message_id=message_id, waiting=bool(rows[-1]["waiting"]))


async def stop(
    journal: Journal,
    session_id: UUID,
    *,
    status: str,
    reason: str,
    farewell: Callable[[Turn], Awaitable[None]] | None = None,
) -> Turn | None:
    """End the running turn from outside: a cancel, a takeover, a lapsed lease. The text so far is kept and marked.

    `farewell` may add what the customer should read before the turn's last event.
    """
    row = await _one(journal.connection, sql.STOP, {"session": session_id, "status": status, "reason": reason})
    if row is None:
        return None
    turn = to_read(Turn, row)
    answer_id = None
    if turn.partial:
        answer_id = new_id()
        data = {
            "message_id": str(answer_id), "turn_id": str(turn.id), "status": "incomplete", "message": turn.partial,
            "sources": [], "requires_escalation": False,
        }  # fmt: skip
        await journal.append_message(
            session_id, "message.completed", data,
            message_id=answer_id, author="bot", content=turn.partial, status="incomplete", turn_id=turn.id,
        )  # fmt: skip
    if farewell:
        await farewell(turn)
    await _end(journal, session_id, turn.id, status, reason, answer_id)
    return turn


async def cancel_queued(journal: Journal, session_id: UUID, *, reason: str) -> None:
    """End the turn that waits in a session, if there is one; lock the session first."""
    if waiting := await queued_turn(journal.connection, session_id):
        await _end(journal, session_id, waiting, "cancelled", reason, None)


async def answer_rest(journal: Journal, session_id: UUID, *, owner: str) -> Lease | None:
    """Start a turn for what the customer said since anybody last answered; None where nothing waits. Lock the session
    first."""
    turn_id = new_id()
    values = {"id": turn_id, "tenant": journal.tenant_id, "session": session_id}
    waiting = await journal.connection.execute(sql.UNANSWERED, {"session": session_id})
    if not (ids := [row["id"] for row in await waiting.fetchall()]):
        return None
    await journal.connection.execute(sql.INSERT, values)
    await journal.connection.execute(sql.GIVE_TO, (turn_id, ids))
    return await claim(journal, turn_id, owner=owner)


async def _end(
    journal: Journal, session_id: UUID, turn_id: UUID, status: str, reason: str | None, answer_id: UUID | None
) -> bool:
    """Whether another turn of the session waits to be next."""
    data = {"turn_id": str(turn_id), "reason": reason}
    row = await journal.append_and(
        session_id,
        f"turn.{status}",
        data,
        sql.AND_TURN_ENDED,
        turn=turn_id,
        status=status,
        reason=reason,
        message=answer_id,
    )
    return bool(row["waiting"])


async def get_turn(connection: Connection, turn_id: UUID) -> Turn | None:
    row = await _one(connection, sql.GET, {"id": turn_id})
    return to_read(Turn, row) if row else None


async def queued_turn(connection: Connection, session_id: UUID) -> UUID | None:
    """The turn that waits in a session, if any."""
    row = await _one(connection, sql.QUEUED, {"id": session_id})
    return row["id"] if row else None


async def had_effects(connection: Connection, turn_id: UUID) -> bool:
    """Whether a tool of the turn's has done something, or a person was asked for in it."""
    return await _one(connection, sql.HAD_EFFECTS, {"id": turn_id}) is not None


async def record_effect(connection: Connection, lease: Lease, ordinal: int, tool: str, result: dict[str, Any]) -> bool:
    """Note a tool's effect in the effect's own transaction; False when this ordinal has had its effect before."""
    cursor = await connection.execute(sql.EFFECT, (lease.turn_id, ordinal, lease.tenant_id, tool, Jsonb(result)))
    return cursor.rowcount == 1


async def questions(connection: Connection, turn_id: UUID) -> list[dict[str, Any]]:
    """The customer's messages that a turn answers, in order."""
    rows = await connection.execute(sql.QUESTIONS, (turn_id,))
    return await rows.fetchall()


async def _one(connection: Connection, query: str, values: dict[str, Any]) -> dict[str, Any] | None:
    return await (await connection.execute(query, values)).fetchone()


def _names(lease: Lease) -> dict[str, Any]:
    """What a query calls a lease."""
    return {
        "tenant": lease.tenant_id, "session": lease.session_id, "turn": lease.turn_id, "fence": lease.fence,
        "epoch": lease.epoch,
    }  # fmt: skip


def _keeps(held: object) -> None:
    if not held:
        raise LeaseLost("the turn is no longer this process's to write")
