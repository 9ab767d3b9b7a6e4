"""What a model that drafts a reply may look up in WHMCS: the account and the invoices of the ticket's own client.

Which client that is comes from the ticket, as WHMCS said it, and never from a model: the tools take no arguments, and
whatever a model passes is ignored. Only colleagues read a draft, so these are for drafts and for no conversation.
Failures are instructions to the model. Nothing is written there.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from memory.database import Database
from memory.encryption import Cipher
from memory.errors import HelpdeskError
from tools.outbound import Outbound
from tools.whmcs import wire
from tools.whmcs.client import Whmcs
from tools.whmcs.clients import read_client, read_invoices
from tools.whmcs.connections import open_whmcs

INVOICES = 10
NOBODYS = "This ticket is of nobody who is a client. Answer without account data."


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTool:
    name: str
    description: str
    run: Callable[[Whmcs, str], Awaitable[str]]

    def schema(self) -> dict[str, Any]:
        """The tool as an OpenAI-compatible endpoint wants it declared."""
        parameters: dict[str, Any] = {"type": "object", "properties": {}}
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The tools of one draft, bound to its ticket."""

    database: Database
    cipher: Cipher
    outbound: Outbound
    tenant_id: UUID
    ticket_id: UUID

    async def call(self, name: str, arguments: dict[str, Any] | None = None) -> str:
        """What a tool tells the model."""
        tool = next((tool for tool in ACCOUNT_TOOLS if tool.name == name), None)
        if tool is None:
            return f"There is no tool named {name[:60]!r}. Answer with what you have."
        try:
            async with self.database.connection(self.tenant_id) as connection:
                row = await (await connection.execute(CLIENT, (self.ticket_id,))).fetchone()
            if row is None or not row["external_client"]:
                return NOBODYS
            whmcs, _ = await open_whmcs(self.database, self.cipher, self.outbound, self.tenant_id)
            return await tool.run(whmcs, row["external_client"])
        except HelpdeskError as error:
            return f"WHMCS could not be asked ({error.code}). Answer without account data, and claim none."


async def client_details(whmcs: Whmcs, client_id: str) -> str:
    client = await read_client(whmcs, client_id)
    facts = [f"Client: {client.firstname} {client.lastname}".rstrip(), f"Account: {client.status}"]
    if client.companyname:
        facts.append(f"Company: {client.companyname}")
    return "\n".join([*facts, *(f"{words}: {client.stats[name]}" for name, words in TOLD if client.stats.get(name))])


async def invoices(whmcs: Whmcs, client_id: str) -> str:
    found = await read_invoices(whmcs, client_id, limit=INVOICES)
    return "\n".join(map(_in_words, found)) if found else "The client has no invoices."


def _in_words(invoice: wire.Invoice) -> str:
    number = invoice.invoicenum or invoice.id
    return (
        f"Invoice {number}: {invoice.total} {invoice.currencycode}, {invoice.status}, dated {invoice.date}, "
        f"due {invoice.duedate}"
    )


ACCOUNT_TOOLS: Sequence[AccountTool] = (
    AccountTool(
        name="client_details", run=client_details,
        description="State of the account of this ticket's client: services, domains, and what is due.",
    ),
    AccountTool(
        name="client_invoices", run=invoices,
        description="The newest invoices of this ticket's client, with amount, state and dates.",
    ),
)  # fmt: skip
TOLD = (
    ("productsnumactive", "Active services"), ("numactivedomains", "Active domains"),
    ("numdueinvoices", "Invoices due"), ("dueinvoicesbalance", "Due in all"), ("numoverdueinvoices", "Invoices overdue"),
)  # fmt: skip
# Names the tenant: a layer of its own besides row-level security.
CLIENT = """
select external_client from tickets
where id = %s and tenant_id = current_tenant() and source = 'whmcs' and external_id is not null
"""
