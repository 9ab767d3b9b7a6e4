"""Sends an approved reply to a ticket that lives in another system: at most once, and never to nobody's knowledge."""

import asyncio
import time
from collections.abc import Mapping
from uuid import UUID

import structlog

from memory.database import Database
from memory.errors import Conflict, Invalid, NotFound
from tools.channel import Channel, Look, NotSent
from tools.drafts.outbox import ATTEMPTS, SURE_AFTER, Attempt, Settled, settle, take, unsettled

log = structlog.get_logger()
CALL_S = 45.0
"""For the call and all that it waits for: well within the time after which an attempt counts as lost."""
BEGIN_S = 10.0
"""Within which the call begins, or is left alone: a process that slept may have been given up meanwhile."""
UNSURE = "it is not known whether this reply arrived: please check the ticket in the other system"
ABSENT = "this reply did not arrive; send it again"
NO_CHANNEL = "there is no connection to the system where this ticket lives"


async def send_reply(database: Database, channels: Mapping[str, Channel], tenant_id: UUID, reply_id: UUID) -> Settled:
    """Send what waits, or find out what became of what was under way; how it stands now."""
    async with database.connection(tenant_id) as connection:
        attempt = await take(connection, reply_id)
        taken_at = time.monotonic()
        lost = None if attempt else await unsettled(connection, reply_id)
    if attempt:
        return await _send(database, channels.get(attempt.channel), attempt, taken_at)
    if lost:
        return await _find_out(database, channels.get(lost.channel), lost, error="its attempt broke off")
    return "pending"


async def _send(database: Database, channel: Channel | None, attempt: Attempt, taken_at: float) -> Settled:
    if channel is None:
        return await _settle(database, attempt, "failed", error=NO_CHANNEL)
    if time.monotonic() - taken_at > BEGIN_S:
        return await _settle(database, attempt, "pending")
    try:
        async with asyncio.timeout(CALL_S):
            external_id = await channel.send(attempt.outgoing)
    except NotSent as error:
        given_up = attempt.number >= ATTEMPTS
        return await _settle(database, attempt, "failed" if given_up else "pending", error=error.detail)
    except (Conflict, NotFound, Invalid) as error:
        return await _settle(database, attempt, "failed", error=error.detail)
    except Exception as error:
        log.warning("nobody knows whether a reply arrived", error=type(error).__name__, reply=str(reply_of(attempt)))
        return await _find_out(database, channel, attempt, error=type(error).__name__)
    return await _settle(database, attempt, "sent", external_id=external_id)


async def _find_out(database: Database, channel: Channel | None, attempt: Attempt, *, error: str) -> Settled:
    """Read the ticket back. What is not there a minute after the attempt did not arrive; before, it may be on its way."""
    look = await channel.look(attempt.outgoing) if channel else Look(outcome="unknown")
    if look.outcome == "found":
        return await _settle(database, attempt, "sent", external_id=look.external_id)
    if look.outcome == "absent" and attempt.age >= SURE_AFTER:
        return await _settle(database, attempt, "failed", error=ABSENT)
    return await _settle(database, attempt, "unknown", error=f"{UNSURE} ({error})")


async def _settle(
    database: Database, attempt: Attempt, state: Settled, *, external_id: str | None = None, error: str = ""
) -> Settled:
    async with database.connection(attempt.outgoing.tenant_id) as connection:
        await settle(connection, attempt, state, external_id=external_id, error=error)
    if state in ("failed", "unknown"):
        log.warning("an approved reply was not sent", state=state, reply=str(reply_of(attempt)))
    return state


def reply_of(attempt: Attempt) -> UUID:
    return attempt.outgoing.reply_id
