"""What a draft's model may look up: its own ticket's client, whatever it asks for."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from memory.database import Database
from tests.whmcs_desk import CIPHER, Desk, desk_of
from tests.whmcs_server import WhmcsServer
from tools.whmcs.account import ACCOUNT_TOOLS, NOBODYS, Account, Accounts, Told


@pytest.fixture
async def desk(database: Database, whmcs: WhmcsServer, tenant: Callable[..., Awaitable[UUID]]) -> Desk:
    whmcs.clear()
    desk = await desk_of(database, whmcs, tenant)
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
        assert await account.call("client_details") == Told(
            text="- Client: Cynthia Reilly\n- Account: Active\n- Active services: 3\n- Invoices due: 2\n- Due in all: $31.90 USD"
        )
        assert await account.call("client_invoices") == Told(
            text="- Invoice 70: 15.95 USD, Unpaid, dated 2026-01-01, due 2026-01-08"
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
        told = await guest.call("client_details")
        assert (told.text, told) == (NOBODYS, await foreign.call("client_invoices"))
        assert (await guest.client(), await foreign.client()) == (None, None)
        assert desk.server.asked == []

    async def test_what_goes_wrong_is_an_instruction(self, desk: Desk) -> None:
        account = await account_of(desk)
        desk.server.fault = lambda form: "address"
        told = await account.call("client_details")
        assert ("Answer without account data" in told.text, bool(told.error)) == (True, True)
        assert "no tool named" in (await account.call("add_reply")).text

    @pytest.mark.parametrize(
        ("external_id", "same_ids", "client"),
        [("whmcs:7", False, "7"), ("7", True, "7"), ("7", False, None), ("whmcs:guest:7@x.example", True, None),
         ("whmcs:7x", True, None), (None, True, None)],
    )  # fmt: skip
    async def test_a_ticket_from_elsewhere_is_of_the_client_that_its_customer_is(
        self, desk: Desk, external_id: str | None, same_ids: bool, client: str | None
    ) -> None:
        account = await account_of(desk, client=8)
        await desk.connect(client_ids_are_user_ids=same_ids)
        await desk.rows("update tickets set source = 'helpdesk', external_id = null returning 1")
        await desk.rows("update customers set external_id = %s returning 1", external_id)
        accounts = Accounts(database=desk.database, cipher=CIPHER, outbound=desk.syncs.outbound)
        found = await accounts.of(desk.tenant_id, account.ticket_id)
        assert (await found.client() if found else None) == client

    async def test_without_a_connection_there_is_no_account(self, desk: Desk) -> None:
        account = await account_of(desk)
        await desk.rows("update whmcs_connections set removed_at = now() returning 1")
        assert await account.client() is None
