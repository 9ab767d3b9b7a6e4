"""The two clocks of a ticket, as pure arithmetic: until somebody answers, and until it is resolved.

A clock runs from the opening, or from the last reopening, over the hours that its target counts. It stands still while
the ticket waits for its customer, and stops for good when it is met: the first by a colleague's first reply, the second
by the ticket's end. A clock is found late once; `missed` remembers it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from memory.models import Ticket
from tools.business_hours import BusinessHours, add_business_time, business_minutes
from tools.tenants import TenantOptions
from tools.ticket_rules import CLOCKS, Clock
from tools.tickets.status import ENDED

Pause = tuple[datetime, datetime]
Columns = dict[str, Any]


def due_at(
    options: TenantOptions, priority: str, clock: Clock, start: datetime, pauses: Sequence[Pause] = ()
) -> datetime | None:
    """When a clock runs out that started at `start` and stood still in `pauses`, which are in order; None without a
    target."""
    left: float | None = getattr(options.sla.of(priority), clock)
    if left is None:
        return None
    hours = hours_of(options, priority)
    for began, ended in pauses:
        worked = business_minutes(hours, start, began)
        if worked >= left:
            break
        left, start = left - worked, ended
    return add_business_time(hours, start, left)


def hours_of(options: TenantOptions, priority: str) -> BusinessHours | None:
    """The hours that count for tickets of this priority."""
    return options.business_hours if options.sla.of(priority).count == "business" else None


def restarted(ticket: Ticket, options: TenantOptions, start: datetime, pauses: Sequence[Pause] = ()) -> Columns:
    """Due times of the clocks that were not met yet, from `start` on under the ticket's priority."""
    return {
        column_of(clock): due_at(options, ticket.priority, clock, start, pauses)
        for clock in CLOCKS
        if not is_met(ticket, clock)
    }


def resumed(ticket: Ticket, options: TenantOptions, at: datetime) -> Columns:
    """Due times after a pause: moved by the counted time that passed in it. What was late before it stays so."""
    since = ticket.paused_at
    assert since is not None  # only a paused clock resumes
    hours = hours_of(options, ticket.priority)
    return {
        column_of(clock): add_business_time(hours, at, business_minutes(hours, since, due))
        for clock in CLOCKS
        if not is_met(ticket, clock) and (due := due_of(ticket, clock)) and due > since
    }


def overdue(ticket: Ticket, at: datetime) -> list[Clock]:
    """Clocks that ran out and were not found late before."""
    until = min(at, ticket.paused_at) if ticket.paused_at else at
    return [clock for clock, due in _running(ticket) if due <= until]


def next_deadline(ticket: Ticket) -> datetime | None:
    """The earliest clock that still runs and was not found late."""
    return None if ticket.paused_at else min((due for _, due in _running(ticket)), default=None)


def column_of(clock: Clock) -> str:
    return f"{clock}_due"


def due_of(ticket: Ticket, clock: Clock) -> datetime | None:
    due: datetime | None = getattr(ticket, column_of(clock))
    return due


def is_met(ticket: Ticket, clock: str) -> bool:
    return (ticket.first_responded_at if clock == "first_response" else ticket.resolved_at) is not None


def pauses_of(changes: Iterable[tuple[datetime, str, str]], since: datetime) -> list[Pause]:
    """The pauses that are over, from a ticket's changes of status (when, from, to) in order."""
    found: list[Pause] = []
    began: datetime | None = None
    for at, before, after in changes:
        if after == "waiting_customer":
            began = at
        elif before == "waiting_customer" and began is not None:
            if began >= since:
                found.append((began, at))
            began = None
    return found


def _running(ticket: Ticket) -> list[tuple[Clock, datetime]]:
    if ticket.status in ENDED:
        return []
    clocks = [(clock, due_of(ticket, clock)) for clock in CLOCKS if not is_met(ticket, clock)]
    return [(clock, due) for clock, due in clocks if due is not None and clock not in ticket.missed]
