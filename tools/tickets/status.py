"""Where a ticket may go from where it is.

open ⇄ in_progress ⇄ waiting_customer ──▶ resolved ──▶ closed
  ▲        ▲                                 │            │
  └────────┴──────────── reopened ───────────┘            │
  └───────────────── reopened, within seven days ─────────┘
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, get_args

Status = Literal["open", "in_progress", "waiting_customer", "resolved", "closed"]
STATUSES: tuple[Status, ...] = get_args(Status)
ENDED: frozenset[str] = frozenset({"resolved", "closed"})
TRANSITIONS: Mapping[str, frozenset[str]] = {
    "open": frozenset({"in_progress", "waiting_customer", "resolved", "closed"}),
    "in_progress": frozenset({"open", "waiting_customer", "resolved", "closed"}),
    "waiting_customer": frozenset({"open", "in_progress", "resolved", "closed"}),
    "resolved": frozenset({"open", "in_progress", "closed"}),
    "closed": frozenset({"open"}),
}
REOPEN_WITHIN = timedelta(days=7)
"""After a ticket was closed; later its customer opens a new one."""
