"""How an approved reply leaves for a ticket that lives in another system: what such a system's client must offer.

`send` is called at most once for a reply unless it raises NotSent. What it raises says what is known:

    NotSent                        certainly nothing went out (no connection, say): it is tried again
    Conflict, NotFound, Invalid    the other side said no and did nothing: a person is told why
    anything else                  nobody knows: `look` decides, and where it can't, a person does
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from memory.errors import Unavailable


class NotSent(Unavailable):
    """Certainly nothing went out."""

    code = "not_sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A reply that a person approved."""

    tenant_id: UUID
    reply_id: UUID
    ticket_id: UUID
    external_ticket_id: str
    """The ticket's id in the other system."""
    text: str
    author: str
    """The colleague as customers see them."""
    tried_at: datetime
    """When the attempt began: what was there before is not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the ticket over there says about a reply."""

    outcome: Literal["found", "absent", "unknown"]
    external_id: str | None = None
    """Of the reply over there, where it was found."""


class Channel(Protocol):
    async def send(self, reply: Outgoing) -> str | None:
        """Add the reply to the ticket; its id over there, if that is told."""

    async def look(self, reply: Outgoing) -> Look:
        """Whether the reply stands on the ticket: by its text, among what was added since `tried_at`. Never raises."""
