"""What colleagues change of a ticket: its state, whose it is, how urgent, and what the machine had got wrong."""

from typing import Any
from uuid import UUID

from memory import audit
from memory.database import Connection
from memory.errors import Conflict
from memory.tenancy import Principal
from tools.classification.severity import SEVERITIES
from tools.staff import colleague
from tools.ticket_rules import HIGHEST_TIER, PRIORITIES
from tools.tickets import clocks
from tools.tickets.editing import BOOKKEEPING, Edit, editing, in_utc
from tools.tickets.links import link, lock_links
from tools.tickets.opening import PRIORITY_OF
from tools.tickets.routing import Facts, first_match, route
from tools.tickets.status import ENDED
from tools.tickets.talking import open_again

CLASSIFICATION = ("intent", "severity", "tier", "language")
OWNERS = ("team", "assignee_id")
_ASIDE = BOOKKEEPING | {"paused_at", "first_response_due", "resolution_due"}


async def change_ticket(
    connection: Connection, principal: Principal, ticket_id: UUID, changes: dict[str, Any], *,
    version: int | None = None, **trace: Any,
) -> None:  # fmt: skip
    """Apply the named changes together. Raises NotFound, and Conflict for an older version or a step that is not
    allowed."""
    if "duplicate_of" in changes:
        await lock_links(connection, principal.tenant_id)
    async with editing(connection, ticket_id, actor=principal.key, version=version) as edit:
        edit.must_stand_alone()
        _correct(edit, changes)
        await _assign(connection, edit, changes)
        if "duplicate_of" in changes:
            await link(connection, edit, changes["duplicate_of"])
        _set_one(edit, changes, "department")
        if _set_one(edit, changes, "priority"):
            await _retime(connection, edit)
        if "status" in changes:
            edit.move(changes["status"])
    named = {name: value for name, value in edit.changes.items() if name not in _ASIDE}
    if named:
        await audit.write(connection, principal, "ticket.changed", "ticket", ticket_id, changes=named, **trace)


async def escalate_ticket(
    connection: Connection, principal: Principal, ticket_id: UUID, *, reason: str, version: int | None = None,
    **trace: Any,
) -> None:  # fmt: skip
    """Hand a ticket up to the next tier; a rule that speaks of tiers may send it to others."""
    async with editing(connection, ticket_id, actor=principal.key, version=version) as edit:
        edit.must_stand_alone()
        ticket = edit.ticket
        if ticket.status in ENDED:
            raise Conflict("this ticket has ended; reopen it first")
        if ticket.tier >= HIGHEST_TIER:
            raise Conflict("there is no higher tier")
        data = {"from": ticket.tier, "to": ticket.tier + 1, "reason": reason}
        edit.set(tier=ticket.tier + 1)
        edit.tell("escalated", data)
        await _route_again(connection, edit)
    await audit.write(connection, principal, "ticket.escalated", "ticket", ticket_id, changes=data, **trace)


async def raise_alarm(
    connection: Connection, ticket_id: UUID, words: str, *, severity: str, tier: int, actor: str
) -> None:
    """The matter became graver while it waited: severity, tier and priority rise where they are lower, what had ended is
    open again, and a note tells colleagues why."""
    await open_again(connection, ticket_id, actor=actor)
    async with editing(connection, ticket_id, actor=actor) as edit:
        ticket, before = edit.ticket, edit.ticket.tier
        edit.tell("note", {"text": words})
        edit.set(severity=max(ticket.severity, severity, key=list[str](SEVERITIES).index))
        if _set_one(edit, {"priority": _higher(ticket.priority, PRIORITY_OF[severity])}, "priority"):
            await _retime(connection, edit)
        if tier > before:
            edit.set(tier=tier)
            edit.tell("escalated", {"from": before, "to": tier, "reason": "guardrail"})
            await _route_again(connection, edit)


def _higher(priority: str, other: str) -> str:
    return max(priority, other, key=list[str](PRIORITIES).index)


def _correct(edit: Edit, changes: dict[str, Any]) -> None:
    """A colleague's word holds; the machine's stays in `classified`."""
    corrected = _differing(edit, changes, CLASSIFICATION)
    if corrected:
        edit.tell("corrected", corrected)
        edit.set(**{name: change["to"] for name, change in corrected.items()})


async def _assign(connection: Connection, edit: Edit, changes: dict[str, Any]) -> None:
    assigned = _differing(edit, changes, OWNERS)
    if not assigned:
        return
    if changes.get("assignee_id") and "assignee_id" in assigned:
        await colleague(connection, changes["assignee_id"])
    edit.tell("assigned", assigned)
    edit.set(**{name: changes[name] for name in assigned})


def _set_one(edit: Edit, changes: dict[str, Any], name: str) -> bool:
    changed = _differing(edit, changes, (name,))
    if changed:
        edit.tell(f"{name}_changed", changed[name])
        edit.set(**{name: changes[name]})
    return bool(changed)


def _differing(edit: Edit, changes: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    now = edit.ticket
    return {
        name: {"from": _plain(getattr(now, name)), "to": _plain(changes[name])}
        for name in names
        if name in changes and changes[name] != getattr(now, name)
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


async def _retime(connection: Connection, edit: Edit) -> None:
    """Other targets hold from the start of the clocks on, less the time that they stood still."""
    ticket = edit.ticket
    if ticket.status in ENDED:
        return
    rows = await (await connection.execute(STATUS_CHANGES, (ticket.id,))).fetchall()
    steps = [(in_utc(row["created_at"]), row["before"], row["after"]) for row in rows]
    reopened = [step[0] for step, row in zip(steps, rows, strict=True) if row["type"] == "reopened"]
    start = reopened[-1] if reopened else ticket.created_at
    edit.set(**clocks.restarted(ticket, edit.options, start, clocks.pauses_of(steps, start)))


async def _route_again(connection: Connection, edit: Edit) -> None:
    ticket, rules = edit.ticket, edit.options.routing
    facts = Facts(
        intent=ticket.intent, tier=ticket.tier, severity=ticket.severity, language=ticket.language,
        department=ticket.department, priority=ticket.priority,
    )  # fmt: skip
    match = first_match(rules, facts)
    if match is None or match[1].when.tier is None:
        return
    found = await route(connection, ticket.tenant_id, rules, facts)
    if found:
        edit.set(team=found.team, assignee_id=found.assignee_id, routed_because=found.because)
        edit.tell("routed", found.data(), actor="system")


STATUS_CHANGES = """
select type, created_at, data ->> 'from' as before, data ->> 'to' as after from ticket_events
where ticket_id = %s and tenant_id = current_tenant() and type in ('status_changed', 'reopened') order by id
"""
