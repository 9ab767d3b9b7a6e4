"""A database that goes in the middle of what somebody waits for."""

import asyncio

from memory.database import Connection


async def end_who_waits(connection: Connection) -> None:
    """Until a connection that waits for a lock was found, and its server process ended."""
    async with asyncio.timeout(5):
        while not (await (await connection.execute(END_WAITING)).fetchall()):
            await asyncio.sleep(0.01)


END_WAITING = """
select pg_terminate_backend(pid) from pg_stat_activity
where wait_event_type = 'Lock' and usename = current_user and datname = current_database()
"""
