"""A colleague's reply on a ticket, in the conversation that the ticket came from.

Who asked in the chat looks for the answer there, and a visitor has no other place. The reply takes nothing over: the
bot goes on, and finds it in the history as a person's words.
"""

from typing import Any
from uuid import UUID

from memory import chats
from memory.database import Connection
from memory.events import Journal
from memory.models import ChatSession
from tools.staff import Colleague


async def hold_session(connection: Connection, ticket_id: UUID) -> ChatSession | None:
    """The ticket's conversation, locked, before the ticket is: whoever needs both takes them in this order."""
    row = await (await connection.execute(SESSION, (ticket_id,))).fetchone()
    if row is None or row["session_id"] is None:
        return None
    return await chats.get_session(connection, row["session_id"], lock=True)


async def say_in_chat(
    connection: Connection, session: ChatSession, by: Colleague, text: str, details: dict[str, Any]
) -> bool:
    """Show the reply there, unless the conversation ended too long ago to go on; the watchers hear of it at commit."""
    if session.status == "closed" and not await chats.reopen_if_recent(connection, session.id):
        return False
    entry = Journal(connection, session.tenant_id)
    await chats.add_message(
        entry, session.id, author="agent", content=text, author_id=by.id, details={"name": by.shown, **details}
    )
    await connection.execute(ANSWERED, (session.id,))
    return True


SESSION = "select session_id from tickets where id = %s and tenant_id = current_tenant()"
ANSWERED = """
update handoffs set waiting_since = null
where session_id = %s and tenant_id = current_tenant() and status = 'claimed'
"""
