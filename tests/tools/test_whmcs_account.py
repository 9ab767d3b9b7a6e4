"""What a draft's model may look up: its own ticket's client, whatever it asks for."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import pytest
import pytest_asyncio

from memory.database import Database
from tests.whmcs_desk import CIPHER, Desk, desk_of
from tests.whmcs_server import WhmcsServer, whmcs_server
from tools.whmcs.account import ACCOUNT_TOOLS, NOBODYS, Account


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[WhmcsServer]:
    async with whmcs_server() as started:
        yield started


@pytest.fixture
async def desk(database: Database, server: WhmcsServer, tenant: Callable[..., Awaitable[UUID]]) -> Desk:
    server.clear()
    desk = await desk_of(database, server, tenant)
    await desk.connect()
    return desk


async def account_of(desk: Desk, *, client: int = 7, tenant_id: UUID | None = None) -> Account:
    issue = desk.server.open(client=client)
    await desk.sync()
    ticket = await desk.ticket(issue.id)
    return Account(
        database=desk.database, cipher=CIPHER, outbound=desk.syncs.outbound, tenant_id=tenant_id or desk.tenant_id,
        ticket_id=ticket["id"],
    )  # fmt: skip


class TestAccount:
    async def test_tells_about_the_tickets_client(self, desk: Desk) -> None:
        account = await account_of(desk)
        details = await account.call("client_details")
        assert details == (
            "Client: Cynthia Reilly\nAccount: Active\nActive services: 3\nInvoices due: 2\nDue in all: $31.90 USD"
        )
        assert await account.call("client_invoices") == (
            "Invoice 70: 15.95 USD, Unpaid, dated 2026-01-01, due 2026-01-08"
        )

    async def test_never_asks_for_another_client(self, desk: Desk) -> None:
        account = await account_of(desk)
        desk.server.asked.clear()
        for tool in ACCOUNT_TOOLS:
            assert tool.schema()["function"]["parameters"]["properties"] == {}
            await account.call(tool.name, {"clientid": 8, "userid": 8, "client_id": "8"})
        asked = {(form["action"], form.get("clientid") or form.get("userid")) for form in desk.server.asked}
        assert asked == {("GetClientsDetails", "7"), ("GetInvoices", "7")}

    async def test_of_a_ticket_without_a_client_or_of_another_tenant_there_is_nothing(
        self, desk: Desk, tenant: Callable[..., Awaitable[UUID]]
    ) -> None:
        guest = await account_of(desk, client=0)
        foreign = await account_of(desk, tenant_id=await tenant())
        desk.server.asked.clear()
        assert await guest.call("client_details") == await foreign.call("client_invoices") == NOBODYS
        assert desk.server.asked == []

    async def test_what_goes_wrong_is_an_instruction(self, desk: Desk) -> None:
        account = await account_of(desk)
        desk.server.fault = lambda form: "address"
        assert "Answer without account data" in await account.call("client_details")
        assert "no tool named" in await account.call("add_reply")
