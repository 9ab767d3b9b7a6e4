"""What the agent remembers: the window of a conversation, its running summary, and the customer's facts."""

from collections.abc import Sequence

from memory import chats, facts
from memory.database import Connection
from memory.events import Journal
from memory.models import ChatMessage, ChatSession
from tools.consent import SECRET, SENTENCE
from tools.context import TurnContext
from tools.lasting import lasting

WINDOW = 12
"""Messages that go to the model as they are; what is older stands in the summary."""
SUMMARISE_PAST = 20
MOST_AT_ONCE = 200
SUMMARY_LINES = 12
LINE_CHARACTERS = 160


def facts_in(text: str) -> list[str]:
    """What a customer says about themselves that lasts; never from a sentence that names a secret."""
    found = []
    for match in SENTENCE.finditer(text):
        sentence = " ".join(match.group().split())
        if len(sentence) > facts.MOST_CHARACTERS or sentence.endswith(("?", "？")) or SECRET.search(sentence):
            continue
        if told := lasting(sentence):
            found.append(told)
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
