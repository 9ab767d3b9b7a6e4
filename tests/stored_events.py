"""The events of a session as they are stored, past all that watches them."""

from uuid import UUID

from memory.database import Connection
from memory.events import Event

AFTER = "select n, type, data, created_at from session_events where session_id = %s and n > %s order by n"


async def stored_events(connection: Connection, session_id: UUID, after: int = 0) -> list[Event]:
    rows = await connection.execute(AFTER, (session_id, after))
    return [Event(session_id=session_id, **row) for row in await rows.fetchall()]
