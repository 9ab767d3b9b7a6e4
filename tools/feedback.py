"""What customers thought: a thumb for an answer, stars for a conversation, and whether the matter is settled."""

from typing import Literal
from uuid import UUID

from memory import chats
from memory.database import Connection, Database
from memory.errors import Invalid, NotAllowed, NotFound
from memory.models import Feedback, new_id
from memory.tenancy import Principal
from tools.conversations import seen_by

Kind = Literal["thumb", "csat", "resolved"]
VALUES: dict[Kind, tuple[int, ...]] = {"thumb": (-1, 1), "csat": (1, 2, 3, 4, 5), "resolved": (0, 1)}
"""A thumb judges one message of the bot or of a colleague; the other two judge the session."""


async def give_feedback(
    database: Database, principal: Principal, session_id: UUID, *, kind: Kind, value: int, message_id: UUID | None,
    comment: str,
) -> Feedback:  # fmt: skip
    """Keep a judgement; judging again replaces it. Raises NotFound, NotAllowed, Invalid."""
    if value not in VALUES[kind]:
        raise Invalid(f"the value of {kind} is one of {', '.join(map(str, VALUES[kind]))}")
    if (kind == "thumb") != (message_id is not None):
        raise Invalid("a thumb names its message; csat and resolved name none")
    async with database.connection(principal.tenant_id) as connection:
        session = await chats.get_session(connection, session_id, customer_id=seen_by(principal))
        if principal.is_colleague and session.customer_id != principal.customer_id:
            raise NotAllowed("only the customer judges")
        if message_id:
            await _must_be_an_answer(connection, session.id, message_id)
        values = {
            "id": new_id(), "tenant": principal.tenant_id, "session": session.id, "message": message_id, "kind": kind,
            "value": value, "comment": comment,
        }  # fmt: skip
        row = await (await connection.execute(KEEP_MESSAGE if message_id else KEEP_SESSION, values)).fetchone()
    assert row is not None  # an upsert always returns its row
    return Feedback(**row)


async def list_feedback(
    database: Database, tenant_id: UUID, *, kind: Kind | None, session_id: UUID | None, before: UUID | None, limit: int
) -> list[Feedback]:
    """The tenant's newest judgements."""
    values = {"kind": kind, "session": session_id, "before": before, "limit": limit}
    async with database.connection(tenant_id) as connection:
        rows = await connection.execute(LIST, values)
        return [Feedback(**row) for row in await rows.fetchall()]


async def _must_be_an_answer(connection: Connection, session_id: UUID, message_id: UUID) -> None:
    message = await chats.get_message(connection, message_id)
    if message.session_id != session_id or message.author not in ("bot", "agent"):
        raise NotFound("no such answer in this conversation")


_KEEP = """
insert into feedback (id, tenant_id, session_id, message_id, kind, value, comment)
values (%(id)s, %(tenant)s, %(session)s, %(message)s, %(kind)s, %(value)s, %(comment)s)
"""
_AGAIN = "do update set value = excluded.value, comment = excluded.comment returning *"
KEEP_MESSAGE = f"{_KEEP} on conflict (message_id) where message_id is not null {_AGAIN}"
KEEP_SESSION = f"{_KEEP} on conflict (session_id, kind) where message_id is null {_AGAIN}"
LIST = """
select * from feedback
where tenant_id = current_tenant() and (%(kind)s::text is null or kind = %(kind)s)
      and (%(session)s::uuid is null or session_id = %(session)s) and (%(before)s::uuid is null or id < %(before)s)
order by id desc limit %(limit)s
"""
