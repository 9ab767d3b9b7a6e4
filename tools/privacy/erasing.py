"""A customer forgotten: rows, files, checkpoints, what was learned from their words, and what was told of them.

Outside the database first, then the rows and checkpoints in one transaction: whatever breaks in between, the customer can
still be found, and erasing again finishes it. The audit log keeps ids and what colleagues did, and one entry about this. What was
answered to colleagues under an Idempotency-Key is encrypted, and goes within a day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from kbs.index import KnowledgeIndex, Postgres, remove
from memory import audit, checkpoints
from memory.database import Connection, Database
from memory.errors import Unavailable
from memory.files import Files
from memory.tenancy import Principal
from tools.attachments import forgetting
from tools.privacy.belongings import Row, belongings, one_person

TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Everywhere that a customer may have left something."""

    database: Database
    knowledge: Postgres
    index: KnowledgeIndex
    files: Files


async def erase_customer(stores: Stores, by: Principal, customer_id: UUID) -> int:
    """Forget them and whoever was found to be the same person; how many rows went. Raises NotFound."""
    tenant_id = by.tenant_id
    async with stores.database.connection(tenant_id) as connection:
        people = await one_person(connection, customer_id)
        found = await belongings(connection, people)
    await _forget_learned(stores, tenant_id, found.get("learned_replies", ()))
    for person in people:
        await forgetting.forget_customer(stores.database, stores.files, tenant_id, person)
    counts = {table: len(rows) for table, rows in found.items()}
    for tries_left in range(TRIES - 1, -1, -1):
        try:
            async with stores.database.connection(tenant_id) as connection:
                await _delete(connection, tenant_id, people, found)
                await audit.write(connection, by, "customer.erased", "customer", customer_id, changes=counts)
            break
        except Unavailable:  # a running turn may have held what this held, each waiting for the other
            if not tries_left:
                raise
    return sum(counts.values())


async def _forget_learned(stores: Stores, tenant_id: UUID, learned: Sequence[Row]) -> None:
    """What was learned from their words is searched no more."""
    kinds: tuple[Literal["example", "correction"], ...] = ("example", "correction")
    for kind in kinds:
        refs = [str(row["id"]) for row in learned if row["kind"] == kind]
        if refs:
            await remove(stores.index, stores.knowledge, tenant_id, kind, refs)


async def _delete(connection: Connection, tenant_id: UUID, people: list[UUID], found: dict[str, list[Row]]) -> None:
    """The rows that hang on nothing or outlive what they hang on, then the customers: the rest goes with them. Checkpoints
    come last, when no turn can write one any more."""

    def ids(table: str) -> list[str]:
        return [str(row["id"]) for row in found.get(table, ())]

    accounts = [row["user_id"] for row in found["customers"] if row["user_id"]]
    await connection.execute(LOCK, (people,))  # no session begins any more, and those that did since are found
    sessions = [row["id"] for row in await (await connection.execute(SESSIONS, (people,))).fetchall()]
    about = [*map(str, people), *map(str, sessions), *ids("tickets")]
    keys = [f"customer:{person}" for person in people] + [f"user:{account}" for account in accounts]
    lessons = {"lessons": ids("learned_replies")}
    await connection.execute(LEARNED, lessons)
    await connection.execute(QUOTED, lessons)
    await connection.execute(WARNED, lessons)
    await connection.execute(TOLD, {"ids": about})
    await connection.execute(KEYS, {"keys": keys, "ids": [f"%{each}%" for each in about]})
    await connection.execute(PEOPLE, (people,))
    await connection.execute(ACCOUNTS, (accounts,))
    await checkpoints.forget(connection, tenant_id, sessions)


LOCK = "select 1 from customers where tenant_id = current_tenant() and id = any(%s) order by id for update"
SESSIONS = "select id from chat_sessions where tenant_id = current_tenant() and customer_id = any(%s)"
LEARNED = "delete from learned_replies where tenant_id = current_tenant() and id::text = any(%(lessons)s)"
QUOTED = """
update kb_references set quoted = '', title = ''
where tenant_id = current_tenant() and source in ('example', 'correction') and ref = any(%(lessons)s)
"""
WARNED = """
update drafts d set warnings = jsonb_set(d.warnings, '{corrections}', (
    select coalesce(jsonb_agg(c), '[]') from jsonb_array_elements(d.warnings -> 'corrections') c
    where c ->> 'id' <> all(%(lessons)s)))
where d.tenant_id = current_tenant() and d.warnings ? 'corrections' and exists (
    select 1 from jsonb_array_elements(d.warnings -> 'corrections') c where c ->> 'id' = any(%(lessons)s))
"""
"""What other customers' drafts were shown of a lesson."""
TOLD = """
delete from webhook_deliveries
where tenant_id = current_tenant()
      and (payload -> 'data' ->> 'session_id' = any(%(ids)s) or payload -> 'data' ->> 'ticket_id' = any(%(ids)s)
           or payload -> 'data' ->> 'customer_id' = any(%(ids)s))
"""
KEYS = """
delete from idempotency_keys
where tenant_id = current_tenant() and (principal = any(%(keys)s) or route like any(%(ids)s))
"""
PEOPLE = "delete from customers where tenant_id = current_tenant() and id = any(%s)"
ACCOUNTS = "delete from users where tenant_id = current_tenant() and id = any(%s) and role = 'customer'"
