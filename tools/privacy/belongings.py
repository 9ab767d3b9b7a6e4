"""Which rows are a customer's: whatever hangs on them by a foreign key, however many tables lie between.

The schema itself is walked, so that a table which is added tomorrow is exported tomorrow.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from uuid import UUID

from sqlalchemy import Table
from sqlmodel import SQLModel

from memory.database import Connection
from memory.errors import Conflict, NotFound

Row = dict[str, object]
ROOT = "customers"


async def find_customer(connection: Connection, named: str) -> UUID:
    """The customer of an id, an email address or the id of another system. Raises NotFound, and Conflict with the ids
    of all that it could be."""
    rows = await (await connection.execute(FIND, {"named": named.strip()})).fetchall()
    if not rows:
        raise NotFound(f"there is no customer {named!r}")
    if len(rows) > 1:
        ids = ", ".join(str(row["id"]) for row in rows)
        raise Conflict(f"{named!r} is more than one customer; name one by its id: {ids}")
    return UUID(str(rows[0]["id"]))


async def one_person(connection: Connection, customer_id: UUID) -> list[UUID]:
    """The customer and all that were found to be the same person. Raises NotFound."""
    rows = await (await connection.execute(SAME, {"id": customer_id})).fetchall()
    if not rows:
        raise NotFound("there is no such customer")
    return [row["id"] for row in rows]


async def belongings(connection: Connection, customers: list[UUID]) -> dict[str, list[Row]]:
    """Every row of theirs by table, their own first; a row that hangs on them twice is there once."""
    found = {ROOT: await _rows(connection, ROOT, "id", customers)}
    for table in hanging():
        rows: dict[tuple[object, ...], Row] = {}
        for column, parent in _references(table):
            ids = [row["id"] for row in found.get(parent, ())]
            for row in await _rows(connection, table.name, column, ids):
                rows[tuple(row[key.name] for key in table.primary_key)] = row
        if rows:
            found[str(table.name)] = list(rows.values())
    return found


async def _rows(connection: Connection, table: str, column: str, ids: Sequence[object]) -> list[Row]:
    if not ids:
        return []
    query = f"select * from {table} where tenant_id = current_tenant() and {column} = any(%s)"
    return list(await (await connection.execute(query, (list(ids),))).fetchall())


@cache
def hanging() -> tuple[Table, ...]:
    """The tables that hang on customers, each after those that it hangs on."""
    names = {ROOT}
    for table in SQLModel.metadata.sorted_tables:
        if any(parent in names for _, parent in _references(table)):
            names.add(table.name)
    return tuple(table for table in SQLModel.metadata.sorted_tables if table.name in names - {ROOT})


def _references(table: Table) -> Iterator[tuple[str, str]]:
    """Each column that names a row of another table, and that table."""
    for key in table.foreign_key_constraints:
        if len(key.elements) == 2 and key.referred_table is not table:  # the tenant and the row
            yield key.column_keys[1], key.referred_table.name


FIND = """
select id from customers
where tenant_id = current_tenant() and merged_into is null
      and (id::text = lower(%(named)s) or lower(email) = lower(%(named)s) or external_id = %(named)s)
order by id limit 20
"""
SAME = """
with recursive same as (
    select id from customers where tenant_id = current_tenant() and id = %(id)s
    union
    select c.id from customers c join same s on c.merged_into = s.id where c.tenant_id = current_tenant())
select id from same
"""
