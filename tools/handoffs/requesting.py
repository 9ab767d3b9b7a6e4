"""Asking for a person: one open handoff and one escalation ticket per session, however often it is asked."""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from memory.events import Journal
from memory.models import Handoff, Ticket
from tools.handoffs.findings import findings_of
from tools.tickets import escalation_ticket, open_ticket
from tools.tickets.changing import raise_alarm
from tools.tickets.talking import open_again


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Why a person is needed, and what that person should know."""

    session_id: UUID
    customer_id: UUID
    reason: str
    summary: str
    findings: dict[str, Any] = field(default_factory=dict)
    """What the caller knows beyond the stored conversation; it goes before what is read from there."""
    turn_id: UUID | None = None
    actor: str = "bot"
    severity: str = "MEDIUM"
    tier: int = 1
    intent: str | None = None
    language: str | None = None
    alarm: str = ""
    """A line for colleagues who were asked already: the ticket is raised to this severity and tier, and tells it."""


async def request_handoff(journal: Journal, request: Request) -> tuple[Handoff, Ticket, bool]:
    """Open a handoff with its ticket, or find the one that is open already; True when it is new."""
    ticket = await escalation_ticket(journal.connection, request.session_id)
    if ticket and request.alarm:
        await raise_alarm(
            journal.connection,
            ticket.id,
            request.alarm,
            severity=request.severity,
            tier=request.tier,
            actor=request.actor,
        )
    if (found := await open_handoff(journal, request.session_id)) and ticket:
        return found, ticket, False
    known = {name: value for name, value in request.findings.items() if value not in ("", [], None)}
    request = replace(request, findings={**await findings_of(journal.connection, request.session_id), **known})
    if ticket is None:
        ticket = await _open_ticket(journal, request)
    else:
        await open_again(journal.connection, ticket.id, actor=request.actor)
    handoff = Handoff(
        tenant_id=journal.tenant_id, session_id=request.session_id, ticket_id=ticket.id, turn_id=request.turn_id,
        reason=request.reason, summary=request.summary, findings=request.findings,
    )  # fmt: skip
    await journal.connection.execute(INSERT, {**handoff.model_dump(), "findings": Jsonb(request.findings)})
    await journal.append(
        request.session_id,
        "handoff.requested",
        {
            "handoff_id": str(handoff.id), "reason": request.reason, "ticket_id": str(ticket.id),
            "ticket_number": ticket.number,
        },
    )  # fmt: skip
    return handoff, ticket, True


async def open_handoff(journal: Journal, session_id: UUID) -> Handoff | None:
    row = await (await journal.connection.execute(OPEN, {"session": session_id})).fetchone()
    return Handoff(**row) if row else None


async def _open_ticket(journal: Journal, request: Request) -> Ticket:
    return await open_ticket(
        journal.connection, tenant_id=journal.tenant_id, customer_id=request.customer_id, subject=request.summary,
        content=str(request.findings.get("asked") or request.summary), opened_by="escalation", actor=request.actor,
        session_id=request.session_id, severity=request.severity, tier=request.tier,
        intent=request.intent or request.findings["intent"],
        language=request.language,
    )  # fmt: skip


OPEN = """
select * from handoffs
where session_id = %(session)s and tenant_id = current_tenant() and status in ('requested', 'claimed')
"""
INSERT = """
insert into handoffs (id, tenant_id, session_id, ticket_id, turn_id, status, reason, summary, findings)
values (%(id)s, %(tenant_id)s, %(session_id)s, %(ticket_id)s, %(turn_id)s, %(status)s, %(reason)s, %(summary)s,
        %(findings)s)
"""
