"""What tests of drafts say to the API, and do in place of a worker."""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from agent.drafts.sending import send_reply
from agent.llm import ModelConfig, build_models
from agent.resources import Resources
from memory.models import ApprovedReply, Draft, LearnedReply, Tenant, new_id
from tests.model_server import ModelServer
from tests.product import Product, calls_to
from tests.ticket_desk import Headers, Json
from tools.drafts.asking import asked_of
from tools.drafts.writing import NewDraft, put_draft
from tools.learning.indexing import index_lesson
from tools.learning.texts import text_of

call = calls_to("/api/v1/replies")


@asynccontextmanager
async def with_a_model(product: Product, provider: ModelServer) -> AsyncIterator[Resources]:
    """The product's own parts, with a model that answers from a script."""
    parts = copy.copy(product.resources)
    config = ModelConfig(chat_model="stub", draft_model="stub-draft", base_url=provider.base_url, api_key="sk-test")
    parts.models = build_models(config)
    yield parts
    await parts.models.aclose()


async def drafted(product: Product, who: Headers, ticket: Json, **body: Any) -> Json:
    found: Json = await call(product, "POST", "/generate", who, 201, ticket_id=ticket["id"], **body)
    return found


async def approved(product: Product, who: Headers, draft: Json, wanted: int = 200, /, **body: Any) -> Json:
    given = {"draft_id": draft["id"], "version": draft["version"], **body}
    found: Json = await call(product, "POST", "/approve", who, wanted, **given)
    return found


async def work(product: Product, tenant: Tenant) -> None:
    """What the jobs do: lessons into the index, replies on their way."""
    resources = product.resources
    for row in await product.rows(tenant, "select id from learned_replies where indexed_version <> version"):
        await index_lesson(
            resources.database, resources.knowledge, resources.index, resources.embedder, tenant.id, row["id"]
        )
    for row in await product.rows(tenant, "select id from approved_replies where sending = 'pending'"):
        await send_reply(resources.database, resources.channels, tenant.id, UUID(str(row["id"])))


async def placed(product: Product, tenant: Tenant, ticket_id: str, **columns: Any) -> UUID:
    """A draft of a ticket that nobody had to compose, as the columns say."""
    resources = product.resources
    async with resources.database.connection(tenant.id) as connection:
        asked = await asked_of(connection, UUID(ticket_id))
        new = NewDraft(
            ticket_id=asked.ticket.id, content="Hello,\n\nPlease try again.\n\nKind regards", marked="",
            question=asked.content, answers_event_id=asked.last.id, created_by="job", sources=(),
        )  # fmt: skip
        draft_id = await put_draft(connection, tenant.id, replace(new, **columns), replaces=None)
    assert draft_id
    return draft_id


async def sent_badly(product: Product, tenant: Tenant, draft_id: UUID, state: str = "failed") -> None:
    """The draft approved for a ticket that lives elsewhere, its reply in this state."""
    async with product.resources.database.transaction(tenant.id) as session:
        draft = await session.get(Draft, draft_id)
        assert draft
        draft.status = "approved"
        session.add(draft)
        session.add(
            ApprovedReply(
                draft_id=draft_id, ticket_id=draft.ticket_id, approved_by=new_id(), content=draft.content,
                similarity=1.0, channel="whmcs", sending=state,
            )
        )  # fmt: skip


async def taught(product: Product, tenant: Tenant, kind: str, **parts: Any) -> UUID:
    """A lesson, not indexed yet."""
    given = {"subject": "Mail", "issue": "My mail does not arrive.", "reply": "Empty the mailbox.", **parts}
    lesson = LearnedReply(kind=kind, title=given["subject"], text=text_of(kind, **given), **given)
    async with product.resources.database.transaction(tenant.id) as session:
        session.add(lesson)
    return lesson.id
