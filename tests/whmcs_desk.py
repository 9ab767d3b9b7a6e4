"""A tenant whose tickets live in a WHMCS: connected, synchronised, and looked at."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from agent.jobs.whmcs import Pace, Syncs
from memory.database import Database
from memory.encryption import Cipher
from memory.tenancy import Principal, Role
from tests.whmcs_server import IDENTIFIER, SECRET, WhmcsServer
from tools.outbound import Outbound
from tools.whmcs import connections
from tools.whmcs.options import WhmcsOptions

CIPHER = Cipher([Cipher.new_key()])
QUICK = Pace(answer_s=20, first_s=20, slice_s=20, note_s=0.05, look_s=0.01)


@dataclass
class Desk:
    """One tenant's connection."""

    database: Database
    server: WhmcsServer
    syncs: Syncs
    tenant_id: UUID

    @property
    def admin(self) -> Principal:
        return Principal(tenant_id=self.tenant_id, role=Role.ADMIN)

    async def connect(self, *, secret: str = SECRET, **options: Any) -> None:
        wanted = connections.ConnectionSettings(
            url=self.server.url, options=WhmcsOptions(**options),
            credentials={"identifier": IDENTIFIER, "secret": secret},
        )  # fmt: skip
        await connections.save(self.database, CIPHER, self.syncs.outbound, self.admin, wanted)

    async def sync(self, wanted: str = "succeeded") -> dict[str, Any]:
        row = await self.syncs.ask(self.admin)
        assert row["state"] == wanted, row
        return row

    def elsewhere(self, **pace: float) -> Syncs:
        """Another process."""
        return Syncs(self.database, CIPHER, self.syncs.outbound, replace(QUICK, **pace))

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        async with self.database.connection(self.tenant_id) as connection:
            return await (await connection.execute(query, values)).fetchall()

    async def tickets(self) -> list[dict[str, Any]]:
        return await self.rows("select * from tickets order by number")

    async def ticket(self, external_id: int) -> dict[str, Any]:
        [found] = await self.rows("select * from tickets where external_id = %s", str(external_id))
        return found

    async def events(self, ticket: dict[str, Any]) -> list[dict[str, Any]]:
        return await self.rows("select * from ticket_events where ticket_id = %s order by id", ticket["id"])

    async def words(self, ticket: dict[str, Any]) -> list[tuple[str, str]]:
        return [
            (event["data"]["author"], event["data"]["text"])
            for event in await self.events(ticket)
            if event["type"] == "reply"
        ]

    async def connection(self) -> dict[str, Any]:
        [found] = await self.rows("select * from whmcs_connections")
        return found

    async def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All that a synchronisation writes, but for when it looked."""
        return {
            "tickets": await self.rows(
                "select id, version, status, updated_at, external_mark from tickets order by id"
            ),
            "events": await self.rows("select id, data from ticket_events order by id"),
            "customers": await self.rows("select id, name, email from customers order by id"),
        }


async def desk_of(database: Database, server: WhmcsServer, tenant: Callable[..., Awaitable[UUID]]) -> Desk:
    syncs = Syncs(database, CIPHER, Outbound(allowed=frozenset({server.host})), QUICK)
    return Desk(database, server, syncs, await tenant())
