"""What a turn is given: what its tenant has decided, and a conversation at one moment.

A live turn reads both as they are; a rehearsal may change either, and then runs through the same graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from agent.prompting import DEFAULT_PROMPT, PromptParts
from kbs.search.retrieval import RetrievalOptions
from memory import chats
from memory.chats import window_now
from memory.checkpoints import NEWEST, TurnCheckpoint, thread_id
from memory.database import Connection, Database
from memory.errors import NotFound
from memory.facts import OF_CUSTOMER
from memory.models import Attachment, ChatMessage, ChatSession, Ticket
from memory.pipeline import statement
from memory.rows import to_read
from memory.tenancy import Principal, Role
from memory.turns import Lease
from tools.attachments.reading import HAS_FILES, files_of_session
from tools.handoffs.requesting import OPEN
from tools.recall import WINDOW
from tools.search import NEWEST_RANKING, ranking_of
from tools.staff import ON_DUTY, could_take
from tools.tenants import OPTIONS, TenantOptions, options_of
from tools.tickets import escalation_ticket


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
    messages: tuple[str, ...] = ()
    """What the question consists of, where it came in several."""
    asked: frozenset[UUID] = frozenset()
    facts: tuple[str, ...] = ()
    history: tuple[ChatMessage, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    people_there: bool = True
    waiting_ticket: Ticket | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, what is known of them, and whether files came with their messages."""

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


async def read_now(database: Database, lease: Lease) -> tuple[Setting, Scene, TurnCheckpoint]:
    """All as it is, and in one message, as a turn waits for each; what hardly any turn has is read after it."""
    thread = thread_id(lease.tenant_id, lease.session_id)
    here = (NOW, {"tenant": lease.tenant_id, "session": lease.session_id, "as_of": None, "thread": thread})
    window = window_now(lease.session_id, lease.turn_id, limit=WINDOW)
    found, said = await database.once(lease.tenant_id).together(here, window)
    if not found:
        raise NotFound("no such session")
    (row,) = found
    setting, session, asker = setting_of(row), to_read(ChatSession, row), Asker.of(row)
    files: Sequence[Attachment] = ()
    ticket: Ticket | None = None
    if asker.has_files or row["waiting"]:
        async with database.connection(lease.tenant_id) as connection:
            files = await files_of_session(connection, session.id)
            ticket = await escalation_ticket(connection, session.id) if row["waiting"] else None
    scene = scene_of(
        session, lease.turn_id, asker, [to_read(ChatMessage, message) for message in said], files,
        people_there=could_take(setting.options, on_duty=row["on_duty"]), waiting_ticket=ticket,
    )  # fmt: skip
    return setting, scene, TurnCheckpoint(thread, row["newest"])


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
    waiting_ticket: Ticket | None, before: int,
) -> Scene:  # fmt: skip
    """The conversation as a turn found it, whose start has the number `before`."""
    said = await chats.window(
        connection, session.id, after=session.summary_upto, limit=WINDOW, before=before, turn_id=turn_id
    )
    files = await files_of_session(connection, session.id, before=before) if asker.has_files else ()
    return scene_of(session, turn_id, asker, said, files, people_there=people_there, waiting_ticket=waiting_ticket)


def scene_of(
    session: ChatSession, turn_id: UUID, asker: Asker, said: Sequence[ChatMessage], files: Sequence[Attachment], *,
    people_there: bool, waiting_ticket: Ticket | None,
) -> Scene:  # fmt: skip
    """The conversation of which this was `said`, with the messages that the turn answers among it."""
    asked = [message for message in said if message.turn_id == turn_id and message.author == "customer"]
    own = frozenset(message.id for message in asked)
    return Scene(
        session=session,
        principal=Principal(
            tenant_id=session.tenant_id, role=Role.CUSTOMER, customer_id=session.customer_id,
            user_id=asker.user_id, audience=asker.audience,
        ),
        question="\n".join(message.content for message in asked),
        messages=tuple(message.content for message in asked),
        asked=own,
        facts=asker.facts,
        history=tuple(each for each in said if each.id not in own and not _is_for_later(each, asked[-1].n)),
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
NOW = statement(f"""
select s.*, {ASKER}, {SETTING}, ({ON_DUTY}) as on_duty, exists ({OPEN}) as waiting,
       (select to_jsonb(n) from ({NEWEST}) n) as newest
from {SESSION}
""")
