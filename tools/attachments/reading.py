"""What a turn may be told of the files of its own session, and a draft of its ticket's: read, cut, ranked for the
question, and checked.

Everything here is a stranger's word. A file's passage that carries instructions for the model is left out, and the
caller is told; so is a name that does. Files of other sessions and tickets and of internal notes are never looked at:
the session or the ticket is in the query.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from kbs.embedding.embedder import Embedder
from kbs.passages import Passage, Source
from memory.database import Connection, Database
from memory.files import Files
from memory.models import Attachment, Ticket
from memory.rows import to_read
from tools.attachments.asking import is_about_file, without_reference
from tools.attachments.excerpts import CANDIDATES, Ranked, excerpts, rank
from tools.attachments.extracting import MISSING, TIME_S, extract
from tools.attachments.kinds import DOCX
from tools.attachments.storing import keep_text
from tools.guardrails import GuardRules, Verdict, check_document

MOST_FILES = 10
"""The newest of a session or a ticket that are looked at."""
MOST_PASSAGES = 4
MOST_CHECKED = 12
FITS = 0.35
"""Least score of a passage from a file that came with an earlier message and is not asked for."""
REF = "attachment:"
WITH_HEADINGS = frozenset({"text/markdown", "text/html", DOCX})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was found in the files for one question."""

    passages: tuple[Passage, ...] = ()
    refused: tuple[Verdict, ...] = ()
    """What the guard found in them, one verdict a file."""
    unread: tuple[str, ...] = ()
    """Names of files without a text that could be read: pictures, scans, encrypted and broken ones."""


async def files_of_session(connection: Connection, session_id: UUID, *, before: int | None = None) -> list[Attachment]:
    """The newest files of a conversation, oldest first; never an internal one. With `before` those that came with
    messages of smaller numbers."""
    values = {"session": session_id, "limit": MOST_FILES, "before": before}
    rows = await (await connection.execute(OF_SESSION, values)).fetchall()
    return [to_read(Attachment, row) for row in rows]


async def files_of_ticket(connection: Connection, ticket: Ticket) -> list[Attachment]:
    """The newest files of a ticket and of the conversation in which it goes on, oldest first; never an internal one."""
    values = {"ticket": ticket.id, "session": ticket.session_id, "limit": MOST_FILES}
    rows = await (await connection.execute(OF_TICKET, values)).fetchall()
    return [to_read(Attachment, row) for row in rows]


async def read(
    database: Database, files: Files, tenant_id: UUID, attachments: Sequence[Attachment], *, time_s: float = TIME_S
) -> list[Attachment]:
    """The attachments with their text, read now where nobody has yet, all within `time_s`. What there was no time for, or
    is not on this machine, stays `pending` and is tried again by whoever asks next."""
    until = time.monotonic() + time_s

    async def one(attachment: Attachment) -> Attachment:
        if attachment.extraction != "pending":
            return attachment
        path = files.path(tenant_id, attachment.sha256)
        try:
            async with asyncio.timeout(max(0.1, until + 0.5 - time.monotonic())):
                found = await extract(path, attachment.media_type, time_s=max(0.1, until - time.monotonic()))
        except TimeoutError:  # others were before it
            return attachment
        if found.details.get("reason") == MISSING:  # another process may have it
            return attachment
        async with database.connection(tenant_id) as connection:
            await keep_text(connection, attachment.id, state=found.state, text=found.text, details=found.details)
        return attachment.model_copy(
            update={"extraction": found.state, "text": found.text, "details": attachment.details | found.details}
        )

    return list(await asyncio.gather(*(one(attachment) for attachment in attachments)))


async def passages_for(
    question: str, attachments: Sequence[Attachment], *, fresh: frozenset[UUID], embedder: Embedder, rules: GuardRules
) -> Reading:
    """The best few passages of files with text. Those of `fresh` messages, or events of a ticket, always have a say;
    older files only where they are asked for or fit."""
    names = [attachment.name for attachment in attachments]
    asked = is_about_file(question, names)
    wanted = without_reference(question, names)
    chosen: list[tuple[Ranked, Attachment]] = []
    refused: list[Verdict] = []
    for attachment in reversed(attachments):
        if attachment.extraction != "done":
            continue
        headings = attachment.media_type in WITH_HEADINGS
        pieces = await asyncio.to_thread(excerpts, attachment.text, headings=headings)
        ranked = await rank(wanted, pieces, embedder, candidates=max(2, CANDIDATES // len(attachments)))
        if not asked and _came_with(attachment) not in fresh:
            ranked = [each for each in ranked if each.score >= FITS]
        kept, verdict = await asyncio.to_thread(_harmless, attachment.name, ranked[:MOST_CHECKED], rules)
        chosen += [(each, attachment) for each in kept]
        if verdict:
            refused.append(verdict)
    chosen.sort(key=lambda each: (_came_with(each[1]) not in fresh, -each[0].score))
    best = chosen[:MOST_PASSAGES]
    return Reading(
        passages=tuple(_passage(each, of) for each, of in best), refused=tuple(refused),
        unread=tuple(each.name for each in attachments if each.extraction != "done"),
    )  # fmt: skip


def _came_with(attachment: Attachment) -> UUID | None:
    return attachment.message_id or attachment.event_id


def _harmless(name: str, ranked: Sequence[Ranked], rules: GuardRules) -> tuple[list[Ranked], Verdict | None]:
    """The passages that may be shown, at most a few, and the first verdict against one. Neighbours are checked
    together too: an instruction may be cut in two."""
    verdict = check_document(name, rules=rules)
    if verdict.action != "allow":
        return [], verdict
    kept: list[Ranked] = []
    found: Verdict | None = None
    for each in ranked:
        verdict = check_document(f"{each.excerpt.heading}\n{each.excerpt.text}", rules=rules)
        if verdict.action != "allow":
            found = found or verdict
        elif len(kept) < MOST_PASSAGES:
            kept.append(each)
    together = "\n".join(each.excerpt.text for each in sorted(kept, key=lambda each: each.excerpt.place))
    if len(kept) > 1 and (verdict := check_document(together, rules=rules)).action != "allow":
        return [], found or verdict
    return kept, found


def _passage(ranked: Ranked, attachment: Attachment) -> Passage:
    return Passage(
        id=attachment.id, source=Source.TENANT_KB, ref=f"{REF}{attachment.name}", title=attachment.name,
        heading=ranked.excerpt.heading, text=ranked.excerpt.text, digest=ranked.excerpt.digest,
        similarity=ranked.similarity, score=ranked.score, attached=True,
    )  # fmt: skip


HAS_FILES = """
select 1 from attachments f
where f.session_id = s.id and f.tenant_id = s.tenant_id and f.message_id is not null and not f.internal
"""
"""For a query that has the session's row as `s`."""
OF_SESSION = """
select * from (
    select * from attachments
    where session_id = %(session)s and tenant_id = current_tenant() and message_id is not null and not internal
          and (%(before)s::int is null or message_id in (
              select id from chat_messages
              where session_id = %(session)s and tenant_id = current_tenant() and n < %(before)s))
    order by id desc limit %(limit)s) newest
order by id
"""
OF_TICKET = """
select * from (
    select * from attachments
    where tenant_id = current_tenant() and not internal
          and (ticket_id = %(ticket)s and event_id is not null
               or session_id = %(session)s::uuid and message_id is not null)
    order by id desc limit %(limit)s) newest
order by id
"""
