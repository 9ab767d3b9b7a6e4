"""What the person who takes over should know, read from the conversation itself."""

from typing import Any
from uuid import UUID

from memory import chats
from memory.database import Connection
from tools.classification.writer import sentiment

LOOKED_AT = 12


async def findings_of(connection: Connection, session_id: UUID) -> dict[str, Any]:
    """What was asked, what the bot tried with which sources and how sure it was, and what is still open."""
    recent = await chats.window(connection, session_id, after=0, limit=LOOKED_AT)
    asked = [message for message in recent if message.author == "customer"]
    answers = [message for message in recent if message.author == "bot" and message.turn_id]
    last = answers[-1] if answers else None
    known = last.details if last else {}
    answered = {message.turn_id for message in answers if message.details.get("outcome") == "answered"}
    return {
        "asked": "\n".join(message.content for message in asked),
        "tried": last.content if last else "",
        "sources": list(dict.fromkeys(source["id"] for source in known.get("sources", []))),
        "confidence": (known.get("confidence") or {}).get("score"),
        "intent": known.get("intent"), "severity": known.get("severity"), "tier": known.get("tier"),
        "sentiment": sentiment(asked[-1].content) if asked else 0.0,
        "open": [message.content for message in asked if message.turn_id not in answered],
    }  # fmt: skip
