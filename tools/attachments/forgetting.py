"""Files that are to be gone: uploads that nobody sent within a day, and everything of a customer who is erased.

Rows go first, in a transaction of their own; a file goes when no row names its content any more. A crash in between
leaves a file that nobody can reach, never a row without its file.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from memory.database import Connection, Database
from memory.files import Files
from tools.attachments.storing import hold_content

KEPT_UNSENT = "1 day"


async def forget_unsent(database: Database, files: Files, tenant_id: UUID) -> int:
    """Forget a tenant's uploads that were never sent; how many there were."""
    async with database.connection(tenant_id) as connection:
        rows = await (await connection.execute(UNSENT, (KEPT_UNSENT,))).fetchall()
    await _remove(database, files, tenant_id, (row["sha256"] for row in rows))
    return len(rows)


async def forget_unbound(database: Database, files: Files, tenant_id: UUID, ids: Sequence[UUID]) -> None:
    """Forget those of these uploads that became part of nothing."""
    async with database.connection(tenant_id) as connection:
        rows = await (await connection.execute(UNBOUND, (list(ids),))).fetchall()
    await _remove(database, files, tenant_id, (row["sha256"] for row in rows))


async def forget_customer(database: Database, files: Files, tenant_id: UUID, customer_id: UUID) -> int:
    """Forget every file of a customer, sent or not; how many there were. What colleagues sent them is among it."""
    async with database.connection(tenant_id) as connection:
        rows = await (await connection.execute(OF_CUSTOMER, (customer_id,))).fetchall()
    await _remove(database, files, tenant_id, (row["sha256"] for row in rows))
    return len(rows)


async def _remove(database: Database, files: Files, tenant_id: UUID, digests: Iterable[str]) -> None:
    for sha256 in dict.fromkeys(digests):
        async with database.connection(tenant_id) as connection:
            await hold_content(connection, tenant_id, sha256)
            if not await _is_named(connection, sha256):
                await files.remove(tenant_id, sha256)


async def _is_named(connection: Connection, sha256: str) -> bool:
    return await (await connection.execute(NAMED, (sha256,))).fetchone() is not None


UNSENT = """
delete from attachments
where tenant_id = current_tenant() and message_id is null and event_id is null and created_at < now() - %s::interval
returning sha256
"""
UNBOUND = """
delete from attachments
where tenant_id = current_tenant() and message_id is null and event_id is null and id = any(%s) returning sha256
"""
OF_CUSTOMER = "delete from attachments where tenant_id = current_tenant() and customer_id = %s returning sha256"
NAMED = "select 1 from attachments where tenant_id = current_tenant() and sha256 = %s limit 1"
