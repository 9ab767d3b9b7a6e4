"""Opening a ticket: classified, given its clocks and its place by the tenant's rules, all in one transaction."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from memory.database import Connection
from memory.models import Ticket
from tools.classification import classify
from tools.intents import load_packs
from tools.tenants import TenantOptions, load_options
from tools.tickets import clocks
from tools.tickets.events import add_event
from tools.tickets.reading import COLUMNS, get_ticket
from tools.tickets.routing import Facts, Route, route

SUBJECT_LENGTH = 200
READ_AT_MOST = 4000
"""Characters that the classifier reads; what a ticket is about stands at its top."""
PRIORITY_OF: Mapping[str, str] = {"LOW": "normal", "MEDIUM": "normal", "HIGH": "high", "CRITICAL": "urgent"}
"""Of a ticket for which nobody chose one, by its severity."""

AUTHOR_OF: Mapping[str, str | None] = {
    "customer": "customer", "api": "customer", "agent": "agent", "model": "bot", "escalation": None,
}  # fmt: skip


async def open_ticket(
    connection: Connection,
    *,
    tenant_id: UUID,
    customer_id: UUID,
    subject: str,
    content: str,
    opened_by: str,
    actor: str,
    session_id: UUID | None = None,
    department: str = "",
    priority: str | None = None,
    severity: str | None = None,
    tier: int | None = None,
    intent: str | None = None,
    language: str | None = None,
    as_it_was: Mapping[str, Any] | None = None,
    is_history: bool = False,
) -> Ticket:
    """Open a ticket under the tenant's next number. What is not given is classified from its words.

    `as_it_was` are columns of a ticket that comes from another system with a past: `created_at` and what happened since.
    Of `is_history` nobody is told, and clocks that have run out already count as missed in silence.
    """
    options = await load_options(connection, tenant_id)
    subject = " ".join(subject.split())[:SUBJECT_LENGTH] or "Request"
    given = {"intent": intent, "severity": severity, "tier": tier, "language": language}
    classified = _classified(f"{subject}\n{content}", options, given)
    judged = {name: classified[name] for name in given}
    priority = priority or PRIORITY_OF[classified["severity"]]
    facts = Facts(**judged, department=department, priority=priority)
    found = await route(connection, tenant_id, options.routing, facts)
    ticket = Ticket(
        tenant_id=tenant_id, number=0, customer_id=customer_id, session_id=session_id, subject=subject,
        content=content, department=department, opened_by=opened_by, priority=priority, **judged, classified=classified,
        team=found.team if found else "", assignee_id=found.assignee_id if found else None,
        routed_because=_reason(found, options), **(as_it_was or {}),
    )  # fmt: skip
    await _insert(connection, ticket, options, is_history=is_history)
    await _tell(connection, ticket, found, actor, {"history": True} if is_history else {})
    return await get_ticket(connection, ticket.id)


def _classified(text: str, options: TenantOptions, given: dict[str, Any]) -> dict[str, Any]:
    """What the machine says: the conversation's judgement as far as there is one, the words' for the rest."""
    packs = load_packs()
    found = classify(text[:READ_AT_MOST], packs=[packs[name] for name in options.intent_packs if name in packs])
    known = {name: value for name, value in given.items() if value is not None}
    words = {"intent": found.intent, "severity": found.severity, "tier": found.tier, "language": found.language}
    return {
        **words, **known, "certainty": found.certainty, "keywords": list(found.keywords),
        "sentiment": found.sentiment, "by": "conversation" if known else "words",
    }  # fmt: skip


def _reason(found: Route | None, options: TenantOptions) -> str:
    if found:
        return found.because
    return "no rule fits" if options.routing else ""


async def _insert(connection: Connection, ticket: Ticket, options: TenantOptions, *, is_history: bool) -> None:
    """Last in line for the tenant's number, which others wait for until the transaction ends."""
    row = await (await connection.execute(NUMBER, (ticket.tenant_id,))).fetchone()
    assert row is not None  # an upsert always returns its row
    ticket.number, ticket.updated_at = row["last_number"], row["at"]
    ticket.created_at = ticket.created_at or row["at"]
    ticket.sqlmodel_update(clocks.restarted(ticket, options, ticket.created_at))
    if is_history:
        ticket.missed = [*clocks.overdue(ticket, row["at"])]
    ticket.next_deadline = clocks.next_deadline(ticket)
    await connection.execute(INSERT, {**ticket.model_dump(), "classified": Jsonb(ticket.classified)})


async def _tell(
    connection: Connection, ticket: Ticket, found: Route | None, actor: str, mark: Mapping[str, Any]
) -> None:
    told = [
        ("created", {"opened_by": ticket.opened_by, "author": AUTHOR_OF.get(ticket.opened_by)}, actor),
        ("classified", ticket.classified, "system"),
        *([("routed", found.data(), "system")] if found else []),
    ]
    for kind, data, by in told:
        at = ticket.created_at if kind == "created" else None
        await add_event(connection, ticket.tenant_id, ticket.id, kind, actor=by, data={**data, **mark}, at=at)


NUMBER = """
insert into ticket_counters (tenant_id, last_number) values (%s, 1)
on conflict (tenant_id) do update set last_number = ticket_counters.last_number + 1 returning last_number, now() as at
"""
_NAMES = [name.strip().removeprefix("t.") for name in COLUMNS.split(",")]
INSERT = f"insert into tickets ({', '.join(_NAMES)}) values ({', '.join(f'%({name})s' for name in _NAMES)})"
