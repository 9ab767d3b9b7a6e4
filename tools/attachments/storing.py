"""Uploads and what they are bound to: first stored for their uploader alone, then part of a message or a ticket.

    store ──▶ unbound ──claim + attach──▶ of a message, or of a ticket's event      (for ever)
                 └────── a day ─────────▶ forgotten

Until it is bound an upload is its uploader's: whoever else names it is told that there is no such attachment.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO
from uuid import UUID

from psycopg.types.json import Jsonb

from memory import idempotency
from memory.database import Connection, Database
from memory.errors import Conflict, FileTooLarge, NotFound, TooMany
from memory.files import Draft, Files
from memory.models import Attachment, new_id
from memory.tenancy import Principal
from tools.attachments.kinds import Kind, sniff_file
from tools.attachments.names import clean_name

MOST_UNBOUND = 20
"""Uploads that a caller may have lying about; a server sends for many people."""
MOST_UNBOUND_SERVER = 1000
MOST_A_DAY = 200 * 2**20
"""Bytes that a customer may leave here in a day."""
ROUTE = "attachments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large a file may be, in bytes, and how many go with one message."""

    most_bytes: int
    most_files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file as it was sent; `file` is read from its start."""

    name: str | None
    file: BinaryIO
    size: int


async def check(limits: Limits, upload: Upload) -> Kind:
    """What the upload is, if it is taken. Raises FileTooLarge and FileNotTaken."""
    if upload.size > limits.most_bytes:
        raise FileTooLarge(f"a file may have at most {limits.most_bytes} bytes")
    return await sniff_file(upload.file, upload.name)


async def store(
    database: Database,
    files: Files,
    limits: Limits,
    principal: Principal,
    upload: Upload,
    *,
    idempotency_key: str | None = None,
) -> tuple[Attachment, bool]:
    """Keep an upload for its uploader, and whether it was kept before under this key. Raises FileTooLarge,
    FileNotTaken, TooMany, Unavailable."""
    kind = await check(limits, upload)
    draft = await files.receive(principal.tenant_id, upload.file)
    try:
        async with database.connection(principal.tenant_id) as connection:
            key = None
            if idempotency_key:
                body = f"{draft.sha256}:{upload.name}".encode("utf-8", "replace")
                key = idempotency.Key.of(principal, ROUTE, idempotency_key, body)
                if (earlier := await idempotency.begin(connection, key)) is not None:
                    return await _earlier(connection, earlier), True
            attachment = await _insert(connection, files, principal, _row(principal, upload, kind, draft), draft)
            if key:
                await idempotency.attach(connection, key, attachment.id)
    finally:
        await files.discard(draft)
    return attachment, False


async def claim(connection: Connection, principal: Principal, ids: Sequence[UUID]) -> list[Attachment]:
    """The caller's own unbound uploads, in the order named, locked until the end of the transaction: what comes next
    is `attach_...` in the same one. Raises NotFound."""
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return []
    rows = await (await connection.execute(CLAIM, {"ids": wanted, "by": principal.key})).fetchall()
    found = {row["id"]: Attachment(**row) for row in rows}
    if len(found) != len(wanted):
        raise NotFound("no such attachment")
    return [found[each] for each in wanted]


async def attach_to_message(
    connection: Connection, claimed: Collection[Attachment], *, customer_id: UUID, session_id: UUID, message_id: UUID
) -> None:
    """Make claimed uploads part of a message of a conversation."""
    await _bind(connection, claimed, customer=customer_id, session=session_id, message=message_id)


async def attach_to_ticket_event(
    connection: Connection,
    claimed: Collection[Attachment],
    *,
    customer_id: UUID,
    ticket_id: UUID,
    event_id: UUID,
    internal: bool = False,
) -> None:
    """Make claimed uploads part of an event of a ticket: `created`, a reply, or a note, which is `internal`."""
    await _bind(connection, claimed, customer=customer_id, ticket=ticket_id, event=event_id, internal=internal)


def shown(attachments: Collection[Attachment]) -> list[dict[str, Any]]:
    """Attachments as messages and events tell of them."""
    return [
        {"id": str(each.id), "name": each.name, "media_type": each.media_type, "size": each.size}
        for each in attachments
    ]


async def find(connection: Connection, principal: Principal, attachment_id: UUID) -> Attachment:
    """One attachment that this caller may see: one's own upload, or one of a conversation or ticket that is theirs.
    Colleagues see all that is bound, a server what its scopes reach; `internal` is for colleagues. Raises NotFound."""
    colleague = principal.is_colleague
    values = {
        "id": attachment_id, "by": principal.key, "colleague": colleague, "server": principal.is_server,
        "chats": "chat" in principal.scopes, "tickets": "tickets" in principal.scopes,
        "customer": principal.customer_id,
    }  # fmt: skip
    row = await (await connection.execute(FIND, values)).fetchone()
    if row is None:
        raise NotFound("no such attachment")
    return Attachment(**row)


async def keep_text(connection: Connection, attachment_id: UUID, *, state: str, text: str, details: Any) -> None:
    """Store what was read from an attachment."""
    await connection.execute(EXTRACTED, {"id": attachment_id, "state": state, "text": text, "details": Jsonb(details)})


async def hold_content(connection: Connection, tenant_id: UUID, sha256: str) -> None:
    """Keep others from storing or deleting this content of this tenant until the transaction ends."""
    await connection.execute(HOLD, (f"file:{tenant_id}:{sha256}",))


def _row(principal: Principal, upload: Upload, kind: Kind, draft: Draft) -> Attachment:
    return Attachment(
        tenant_id=principal.tenant_id, customer_id=None if principal.role.is_staff else principal.customer_id,
        uploaded_by=principal.key, name=clean_name(upload.name, kind.endings), media_type=kind.media_type,
        size=draft.size, sha256=draft.sha256,
    )  # fmt: skip


async def _insert(
    connection: Connection, files: Files, principal: Principal, attachment: Attachment, draft: Draft
) -> Attachment:
    await _must_have_room(connection, principal, draft.size)
    await hold_content(connection, principal.tenant_id, draft.sha256)
    await files.keep(principal.tenant_id, draft)
    values = attachment.model_dump(exclude={"created_at", "details"}) | {"id": new_id()}
    row = await (await connection.execute(INSERT, values)).fetchone()
    assert row is not None  # an insert returns its row
    return Attachment(**row)


async def _must_have_room(connection: Connection, principal: Principal, size: int) -> None:
    values = {"by": principal.key, "customer": principal.customer_id}
    row = await (await connection.execute(USED, values)).fetchone()
    assert row is not None  # a sum is always a row
    most = MOST_UNBOUND_SERVER if principal.is_server else MOST_UNBOUND
    if row["unbound"] >= most:
        raise TooMany("send the files that you uploaded before you upload more", retry_after=60)
    if not principal.role.is_staff and row["today"] + size > MOST_A_DAY:
        raise TooMany("these are too many files for one day", retry_after=3600)


async def _earlier(connection: Connection, earlier: idempotency.Earlier) -> Attachment:
    if earlier.resource_id is None:
        raise Conflict("the first request under this key has not finished", retry_after=1)
    row = await (await connection.execute(ONE, (earlier.resource_id,))).fetchone()
    if row is None:
        raise NotFound("no such attachment")
    return Attachment(**row)


async def _bind(connection: Connection, claimed: Collection[Attachment], **to: Any) -> None:
    values = {"session": None, "message": None, "ticket": None, "event": None, "internal": False, **to}
    for each in claimed:
        cursor = await connection.execute(BIND, {**values, "id": each.id})
        assert cursor.rowcount == 1  # it was claimed in this transaction


_UNBOUND = "message_id is null and event_id is null"
INSERT = """
insert into attachments (id, tenant_id, customer_id, session_id, ticket_id, message_id, event_id, internal, uploaded_by,
                         name, media_type, size, sha256, extraction, text)
values (%(id)s, %(tenant_id)s, %(customer_id)s, %(session_id)s, %(ticket_id)s, %(message_id)s, %(event_id)s,
        %(internal)s, %(uploaded_by)s, %(name)s, %(media_type)s, %(size)s, %(sha256)s, %(extraction)s, %(text)s)
returning *
"""
ONE = "select * from attachments where id = %s and tenant_id = current_tenant()"
CLAIM = f"""
select * from attachments
where id = any(%(ids)s) and tenant_id = current_tenant() and uploaded_by = %(by)s and {_UNBOUND} for update
"""
BIND = f"""
update attachments set customer_id = %(customer)s, session_id = %(session)s, message_id = %(message)s,
       ticket_id = %(ticket)s, event_id = %(event)s, internal = %(internal)s
where id = %(id)s and tenant_id = current_tenant() and {_UNBOUND}
"""
FIND = """
select a.* from attachments a
left join chat_sessions s on s.id = a.session_id and s.tenant_id = a.tenant_id
left join tickets t on t.id = a.ticket_id and t.tenant_id = a.tenant_id
where a.id = %(id)s and a.tenant_id = current_tenant() and case
    when a.message_id is null and a.event_id is null then a.uploaded_by = %(by)s
    when %(colleague)s then true
    when a.internal then false
    when %(server)s then (s.id is not null and %(chats)s) or (t.id is not null and %(tickets)s)
    else coalesce(s.customer_id, t.customer_id) = %(customer)s::uuid end
"""
USED = f"""
select (select count(*) from attachments
        where uploaded_by = %(by)s and tenant_id = current_tenant() and {_UNBOUND}) as unbound,
       (select coalesce(sum(size), 0) from attachments
        where customer_id = %(customer)s::uuid and tenant_id = current_tenant()
              and created_at > now() - interval '1 day')::bigint as today
"""
EXTRACTED = """
update attachments set extraction = %(state)s, text = %(text)s, details = details || %(details)s
where id = %(id)s and tenant_id = current_tenant()
"""
HOLD = "select pg_advisory_xact_lock(hashtextextended(%s, 0))"
