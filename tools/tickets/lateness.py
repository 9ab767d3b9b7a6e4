"""The sweep for clocks that ran out: each is told once, however many processes look."""

from uuid import UUID

from memory.database import Connection, Database
from memory.errors import NotFound
from tools.tickets.editing import editing

AT_ONCE = 200


async def mark_late(database: Database) -> int:
    """Give every ticket that missed a target its event; how many clocks were found late."""
    marked, full = 0, True
    while full:
        async with database.lookup() as connection:
            rows = await (await connection.execute("select * from late_tickets(%s)", (AT_ONCE,))).fetchall()
        for row in rows:
            async with database.connection(row["tenant_id"]) as connection:
                marked += await _mark(connection, row["ticket_id"])
        full = len(rows) == AT_ONCE
    return marked


async def _mark(connection: Connection, ticket_id: UUID) -> int:
    """In a transaction of its own, so that nobody who changes another ticket waits for it."""
    try:
        async with editing(connection, ticket_id, actor="system") as edit:
            return len(edit.told)
    except NotFound:  # erased since
        return 0
