"""What is public of a tenant's team: what its published articles say to everybody, and its own list.

The articles may be in a database of their own. Where that is away less is known to be public, and more is taken out.
"""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog

from memory.database import Connection, Database
from memory.errors import Unavailable
from memory.models import GLOBAL_TENANT
from tools.contacts import Contacts, contacts_of, found_in, same_form, values_in
from tools.tenants import load_options

log = structlog.get_logger()
MOST_PASSAGES = 5000
"""With something that looks like a contact in them."""


async def public_contacts(database: Database, knowledge: Database, tenant_id: UUID) -> Contacts:
    """Of a tenant; to be read before the transaction in which something is learned."""
    async with database.connection(tenant_id) as connection:
        options = await load_options(connection, tenant_id)
    listed = contacts_of(options.public_contacts)
    said = await _in_articles(knowledge, tenant_id, options.collections)
    return replace(listed, values=listed.values | said)


async def without_customers(
    connection: Connection, public: Contacts, texts: Collection[str], customer_id: UUID | None
) -> Contacts:
    """The same without the address of the customer whose ticket it is, whatever else that is, and without those of
    others that these texts name and that are public for their domain alone."""
    if not public:
        return public
    found = {same_form(kind, text) for each in texts for kind, text in found_in(each) if kind == "email address"}
    at_domains = [each for each in found if each and public.at_domain(each) and each not in public.values]
    values: dict[str, Any] = {"customer": customer_id, "addresses": at_domains}
    rows = await (await connection.execute(CUSTOMERS, values)).fetchall()
    return replace(public, customers=frozenset(row["email"].casefold() for row in rows))


async def _in_articles(knowledge: Database, tenant_id: UUID, collections: Collection[str]) -> set[str]:
    values = {"tenant": tenant_id, "everyone": GLOBAL_TENANT, "collections": list(collections), "most": MOST_PASSAGES}
    try:
        async with knowledge.connection(tenant_id) as connection:
            rows = await (await connection.execute(ARTICLES, values)).fetchall()
    except Unavailable:
        log.warning("the articles are away: what they say publicly is taken out of what is learned now")
        return set()
    return await asyncio.to_thread(_values, [row["text"] for row in rows])


def _values(texts: Collection[str]) -> set[str]:
    return {value for text in texts for value in values_in(text)}


CUSTOMERS = """
select email from customers
where tenant_id = current_tenant() and email is not null
      and (id = %(customer)s::uuid or lower(email) = any(%(addresses)s::text[]))
"""
ARTICLES = """
select title || ' ' || heading || ' ' || text as text from passages
where active and source = 'article' and audience = '{}'
      and (tenant_id = %(tenant)s or (tenant_id = %(everyone)s and collection = any(%(collections)s)))
      and (effective_from is null or effective_from <= now()) and (effective_until is null or effective_until > now())
      and text ~* '@|[0-9][0-9a-f ().:/-]{4,}'
order by tenant_id = %(everyone)s, id limit %(most)s
"""
