"""Reading the list of tickets to its end while it changes.

WHMCS numbers its pages by position, so a ticket that is opened, answered or closed meanwhile shifts the others over the
edge. Pages overlap, and a list that moved is read again and united with what was read before. A ticket that still
slipped through stands at the top of the next synchronisation's list; one that was known and is missing is asked for.
"""

from dataclasses import dataclass, field

from tools.whmcs import wire
from tools.whmcs.client import ACTIVE, PAGE, Whmcs
from tools.whmcs.options import WhmcsOptions

OVERLAP = 5
READ_AGAIN = 3
MOST_TICKETS = 500_000
"""A list that never ends is no list."""


@dataclass(slots=True, kw_only=True)
class List:
    """What was read: each ticket once, as it was last seen."""

    tickets: dict[int, wire.Listed] = field(default_factory=dict)
    unreadable: int = 0
    moved: bool = False
    """The last reading did not fit together."""


async def read_list(whmcs: Whmcs, options: WhmcsOptions, *, page: int = PAGE) -> List:
    """Every ticket that the connection takes over. Raises as `Whmcs` does."""
    whole = List()
    departments: list[int | None] = [*options.departments] or [None]
    for department in departments:
        for _ in range(READ_AGAIN):
            read = await _read_once(whmcs, None if options.include_closed else ACTIVE, department, page)
            whole.tickets |= read.tickets
            whole.unreadable = max(whole.unreadable, read.unreadable)
            if not read.moved:
                break
    return whole


async def _read_once(whmcs: Whmcs, status: str | None, department: int | None, limit: int) -> List:
    read, start, total, before = List(), 0, None, set[int]()
    while start < MOST_TICKETS:
        page = await whmcs.list_tickets(start, status=status, department=department, limit=limit)
        ids = {ticket.id for ticket in page.tickets}
        read.moved |= (total is not None and page.total != total) or bool(before and not before & ids)
        stuck = bool(read.tickets) and ids <= read.tickets.keys()
        read.tickets |= {ticket.id: ticket for ticket in page.tickets}
        read.unreadable += page.unreadable
        total, end = page.total, start + page.size
        if stuck or not page.size or (end >= total if total else page.size < limit):
            return read
        overlap = OVERLAP if page.size > OVERLAP else 0
        before = {ticket.id for ticket in page.tickets[-overlap:]} if overlap else set()
        start = end - overlap
    return read
