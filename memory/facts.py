"""What is worth remembering about a customer, across sessions: kept once, read only in that customer's own turns."""

import hashlib
import re
from uuid import UUID

from memory.database import Connection
from memory.models import new_id

MOST_FACTS = 100
"""Per customer; the oldest give way, so that one customer can't fill the table."""
MOST_CHARACTERS = 300


async def remember(
    connection: Connection, *, tenant_id: UUID, customer_id: UUID, text: str, turn_id: UUID | None
) -> bool:
    """Keep a fact; False when it was known already."""
    text = text.strip()[:MOST_CHARACTERS]
    values = {
        "id": new_id(), "tenant": tenant_id, "customer": customer_id, "text": text, "digest": digest(text),
        "turn": turn_id, "most": MOST_FACTS,
    }  # fmt: skip
    kept = (await connection.execute(REMEMBER, values)).rowcount == 1
    if kept:
        await connection.execute(PRUNE, values)
    return kept


def digest(text: str) -> str:
    """Equal for facts that differ in case, spacing or closing punctuation only."""
    words = re.sub(r"\s+", " ", text.casefold()).strip(" .!")
    return hashlib.sha256(words.encode()).hexdigest()


REMEMBER = """
insert into facts (id, tenant_id, customer_id, text, digest, turn_id)
select %(id)s, %(tenant)s, %(customer)s, %(text)s, %(digest)s::varchar, %(turn)s
where not exists (
    select 1 from facts
    where customer_id = %(customer)s and tenant_id = current_tenant() and digest = %(digest)s::varchar)
"""
PRUNE = """
delete from facts where tenant_id = current_tenant() and id in (
    select id from facts where customer_id = %(customer)s and tenant_id = current_tenant()
    order by id desc offset %(most)s)
"""
OF_CUSTOMER = """
array(
    select text from (
        select id, text from facts
        where customer_id = c.id and tenant_id = current_tenant()
              and (%(as_of)s::timestamptz is null or created_at < %(as_of)s)
        order by id desc limit 20) newest
    order by id)
"""
"""The newest facts, oldest of them first, as a column of a query that has the customer's row as `c`; with `as_of` only
what was known then."""
