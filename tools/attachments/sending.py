"""Uploads that come together with the message they belong to: kept while it is sent, forgotten where it was not."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from memory.database import Database
from memory.files import Files
from memory.tenancy import Principal
from tools.attachments.forgetting import forget_unbound
from tools.attachments.storing import Limits, Upload, check, store


@asynccontextmanager
async def sending(
    database: Database, files: Files, limits: Limits, principal: Principal, uploads: Sequence[Upload]
) -> AsyncIterator[list[UUID]]:
    """The ids of the stored uploads, for the block to bind; what it leaves unbound, because it failed or because the
    message was there already, is forgotten. All are looked at before one is stored."""
    for upload in uploads:
        await check(limits, upload)
    ids: list[UUID] = []
    try:
        for upload in uploads:
            attachment, _ = await store(database, files, limits, principal, upload)
            ids.append(attachment.id)
        yield ids
    finally:
        if ids:
            await forget_unbound(database, files, principal.tenant_id, ids)
