"""What a tenant decides about its WHMCS, and how the statuses of the two sides stand for each other.

Inwards every status of WHMCS has one of ours: WHMCS's own by default, a tenant's own statuses by its settings; one that
nothing maps leaves a ticket as it is and is reported. Outwards a reply sets a status in WHMCS only where a setting says so
or the ticket ends with it; else WHMCS sets its own, which is Answered.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StrictBool, StringConstraints

from tools.business_hours import Choice
from tools.numbers import Whole
from tools.ticket_rules import Priority
from tools.tickets.status import ENDED, Status

LONGEST_URL = 500
DELETED = "Deleted"
"""Stands for the status of a ticket that is no longer there."""
STATUS_OF: Mapping[str, Status] = {
    "open": "open", "customer-reply": "open", "answered": "waiting_customer", "in progress": "in_progress",
    "on hold": "in_progress", "closed": "closed", DELETED.lower(): "closed",
}  # fmt: skip
REPLY_STATUS: Mapping[str, str] = {"resolved": "Closed", "closed": "Closed"}
PRIORITY_OF: Mapping[str, Priority] = {"low": "low", "medium": "normal", "high": "high"}


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("must be a time zone of the IANA database, as Europe/Berlin")
    return name


StatusName = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]+$", min_length=1, max_length=60)]
Zone = Annotated[str, StringConstraints(max_length=60), AfterValidator(_zone)]
DepartmentId = Annotated[Whole, Field(ge=1, lt=2**31)]
UserName = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f-\x9f]+$", max_length=100)]
Every = Annotated[Whole, Field(ge=0, le=1440)]


class WhmcsOptions(Choice):
    """Settings of a connection beside its address and credentials."""

    departments: list[DepartmentId] = Field(default=[], max_length=50, description="ids in WHMCS; empty: all of them")
    include_closed: StrictBool = Field(default=False, description="also take over tickets that are closed already")
    sync_every_minutes: Every = Field(default=5, description="0: only when somebody asks")
    timezone: Zone = Field(default="UTC", description="that WHMCS writes its times in")
    statuses: dict[StatusName, Status] = Field(
        default={}, max_length=50, description="ours for statuses of your WHMCS, beside its own seven"
    )
    reply_statuses: dict[Status, StatusName] = Field(
        default={},
        max_length=5,
        description="what WHMCS sets with a reply, by ours; by default Closed for what ended, else its own choice",
    )
    admin_username: UserName | None = Field(
        default=None, description="of the WHMCS admin under whose name approved replies are sent"
    )
    markdown: StrictBool = Field(default=True, description="have WHMCS render replies as Markdown")
    client_ids_are_user_ids: StrictBool = Field(
        default=False, description="your site's signed identities name customers by their WHMCS client id"
    )

    def status_of(self, status: str) -> Status | None:
        """Ours for a status of WHMCS; None where nothing maps it."""
        wanted = status.strip().lower()
        own = {name.strip().lower(): ours for name, ours in self.statuses.items()}
        return own.get(wanted) or STATUS_OF.get(wanted)

    def reply_status(self, ours: str) -> str | None:
        """What WHMCS is to set with a reply after which a ticket is so here; None leaves it to WHMCS."""
        chosen = {**REPLY_STATUS, **{str(status): theirs for status, theirs in self.reply_statuses.items()}}
        return chosen.get(ours)

    @property
    def ended(self) -> list[str]:
        """Statuses of WHMCS, in lower case, whose tickets are over."""
        known = {**STATUS_OF, **{name.strip().lower(): ours for name, ours in self.statuses.items()}}
        return sorted(name for name, ours in known.items() if ours in ENDED)
