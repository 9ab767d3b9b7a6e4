"""The plain SQL of tickets names the tenant itself: it holds even as the owner, past row-level security."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from memory.database import Connection, Database
from memory.errors import NotFound
from memory.models import Ticket, new_id
from memory.tenancy import Principal, Role
from tools.ticket_rules import RoutingRule
from tools.tickets import customers, escalation_ticket, get_ticket, list_tickets, open_ticket
from tools.tickets.changing import change_ticket
from tools.tickets.editing import editing
from tools.tickets.events import list_events
from tools.tickets.finding import TicketFilters, find_tickets
from tools.tickets.links import merge_ticket
from tools.tickets.reading import read_ticket
from tools.tickets.routing import Facts, route
from tools.tickets.talking import note, open_again

NewTenant = Callable[..., Awaitable[UUID]]
FACTS = Facts(intent=None, tier=1, severity="LOW", language=None, department="", priority="low")


async def ticket_of(database: Database, tenant_id: UUID, external_id: str = "") -> Ticket:
    async with database.connection(tenant_id) as connection:
        customer, user = new_id(), new_id()
        await connection.execute(
            "insert into customers (id, tenant_id, external_id, email_verified, name, visitor_epoch)"
            " values (%s, %s, %s, false, '', 0)",
            (customer, tenant_id, external_id or None),
        )
        await connection.execute(
            "insert into users (id, tenant_id, email, name, role, password_hash, is_active, token_epoch, teams)"
            " values (%s, %s, %s, '', 'agent', '', true, 0, '{web}')",
            (user, tenant_id, f"{user}@example.com"),
        )
        return await open_ticket(
            connection, tenant_id=tenant_id, customer_id=customer, subject="x", content="y", opened_by="escalation",
            actor="system",
        )  # fmt: skip


async def test_no_statement_reaches_another_tenants_ticket(owner: Database, tenant: NewTenant) -> None:
    foreign = await ticket_of(owner, await tenant(), "c-1")
    home = await tenant()
    mine = await ticket_of(owner, home)
    principal = Principal(tenant_id=home, role=Role.ADMIN, user_id=new_id())
    looks: list[Callable[[Connection], Awaitable[object]]] = [
        lambda c: get_ticket(c, foreign.id),
        lambda c: read_ticket(c, foreign.id),
        lambda c: note(c, principal, foreign.id, "x"),
        lambda c: open_again(c, foreign.id, actor="x"),
        lambda c: merge_ticket(c, principal, mine.id, into=foreign.id),
        lambda c: change_ticket(c, principal, mine.id, {"duplicate_of": foreign.id}),
        lambda c: customers._known(c, foreign.customer_id),
    ]
    for look in looks:
        with pytest.raises(NotFound):
            async with owner.connection(home) as connection:
                await look(connection)
    async with owner.connection(home) as connection:
        assert await list_tickets(connection, customer_id=foreign.customer_id) == []
        assert await list_events(connection, foreign.id, internal=True) == []
        assert await escalation_ticket(connection, new_id()) is None
        assert await customers.customer_named(connection, "c-1") is None
        found, _ = await find_tickets(connection, TicketFilters(q="y", sort="deadline", late=False))
        assert [row["id"] for row in found] == [mine.id]


async def test_turns_and_colleagues_are_the_tenants_own(owner: Database, tenant: NewTenant) -> None:
    abroad, home = await tenant(), await tenant()
    await ticket_of(owner, abroad)
    async with owner.connection(abroad) as connection:
        row = await (await connection.execute("select id from users where tenant_id = %s", (abroad,))).fetchone()
    assert row
    async with owner.connection(home) as connection:
        turn = await route(connection, home, [RoutingRule(to="web", round_robin=True)], FACTS)
        named = await route(connection, home, [RoutingRule(to=str(row["id"]))], FACTS)
    assert turn
    assert named
    assert (turn.assignee_id, named.assignee_id) == (None, None)


class TestTheConversationOfATicket:
    """What the handoff of a conversation does to its ticket."""

    async def test_a_conversation_that_goes_on_opens_its_ticket_however_old(
        self, database: Database, tenant: NewTenant
    ) -> None:
        home = await tenant()
        ticket = await ticket_of(database, home)
        async with database.connection(home) as connection:
            async with editing(connection, ticket.id, actor="x") as edit:
                edit.move("closed")
            await connection.execute("update tickets set closed_at = now() - interval '1 year'")
            await open_again(connection, ticket.id, actor="x")
            again = await get_ticket(connection, ticket.id)
            await open_again(connection, ticket.id, actor="x")
            assert (await get_ticket(connection, ticket.id)).version == again.version
        assert (again.status, again.reopened, again.closed_at) == ("open", 1, None)
