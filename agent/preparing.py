"""Before the graph runs: everything a turn needs from the database, read in one short transaction.

A setting is what the tenant has decided, a scene is a conversation at one moment. A live turn reads both as they are;
a rehearsal may change either, and then runs through the same graph.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from agent import metrics
from agent.answering import Answer, Wording
from agent.parts import Parts
from agent.prompting import DEFAULT_PROMPT, PromptParts
from agent.state import GraphContext
from kbs.retrieval import RetrievalOptions
from kbs.retrieval_cache import Retrieved
from memory import chats
from memory.database import Connection
from memory.errors import NotFound, Unavailable
from memory.facts import OF_CUSTOMER
from memory.models import Attachment, ChatMessage, ChatSession, Ticket
from memory.patience import within
from memory.rows import to_read
from memory.tenancy import Principal, Role
from memory.turns import Lease
from tools.attachments.reading import HAS_FILES, files_of_session
from tools.consent import OwnWords
from tools.context import Search, TurnContext
from tools.handoffs.people import ON_DUTY, could_take
from tools.handoffs.requesting import OPEN
from tools.recall import WINDOW
from tools.search import NEWEST_RANKING, ranking_of, scope_of
from tools.tenants import OPTIONS, TenantOptions, options_of
from tools.tickets import escalation_ticket

MODELS_S = 28.0
"""Of the 32 s that a turn may take: what is left is for saying that it failed."""
SEARCH_S = 6.0
"""One search, the question's embedding included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a tenant has decided about its answers."""

    options: TenantOptions
    prompt: PromptParts
    ranking: RetrievalOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A conversation at the moment of a turn: who asks what, and what came before."""

    session: ChatSession
    principal: Principal
    question: str
    asked: frozenset[UUID] = frozenset()
    facts: tuple[str, ...] = ()
    history: tuple[ChatMessage, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    people_there: bool = True
    waiting_ticket: Ticket | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, and what of theirs there is to read."""

    user_id: UUID | None
    audience: frozenset[str]
    facts: tuple[str, ...]
    has_files: bool

    @classmethod
    def of(cls, row: dict[str, Any]) -> "Asker":
        """From the columns of `ASKER`."""
        return cls(
            user_id=row["user_id"], audience=frozenset(row["audience"]), facts=tuple(row["facts"]),
            has_files=row["has_files"],
        )  # fmt: skip


async def prepare(parts: Parts, lease: Lease, begun: Callable[[], None] = lambda: None) -> GraphContext:
    """The surroundings of one turn."""
    async with parts.database.connection(lease.tenant_id) as connection:
        now = await _one(connection, NOW, {"tenant": lease.tenant_id, "session": lease.session_id, "as_of": None})
        setting, session = setting_of(now), to_read(ChatSession, now)
        scene = await read_scene(
            connection, session, lease.turn_id, Asker.of(now),
            people_there=could_take(setting.options, on_duty=now["on_duty"]),
            waiting_ticket=await escalation_ticket(connection, session.id) if now["waiting"] else None,
        )  # fmt: skip
    turn = TurnContext(
        principal=scene.principal, lease=lease, database=parts.database, streams=parts.streams,
        options=setting.options, search=searcher(parts, scene.principal, setting), people_there=scene.people_there,
        words=own_words(scene),
    )  # fmt: skip
    answer = Answer(
        database=parts.database, streams=parts.streams, lease=lease, asked=scene.question,
        hosts=frozenset(setting.options.link_hosts),
    )  # fmt: skip
    return surroundings(parts, scene, setting, turn=turn, answer=answer, begun=begun)


def surroundings(
    parts: Parts, scene: Scene, setting: Setting, *, turn: TurnContext, answer: Wording,
    begun: Callable[[], None] = lambda: None,
) -> GraphContext:  # fmt: skip
    """What the graph runs in: this scene under this setting, with the answer going where `answer` lets it."""
    return GraphContext(
        turn=turn,
        session=scene.session,
        question=scene.question,
        asked=scene.asked,
        facts=scene.facts,
        attachments=scene.attachments,
        files=parts.files,
        history=scene.history,
        prompt=setting.prompt,
        models=parts.models,
        embedder=parts.embedder,
        judges=parts.judges,
        answer=answer,
        waiting_ticket=scene.waiting_ticket,
        deadline=time.monotonic() + MODELS_S,
        begun=begun,
    )


def own_words(scene: Scene) -> OwnWords:
    """What the customer themselves wrote, apart from all that others did."""
    before = tuple(message.content for message in scene.history if message.author == "customer")
    return OwnWords(now=scene.question, before=before)


def searcher(parts: Parts, principal: Principal, setting: Setting) -> Search:
    """The knowledge base as this caller may see it, ranked as the setting says."""
    scope = scope_of(principal, setting.options)

    async def search(query: str) -> Retrieved:
        try:
            found = await within(SEARCH_S, parts.retriever.search(query, scope, setting.ranking))
        except TimeoutError:
            raise Unavailable("the knowledge base is too slow") from None
        metrics.retrieval_cache_total.labels("hit" if found.cached else "miss").inc()
        return found

    return search


async def read_setting(connection: Connection, tenant_id: UUID) -> Setting:
    return setting_of(await _one(connection, f"select {SETTING}", {"tenant": tenant_id}))


def setting_of(row: dict[str, Any]) -> Setting:
    """What `SETTING` found."""
    return Setting(
        options=options_of(row["options"]),
        prompt=prompt_of(row["prompt"]) if row["prompt"] else DEFAULT_PROMPT,
        ranking=ranking_of(row["ranking"]),
    )


async def read_asker(connection: Connection, session: ChatSession, *, as_of: datetime) -> Asker:
    """Whose session it is, with the facts that were known of them then."""
    values = {"session": session.id, "as_of": as_of}
    return Asker.of(await _one(connection, f"select {ASKER} from {SESSION}", values))


async def read_scene(
    connection: Connection, session: ChatSession, turn_id: UUID, asker: Asker, *, people_there: bool,
    waiting_ticket: Ticket | None, before: int | None = None,
) -> Scene:  # fmt: skip
    """The conversation as a turn finds it; with `before`, the number of its start, as it found it then."""
    window = await chats.window(
        connection, session.id, after=session.summary_upto, limit=WINDOW, before=before, turn_id=turn_id
    )
    asked = [message for message in window if message.turn_id == turn_id and message.author == "customer"]
    own = frozenset(message.id for message in asked)
    files = await files_of_session(connection, session.id, before=before) if asker.has_files else ()
    return Scene(
        session=session,
        principal=Principal(
            tenant_id=session.tenant_id, role=Role.CUSTOMER, customer_id=session.customer_id,
            user_id=asker.user_id, audience=asker.audience,
        ),
        question="\n".join(message.content for message in asked),
        asked=own,
        facts=asker.facts,
        history=tuple(each for each in window if each.id not in own and not _is_for_later(each, asked[-1].n)),
        attachments=tuple(files),
        people_there=people_there,
        waiting_ticket=waiting_ticket,
    )  # fmt: skip


def _is_for_later(message: ChatMessage, last_asked: int) -> bool:
    """A customer's message that came after this turn's own: the next turn answers it."""
    return message.author == "customer" and message.n > last_asked


async def active_prompt(connection: Connection) -> PromptParts:
    """The tenant's active prompt, else the global default, else the one that ships with the code."""
    row = await (await connection.execute(ACTIVE_PROMPT)).fetchone()
    return prompt_of(row) if row else DEFAULT_PROMPT


def prompt_of(row: dict[str, Any]) -> PromptParts:
    """A stored version as the graph takes it."""
    texts = {name: str(row[name]) for name in ("name", "system_prompt", "context_template", "task_template")}
    return PromptParts(version_id=str(row["id"]), **texts)


async def _one(connection: Connection, query: str, values: dict[str, Any]) -> dict[str, Any]:
    row = await (await connection.execute(query, values)).fetchone()
    if row is None:
        raise NotFound("no such session")
    return row


ACTIVE_PROMPT = """
select id, name, system_prompt, context_template, task_template from prompt_versions
where is_active order by (tenant_id = current_tenant()) desc limit 1
"""
SETTING = f"""
({OPTIONS}) as options, (select to_jsonb(p) from ({ACTIVE_PROMPT}) p) as prompt,
(select to_jsonb(r) from ({NEWEST_RANKING}) r) as ranking
"""
ASKER = f"c.user_id, c.audience, {OF_CUSTOMER} as facts, exists ({HAS_FILES}) as has_files"
SESSION = """
chat_sessions s join customers c on c.id = s.customer_id and c.tenant_id = s.tenant_id
where s.id = %(session)s and s.tenant_id = current_tenant()
"""
NOW = f"select s.*, {ASKER}, {SETTING}, ({ON_DUTY}) as on_duty, exists ({OPEN}) as waiting from {SESSION}"
"""All at once: a turn waits for each of its statements."""
