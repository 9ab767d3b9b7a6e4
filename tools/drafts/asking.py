"""What a ticket's draft is to answer: its customer's words that nobody has answered, what was said before, and who may see
the answer.

A ticket that began in a conversation goes on there too, so the last word may be a message. A draft stands until another
one has come, its `answers_event_id` names the word that it answers, or a colleague has answered in their own words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from memory.database import Connection
from memory.errors import Conflict
from memory.models import Attachment, Ticket
from tools.attachments.reading import files_of_ticket
from tools.matters import is_nudge
from tools.tickets.reading import get_ticket
from tools.tickets.status import ENDED

REMEMBERED = 30
"""Words of the ticket, oldest first, that a draft is told of."""
LONGEST = 8000
"""Characters of one word, and of all that are to be answered together."""
GATHERED = ("escalation", "model")
"""Who opens a ticket with the words of its conversation."""
Author = Literal["customer", "bot", "agent", "system"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Something that was said on a ticket or in its conversation."""

    id: UUID
    author: Author
    text: str
    settled: bool = False
    """The bot has answered it in the conversation, or it was small talk."""
    gathered: bool = False
    """It was put together from what the customer said in the conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A ticket as a draft meets it."""

    ticket: Ticket
    last: Word
    """Of the customer."""
    before: tuple[Word, ...]
    answered: bool
    """A person has spoken since."""
    customer_name: str
    audience: frozenset[str]
    files: tuple[Attachment, ...]
    """That came with it, oldest first."""
    at: datetime
    """When it was read: what was said later a draft does not know."""

    @property
    def unanswered(self) -> frozenset[UUID]:
        """The customer's words since a person last spoke."""
        since = max((n for n, word in enumerate(self.before) if word.author == "agent"), default=-1) + 1
        return frozenset(word.id for word in (*self.before[since:], self.last) if word.author == "customer")

    @property
    def open(self) -> tuple[Word, ...]:
        """The words that a reply is to answer, oldest first: those since a person last spoke, but for what the bot has
        answered and what another one repeats. Of more than fit together the first, and as many of the newest."""
        words = [word for word in (*self.before, self.last) if word.id in self.unanswered]
        words = [word for word in words if word is self.last or not word.settled]
        if any(not word.gathered and not is_nudge(word.text) for word in words):
            words = [word for word in words if word is self.last or not word.gathered]
        words = [word for n, word in enumerate(words) if word is self.last or not _is_repeated(n, words)]
        kept, room = [self.last], LONGEST - len(self.last.text)
        for word in [*words[:1], *reversed(words[1:])]:
            if word is not self.last and len(word.text) <= room:
                kept.append(word)
                room -= len(word.text)
        return tuple(word for word in words if word in kept)

    @property
    def messages(self) -> tuple[str, ...]:
        """The texts of these words; for one that was put together from a conversation those that it is made of, without
        what the bot has answered where anything else is asked."""
        if not self.last.gathered or len(self.open) > 1:
            return tuple(word.text for word in self.open)
        inside = [
            word for word in self.before if word.author == "customer" and _plain(word.text) in _plain(self.last.text)
        ]
        left = [word for word in inside if not word.settled]
        asked = left if any(not is_nudge(word.text) for word in left) else inside
        return tuple(word.text for word in asked) or (self.last.text,)

    @property
    def content(self) -> str:
        """The texts of these words, as a draft is asked them and a lesson keeps them."""
        return "\n\n".join(word.text for word in self.open)

    @property
    def told_before(self) -> tuple[Word, ...]:
        """What was said before, without the words that are to be answered."""
        return tuple(word for word in self.before if word not in self.open)


async def asked_of(connection: Connection, ticket_id: UUID) -> Asked:
    """Raises NotFound, and Conflict for a ticket that goes on elsewhere."""
    ticket = await get_ticket(connection, ticket_id)
    if ticket.merged_into:
        raise Conflict("this ticket was merged into another; go on there")
    said = await _words(connection, ticket)
    place = max((n for n, word in enumerate(said) if word.author == "customer"), default=0)
    row = await (await connection.execute(CUSTOMER, (ticket.customer_id,))).fetchone()
    assert row is not None  # a ticket can't outlive its customer
    return Asked(
        ticket=ticket, last=said[place], before=tuple(said[:place]),
        answered=any(word.author == "agent" for word in said[place + 1 :]), customer_name=row["name"],
        audience=frozenset(row["audience"]), files=tuple(await files_of_ticket(connection, ticket)), at=row["at"],
    )  # fmt: skip


def _is_repeated(place: int, words: Sequence[Word]) -> bool:
    """Whether another one says the same and more, or a later one the same."""
    text = _plain(words[place].text)
    others = [(n, _plain(word.text)) for n, word in enumerate(words) if n != place]
    return any(text in other and (len(other) > len(text) or n > place) for n, other in others)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def may_be_answered(ticket: Ticket) -> bool:
    return ticket.status not in ENDED and ticket.merged_into is None


async def _words(connection: Connection, ticket: Ticket) -> list[Word]:
    """The first is the ticket's own text: it is the customer's, whoever wrote it down."""
    values = {"ticket": ticket.id, "session": ticket.session_id, "limit": REMEMBERED}
    rows: list[dict[str, Any]] = await (await connection.execute(WORDS, values)).fetchall()
    said = [
        Word(id=row["id"], author=row["author"], text=row["text"][:LONGEST], settled=row["settled"])
        for row in reversed(rows)
    ]
    opened = await (await connection.execute(OPENED, (ticket.id,))).fetchone()
    assert opened is not None  # every ticket begins with `created`
    gathered = ticket.session_id is not None and ticket.opened_by in GATHERED
    first = Word(id=opened["id"], author="customer", text=ticket.content[:LONGEST], gathered=gathered)
    place = next((n for n, row in enumerate(reversed(rows)) if row["created_at"] > opened["created_at"]), len(said))
    return [*said[:place], first, *said[place:]]


SAID = """
select e.id, e.data ->> 'author' as author, e.data ->> 'text' as text, e.created_at, false as settled
from ticket_events e
where e.ticket_id = %(ticket)s and e.tenant_id = current_tenant() and e.type = 'reply'
union all
select m.id, m.author, m.content, m.created_at,
       exists (select 1 from chat_messages a
               where a.turn_id = m.turn_id and a.tenant_id = current_tenant() and a.author = 'bot'
                     and a.details ->> 'outcome' in ('answered', 'smalltalk') and not a.details ? 'left_open')
from chat_messages m
where m.session_id = %(session)s and m.tenant_id = current_tenant() and m.author <> 'system' and m.content <> ''
      and m.details ->> 'ticket_id' is distinct from %(ticket)s::text
"""
"""A reply on the ticket is said in its conversation, too."""
WORDS = f"select * from ({SAID}) said order by created_at desc, id desc limit %(limit)s"
OPENED = """
select id, created_at from ticket_events
where ticket_id = %s and tenant_id = current_tenant() and type = 'created' order by id limit 1
"""
CUSTOMER = "select name, audience, now() as at from customers where id = %s and tenant_id = current_tenant()"
LAST_WORD = """
(select said.id from (
    select e.id, e.created_at from ticket_events e
    where e.ticket_id = t.id and e.tenant_id = current_tenant()
          and (e.type = 'created' or (e.type = 'reply' and e.data ->> 'author' = 'customer'))
    union all
    select m.id, m.created_at from chat_messages m
    where m.session_id = t.session_id and m.tenant_id = current_tenant() and m.author = 'customer' and m.content <> ''
 ) said order by said.created_at desc, said.id desc limit 1)
"""
"""Of a ticket `t`: the id of its customer's last word."""
WRITTEN_SINCE = f"d.answers_event_id is distinct from {LAST_WORD}"
"""The customer of the ticket `t` has written since its draft `d` was."""
ANSWERED_SINCE = """
(exists (select 1 from ticket_events e
         where e.ticket_id = t.id and e.tenant_id = t.tenant_id and e.type = 'reply' and e.data ->> 'author' = 'agent'
               and (e.id > d.id or e.created_at > d.created_at))
 or exists (select 1 from chat_messages m
            where m.session_id = t.session_id and m.tenant_id = t.tenant_id and m.author = 'agent'
                  and (m.id > d.id or m.created_at > d.created_at)))
"""
"""A colleague has answered it since; what another system tells late bears the time of then."""
