"""An approved reply becomes a lesson: redacted, and a row in the transaction of the approval. The index follows it."""

from dataclasses import dataclass
from uuid import UUID

from memory.database import Connection
from memory.models import new_id
from tools.contacts import NOTHING_PUBLIC, Contacts
from tools.learning.lessons import LessonKind
from tools.learning.public import without_customers
from tools.learning.redaction import redact
from tools.learning.texts import text_of, title_of, without_headings

LONGEST_ISSUE = 4000
LONGEST_REPLY = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What there is to learn from one approval, as it was written; `names` are taken out of all of it, and so are the
    figures of what other systems told of the customer."""

    kind: LessonKind
    approved_reply_id: UUID
    ticket_id: UUID
    customer_id: UUID
    subject: str
    issue: str
    draft: str
    reply: str
    notes: str
    intent: str | None
    similarity: float
    names: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    public: Contacts = NOTHING_PUBLIC
    """Of the team itself; this stays."""


async def learn(connection: Connection, tenant_id: UUID, learned: Learned) -> UUID | None:
    """Keep a lesson, once for each approval; its id, or None where this approval has taught already."""
    texts = (
        learned.subject, learned.issue[:LONGEST_ISSUE], learned.draft[:LONGEST_REPLY], learned.reply[:LONGEST_REPLY],
        learned.notes,
    )  # fmt: skip
    public = await without_customers(connection, learned.public, texts, learned.customer_id)
    subject, issue, draft, reply, notes = (
        redact(text, names=learned.names, accounts=learned.accounts, public=public) for text in texts
    )
    subject, issue = without_headings(subject), without_headings(issue)
    wrong = draft if learned.kind == "correction" else ""
    lesson_id = new_id()
    values = {
        "id": lesson_id, "tenant": tenant_id, "kind": learned.kind, "title": title_of(subject),
        "text": text_of(learned.kind, subject=subject, issue=issue, reply=reply, wrong=wrong, notes=notes),
        "approved": learned.approved_reply_id, "ticket": learned.ticket_id, "customer": learned.customer_id,
        "subject": subject, "issue": issue, "wrong": wrong, "reply": reply,
        "notes": notes if learned.kind == "correction" else "", "intent": learned.intent,
        "similarity": learned.similarity,
    }  # fmt: skip
    cursor = await connection.execute(LEARN, values)
    return lesson_id if cursor.rowcount else None


LEARN = """
insert into learned_replies (id, tenant_id, kind, title, text, status, version, approved_reply_id, ticket_id,
                             customer_id, subject, issue, wrong, reply, notes, intent, similarity)
values (%(id)s, %(tenant)s, %(kind)s, %(title)s, %(text)s, 'active', 1, %(approved)s, %(ticket)s, %(customer)s,
        %(subject)s, %(issue)s, %(wrong)s, %(reply)s, %(notes)s, %(intent)s, %(similarity)s)
on conflict (approved_reply_id) where approved_reply_id is not null do nothing
"""
