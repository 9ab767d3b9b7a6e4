"""The rows that every index shares: writing them, and the filter that each search of them carries.

`passages` and `embeddings_N` have the filtered columns in common, so one filter serves the lexical and the dense half.
The tenant stands in it as a literal: Postgres proves with it that a tenant's own partial index fits, which it cannot
with a parameter, and row-level security stands behind it.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import sql

from kbs.index import KINDS, Kind, Row, Scope, Validity
from kbs.passages import Source
from memory.database import Connection

DIMENSIONS = (384, 1536)
"""That have a table of vectors; see the migrations."""
TABLES = ("passages", *(f"embeddings_{dimensions}" for dimensions in DIMENSIONS))
FILTERED = (
    "tenant_id", "source", "collection", "ref", "audience", "active", "effective_from", "effective_until", "embedder",
)  # fmt: skip
OWN = ("id", "article_id", "version", "ordinal", "title", "heading", "text", "digest", "language")

_NOTHING = sql.SQL("")
_INSERT = sql.SQL("insert into passages ({columns}) values ({values})").format(
    columns=sql.SQL(", ").join(map(sql.Identifier, (*FILTERED, *OWN))),
    values=sql.SQL(", ").join(map(sql.Placeholder, (*FILTERED, *OWN))),
)
_BUMP = """
insert into knowledge_revisions (tenant_id, revision) values (%s, 1)
on conflict (tenant_id) do update set revision = knowledge_revisions.revision + 1
"""
_SWITCH = sql.SQL("""
update {table} t set active = v.active, effective_until = v.until
from unnest(%(refs)s::text[], %(active)s::boolean[], %(until)s::timestamptz[]) v(ref, active, until)
where t.tenant_id = %(tenant)s and t.source = 'article' and t.ref = v.ref
    and (t.active, t.effective_until) is distinct from (v.active, v.until)
""")
_EVERYONE_OR_ONE_OF = "(t.audience = '{}' or t.audience && %(audience)s::text[])"
_NOT_REPLACED = """
t.collection = any(%(collections)s::text[]) and t.ref <> all(coalesce(
    (select replaced from knowledge_revisions where tenant_id = {tenant}), '{{}}'))
"""


COLUMNS = "p.id, p.ref, p.title, p.heading, p.text, p.digest, p.article_id, p.version, p.collection, p.language"
"""Of a passage as a search returns it."""


def looked_up(
    scope: Scope, halves: sql.Composable, *, columns: str = COLUMNS, join: sql.Composable = _NOTHING
) -> sql.Composed:
    """Common table expressions go before it: the passages that the halves found as rows of (id, kb, score), each once.

    One branch for each owner, since only a literal tenant lets Postgres leave out the other partitions when it plans.
    """
    branches = [
        sql.SQL(
            "select {columns}, c.kb, c.lexical from chosen c join passages p on p.id = c.id {join}"
            " where p.tenant_id = {owner} and c.kb = any({sources})"
        ).format(columns=sql.SQL(columns), join=join, owner=sql.Literal(owner), sources=sql.Literal(sources))
        for owner, sources in _by_owner(scope).items()
    ]
    return sql.SQL(
        "chosen as materialized (select id, kb, max(score) as lexical from ({halves}) found group by id, kb) "
    ).format(halves=halves) + sql.SQL(" union all ").join(branches)


def _by_owner(scope: Scope) -> dict[UUID, list[str]]:
    owners: dict[UUID, list[str]] = {}
    for source in sources_of(scope):
        owners.setdefault(scope.owner_of(source), []).append(source.value)
    return owners


async def write_rows(
    connection: Connection, tenant_id: UUID, embedder: str, kind: Kind, ref: str, rows: Sequence[Row]
) -> None:
    """Replace the passages of one article or example; their vectors go with them. The bump comes first: its row makes
    the tenant's writers wait for each other, so that each sees what the one before it committed."""
    await bump(connection, tenant_id)
    for table in TABLES:
        await connection.execute(
            sql.SQL("delete from {} where tenant_id = %s and source = %s and ref = %s").format(sql.Identifier(table)),
            (tenant_id, kind, ref),
        )
    if rows:
        async with connection.cursor() as cursor:
            await cursor.executemany(
                _INSERT, [own_values(row) | filtered_values(row, tenant_id, embedder) for row in rows]
            )


async def bump(connection: Connection, tenant_id: UUID) -> None:
    """Tell every cache that what it knows of this tenant is past."""
    await connection.execute(_BUMP, (tenant_id,))


async def switch_rows(
    connection: Connection, tables: Sequence[str], tenant_id: UUID, validity: Mapping[str, Validity]
) -> None:
    if not validity:
        return
    values = {
        "tenant": tenant_id,
        "refs": list(validity),
        "active": [each.active for each in validity.values()],
        "until": [each.until for each in validity.values()],
    }
    for table in tables:
        await connection.execute(_SWITCH.format(table=sql.Identifier(table)), values)
    await bump(connection, tenant_id)


async def clear_rows(connection: Connection, tenant_id: UUID) -> None:
    await bump(connection, tenant_id)
    for table in TABLES:
        await connection.execute(
            sql.SQL("delete from {} where tenant_id = %s").format(sql.Identifier(table)), (tenant_id,)
        )


def filtered_values(row: Row, tenant_id: UUID, embedder: str) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id, "source": row.kind, "collection": row.collection, "ref": row.ref,
        "audience": list(row.audience), "active": row.active, "effective_from": row.effective_from,
        "effective_until": row.effective_until, "embedder": embedder,
    }  # fmt: skip


def own_values(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in OWN}


def allowed(scope: Scope, source: Source) -> sql.Composed:
    """The filter of one source on a table called `t`; its values are those of `scope_values`."""
    conditions = [
        sql.SQL("t.tenant_id = {} and t.source = {} and t.active").format(
            sql.Literal(scope.owner_of(source)), sql.Literal(KINDS[source])
        ),
        sql.SQL("t.embedder = %(embedder)s"),
        sql.SQL("(t.effective_from is null or t.effective_from <= now())"),
        sql.SQL("(t.effective_until is null or t.effective_until > now())"),
    ]
    if scope.audience is not None:
        conditions.append(sql.SQL(_EVERYONE_OR_ONE_OF))
    if source is Source.GLOBAL_KB:
        conditions.append(sql.SQL(_NOT_REPLACED).format(tenant=sql.Literal(scope.tenant_id)))
    return sql.SQL(" and ").join(conditions)


def scope_values(scope: Scope, embedder: str) -> dict[str, Any]:
    return {
        "embedder": embedder,
        "collections": list(scope.collections),
        "audience": sorted(scope.audience or ()),
    }


def sources_of(scope: Scope) -> tuple[Source, ...]:
    """In the specification's order, without those that can have nothing."""
    return tuple(
        source for source in Source if source in scope.sources and (source is not Source.GLOBAL_KB or scope.collections)
    )
