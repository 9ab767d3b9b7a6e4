"""Before the graph runs: everything a turn needs from the database, read in one short transaction."""

import time
from typing import Any
from uuid import UUID

from agent import metrics
from agent.answering import Answer
from agent.parts import Parts
from agent.prompting import DEFAULT_PROMPT, PromptParts
from agent.state import GraphContext
from kbs.retrieval_cache import Retrieved
from memory import chats, turns
from memory.database import Connection
from memory.events import Journal
from memory.models import ChatMessage, Customer, Ticket
from memory.tenancy import Principal, Role
from memory.turns import Lease
from tools.attachments.reading import files_of_session
from tools.context import TurnContext
from tools.handoffs.people import people_are_there
from tools.handoffs.requesting import open_handoff
from tools.recall import WINDOW
from tools.search import load_retrieval_options, scope_of
from tools.tenants import load_options
from tools.tickets import escalation_ticket

MODELS_S = 28.0
"""Of the 32 s that a turn may take: what is left is for saying that it failed."""


async def prepare(parts: Parts, lease: Lease) -> GraphContext:
    """The surroundings of one turn."""
    async with parts.database.connection(lease.tenant_id) as connection:
        session = await chats.get_session(connection, lease.session_id)
        options = await load_options(connection, lease.tenant_id)
        there = await people_are_there(connection, options)
        ranking = await load_retrieval_options(connection, lease.tenant_id)
        customer = await _customer(connection, session.customer_id)
        asked = await turns.questions(connection, lease.turn_id)
        question = "\n".join(message["content"] for message in asked)
        window = await chats.window(connection, session.id, after=session.summary_upto, limit=WINDOW + len(asked))
        prompt = await active_prompt(connection)
        waiting = await _waiting_ticket(Journal(connection, lease.tenant_id), session.id)
        attachments = await files_of_session(connection, session.id)
    own = frozenset(message["id"] for message in asked)
    principal = Principal(
        tenant_id=lease.tenant_id, role=Role.CUSTOMER, customer_id=customer.id, user_id=customer.user_id,
        audience=frozenset(customer.audience),
    )  # fmt: skip
    scope = scope_of(principal, options)

    async def search(query: str) -> Retrieved:
        found = await parts.retriever.search(query, scope, ranking)
        metrics.retrieval_cache_total.labels("hit" if found.cached else "miss").inc()
        return found

    return GraphContext(
        turn=TurnContext(
            principal=principal, lease=lease, database=parts.database, streams=parts.streams, options=options,
            search=search, people_there=there,
        ),
        session=session,
        question=question,
        asked=own,
        attachments=tuple(attachments),
        files=parts.files,
        history=tuple(message for message in window if message.id not in own and not _is_for_later(message, asked)),
        prompt=prompt,
        models=parts.models,
        embedder=parts.embedder,
        judges=parts.judges,
        answer=Answer(database=parts.database, streams=parts.streams, lease=lease),
        waiting_ticket=waiting,
        deadline=time.monotonic() + MODELS_S,
    )  # fmt: skip


def _is_for_later(message: ChatMessage, asked: list[dict[str, Any]]) -> bool:
    """A customer's message that came after this turn's own: the next turn answers it."""
    return message.author == "customer" and message.n > asked[-1]["n"]


async def active_prompt(connection: Connection) -> PromptParts:
    """The tenant's active prompt, else the global default, else the one that ships with the code."""
    row = await (await connection.execute(ACTIVE_PROMPT)).fetchone()
    if row is None:
        return DEFAULT_PROMPT
    return PromptParts(
        name=row["name"], version_id=str(row["id"]), system_prompt=row["system_prompt"],
        context_template=row["context_template"], task_template=row["task_template"],
    )  # fmt: skip


async def _customer(connection: Connection, customer_id: UUID) -> Customer:
    row = await (await connection.execute("select * from customers where id = %s", (customer_id,))).fetchone()
    assert row is not None  # a session can't outlive its customer
    return Customer(**row)


async def _waiting_ticket(entry: Journal, session_id: UUID) -> Ticket | None:
    if await open_handoff(entry, session_id) is None:
        return None
    return await escalation_ticket(entry.connection, session_id)


ACTIVE_PROMPT = """
select id, name, system_prompt, context_template, task_template from prompt_versions
where is_active order by (tenant_id = current_tenant()) desc limit 1
"""
