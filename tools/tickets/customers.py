"""For whom a ticket is opened: oneself, or the customer whom a colleague or a tenant's server names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from memory import audit, chats
from memory.database import Connection
from memory.errors import Invalid, NotFound
from memory.models import Ticket
from memory.tenancy import Principal
from tools.attachments import storing
from tools.identity import principals
from tools.tickets.opening import open_ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A ticket that somebody wants opened."""

    subject: str
    content: str
    department: str = ""
    session_id: UUID | None = None
    customer_id: UUID | None = None
    user_id: str | None = None
    """The customer's id in the tenant's own system."""
    priority: str | None = None
    attachment_ids: Sequence[UUID] = ()
    """The caller's own uploads that come with it."""


async def open_for(connection: Connection, principal: Principal, asked: Asked, **trace: Any) -> Ticket:
    """Open a ticket for whom the caller may. Raises Invalid, and NotFound for a stranger or their conversation."""
    customer_id = await _customer(connection, principal, asked)
    if asked.session_id:
        await chats.get_session(connection, asked.session_id, customer_id=customer_id)
    ticket = await open_ticket(
        connection, tenant_id=principal.tenant_id, customer_id=customer_id, subject=asked.subject,
        content=asked.content, department=asked.department, session_id=asked.session_id, priority=asked.priority,
        opened_by="api" if principal.is_server else "agent" if principal.role.is_staff else "customer",
        actor=principal.key,
    )  # fmt: skip
    if asked.attachment_ids:
        await _attach(connection, principal, ticket, asked.attachment_ids)
    if asked.customer_id or asked.user_id:
        await audit.write(connection, principal, "ticket.opened", "ticket", ticket.id, **trace)
    return ticket


async def _attach(connection: Connection, principal: Principal, ticket: Ticket, ids: Sequence[UUID]) -> None:
    """Files that a ticket begins with belong to its first event."""
    files = await storing.claim(connection, principal, ids)
    row = await (await connection.execute(WITH_FILES, (Jsonb(storing.shown(files)), ticket.id))).fetchone()
    assert row is not None  # every ticket begins with `created`
    await storing.attach_to_ticket_event(
        connection, files, customer_id=ticket.customer_id, ticket_id=ticket.id, event_id=row["id"]
    )


async def customer_named(connection: Connection, user_id: str) -> UUID | None:
    """The customer with this id in the tenant's own system."""
    row = await (await connection.execute(EXTERNAL, (user_id,))).fetchone()
    return row["id"] if row else None


async def _customer(connection: Connection, principal: Principal, asked: Asked) -> UUID:
    if not principal.role.is_staff:
        if asked.customer_id or asked.user_id or asked.priority:
            raise Invalid("customer_id, user_id and priority are for colleagues and servers")
    elif asked.customer_id and asked.user_id:
        raise Invalid("name the customer by customer_id or by user_id, not by both")
    elif asked.user_id and not principal.is_server:
        raise Invalid("user_id goes with a secret API key; name the customer by customer_id")
    elif asked.customer_id:
        return await _known(connection, asked.customer_id)
    elif principal.is_server:
        if not asked.user_id:
            raise Invalid("a server names the customer by user_id or customer_id")
        found = await principals.customer_of_label(connection, principal.tenant_id, asked.user_id)
        assert found.customer_id is not None  # an upsert always returns its row
        return found.customer_id
    own = await principals.customer_of_user(connection, principal)
    assert own.customer_id is not None  # the line above made sure
    return own.customer_id


async def _known(connection: Connection, customer_id: UUID) -> UUID:
    row = await (await connection.execute(KNOWN, (customer_id,))).fetchone()
    if row is None:
        raise NotFound("no such customer")
    return customer_id


KNOWN = "select 1 from customers where id = %s and tenant_id = current_tenant()"
WITH_FILES = """
update ticket_events set data = data || jsonb_build_object('attachments', %s::jsonb)
where ticket_id = %s and tenant_id = current_tenant() and type = 'created' returning id
"""
EXTERNAL = "select id from customers where external_id = %s and tenant_id = current_tenant()"
