"""Approved replies on their way into WHMCS: sent at most once, and found again where nobody knows whether one arrived.

AddTicketReply answers without an id, and carries no key under which WHMCS would know it a second time. So a reply is
known by its words, among the colleagues' replies that no event here, and no other approved reply, has claimed. Times say
little: WHMCS writes them in a zone that may be set wrong here, and only a difference beyond all zones excludes one.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from memory.database import Connection, Database
from memory.encryption import Cipher
from memory.errors import Conflict, HelpdeskError, Misconfigured, Unavailable
from tools.channel import Look, NotSent, Outgoing
from tools.outbound import Outbound
from tools.whmcs import wire
from tools.whmcs.client import Whmcs
from tools.whmcs.connections import open_whmcs
from tools.whmcs.errors import WhmcsNotFound, WhmcsNotReached
from tools.whmcs.options import WhmcsOptions
from tools.whmcs.taking import word_id
from tools.whmcs.words import same_words

log = structlog.get_logger()
ANY_ZONE = timedelta(hours=27)
ID_WITHIN_S = 8.0
SURELY_ENDED = timedelta(seconds=75)
"""After an attempt began: WHMCS has ended it by then, and what is not there will not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhmcsChannel:
    """The channel of tickets that came from WHMCS."""

    database: Database
    cipher: Cipher
    outbound: Outbound

    async def send(self, reply: Outgoing) -> str | None:
        """Add it under the name of the connection's admin; its id, where WHMCS shows it at once."""
        try:
            whmcs, options = await open_whmcs(self.database, self.cipher, self.outbound, reply.tenant_id)
            async with self.database.connection(reply.tenant_id) as connection:
                becomes = await _status_with(connection, reply)
        except (Unavailable, Misconfigured) as error:
            raise NotSent(error.detail) from error
        if options.admin_username is None:
            raise Conflict("name the WHMCS admin who replies: admin_username in the connection's options")
        try:
            await whmcs.add_reply(
                int(reply.external_ticket_id), reply.text, admin_username=options.admin_username,
                markdown=options.markdown, status=options.reply_status(becomes),
            )  # fmt: skip
        except WhmcsNotReached as error:
            raise NotSent(error.detail) from error
        return await self._its_id(whmcs, options, reply)

    async def look(self, reply: Outgoing) -> Look:
        """Whether it stands on the ticket there. Only reads."""
        try:
            whmcs, options = await open_whmcs(self.database, self.cipher, self.outbound, reply.tenant_id)
            found = await self._find(whmcs, options, reply)
        except WhmcsNotFound:
            return Look(outcome="unknown")
        except HelpdeskError as error:
            log.info("a reply could not be looked for in WHMCS", error=error.code)
            return Look(outcome="unknown")
        except Exception:
            log.exception("a reply could not be looked for in WHMCS")
            return Look(outcome="unknown")
        if found is not None:
            return Look(outcome="found", external_id=found)
        ended = datetime.now(UTC) - reply.tried_at >= SURELY_ENDED
        return Look(outcome="absent" if ended else "unknown")

    async def _its_id(self, whmcs: Whmcs, options: WhmcsOptions, reply: Outgoing) -> str | None:
        try:
            async with asyncio.timeout(ID_WITHIN_S):
                return await self._find(whmcs, options, reply)
        except Exception as error:  # it is sent, whatever can't be read now
            log.info("the id of a reply in WHMCS is not known yet", error=type(error).__name__)
            return None

    async def _find(self, whmcs: Whmcs, options: WhmcsOptions, reply: Outgoing) -> str | None:
        ticket = await whmcs.get_ticket(int(reply.external_ticket_id))
        async with self.database.connection(reply.tenant_id) as connection:
            claimed = await _claimed(connection, reply, ticket)
            twins = await _twins(connection, reply)
        earliest = reply.tried_at - ANY_ZONE
        same = [
            one for one in ticket.replies
            if one.id and one.admin and word_id(one) not in claimed and same_words(reply.text, one.message)
            and (wire.time_of(one.date, options.timezone) or reply.tried_at) >= earliest
        ]  # fmt: skip
        return str(max(one.id for one in same)) if len(same) > twins else None


async def _status_with(connection: Connection, reply: Outgoing) -> str:
    row = await (await connection.execute(STATUS, (reply.reply_id,))).fetchone()
    return row["status"] if row else ""


async def _claimed(connection: Connection, reply: Outgoing, ticket: wire.Ticket) -> set[str]:
    """Words of the ticket that are known to be somebody else's, or of another approved reply."""
    ids = [word_id(one) for one in ticket.replies]
    rows = await (await connection.execute(CLAIMED, {"ids": ids, "reply": reply.reply_id})).fetchall()
    return {row["external_id"] for row in rows}


async def _twins(connection: Connection, reply: Outgoing) -> int:
    """Other replies with the same words that may stand there without our knowing their ids."""
    rows = await (await connection.execute(UNNAMED, (reply.ticket_id, reply.reply_id))).fetchall()
    return sum(same_words(reply.text, row["content"]) for row in rows)


STATUS = "select ticket_status as status from approved_replies where id = %s and tenant_id = current_tenant()"
CLAIMED = """
select e.external_id from ticket_events e
where e.tenant_id = current_tenant() and e.external_id = any(%(ids)s)
      and not exists (select 1 from approved_replies r
                      where r.tenant_id = e.tenant_id and r.id = %(reply)s and r.event_id = e.id)
union
select 'whmcs:' || r.external_id from approved_replies r
where r.tenant_id = current_tenant() and r.id <> %(reply)s and r.channel = 'whmcs' and r.external_id is not null
      and 'whmcs:' || r.external_id = any(%(ids)s)
"""
UNNAMED = """
select content from approved_replies r
where r.ticket_id = %s and r.id <> %s and r.tenant_id = current_tenant() and r.channel = 'whmcs'
      and r.sending in ('sending', 'sent', 'unknown') and r.external_id is null
      and not exists (select 1 from ticket_events e
                      where e.tenant_id = r.tenant_id and e.id = r.event_id and e.external_id is not null)
"""
