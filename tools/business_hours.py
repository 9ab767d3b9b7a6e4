"""When a team works: pure arithmetic on open hours, exact over clock changes, never an endless search.

Open is every instant whose local wall time lies in one of the weekday's spans and whose local date is no holiday. So in
the night when the clock goes back, an hour inside a span is open twice, and one that the clock skips is never open.
Everything is walked in stretches of one local date and one offset from UTC, which makes this exact. `None` for the
hours means always open. Times are taken in any zone and given in UTC: two of one zone are compared by the wall.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

LOOK_AHEAD = timedelta(days=5 * 366)
"""A deadline further off than this is none: hours may be so few that it would lie centuries ahead."""
MOST_NAMES = 50
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")
_DAY = timedelta(days=1)


class Choice(BaseModel):
    """A part of a tenant's settings: frozen, unknown names refused, few enough to be refused quickly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _few(cls, given: Any) -> Any:
        if isinstance(given, dict) and len(given) > MOST_NAMES:
            raise ValueError("has too many fields")
        return given


def _parse_span(span: str) -> tuple[timedelta, timedelta]:
    found = _SPAN.fullmatch(span)
    if found is None:
        raise ValueError("must be like 09:00-17:30; midnight at the end is 24:00")
    hours = [int(part) if part else 24 * (place == 2) for place, part in enumerate(found.groups())]
    opens, closes = timedelta(hours=hours[0], minutes=hours[1]), timedelta(hours=hours[2], minutes=hours[3])
    if opens >= closes:
        raise ValueError("must end after it begins; hours past midnight belong to the next day")
    return opens, closes


def _span(span: str) -> str:
    _parse_span(span)
    return span


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("must be a time zone of the IANA database, as Europe/Berlin") from error
    return name


def _real_date(day: str) -> str:
    try:
        date.fromisoformat(day)
    except ValueError:
        raise ValueError("must be a date") from None
    return day


Span = Annotated[str, StringConstraints(max_length=11, pattern=r"^\d\d:\d\d-\d\d:\d\d$"), AfterValidator(_span)]
Spans = Annotated[list[Span], Field(max_length=10)]
Zone = Annotated[str, StringConstraints(max_length=60, pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$"), AfterValidator(_zone)]
Holiday = Annotated[str, StringConstraints(max_length=10, pattern=r"^\d{4}-\d\d-\d\d$"), AfterValidator(_real_date)]


class Week(Choice):
    """Spans of each weekday in local time; a day without any is closed."""

    mon: Spans = []
    tue: Spans = []
    wed: Spans = []
    thu: Spans = []
    fri: Spans = []
    sat: Spans = []
    sun: Spans = []


class BusinessHours(Choice):
    """When a team works, in its own time zone."""

    timezone: Zone = "UTC"
    weekly: Week = Week()
    holidays: list[Holiday] = Field(default=[], max_length=500, description="local dates on which nobody works")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def spans(self) -> tuple[tuple[tuple[timedelta, timedelta], ...], ...]:
        """Of each weekday from Monday on, in order and without overlap, as time since local midnight."""
        days = (getattr(self.weekly, name) for name in Week.model_fields)
        return tuple(_merged(sorted(map(_parse_span, day))) for day in days)


def is_open(hours: BusinessHours | None, at: datetime) -> bool:
    """Whether somebody works at this instant."""
    if hours is None:
        return True
    local = at.astimezone(hours.zone)
    if local.date().isoformat() in hours.holidays:
        return False
    since_midnight = local.replace(tzinfo=None) - datetime.combine(local.date(), time())
    return any(opens <= since_midnight < closes for opens, closes in hours.spans()[local.weekday()])


def add_business_time(hours: BusinessHours | None, start: datetime, minutes: float) -> datetime | None:
    """The instant at which so many open minutes have passed since `start`; None where that never comes, or not within
    five years. Zero minutes are over at once, open or not."""
    start, left = start.astimezone(UTC), timedelta(minutes=minutes)
    if left <= timedelta():
        return start
    if hours is None:
        return start + left if left < LOOK_AHEAD else None
    for opens, closes in _open_stretches(hours, start, start + LOOK_AHEAD):
        if left <= closes - opens:
            return opens + left
        left -= closes - opens
    return None


def business_minutes(hours: BusinessHours | None, a: datetime, b: datetime) -> float:
    """Open minutes from `a` to `b`; negative where `b` lies before `a`."""
    a, b = a.astimezone(UTC), b.astimezone(UTC)
    if b < a:
        return -business_minutes(hours, b, a)
    if hours is None:
        return (b - a) / timedelta(minutes=1)
    passed = sum((closes - opens for opens, closes in _open_stretches(hours, a, b)), timedelta())
    return passed / timedelta(minutes=1)


def _open_stretches(hours: BusinessHours, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Where it is open between two instants in UTC, in order."""
    week, holidays, zone = hours.spans(), frozenset(hours.holidays), hours.zone
    if not any(week):
        return
    at = start
    while at < end:
        local = at.astimezone(zone)
        offset = local.utcoffset() or timedelta()
        midnight = datetime.combine(local.date(), time(), UTC) - offset
        until = min(_last_of_offset(zone, at, midnight + _DAY, offset), end)
        if local.date().isoformat() not in holidays:
            for opens, closes in week[local.weekday()]:
                first, last = max(at, midnight + opens), min(until, midnight + closes)
                if first < last:
                    yield first, last
        at = until


def _last_of_offset(zone: ZoneInfo, at: datetime, until: datetime, offset: timedelta) -> datetime:
    """`until`, or the instant before it at which the zone changes its clock."""
    if (until - timedelta.resolution).astimezone(zone).utcoffset() == offset:
        return until
    same, other = at, until
    while other - same > timedelta.resolution:
        middle = same + (other - same) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            same = middle
        else:
            other = middle
    return other


def _merged(spans: list[tuple[timedelta, timedelta]]) -> tuple[tuple[timedelta, timedelta], ...]:
    found: list[tuple[timedelta, timedelta]] = []
    for opens, closes in spans:
        if found and opens <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], closes))
        else:
            found.append((opens, closes))
    return tuple(found)
