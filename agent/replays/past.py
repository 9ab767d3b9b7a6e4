"""Stored answers and drafts as they were, and the scenes in which they were given."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from agent.drafts.filing import request_of
from agent.drafts.shapes import DraftRequest
from agent.parts import Parts
from agent.prompting import Turn
from agent.replays.comparing import Given, Since
from agent.state import Before
from agent.turns.scenes import Scene, read_asker, read_scene
from memory import chats
from memory.database import Connection
from memory.errors import Conflict, NotFound
from memory.models import Attachment, ChatMessage, ChatSession, Ticket
from tools.drafts.asking import Asked, asked_of
from tools.drafts.reading import read_draft
from tools.tickets.reading import get_ticket
from tools.whmcs.account import ACCOUNT_TOOLS

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAnswer:
    """An answer in a conversation, with all that its turn found."""

    given: Given
    question: str
    scene: Scene
    before: Before
    ticket: Ticket | None
    """The one that the turn named or opened."""
    started_at: datetime
    since: tuple[Since, ...]
    prompt_version_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDraft:
    """A draft of a ticket, with what it was asked."""

    given: Given
    question: str
    request: DraftRequest
    started_at: datetime
    since: tuple[Since, ...]
    prompt_version_id: UUID | None


async def past_answer(connection: Connection, session_id: UUID, answer_id: UUID) -> PastAnswer:
    """Raises NotFound where the conversation or the answer is gone."""
    session = await chats.get_session(connection, session_id)
    message = await chats.get_message(connection, answer_id)
    turn = await (await connection.execute(TURN, {"answer": answer_id})).fetchone()
    if turn is None:
        raise NotFound("no such turn")
    kept = message.details.get("inputs")
    inputs = kept or {}
    then, memory_lost = _session_then(session, inputs.get("summary_upto", 0))
    then = then.model_copy(update={"language": inputs.get("language")})
    scene = await read_scene(
        connection, then, turn["id"], await read_asker(connection, session, as_of=turn["started_at"]),
        people_there=bool(inputs.get("people_there", True)),
        waiting_ticket=await _ticket(connection, inputs.get("waiting_ticket")), before=turn["started_n"],
    )  # fmt: skip
    if "audience" in inputs:
        scene = replace(scene, principal=replace(scene.principal, audience=frozenset(inputs["audience"])))
    since: list[Since] = [*(["memory"] if memory_lost else []), *([] if kept else ["inputs"])]  # type: ignore[list-item]
    return PastAnswer(
        given=_of_message(message), question=scene.question, scene=scene,
        before=Before(inputs.get("failed_attempts", 0), inputs.get("clarifying", False)),
        ticket=await _ticket(connection, message.details.get("ticket_id")), started_at=turn["started_at"],
        since=tuple(since), prompt_version_id=message.prompt_version_id,
    )  # fmt: skip


async def past_draft(connection: Connection, tenant_id: UUID, draft_id: UUID) -> PastDraft:
    """Raises NotFound, and Conflict for a ticket that goes on elsewhere."""
    draft = await read_draft(connection, draft_id)
    asked = await asked_of(connection, draft["ticket_id"])
    then = _asked_then(asked, draft["answers_event_id"])
    request = replace(
        _asking(request_of(tenant_id, then or asked, draft["instruction"]), then or asked, draft["question"]),
        ticket_id=None,
        files=_files_then(asked, then or asked, draft["created_at"]),
    )
    since: list[Since] = [] if then else ["memory"]
    if any(each["tool"] in {tool.name for tool in ACCOUNT_TOOLS} for each in draft["lookups"]):
        since.append("account")
    return PastDraft(
        given=_of_draft(draft), question=draft["question"],
        request=request if then else replace(request, history=()), started_at=draft["created_at"],
        since=tuple(since), prompt_version_id=draft["prompt_version_id"],
    )  # fmt: skip


async def changed_since(
    parts: Parts, tenant_id: UUID, past: PastAnswer | PastDraft, baseline: Row
) -> tuple[Since, ...]:
    """What is not as it was when the answer was given, beside what the past itself knows of."""
    at = {"at": past.started_at}
    async with parts.database.connection(tenant_id) as connection:
        row = await (await connection.execute(SINCE, at)).fetchone()
    async with parts.knowledge.connection(tenant_id) as connection:  # which may be another database
        articles = await (await connection.execute(ARTICLES_SINCE, at)).fetchone()
    assert row is not None
    assert articles is not None  # a select without a table returns its row
    prompt = str(past.prompt_version_id) if past.prompt_version_id else None
    found: list[Since] = [*past.since]
    if row["lessons"] or articles["articles"]:
        found.append("knowledge")
    if prompt != baseline["prompt_version_id"]:
        found.append("prompt")
    if row["ranking"]:
        found.append("ranking")
    return tuple(found)


def _session_then(session: ChatSession, upto: int) -> tuple[ChatSession, bool]:
    """The session with the summary of that time; True where that one was folded into a longer one since."""
    if upto == session.summary_upto:
        return session, False
    then = session.model_copy(update={"summary_upto": upto, "summary": session.summary if upto else ""})
    return then, upto > 0


def _asked_then(asked: Asked, event_id: UUID | None) -> Asked | None:
    """The ticket when that word was the last; None where the word is too far back."""
    words = (*asked.before, asked.last)
    place = next((n for n, word in enumerate(words) if word.id == event_id), None)
    return None if place is None else replace(asked, last=words[place], before=words[:place])


def _asking(request: DraftRequest, asked: Asked, question: str) -> DraftRequest:
    """The request with the question as it was put. One that is not made of all open words was put as one message, after
    all that was said before it: so drafts asked once, and so they ask where those words are too far back."""
    if question == asked.content:
        return request
    said = tuple(Turn(author=word.author, text=word.text) for word in asked.before)
    return replace(request, content=question, messages=(), history=said)


def _files_then(asked: Asked, then: Asked, at: datetime) -> tuple[Attachment, ...]:
    """Without what was uploaded later, or sent later with words that nobody had said then."""
    known = {word.id for word in (*then.before, then.last)}
    later = {word.id for word in (*asked.before, asked.last)} - known
    return tuple(
        file for file in asked.files if file.created_at <= at and (file.message_id or file.event_id) not in later
    )


async def _ticket(connection: Connection, ticket_id: str | None) -> Ticket | None:
    if not ticket_id:
        return None
    try:
        return await get_ticket(connection, UUID(ticket_id))
    except (NotFound, Conflict):
        return None


def _of_message(message: ChatMessage) -> Given:
    told, spent = message.details, message.details.get("tokens") or {}
    confidence = told.get("confidence") or {}
    return Given(
        answer=message.content,
        sources=tuple((each["id"], each["metadata"].get("version", 1)) for each in told.get("sources", [])),
        confidence=confidence.get("score"), level=confidence.get("level"), outcome=told.get("outcome"),
        escalates=told.get("requires_escalation"), input_tokens=spent.get("input"), output_tokens=spent.get("output"),
    )  # fmt: skip


def _of_draft(draft: Row) -> Given:
    spent = draft["usage"]
    return Given(
        answer=draft["content"], sources=tuple((each["ref"], each["version"]) for each in draft["references"]),
        confidence=draft["score"], level=draft["level"],
        outcome="honest_no" if draft["warnings"].get("missing_knowledge") else "answered",
        escalates=draft["confidence"].get("escalation", {}).get("advised"), input_tokens=spent.get("input", 0),
        output_tokens=spent.get("output", 0),
    )  # fmt: skip


TURN = """
select t.id, t.started_n, coalesce(e.created_at, t.created_at) as started_at
from turns t left join session_events e
    on e.session_id = t.session_id and e.tenant_id = t.tenant_id and e.n = t.started_n
where t.answer_id = %(answer)s and t.tenant_id = current_tenant()
"""
SINCE = """
select exists (select 1 from learned_replies l where l.tenant_id = current_tenant() and l.updated_at > %(at)s)
           as lessons,
       exists (select 1 from retrieval_settings r where r.tenant_id = current_tenant() and r.created_at > %(at)s)
           as ranking
"""
ARTICLES_SINCE = """
select exists (select 1 from kb_articles a where a.updated_at > %(at)s)
       or exists (select 1 from kb_articles a
                  where a.effective_from between %(at)s and now() or a.effective_until between %(at)s and now())
           as articles
"""
"""Articles of the tenant and global ones alike: row-level security shows no others."""
