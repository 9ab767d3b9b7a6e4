"""The tools that a model may call, by the role of whom it acts for.

A tool's arguments never name a tenant, customer or session: those come from the turn's context. Every effect is
recorded under the turn's own number, in the transaction of the effect, and needs a wish of the customer's own: see
tools/consent.py. What goes wrong is told to the model as an instruction, not as a trace.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import psycopg
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kbs.passages import Passage
from memory import turns
from memory.errors import HelpdeskError, LeaseLost, Unavailable
from memory.events import Journal
from memory.models import Ticket
from memory.tenancy import Role
from tools import recall, tickets
from tools.consent import HELD_BACK, Wish
from tools.context import Deed, OnlyRehearsed, TurnContext
from tools.escalation_policy import EscalationReason
from tools.handoffs.requesting import Request, request_handoff


def storable(value: Any) -> Any:
    """The same without NUL and lone surrogates, which JSON can spell and neither Postgres nor a request can hold."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {storable(name): storable(part) for name, part in value.items()}
    return [storable(part) for part in value] if isinstance(value, list) else value


class Arguments(BaseModel):
    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, given: Any) -> Any:
        return storable(given)


class Nothing(Arguments):
    """No arguments."""


class SearchArguments(Arguments):
    query: str = Field(min_length=2, max_length=300, description="what to look for, as a full question")


class TicketArguments(Arguments):
    subject: str = Field(min_length=3, max_length=200, description="one line that names the problem, in their words")


class HumanArguments(Arguments):
    reason: str = Field(min_length=3, max_length=300, description="why a person is needed")


class FactArguments(Arguments):
    fact: str = Field(min_length=3, max_length=300, description="what the customer says of themselves, in their words")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a tool tells the model, with what else the turn should know."""

    text: str
    passages: tuple[Passage, ...] = ()
    evidence: bool = False
    """The text states facts about this customer, which the answer may repeat."""
    ticket: Ticket | None = None
    escalated: bool = False
    ok: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    name: str
    description: str
    arguments: type[Arguments]
    roles: frozenset[Role]
    once: bool = False
    """At most one call in a turn has its effect."""
    changes: Wish | None = None
    """The wish of the customer without which it does nothing; None for a tool that changes nothing and can't."""
    run: Callable[[TurnContext, Any], Awaitable[Outcome]]

    def schema(self) -> dict[str, Any]:
        """The tool as an OpenAI-compatible endpoint wants it declared."""
        return {
            "type": "function",
            "function": {
                "name": self.name, "description": self.description, "parameters": _parameters(self.arguments),
            },
        }  # fmt: skip


@cache
def _parameters(arguments: type[BaseModel]) -> dict[str, Any]:
    """Made once: a turn declares the same tools as the one before."""
    return arguments.model_json_schema()


async def search_knowledge(context: TurnContext, arguments: SearchArguments) -> Outcome:
    found = await context.search(arguments.query)
    quotable = tuple(passage for passage in found.passages if passage.source.quotable)
    if not quotable:
        return Outcome(text="Nothing was found. Say so honestly, or try other words once.")
    return Outcome(text=f"{len(quotable)} passages were found and added to the numbered passages.", passages=quotable)


async def list_my_tickets(context: TurnContext, arguments: Nothing) -> Outcome:
    async with context.database.connection(context.principal.tenant_id) as connection:
        own = await tickets.list_tickets(connection, customer_id=context.customer_id, limit=10)
    if not own:
        return Outcome(text="The customer has no tickets.", evidence=True)
    lines = [f"#{ticket.number} [{ticket.status}] {ticket.subject} ({ticket.created_at:%Y-%m-%d})" for ticket in own]
    return Outcome(text="The customer's tickets, newest first:\n" + "\n".join(lines), evidence=True)


async def open_ticket(context: TurnContext, arguments: TicketArguments) -> Outcome:
    """Open a ticket that holds the customer's own messages."""
    ordinal = next(context.ordinals)
    told = {"subject": context.words.subject(arguments.subject), "content": context.words.matter}

    async def do(entry: Journal) -> Ticket:
        opened = await tickets.open_ticket(
            entry.connection, tenant_id=context.principal.tenant_id, customer_id=context.customer_id,
            subject=told["subject"], content=told["content"],
            opened_by="model", actor=context.principal.key, session_id=context.session_id,
        )  # fmt: skip
        await _record(context, entry.connection, ordinal, "open_ticket", {"ticket_id": str(opened.id)})
        return opened

    ticket = await context.act("open_ticket", told, do, rehearsed=lambda scene: scene.ticket)
    return Outcome(text=f"Ticket #{ticket.number} is open. Tell the customer its number.", evidence=True, ticket=ticket)


async def request_human(context: TurnContext, arguments: HumanArguments) -> Outcome:
    """Hand over; what colleagues read of it is the customer's own words, not the model's reason."""
    ordinal = next(context.ordinals)
    told = {"summary": context.words.subject(arguments.reason)}
    request = Request(
        session_id=context.session_id, customer_id=context.customer_id, reason=EscalationReason.AGENT_DECISION,
        summary=told["summary"], turn_id=context.lease.turn_id,
    )  # fmt: skip

    async def do(entry: Journal) -> Ticket:
        _, opened, _ = await request_handoff(entry, request)
        await _record(context, entry.connection, ordinal, "request_human", {"ticket_id": str(opened.id)})
        return opened

    ticket = await context.act("request_human", told, do, rehearsed=lambda scene: scene.ticket)
    return Outcome(
        text=f"A person was asked for; the ticket is #{ticket.number}. Tell the customer, and promise no time.",
        evidence=True,
        ticket=ticket,
        escalated=True,
    )


async def remember(context: TurnContext, arguments: FactArguments) -> Outcome:
    """Keep the sentence in which the customer said so."""
    said = context.words.statement(arguments.fact)
    if not said:
        return Outcome(text=HELD_BACK["fact"], ok=False)
    kept = await recall.remember(context, said)
    return Outcome(text="Remembered." if kept else "That was known already.")


async def _record(context: TurnContext, connection: Any, ordinal: int, tool: str, result: dict[str, Any]) -> None:
    if not await turns.record_effect(connection, context.lease, ordinal, tool, result):
        raise LeaseLost("this effect has happened before")  # rolls the repeated effect back


EVERYONE = frozenset(Role)
CATALOG: tuple[Tool, ...] = (
    Tool(
        name="search_knowledge", arguments=SearchArguments, roles=EVERYONE, run=search_knowledge,
        description="Search the knowledge base again, with other words than the customer's.",
    ),
    Tool(
        name="list_my_tickets", arguments=Nothing, roles=EVERYONE, run=list_my_tickets,
        description="The customer's own tickets with number, status and subject.",
    ),
    Tool(
        name="open_ticket", arguments=TicketArguments, roles=EVERYONE, once=True, changes="ticket", run=open_ticket,
        description="Open a ticket when the customer asks for one; where the problem needs work by a person later, the "
        "customer is asked first.",
    ),
    Tool(
        name="request_human", arguments=HumanArguments, roles=EVERYONE, once=True, changes="human", run=request_human,
        description="Hand the conversation to a person, when the customer asks or you cannot help; where neither is "
        "plain, the customer is asked first.",
    ),
    Tool(
        name="remember", arguments=FactArguments, roles=EVERYONE, changes="fact", run=remember,
        description="Keep a lasting fact that the customer tells about themselves in this message, never a secret.",
    ),
)  # fmt: skip


def tools_for(role: Role) -> tuple[Tool, ...]:
    return tuple(tool for tool in CATALOG if role in tool.roles)


async def call(context: TurnContext, name: str, arguments: dict[str, Any]) -> Outcome:
    """Run one tool for the turn's caller, if what it changes is the customer's wish; every failure comes back as an
    instruction. Raises LeaseLost, and Unavailable where nobody knows whether the tool's effect is stored: who asked again
    might have it twice."""
    tool = next((tool for tool in tools_for(context.principal.role) if tool.name == name), None)
    if tool is None:
        return Outcome(text=f"There is no tool named {name[:60]!r}. Answer with what you have.", ok=False)
    if tool.once and name in context.done:
        return Outcome(text="This was done already in this turn. Tell the customer what came of it.", ok=False)
    try:
        given = tool.arguments.model_validate(arguments)
        if tool.changes and tool.changes not in context.wishes:
            context.held_back.add(tool.changes)
            return Outcome(text=HELD_BACK[tool.changes], ok=False)
        outcome = await tool.run(replace(context, may_act=tool.changes is not None), given)
        context.done.add(name)
        return outcome
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())
        return Outcome(text=f"The arguments do not fit ({wrong}). Correct them or answer without the tool.", ok=False)
    except LeaseLost:
        raise
    except Unavailable as error:
        if tool.changes:
            raise
        return _failed(error)
    except OnlyRehearsed:
        assert context.rehearsal is not None  # nobody else raises it
        context.rehearsal.deeds.append(Deed(what=name, data=arguments))
        context.done.add(name)
        return Outcome(text="This is a rehearsal: nothing was done. Go on as if it had been.")
    except psycopg.DataError:
        return Outcome(text="The arguments hold characters that can't be stored. Correct them.", ok=False)
    except HelpdeskError as error:
        return _failed(error)


def _failed(error: HelpdeskError) -> Outcome:
    return Outcome(text=f"The tool failed ({error.code}). Tell the customer honestly and offer a person.", ok=False)
