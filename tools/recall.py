"""What the agent remembers: the window of a conversation, its running summary, and the customer's facts."""

import re
from collections.abc import Sequence

from memory import chats, facts
from memory.database import Connection
from memory.events import Journal
from memory.models import ChatMessage, ChatSession
from tools.consent import SECRET, SENTENCE
from tools.context import TurnContext

WINDOW = 12
"""Messages that go to the model as they are; what is older stands in the summary."""
SUMMARISE_PAST = 20
MOST_AT_ONCE = 200
SUMMARY_LINES = 12
LINE_CHARACTERS = 160

_TOLD = re.compile(
    r"\b(?:(?:my|our) (?:name|domain|website|site|company|e-?mail(?: address)?|phone|plan|username|customer number|"
    r"team|operating system|device|server|course|role) (?:is|are|runs|'s)\b|(?:i am|i'm|we are) (?:using|on|called)\b|"
    r"i (?:use|prefer|work (?:at|for|with|on))\b|we use\b|(?:please )?remember (?:that )?|call me\b|"
    r"mein name ist|ich (?:heiße|benutze|nutze|verwende)|je m'appelle|j'utilise|me llamo|меня зовут)",
    re.IGNORECASE,
)


def facts_in(text: str) -> list[str]:
    """The sentences in which a customer says something about themselves; never one that names a secret."""
    found = []
    for match in SENTENCE.finditer(text):
        sentence = " ".join(match.group().split())
        told = _TOLD.search(sentence)
        if (
            told
            and len(sentence) <= facts.MOST_CHARACTERS
            and not sentence.endswith("?")
            and not SECRET.search(sentence)
        ):
            found.append(sentence)
    return found[:5]


async def remember(context: TurnContext, text: str) -> bool:
    """Keep a fact about this turn's customer, once."""

    async def keep(entry: Journal) -> bool:
        return await facts.remember(
            entry.connection, tenant_id=context.principal.tenant_id, customer_id=context.customer_id, text=text,
            turn_id=context.lease.turn_id,
        )  # fmt: skip

    return await context.act("remember", {"fact": text}, keep, rehearsed=lambda _: True)


async def keep_summary(connection: Connection, session: ChatSession) -> bool:
    """Fold what has left the window into the session's summary, once enough has; True when it changed."""
    messages = await chats.messages_after(connection, session.id, after=session.summary_upto, limit=MOST_AT_ONCE)
    if len(messages) <= SUMMARISE_PAST:
        return False
    older = messages[:-WINDOW]
    await chats.update_session(
        connection, session.id, summary=summarise(session.summary, older), summary_upto=older[-1].n
    )
    return True


def summarise(summary: str, messages: Sequence[ChatMessage]) -> str:
    """The summary so far with one line per question asked; the newest lines are kept."""
    lines = [line for line in summary.splitlines() if line]
    for message in messages:
        if message.author in ("customer", "agent") and message.content.strip():
            first = next(iter(SENTENCE.findall(message.content)), message.content)
            who = "The customer" if message.author == "customer" else "A colleague"
            lines.append(f"{who} wrote: {' '.join(first.split())[:LINE_CHARACTERS]}")
    return "\n".join(lines[-SUMMARY_LINES:])
