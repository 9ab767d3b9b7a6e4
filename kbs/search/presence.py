"""Which sources of a tenant hold anything. A search leaves the others out: to plan a branch for nothing costs the
database as much as to search a small one, and most tenants have no corrections yet."""

import time
from collections import OrderedDict
from dataclasses import replace
from uuid import UUID

from kbs.index import KINDS, Kind, Postgres, Scope
from kbs.passages import Source

MOST_KEPT = 1024
LOOK_AGAIN_S = 60.0
"""Rows that are restored by hand, past every revision, are found after so long."""

_KINDS = """
select kind from unnest(%(kinds)s::text[]) kind
where exists (select 1 from passages where tenant_id = %(tenant)s and source = kind)
"""


class Presence:
    """Asked once a minute for each state of a tenant's knowledge."""

    def __init__(self, database: Postgres) -> None:
        self._database = database
        self._kept: OrderedDict[tuple[UUID, str], tuple[float, frozenset[Kind]]] = OrderedDict()

    async def narrowed(self, scope: Scope, state: str) -> Scope:
        """The scope without the tenant's empty sources; what is global stays."""
        kinds = await self._kinds(scope.tenant_id, state)
        there = {source for source in scope.sources if source is Source.GLOBAL_KB or KINDS[source] in kinds}
        return replace(scope, sources=frozenset(there))

    async def _kinds(self, tenant_id: UUID, state: str) -> frozenset[Kind]:
        key, now = (tenant_id, state), time.monotonic()
        asked, kinds = self._kept.get(key, (float("-inf"), frozenset[Kind]()))
        if now - asked >= LOOK_AGAIN_S:
            values = {"tenant": tenant_id, "kinds": sorted(set(KINDS.values()))}
            async with self._database.connection(tenant_id) as connection:
                rows = await (await connection.execute(_KINDS, values)).fetchall()
            kinds = frozenset(row["kind"] for row in rows)
            self._kept[key] = (now, kinds)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kinds
