"""Conversations: opening one, saying something, reading along, and ending it."""

import re
from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response, status
from fastapi.responses import JSONResponse

from api import PREFIX
from api.dependencies import (
    Chatter,
    Limits,
    Res,
    TokenMaker,
    WidgetKey,
    authenticate,
    count_request,
    limiter_of,
    network_of,
    resources_of,
    still_holds,
)
from api.errors import responses
from api.forms import read_body, taken_as
from api.idempotency import SCHEMA, IdempotentRoute, key_of
from api.schemas.chat import (
    AcceptedOut,
    AnswerOut,
    AttributesIn,
    EscalateIn,
    HandoffOut,
    MessageIn,
    MessageOut,
    SessionCreated,
    SessionIn,
    SessionOut,
    StateOut,
)
from api.schemas.common import Cursor, Limit, Page, page_of
from api.sse import READERS, stream_response
from memory.errors import NotAuthenticated
from memory.events import Event
from memory.models import ChatSession
from memory.streams import Cursor as StreamCursor
from memory.tenancy import Principal
from tools import conversations
from tools.attachments.sending import sending
from tools.identity import principals

router = APIRouter(prefix=f"{PREFIX}/chat/sessions", tags=["chat"])
once = APIRouter(prefix=f"{PREFIX}/chat/sessions", tags=["chat"], route_class=IdempotentRoute)
STREAM = "text/event-stream"
ANYTHING_BUT_A_STREAM = re.compile(r"text/event-stream\s*;\s*q=0(\.0*)?\s*(,|$)")
NOWHERE = StreamCursor(2**31 - 1)
"""Stands for a cursor that is none of ours: it is answered with a resync."""


async def opener(request: Request, resources: Res, limits: Limits, widget_key: WidgetKey = None) -> Principal | UUID:
    """Who opens a session: a known caller, or the tenant of a visitor's widget key."""
    principal = await authenticate(request, resources, widget_key)
    if principal is not None:
        await count_request(limits, resources, principal)
        if principal.is_server and "chat" not in principal.scopes:
            principal.must_be()
        return principal
    await limits.check("anonymous", network_of(request), resources.settings.http.requests_per_minute)
    if not widget_key:
        raise NotAuthenticated("send a token, or the tenant's X-Widget-Key")
    return await principals.tenant_of_widget_key(resources.database, widget_key)


@once.post("", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 409))
async def open_session(
    caller: Annotated[Principal | UUID, Depends(opener)], resources: Res, tokens: TokenMaker,
    body: SessionIn | None = None,
) -> SessionCreated:  # fmt: skip
    """Open a conversation. A visitor gets a token, which continues the same customer on later sessions."""
    label = body.user_id if body else None
    opened = await conversations.open_session(resources.database, resources.streams, caller, label=label,
        attributes=body.attributes if body else None,
    )  # fmt: skip
    token = None
    if isinstance(caller, UUID):
        token = tokens.issue("visitor", tenant_id=opened.tenant_id, subject=opened.customer_id, epoch=0)
    return SessionCreated(
        session_id=opened.session_id, thread_id=opened.session_id, message=opened.greeting, visitor_token=token
    )


@router.get("", responses=responses(401, 403))
async def list_sessions(
    principal: Chatter, resources: Res, limit: Limit = 20, cursor: Cursor = None
) -> Page[SessionOut]:
    """One's own conversations, newest first; colleagues see all of the tenant's."""
    found = await conversations.list_sessions(resources.database, principal, before=cursor, limit=limit)
    return page_of([SessionOut.model_validate(session) for session in found], limit, found[-1].id if found else None)


@router.get("/{session_id}", responses=responses(401, 403, 404))
async def read_session(session_id: UUID, principal: Chatter, resources: Res) -> SessionOut:
    return SessionOut.model_validate(await conversations.visible_session(resources.database, principal, session_id))


@router.patch("/{session_id}", responses=responses(401, 403, 404))
async def change_session(session_id: UUID, body: AttributesIn, principal: Chatter, resources: Res) -> SessionOut:
    """Say something about the visit, such as the customer's plan or page."""
    changed = await conversations.set_attributes(resources.database, principal, session_id, body.attributes)
    return SessionOut.model_validate(changed)


@router.get("/{session_id}/messages", responses=responses(401, 403, 404))
async def read_messages(
    session_id: UUID, principal: Chatter, resources: Res, limit: Limit = 50,
    after: Annotated[int, Query(ge=0, lt=2**31, description="`n` of the last message that you have")] = 0,
) -> Page[MessageOut]:  # fmt: skip
    """The history, oldest first; `next_cursor` is the `after` of the next page."""
    found = await conversations.read_messages(resources.database, principal, session_id, after=after, limit=limit)
    items = [MessageOut.of(message) for message in found]
    return Page(items=items, next_cursor=str(found[-1].n) if len(found) == limit else None)


@router.post(
    "/{session_id}/messages",
    response_model=AnswerOut,
    responses={
        200: {"content": {STREAM: {}}, "description": "the answer; as events with `Accept: text/event-stream`"},
        202: {"model": AcceptedOut, "description": "stored; the answer comes as events, or from a person"},
        **responses(401, 403, 404, 409, 415),
    },
    openapi_extra=taken_as(MessageIn),
)
async def send_message(
    session_id: UUID, principal: Chatter, request: Request,
    accept: Annotated[str, Header()] = "application/json",
    prefer: Annotated[str, Header(description="respond-async: answer 202 at once")] = "",
    if_busy: Annotated[str, Header(description="reject: 409 while an answer is being written")] = "",
    idempotency_key: Annotated[str | None, Header(max_length=257, json_schema_extra=SCHEMA)] = None,
) -> Response:  # fmt: skip
    """Say something. Waits for the answer, streams it, or returns at once, as the headers ask."""
    resources, limits = resources_of(request), limiter_of(request)  # each dependency less is a hundredth of a turn
    at_once = "respond-async" in prefer.lower()
    writer = f"{principal.key}:{session_id}" if principal.is_server else principal.key  # a site has many customers
    await limits.check("messages", writer, resources.settings.http.messages_per_minute)
    async with read_body(request, MessageIn, resources.attachment_limits.most_files) as given:
        if given.uploads:  # nothing is stored for a session that is not theirs
            await conversations.visible_session(resources.database, principal, session_id)
        async with sending(
            resources.database, resources.files, resources.attachment_limits, principal, given.uploads
        ) as new:
            with limits.remembering(request.state.asker):
                sent = await resources.conversations.send(
                    principal, session_id, given.body.message, reject_if_busy=if_busy.strip().lower() == "reject",
                    idempotency_key=key_of(request), raw=given.raw, attachment_ids=[*given.body.attachment_ids, *new],
                    awaited=not at_once,
                )  # fmt: skip
    headers = {"Idempotency-Replayed": "true"} if sent.replayed else {}
    if sent.turn_id is None or at_once:
        accepted = AcceptedOut(
            message_id=sent.message_id, turn_id=sent.turn_id, mode="bot" if sent.turn_id else "human"
        )
        return JSONResponse(accepted.model_dump(mode="json"), status.HTTP_202_ACCEPTED, headers)
    if STREAM in accept.lower() and not ANYTHING_BUT_A_STREAM.search(accept.lower()):
        events = resources.streams.batches(principal.tenant_id, session_id, StreamCursor(sent.n - 1), sent.inbox)
        return stream_response(events, until=_ends(sent.turn_id), farewell=False, headers=headers)
    answer = await resources.conversations.answer_of(principal.tenant_id, session_id, sent)
    return JSONResponse(AnswerOut.model_validate(answer).model_dump(mode="json"), headers=headers)


@router.get(
    "/{session_id}/events", response_class=Response,
    responses={
        200: {"content": {STREAM: {}}, "description": "the session's events"},
        204: {"description": "the session has ended and the cursor is at its end"},
        **responses(401, 403, 404),
    },
)  # fmt: skip
async def follow(
    session_id: UUID, principal: Chatter, resources: Res, request: Request,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
    after: Annotated[str | None, Query(max_length=40, description="as Last-Event-ID, for the first connection")] = None,
) -> Response:  # fmt: skip
    """Every event after the cursor, without gap or repeat; from the beginning without one. Ends with the session."""
    session = await conversations.visible_session(resources.database, principal, session_id)
    reader = READERS.admit(principal)
    given = last_event_id or after
    cursor = (StreamCursor.parse(given) if given else StreamCursor()) or NOWHERE
    if session.status == "closed" and cursor.n == session.last_n:
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    events = resources.streams.batches(principal.tenant_id, session_id, cursor)
    return stream_response(
        events, farewell=True,
        until=_ends_stream(session),
        allowed=lambda: still_holds(request, resources, principal),
        reader=reader,
    )  # fmt: skip


@once.post("/{session_id}/cancel", responses=responses(401, 403, 404, 409))
async def cancel(session_id: UUID, principal: Chatter, resources: Res) -> StateOut:
    """Stop the answer that is being written; what was said stays and is marked."""
    session = await conversations.visible_session(resources.database, principal, session_id)
    stopped = await resources.turns.cancel(principal.tenant_id, session, reason="cancelled")
    return StateOut(status="cancelled" if stopped else "idle")


@once.post("/{session_id}/close", responses=responses(401, 403, 404, 409))
async def close(session_id: UUID, principal: Chatter, resources: Res) -> StateOut:
    """End the conversation; a message within seven days opens it again."""
    await resources.conversations.close(principal, session_id)
    return StateOut(status="closed")


@once.post("/{session_id}/escalate", responses=responses(401, 403, 404, 409))
async def escalate(session_id: UUID, principal: Chatter, resources: Res, body: EscalateIn | None = None) -> HandoffOut:
    """Ask for a person, at any time; asking again finds the request that is open."""
    handoff, ticket, message = await resources.handoffs.ask(principal, session_id, reason=body.reason if body else "")
    return HandoffOut(
        handoff_id=handoff.id, status=handoff.status, ticket_id=ticket.id, ticket_number=ticket.number, message=message
    )


def _ends_stream(session: ChatSession) -> Callable[[Event], bool]:
    """A session that has ended is told to its last event, an open one until it ends."""
    if session.status == "closed":
        return lambda event: (
            event.type == "resync" or (event.created_at is not None and (event.n or 0) >= session.last_n)
        )
    return lambda event: event.type == "session.closed" and (event.n or 0) > session.last_n


def _ends(turn_id: UUID) -> Callable[[Event], bool]:
    return lambda event: event.ends_turn and event.data.get("turn_id") == str(turn_id)
