"""Uploads before they are sent with a message or a ticket's reply, and downloads for those who may see them."""

import asyncio
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Header, Request, Response, status
from fastapi.responses import FileResponse

from api import PREFIX
from api.body_limit import MULTIPART
from api.dependencies import Caller, Limits, Res
from api.errors import responses
from api.forms import read_upload
from api.idempotency import SCHEMA, key_of
from api.schemas.attachments import FORM, AttachmentOut
from memory.errors import NotAllowed, NotFound
from memory.tenancy import Principal
from tools.attachments import storing
from tools.attachments.kinds import KINDS
from tools.attachments.names import content_disposition

log = structlog.get_logger()
router = APIRouter(prefix=f"{PREFIX}/attachments", tags=["attachments"])
DOWNLOAD = {"Content-Security-Policy": "sandbox; default-src 'none'", "Cache-Control": "private, no-store"}
"""Beside the `nosniff` of every answer: whatever a browser makes of the file, it runs nothing and reaches nothing."""


async def sender(principal: Caller) -> Principal:
    """Who may send or fetch files: people, and servers whose key is for conversations or tickets."""
    if principal.is_server and not principal.scopes & {"chat", "tickets"}:
        raise NotAllowed("this key has no scope for that")
    return principal


Sender = Annotated[Principal, Depends(sender)]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=responses(401, 403, 404, 409, 415),
    openapi_extra={"requestBody": {"required": True, "content": {MULTIPART: {"schema": FORM}}}},
)
async def upload(
    principal: Sender, request: Request, resources: Res, limits: Limits, response: Response,
    idempotency_key: Annotated[str | None, Header(max_length=257, json_schema_extra=SCHEMA)] = None,
) -> AttachmentOut:  # fmt: skip
    """Send a file ahead: its id goes into `attachment_ids` of a message or a ticket's reply within a day."""
    http = resources.settings.http
    per_minute = http.key_requests_per_minute if principal.is_server else http.messages_per_minute
    await limits.check("uploads", principal.key, per_minute)
    key = key_of(request)
    async with read_upload(request) as file:
        attachment, replayed = await storing.store(
            resources.database, resources.files, resources.attachment_limits, principal, file, idempotency_key=key
        )
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return AttachmentOut.model_validate(attachment)


@router.get(
    "/{attachment_id}",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "the file, always as a download"},
        **responses(401, 403, 404),
    },
)
async def download(attachment_id: UUID, principal: Sender, resources: Res) -> Response:
    """A file of a conversation or ticket that you may see."""
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await storing.find(connection, principal, attachment_id)
    path = resources.files.path(principal.tenant_id, found.sha256)
    if not await asyncio.to_thread(path.is_file):
        log.error("a stored file is missing", attachment_id=str(found.id))
        raise NotFound("no such attachment")
    headers = {**DOWNLOAD, "Content-Disposition": content_disposition(found.name)}
    return FileResponse(path, headers=headers, media_type=KINDS[found.media_type].served_as)
