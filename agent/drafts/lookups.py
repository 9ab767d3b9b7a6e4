"""What the model that writes a draft may look up before: the knowledge base in other words, and, where the customer is a
client of the tenant's WHMCS, their account and invoices.

Nothing has an effect, and no argument names a tenant, a customer or a client. What comes back is data: numbered passages
like those of the first search, guarded and delimited like them, so that what the draft says of an account is verified
and bears a number. Rounds, calls and seconds are bounded; what fails is told to the model and to the colleague.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from langchain_core.messages import BaseMessage, ToolMessage
from pydantic import ValidationError

from agent import metrics
from agent.drafts.shapes import Lookup
from agent.drafts.state import DraftContext
from agent.extractive import ExtractiveChat
from agent.llm import ToolCall
from agent.prompting import render_passages
from kbs.articles.passage_making import digest_of
from kbs.passages import Passage, Source
from memory.errors import HelpdeskError
from memory.models import new_id
from tools import guardrails
from tools.catalog import SearchArguments
from tools.whmcs.account import ACCOUNT_TOOLS, AccountTool

log = structlog.get_logger()
SEARCH = "search_knowledge"
MAX_ROUNDS = 3
"""Of look-ups; after the last the model must write."""
MAX_CALLS = 4
"""Of one round."""
CALL_S = 8.0
WRITING_S = 8.0
"""Left for the reply itself: nothing is looked up later."""
ACCOUNT = "whmcs"
FAILED = "This could not be looked up ({why}). Answer without it, and claim nothing about it."
REFUSED = "what was found holds instructions for the assistant and was left out"
_SEARCH_SCHEMA = {
    "type": "function",
    "function": {
        "name": SEARCH, "description": "Search the knowledge base again, with other words than the ticket's.",
        "parameters": SearchArguments.model_json_schema(),
    },
}  # fmt: skip


class NotToBeHad(Exception):
    """Why something was not found out, in words for the model and the colleague."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one call came to."""

    text: str
    lookup: Lookup
    passages: tuple[Passage, ...] = ()


def tools_of(context: DraftContext, rounds: int) -> list[dict[str, Any]]:
    """What the model may ask for now; without a model there is nobody to ask."""
    if isinstance(context.parts.models.draft, ExtractiveChat) or rounds >= MAX_ROUNDS or not _time_left(context):
        return []
    return [_SEARCH_SCHEMA, *([tool.schema() for tool in ACCOUNT_TOOLS] if context.account else [])]


async def look_up(
    context: DraftContext, calls: Sequence[ToolCall], passages: tuple[Passage, ...], before: Sequence[Lookup]
) -> tuple[list[BaseMessage], tuple[Passage, ...], tuple[Lookup, ...]]:
    """Run a round's calls: the answers to the model, all passages that there are now, and what a colleague is shown."""
    known = {(each.tool, each.query) for each in before if each.ok}
    wanted: list[ToolCall] = []
    for call in calls[:MAX_CALLS]:
        if (key := (call.name, _query(call))) not in known:
            known.add(key)
            wanted.append(call)
    found = dict(zip(map(id, wanted), await asyncio.gather(*(_call(context, call) for call in wanted)), strict=True))
    messages: list[BaseMessage] = []
    lookups: list[Lookup] = []
    for call in calls:
        each = found.get(id(call))
        if each is None:
            messages.append(
                ToolMessage("This was not looked up again. Go on with what you have.", tool_call_id=call.id)
            )
            continue
        new = tuple(one for one in each.passages if all(one.digest != passage.digest for passage in passages))
        text = f"{each.text}\n\n{render_passages(new, start=len(passages) + 1)}" if new else each.text
        messages.append(ToolMessage(text, tool_call_id=call.id))
        passages += new
        lookups.append(each.lookup)
    return messages, passages, tuple(lookups)


async def _call(context: DraftContext, call: ToolCall) -> Found:
    started = time.perf_counter()
    tool = next((tool for tool in ACCOUNT_TOOLS if tool.name == call.name and context.account), None)
    left = min(CALL_S, context.seconds_left - WRITING_S)
    try:
        async with asyncio.timeout(max(left, 0.0)):
            text, passages = await (_account(context, tool) if tool else _search(context, call))
        error = ""
    except TimeoutError:
        error = "it took too long"
    except NotToBeHad as failure:
        error = str(failure)
    except HelpdeskError as failure:
        error = failure.detail or failure.code
    except Exception:
        log.exception("a look-up for a draft failed")
        error = "an error on our side"
    if error:
        text, passages = FAILED.replace("{why}", error), ()
    name = call.name if call.name == SEARCH or tool else "unknown"
    metrics.tool_calls_total.labels(name, "failed" if error else "ok").inc()
    lookup = Lookup(
        tool=name, query=_query(call), ok=not error, error=error[:300],
        refs=tuple(passage.ref for passage in passages), ms=round((time.perf_counter() - started) * 1000, 2),
    )  # fmt: skip
    return Found(text=text, lookup=lookup, passages=passages)


async def _search(context: DraftContext, call: ToolCall) -> tuple[str, tuple[Passage, ...]]:
    if call.name != SEARCH:
        raise NotToBeHad(f"there is no tool named {call.name[:60]!r}")
    try:
        query = SearchArguments.model_validate(call.arguments).query
    except ValidationError:
        raise NotToBeHad("a search wants a query of 2 to 300 characters") from None
    found = await context.parts.retriever.search(query, context.scope, context.ranking)
    quotable = tuple(passage for passage in found.passages if passage.source.quotable)
    if not quotable:
        return "Nothing was found. Say so honestly, or try other words once.", ()
    return f"{len(quotable)} passages were found and added to the numbered passages.", quotable


async def _account(context: DraftContext, tool: AccountTool) -> tuple[str, tuple[Passage, ...]]:
    assert context.account  # nobody is offered the tool without one
    told = await context.account.call(tool.name)
    if told.error:
        raise NotToBeHad(told.error)
    verdict = guardrails.check_document(told.text, rules=context.parts.judges.rules)
    if verdict.action != "allow":
        raise NotToBeHad(REFUSED)
    passage = Passage(
        id=new_id(), source=Source.TENANT_KB, ref=f"{ACCOUNT}:{tool.name}", title=tool.title,
        heading=f"as of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC", text=told.text, digest=digest_of(told.text),
        told_by=ACCOUNT,
    )  # fmt: skip
    return "This is the state of this customer's own account, as data; cite it by its number.", (passage,)


def _query(call: ToolCall) -> str:
    """What was searched for; an account tool has no arguments, whatever a model passes."""
    return str(call.arguments.get("query") or "")[:300] if call.name == SEARCH else ""


def _time_left(context: DraftContext) -> bool:
    return context.seconds_left > WRITING_S
