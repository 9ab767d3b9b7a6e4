"""Tickets about the same thing: merged into one, or only marked as a duplicate. Neither ever goes in a circle.

Whatever links two tickets takes the tenant's lock on links first: so none locks two tickets against another's order, and
a circle can't be closed by two at once.
"""

from typing import Any
from uuid import UUID

from memory import audit
from memory.database import Connection
from memory.errors import Conflict
from memory.tenancy import Principal
from tools.tickets.editing import Edit, editing
from tools.tickets.reading import get_ticket


async def merge_ticket(
    connection: Connection, principal: Principal, ticket_id: UUID, *, into: UUID, version: int | None = None,
    **trace: Any,
) -> None:  # fmt: skip
    """Close a ticket in favour of another of the same customer; its history stays its own. Raises NotFound, Conflict."""
    if ticket_id == into:
        raise Conflict("a ticket can't be merged into itself")
    await lock_links(connection, principal.tenant_id)
    async with (
        editing(connection, ticket_id, actor=principal.key, version=version) as source,
        editing(connection, into, actor=principal.key) as target,
    ):
        _must_fit(source, target)
        kept, ended = target.ticket, source.ticket
        source.tell("merged", {"into": str(kept.id), "into_number": kept.number})
        target.tell("merged", {"merged": str(ended.id), "merged_number": ended.number})
        source.move("closed")
        source.set(merged_into=kept.id)
    changes = {"into": str(into)}
    await audit.write(connection, principal, "ticket.merged", "ticket", ticket_id, changes=changes, **trace)


async def link(connection: Connection, edit: Edit, to: UUID | None) -> None:
    """Mark a ticket as a duplicate of another, or of none. The caller holds the lock on links."""
    ticket = edit.ticket
    if to == ticket.duplicate_of:
        return
    if to:
        await get_ticket(connection, to)
        row = await (await connection.execute(LEADS_BACK, {"to": to, "id": ticket.id})).fetchone()
        if row and row["leads_back"]:
            raise Conflict("these tickets would be duplicates of each other in a circle")
    before = str(ticket.duplicate_of) if ticket.duplicate_of else None
    edit.tell("linked", {"from": before, "to": str(to) if to else None})
    edit.set(duplicate_of=to)


async def lock_links(connection: Connection, tenant_id: UUID) -> None:
    await connection.execute(LOCK, (f"links {tenant_id}",))


def _must_fit(source: Edit, target: Edit) -> None:
    source.must_stand_alone()
    target.must_stand_alone()
    if source.ticket.customer_id != target.ticket.customer_id:
        raise Conflict("only tickets of the same customer are merged")
    if target.ticket.status == "closed":
        raise Conflict("the other ticket is closed; reopen it first")


LOCK = "select pg_advisory_xact_lock(hashtextextended(%s, 0))"
LEADS_BACK = """
with recursive met as (
    select id, duplicate_of from tickets where id = %(to)s and tenant_id = current_tenant()
    union
    select t.id, t.duplicate_of from tickets t join met on t.id = met.duplicate_of and t.tenant_id = current_tenant()
)
select bool_or(id = %(id)s) as leads_back from met
"""
