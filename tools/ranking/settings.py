"""A tenant's ranking: four weights that sum to 1, rerank with its threshold, top k. The newest row holds, all are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from kbs.passages import Source
from kbs.search.retrieval import RetrievalOptions
from kbs.search.weights import Weights
from memory import audit
from memory.database import Connection, Database
from memory.errors import Conflict, Invalid
from memory.models import new_id
from memory.tenancy import Principal
from tools.search import load_retrieval_options

Row = dict[str, Any]
Kind = Literal["set", "reset", "recommended"]
MOST_PASSAGES = 20
"""Highest top k."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """What holds now."""

    options: RetrievalOptions
    version: UUID | None
    """Id of the row; None while nobody has changed anything."""
    row: Row | None


async def read_ranking(connection: Connection, tenant_id: UUID) -> Ranking:
    row = await (await connection.execute(NEWEST)).fetchone()
    options = await load_retrieval_options(connection, tenant_id)
    return Ranking(options=options, version=row["id"] if row else None, row=row)


async def change_ranking(
    database: Database,
    principal: Principal,
    options: Mapping[str, Any],
    *,
    version: UUID | Literal["any"] | None,
    reason: str,
    kind: Kind,
    **who: Any,
) -> Ranking:
    """Add a row with what is named in `options` (weights, rerank, threshold, top_k) and the rest as it was. Raises
    Conflict where `version` (None: nobody has changed anything) is not the newest, Invalid for weights that weigh
    nothing."""
    async with database.connection(principal.tenant_id) as connection:
        await connection.execute(ONE_AT_A_TIME, (str(principal.tenant_id),))
        before = await read_ranking(connection, principal.tenant_id)
        if version != "any" and version != before.version:
            raise Conflict("somebody has changed the ranking since; read it again")
        await _add(connection, principal, merged(before.options, options), kind=kind, reason=reason)
        after = await read_ranking(connection, principal.tenant_id)
        told = {**as_dict(after.options), "kind": kind, "reason": reason}
        await audit.write(connection, principal, "weights.changed", "weights", str(after.version), changes=told, **who)
    return after


async def list_history(connection: Connection, *, before: UUID | None = None, limit: int = 50) -> list[Row]:
    """Every change with the name of who made it, newest first."""
    return await (await connection.execute(HISTORY, {"before": before, "limit": limit})).fetchall()


def merged(before: RetrievalOptions, changes: Mapping[str, Any]) -> RetrievalOptions:
    """The options with these changes; weights are four amounts of any size. Raises Invalid."""
    given = changes.get("weights")
    try:
        weights = before.weights if given is None else Weights(**given)
    except ValueError as error:
        raise Invalid(str(error)) from error
    named = {name: changes[name] for name in ("rerank", "threshold", "top_k") if changes.get(name) is not None}
    kept = {"rerank": before.rerank, "threshold": before.threshold, "top_k": before.top_k}
    return RetrievalOptions(weights=weights, **{**kept, **named})


def as_dict(options: RetrievalOptions) -> Row:
    """As it is kept beside a replay and audited."""
    weights = {source.value: options.weights.of(source) for source in Source}
    return {
        "weights": weights, "rerank": options.rerank, "threshold": options.threshold, "top_k": options.top_k,
    }  # fmt: skip


async def _add(
    connection: Connection, principal: Principal, options: RetrievalOptions, *, kind: Kind, reason: str
) -> None:
    weights = {f"weight_{source.value}": options.weights.of(source) for source in Source}
    await connection.execute(
        ADD,
        {
            **weights, "id": new_id(), "rerank": options.rerank, "threshold": options.threshold,
            "top_k": options.top_k, "by": principal.user_id, "kind": kind, "reason": reason,
        },
    )  # fmt: skip


ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended('ranking ' || %s, 0))"
_SHOWN = """
select r.*, coalesce(nullif(u.name, ''), u.email) as changed_by_name from retrieval_settings r
left join users u on u.id = r.changed_by and u.tenant_id = r.tenant_id
where r.tenant_id = current_tenant()
"""
NEWEST = f"{_SHOWN} order by r.id desc limit 1"
HISTORY = f"{_SHOWN} and (%(before)s::uuid is null or r.id < %(before)s) order by r.id desc limit %(limit)s"
ADD = """
insert into retrieval_settings (id, tenant_id, weight_global_kb, weight_tenant_kb, weight_example, weight_correction,
                                rerank, threshold, top_k, changed_by, kind, reason)
values (%(id)s, current_tenant(), %(weight_global_kb)s, %(weight_tenant_kb)s, %(weight_example)s,
        %(weight_correction)s, %(rerank)s, %(threshold)s, %(top_k)s, %(by)s, %(kind)s, %(reason)s)
"""
