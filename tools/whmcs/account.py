"""What a model that drafts a reply may look up in WHMCS: the account and the invoices of the ticket's own client.

Which client that is comes from the ticket as WHMCS said it, or from its customer where that is a client of WHMCS, and
never from a model: the tools take no arguments, and whatever a model passes is ignored. Only colleagues read a draft, so
these are for drafts and for no conversation. Failures are instructions to the model. Nothing is written there.
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
CLIENTS, COMPANY = "Client", "Company"
LINE = "- "
"""Begins what is told of one thing: an invoice's date is not another one's."""
NOBODYS = "This ticket is of nobody who is a client. Answer without account data."


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a tool tells the model."""

    text: str
    error: str = ""
    """What went wrong, for people; then `text` is an instruction and no account data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTool:
    name: str
    title: str
    """Of what it tells, for people."""
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

    async def call(self, name: str, arguments: dict[str, Any] | None = None) -> Told:
        """What a tool tells the model. Never raises for what WHMCS does."""
        tool = next((tool for tool in ACCOUNT_TOOLS if tool.name == name), None)
        if tool is None:
            return Told(text=f"There is no tool named {name[:60]!r}. Answer with what you have.", error="no such tool")
        try:
            client = await self.client()
            if client is None:
                return Told(text=NOBODYS, error="the customer is no client of WHMCS")
            whmcs, _ = await open_whmcs(self.database, self.cipher, self.outbound, self.tenant_id)
            return Told(text=await tool.run(whmcs, client))
        except HelpdeskError as error:
            words = f"WHMCS could not be asked ({error.code}). Answer without account data, and claim none."
            return Told(text=words, error=error.detail or error.code)

    async def client(self) -> str | None:
        """The client's id in WHMCS; None where the tenant has no connection, or the customer is no client there."""
        async with self.database.connection(self.tenant_id) as connection:
            row = await (await connection.execute(CLIENT, (self.ticket_id,))).fetchone()
        return row["client"] if row else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """What it takes to look into accounts."""

    database: Database
    cipher: Cipher
    outbound: Outbound

    async def of(self, tenant_id: UUID, ticket_id: UUID) -> Account | None:
        """The account of a ticket's customer; None where there is none to look into."""
        account = Account(
            database=self.database, cipher=self.cipher, outbound=self.outbound, tenant_id=tenant_id, ticket_id=ticket_id
        )
        return account if await account.client() else None


def names_in(told: str) -> list[str]:
    """Of the client and the company, in what `client_details` told."""
    begins = (f"{LINE}{CLIENTS}: ", f"{LINE}{COMPANY}: ")
    return [line.partition(": ")[2] for line in told.splitlines() if line.startswith(begins)]


async def client_details(whmcs: Whmcs, client_id: str) -> str:
    client = await read_client(whmcs, client_id)
    facts = [f"{CLIENTS}: {client.firstname} {client.lastname}".rstrip(), f"Account: {client.status}"]
    if client.companyname:
        facts.append(f"{COMPANY}: {client.companyname}")
    facts += [f"{words}: {client.stats[name]}" for name, words in TOLD if client.stats.get(name)]
    return "\n".join(f"{LINE}{fact}" for fact in facts)


async def invoices(whmcs: Whmcs, client_id: str) -> str:
    found = await read_invoices(whmcs, client_id, limit=INVOICES)
    return "\n".join(map(_in_words, found)) if found else "The client has no invoices."


def _in_words(invoice: wire.Invoice) -> str:
    number = invoice.invoicenum or invoice.id
    return (
        f"{LINE}Invoice {number}: {invoice.total} {invoice.currencycode}, {invoice.status}, dated {invoice.date}, "
        f"due {invoice.duedate}"
    )


ACCOUNT_TOOLS: Sequence[AccountTool] = (
    AccountTool(
        name="client_details", title="Account in WHMCS", run=client_details,
        description="State of the account of this ticket's client: services, domains, and what is due.",
    ),
    AccountTool(
        name="client_invoices", title="Invoices in WHMCS", run=invoices,
        description="The newest invoices of this ticket's client, with amount, state and dates.",
    ),
)  # fmt: skip
TOLD = (
    ("productsnumactive", "Active services"), ("numactivedomains", "Active domains"),
    ("numdueinvoices", "Invoices due"), ("dueinvoicesbalance", "Due in all"), ("numoverdueinvoices", "Invoices overdue"),
)  # fmt: skip
CLIENT = """
select coalesce(
    case when t.source = 'whmcs' and t.external_id is not null then nullif(t.external_client, '') end,
    substring(c.external_id from '^whmcs:([0-9]{1,15})$'),
    case when w.options -> 'client_ids_are_user_ids' = 'true' then substring(c.external_id from '^[0-9]{1,15}$') end
) as client
from tickets t
join customers c on c.tenant_id = t.tenant_id and c.id = t.customer_id
join whmcs_connections w on w.tenant_id = t.tenant_id and w.removed_at is null
where t.id = %s and t.tenant_id = current_tenant()
"""
