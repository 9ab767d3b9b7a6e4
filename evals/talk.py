"""Conversations with the real product: stored, run through the graph and read from their rows, without HTTP."""

from dataclasses import dataclass
from time import perf_counter
from typing import Any
from uuid import UUID

from evals.world import World
from memory.models import Tenant
from memory.tenancy import Principal, Role
from tools.conversations import open_session

TENANT = "talk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One conversation of a new customer."""

    world: World
    tenant: Tenant
    principal: Principal
    session_id: UUID

    async def say(self, text: str) -> dict[str, Any]:
        """The answer as the wire has it, with the milliseconds that it took."""
        before = perf_counter()
        conversations = self.world.resources.conversations
        sent = await conversations.send(self.principal, self.session_id, text)
        if sent.turn_id is None:
            return {"message": "", "status": "human", "sources": [], "requires_escalation": False}
        answer = await conversations.answer_of(self.tenant.id, self.session_id, sent)
        return {**answer, "ms": (perf_counter() - before) * 1000}

    async def reason(self) -> str | None:
        """Why a person was asked for, if one was."""
        async with self.world.resources.database.connection(self.tenant.id) as connection:
            row = await (await connection.execute(REASON, (self.session_id,))).fetchone()
        return row["reason"] if row else None

    async def outcome(self) -> str:
        """What the newest turn came to."""
        async with self.world.resources.database.connection(self.tenant.id) as connection:
            row = await (await connection.execute(OUTCOME, (self.session_id,))).fetchone()
        return str(row["outcome"]) if row else ""

    async def handoffs(self) -> int:
        async with self.world.resources.database.connection(self.tenant.id) as connection:
            row = await (await connection.execute(HANDOFFS, (self.session_id,))).fetchone()
        return int(row["n"]) if row else 0


async def begin(world: World, audience: str | None = None, tenant: Tenant | None = None) -> Talk:
    """A visitor's first contact; with the tenant that has the product's own articles, where no other is named."""
    tenant = tenant or await world.tenant(TENANT)
    database = world.resources.database
    opened = await open_session(database, world.resources.streams, tenant.id, label=None)
    if audience:
        async with world.owner.connection(tenant.id) as connection:
            await connection.execute(AUDIENCE, ([audience], opened.customer_id))
    principal = Principal(tenant_id=tenant.id, role=Role.CUSTOMER, customer_id=opened.customer_id)
    return Talk(world=world, tenant=tenant, principal=principal, session_id=opened.session_id)


AUDIENCE = "update customers set audience = %s where id = %s"
REASON = "select reason from handoffs where session_id = %s order by id desc limit 1"
OUTCOME = """
select details->>'outcome' as outcome from chat_messages where session_id = %s and details ? 'outcome' order by n desc limit 1
"""
HANDOFFS = "select count(*) as n from handoffs where session_id = %s"
