"""Sessions and their history: the questions that a conversation asks of the database."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from memory.database import Connection
from memory.errors import NotFound
from memory.events import Event, Journal
from memory.models import ChatMessage, ChatSession, new_id
from memory.pipeline import Asked, statement
from memory.rows import to_read

REOPEN_WITHIN = "7 days"


async def create_session(
    journal: Journal, *, customer_id: UUID, user_label: str | None, greeting: str, language: str | None = None,
    attributes: dict[str, Any] | None = None,
) -> ChatSession:  # fmt: skip
    """A new conversation that opens with the bot's greeting."""
    session = ChatSession(
        tenant_id=journal.tenant_id, customer_id=customer_id, user_label=user_label, language=language,
        attributes=attributes or {},
    )  # fmt: skip
    await journal.connection.execute(CREATE, {**session.model_dump(), "attributes": Jsonb(session.attributes)})
    await add_message(journal, session.id, author="bot", content=greeting)
    return session


async def add_message(
    journal: Journal,
    session_id: UUID,
    *,
    author: str,
    content: str,
    author_id: UUID | None = None,
    turn_id: UUID | None = None,
    details: dict[str, Any] | None = None,
    message_id: UUID | None = None,
) -> tuple[UUID, Event]:
    """A message that is no turn's answer, announced by `message.created`, which tells its `details` too."""
    message_id = message_id or new_id()
    event = await journal.append_message(
        session_id, "message.created", told_of(message_id, author, content, turn_id, details),
        message_id=message_id, author=author, content=content, author_id=author_id, turn_id=turn_id, details=details,
    )  # fmt: skip
    return message_id, event


def told_of(
    message_id: UUID, author: str, content: str, turn_id: UUID | None, details: dict[str, Any] | None
) -> dict[str, Any]:
    """What `message.created` says."""
    return {
        "message_id": str(message_id), "author": author, "text": content, "turn_id": str(turn_id) if turn_id else None,
        **(details or {}),
    }  # fmt: skip


async def get_session(
    connection: Connection, session_id: UUID, *, customer_id: UUID | None = None, lock: bool = False
) -> ChatSession:
    """One session; with `customer_id` only if it is that customer's. Raises NotFound."""
    (rows,) = await connection.together(one_session(session_id, customer_id=customer_id, lock=lock))
    return the_session(rows)


def one_session(session_id: UUID, *, customer_id: UUID | None = None, lock: bool = False) -> Asked:
    """Asks for the same; `the_session` reads it."""
    return LOCKED if lock else GET, {"session": session_id, "customer": customer_id}


def the_session(rows: Sequence[DictRow]) -> ChatSession:
    """Raises NotFound."""
    if not rows:
        raise NotFound("no such session")
    return to_read(ChatSession, rows[0])


async def list_sessions(
    connection: Connection, *, customer_id: UUID | None, before: UUID | None, limit: int
) -> list[ChatSession]:
    """Newest first; ids are ordered by time, so the last id of a page is the cursor of the next."""
    rows = await connection.execute(LIST, {"customer": customer_id, "before": before, "limit": limit})
    return [to_read(ChatSession, row) for row in await rows.fetchall()]


async def said_by_system(connection: Connection, turn_id: UUID) -> list[ChatMessage]:
    """What the system told the customer in the course of a turn: that it broke off, and who takes over."""
    rows = await connection.execute(SAID_BY_SYSTEM, (turn_id,))
    return [to_read(ChatMessage, row) for row in await rows.fetchall()]


async def messages_after(connection: Connection, session_id: UUID, *, after: int, limit: int) -> list[ChatMessage]:
    rows = await connection.execute(AFTER, (session_id, after, limit))
    return [to_read(ChatMessage, row) for row in await rows.fetchall()]


async def window(
    connection: Connection, session_id: UUID, *, after: int, limit: int, before: int | None = None,
    turn_id: UUID | None = None,
) -> list[ChatMessage]:  # fmt: skip
    """The newest `limit` messages past `after`, oldest first: what a turn reads of the history, or read of it when
    `before` was the next number. With `turn_id` the messages that it answers are among them and do not count."""
    values = {"session": session_id, "after": after, "limit": limit, "before": before, "turn": turn_id}
    (rows,) = await connection.together((WINDOW, values))
    return [to_read(ChatMessage, row) for row in rows]


def window_now(session_id: UUID, turn_id: UUID, *, limit: int) -> Asked:
    """Asks for the same past what the session's summary holds, as it is now."""
    return NEWEST, {"session": session_id, "limit": limit, "before": None, "turn": turn_id}


async def get_message(connection: Connection, message_id: UUID) -> ChatMessage:
    row = await (await connection.execute(MESSAGE, (message_id,))).fetchone()
    if row is None:
        raise NotFound("no such message")
    return to_read(ChatMessage, row)


async def close_session(journal: Journal, session: ChatSession) -> None:
    """End a conversation; a message within seven days opens it again. Closing twice changes nothing."""
    if session.status == "closed":
        return
    await journal.connection.execute(CLOSE, (session.id,))
    await journal.append(session.id, "session.closed", {})


async def reopen_if_recent(connection: Connection, session_id: UUID) -> bool:
    """Open a closed session again; False when it ended longer ago than `REOPEN_WITHIN`."""
    cursor = await connection.execute(REOPEN, (session_id, REOPEN_WITHIN))
    return cursor.rowcount == 1


async def set_mode(connection: Connection, session_id: UUID, mode: str) -> None:
    """Give the session to people (`human`) or to the `bot`: a new epoch, in which nobody's older words are written."""
    await connection.execute(MODE, (mode, session_id))


async def update_session(connection: Connection, session_id: UUID, **values: Any) -> None:
    """Set columns named by the caller's code, never by input."""
    columns = ", ".join(f"{name} = %({name})s" for name in values)
    query = f"update chat_sessions set {columns} where id = %(id)s and tenant_id = current_tenant()"
    await connection.execute(query, {**values, "id": session_id})


CREATE = """
insert into chat_sessions (id, tenant_id, customer_id, user_label, title, status, mode, epoch, last_n, summary,
                           summary_upto, language, attributes)
values (%(id)s, %(tenant_id)s, %(customer_id)s, %(user_label)s, %(title)s, %(status)s, %(mode)s, %(epoch)s,
        %(last_n)s, %(summary)s, %(summary_upto)s, %(language)s, %(attributes)s)
"""
_GET = """
select * from chat_sessions
where id = %(session)s and tenant_id = current_tenant() and (%(customer)s::uuid is null or customer_id = %(customer)s)
"""
GET = statement(_GET)
LOCKED = statement(f"{_GET} for update")
LIST = """
select * from chat_sessions
where tenant_id = current_tenant() and (%(customer)s::uuid is null or customer_id = %(customer)s)
      and (%(before)s::uuid is null or id < %(before)s)
order by id desc limit %(limit)s
"""
AFTER = """
select * from chat_messages where session_id = %s and n > %s and tenant_id = current_tenant() order by n limit %s
"""
MESSAGE = "select * from chat_messages where id = %s and tenant_id = current_tenant()"
SAID_BY_SYSTEM = """
select * from chat_messages where turn_id = %s and tenant_id = current_tenant() and author = 'system' order by n
"""
_WINDOW = """
select * from (
    (select * from chat_messages
     where session_id = %(session)s and n > {after} and tenant_id = current_tenant()
           and (%(before)s::int is null or n < %(before)s)
           and (author <> 'customer' or turn_id is distinct from %(turn)s)
     order by n desc limit %(limit)s)
    union all
    select * from chat_messages where turn_id = %(turn)s and tenant_id = current_tenant() and author = 'customer'
) messages
order by n
"""
WINDOW = statement(_WINDOW.format(after="%(after)s"))
NEWEST = statement(
    _WINDOW.format(
        after="(select summary_upto from chat_sessions where id = %(session)s and tenant_id = current_tenant())"
    )
)
CLOSE = """
update chat_sessions set status = 'closed', closed_at = now() where id = %s and tenant_id = current_tenant()
"""
MODE = "update chat_sessions set mode = %s, epoch = epoch + 1 where id = %s and tenant_id = current_tenant()"
REOPEN = """
update chat_sessions set status = 'open', closed_at = null
where id = %s and tenant_id = current_tenant() and status = 'closed' and closed_at > now() - %s::interval
"""
