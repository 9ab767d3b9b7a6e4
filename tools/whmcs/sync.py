"""A slice of a synchronisation: read the list, take over what is new or different, until all is done or time is up.

Nothing depends on where the slice before stopped: a ticket that was taken over carries the mark that the list gives it,
so the next slice skips it. A ticket that fails is reported and holds up nobody; when WHMCS is away, or refuses us, all
of it ends. A ticket that was active and is missing in the list is asked for by its id.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import psycopg
import structlog
from pydantic import ValidationError

from memory.database import Connection, Database
from memory.errors import HelpdeskError, Invalid, Unavailable
from tools.whmcs.client import Whmcs
from tools.whmcs.errors import (
    AddressNotAllowed,
    CredentialsRefused,
    NotThere,
    SecondFactorWanted,
    WhmcsNotFound,
    WhmcsRefused,
    WhmcsUnreachable,
    WhmcsUnreadable,
)
from tools.whmcs.listing import List, read_list
from tools.whmcs.options import WhmcsOptions
from tools.whmcs.runs import MOST_NAMED, Tally
from tools.whmcs.taking import Taken, take, take_deletion

log = structlog.get_logger()
AT_ONCE = 4
"""Tickets of one installation that are asked for at the same time."""
SILENCE, AWAY_FROM = 5, 25
"""WHMCS is away after five tickets in a row without an answer; one that only this ticket may be to blame for counts less."""
SHUT_OUT = (AddressNotAllowed, CredentialsRefused, SecondFactorWanted, NotThere)
"""What the next ticket would hear, too."""
LOOK_AGAIN_MIN = 60
"""Until a ticket that is active, but in no list of ours, is asked for again."""
CHUNK = 1000
Keep = Callable[[Tally], Awaitable[bool]]


@dataclass(slots=True, kw_only=True)
class Slice:
    """One owner's work on a synchronisation."""

    database: Database
    whmcs: Whmcs
    options: WhmcsOptions
    tenant_id: UUID
    since: datetime
    """When the synchronisation began: what was looked at later needs no second look."""
    until: float
    """By `time.monotonic`: no ticket is begun later."""
    history_until: datetime | None = None
    """Nobody is told of tickets and words that WHMCS dates earlier and that were not known here."""
    tally: Tally = field(default_factory=Tally)
    _missing: set[int] = field(default_factory=set)
    """Of those to be taken over, the ones that the list does not have."""
    _away: int = 0
    _fatal: HelpdeskError | None = None
    _stopped: bool = False

    async def run(self, keep: Keep, *, every_s: float = 2.0) -> bool:
        """Work until all is done, or the time is up: False. `keep` writes the tally down, and is False once somebody
        else owns the synchronisation. Raises what ends all of it."""
        ended = asyncio.Event()
        keeping = asyncio.create_task(self._keep(keep, every_s, ended))
        try:
            listed = await read_list(self.whmcs, self.options)
            self.tally.listed = len(listed.tickets)
            if listed.unreadable:
                self._problem("-", f"{listed.unreadable} entries of the list can't be read")
            todo = [ticket_id async for ticket_id in self._todo(listed)]
            rest = iter(todo)
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(todo))):
                    group.create_task(self._work(rest))
            if self._fatal:
                raise self._fatal
            return next(rest, None) is None and not self._stopped
        finally:
            ended.set()  # a note that is being written is finished: what it tells is no longer in the tally
            await keeping

    async def _keep(self, keep: Keep, every_s: float, ended: asyncio.Event) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), every_s)
            if ended.is_set():
                return
            tally, self.tally = self.tally, Tally(listed=self.tally.listed)
            try:
                if not await keep(tally):
                    log.warning("another process took the synchronisation over", tenant_id=str(self.tenant_id))
                    self._stopped = True
            except Exception as error:  # the work goes on, and the next note tells all of it
                log.warning("could not write down how far a synchronisation is", error=type(error).__name__)
                self.tally = tally.with_more(self.tally)

    async def _todo(self, listed: List) -> AsyncIterator[int]:
        """Tickets that are new or differ, then those that are missing in the list."""
        ids = sorted(listed.tickets)
        for start in range(0, len(ids), CHUNK):
            part = ids[start : start + CHUNK]
            async with self.database.connection(self.tenant_id) as connection:
                rows = await (await connection.execute(MARKS, ([str(one) for one in part],))).fetchall()
            marks = {int(row["external_id"]): row["external_mark"] for row in rows}
            for one in part:
                if marks.get(one) != listed.tickets[one].mark:
                    yield one
        async with self.database.connection(self.tenant_id) as connection:
            values = {"ended": self.options.ended, "since": self.since, "minutes": LOOK_AGAIN_MIN}
            rows = await (await connection.execute(ACTIVE_HERE, values)).fetchall()
        self._missing = {int(row["external_id"]) for row in rows} - listed.tickets.keys()
        for one in sorted(self._missing):
            yield one

    async def _work(self, rest: Iterator[int]) -> None:
        while not self._stopped and self._fatal is None and time.monotonic() < self.until:
            ticket_id = next(rest, None)
            if ticket_id is None:
                return
            try:
                await self._take(ticket_id)
            except (WhmcsUnreachable, WhmcsRefused) as error:
                self._failed(ticket_id, error.detail)
                self._away += SILENCE if _is_silence(error) else 1
                if isinstance(error, SHUT_OUT) or self._away >= AWAY_FROM:
                    self._fatal = error
            except Unavailable as error:
                self._fatal = error
            except HelpdeskError as error:
                self._failed(ticket_id, error.detail or error.code)
            except (psycopg.DataError, psycopg.IntegrityError, ValidationError):
                log.exception("a ticket of WHMCS could not be stored")
                self._failed(ticket_id, "it holds what can't be stored here")
            except Exception:
                log.exception("a ticket of WHMCS could not be taken over")
                self._failed(ticket_id, "an error on our side")

    async def _take(self, ticket_id: int) -> None:
        try:
            ticket = await self.whmcs.get_ticket(ticket_id)
        except WhmcsNotFound:
            taken = await self._store(lambda connection: take_deletion(connection, ticket_id))
        else:
            if ticket.id != ticket_id:
                raise Invalid("WHMCS answered with another ticket")
            listed = ticket_id not in self._missing
            taken = await self._store(
                lambda connection: take(
                    connection, self.tenant_id, ticket, self.options, listed=listed, history_until=self.history_until
                )
            )
        self._away = 0
        self._count(taken)

    async def _store(self, work: Callable[[Connection], Awaitable[Taken | None]]) -> Taken | None:
        """Once more where somebody else took the same ticket over at the same time."""
        for last in (False, True):
            try:
                async with self.database.connection(self.tenant_id) as connection:
                    return await work(connection)
            except psycopg.errors.UniqueViolation:
                if last:
                    raise
        return None

    def _count(self, taken: Taken | None) -> None:
        if taken is None:
            return
        if taken.unmapped:
            self.tally.statuses.add(taken.unmapped[:60])
        if taken.kind == "unchanged":
            return
        if taken.kind == "opened":
            self.tally.opened += 1
        else:
            self.tally.changed += 1
        if len(self.tally.tickets) < MOST_NAMED:
            self.tally.tickets.append(str(taken.ticket_id))

    def _failed(self, ticket_id: int, because: str) -> None:
        self.tally.failed += 1
        self._problem(str(ticket_id), because)

    def _problem(self, external_id: str, because: str) -> None:
        if len(self.tally.problems) < MOST_NAMED:
            self.tally.problems.append({"external_id": external_id, "error": because[:300]})


def _is_silence(error: HelpdeskError) -> bool:
    return isinstance(error, WhmcsUnreachable) and not isinstance(error, WhmcsUnreadable)


MARKS = """
select external_id, external_mark from tickets
where tenant_id = current_tenant() and source = 'whmcs' and external_id = any(%s)
"""
ACTIVE_HERE = """
select external_id from tickets
where tenant_id = current_tenant() and source = 'whmcs' and external_id is not null
      and lower(external_status) <> all (%(ended)s) and external_seen_at < %(since)s
      and (right(external_mark, 1) <> '!' or external_seen_at < now() - make_interval(mins => %(minutes)s))
"""
