"""Clients of WHMCS: customers here, and what colleagues may read of them there.

A client is the customer `whmcs:<client id>`; only where a tenant says that its site's identities carry the same ids are
they one with those. Who writes without being a client is known by the address alone, apart from every client who has
it. An address from WHMCS counts as unverified: WHMCS takes it from mails and forms.
"""

from uuid import UUID

from memory.database import Connection
from memory.errors import NotFound
from memory.models import new_id
from tools.identity.principals import OF_WHMCS
from tools.whmcs import wire
from tools.whmcs.client import Whmcs
from tools.whmcs.options import WhmcsOptions


async def customer_of(connection: Connection, tenant_id: UUID, ticket: wire.Ticket, options: WhmcsOptions) -> UUID:
    """The customer whose ticket it is, made on first sight."""
    email = (ticket.email or ticket.requestor_email).lower()
    values = {
        "id": new_id(), "tenant": tenant_id, "external": _external_id(ticket, email, options),
        "email": email if "@" in email else None, "name": ticket.name or ticket.requestor_name,
    }  # fmt: skip
    row = await (await connection.execute(CUSTOMER, values)).fetchone()
    assert row is not None  # an upsert always returns its row
    found: UUID = row["id"]
    return found


def _external_id(ticket: wire.Ticket, email: str, options: WhmcsOptions) -> str:
    if ticket.userid:
        return str(ticket.userid) if options.client_ids_are_user_ids else f"{OF_WHMCS}{ticket.userid}"
    return f"{OF_WHMCS}guest:{email}" if "@" in email else f"{OF_WHMCS}ticket:{ticket.id}"


async def read_client(whmcs: Whmcs, client_id: str) -> wire.Client:
    """One client, by the id as somebody wrote it. Raises NotFound."""
    found = await whmcs.client(_id(client_id))
    if found.id != _id(client_id):
        raise NotFound("there is no such client")
    return found


async def read_invoices(whmcs: Whmcs, client_id: str, *, start: int = 0, limit: int = 25) -> list[wire.Invoice]:
    """A client's invoices, newest first. Raises NotFound."""
    return await whmcs.invoices(_id(client_id), start=start, limit=limit)


def _id(written: str) -> int:
    if not (written.isascii() and written.isdigit() and 0 < len(written) < 16 and int(written)):
        raise NotFound("there is no such client")
    return int(written)


CUSTOMER = """
insert into customers (id, tenant_id, external_id, email, email_verified, name, visitor_epoch)
values (%(id)s, %(tenant)s, %(external)s, %(email)s, false, %(name)s, 0)
on conflict (tenant_id, external_id) where external_id is not null do update
set email = case when customers.email_verified then customers.email else coalesce(excluded.email, customers.email) end,
    name = coalesce(nullif(customers.name, ''), excluded.name)
returning coalesce(merged_into, id) as id
"""
