"""Replays and their cases as rows: asked for, chosen from what was really said, read, cancelled."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from agent.replays.comparing import Cause
from memory import audit
from memory.database import Connection, Database
from memory.errors import Conflict, NotFound
from memory.models import new_id
from memory.tenancy import Principal
from tools.prompts.versions import get_version, in_force
from tools.ranking.settings import as_dict, merged, read_ranking

Row = dict[str, Any]
MOST_THREADS = 500
MOST_OF_A_THREAD = 20
"""The newest answers of one conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to replay, and with what. None of either candidate: whether everything still answers as it did."""

    prompt_version_id: UUID | None = None
    ranking: dict[str, Any] | None = None
    """Changes to the ranking in force."""
    threads: int = 50
    """The newest conversations with answers."""
    drafts: int = 50
    """The newest drafts."""


async def start(database: Database, principal: Principal, wish: Wish, **who: Any) -> Row:
    """Keep the wish with its cases, in one transaction. Raises NotFound for the prompt, Invalid for the ranking,
    Conflict while another replay is under way."""
    replay_id = new_id()
    async with database.connection(principal.tenant_id) as connection:
        if wish.prompt_version_id:
            await get_version(connection, wish.prompt_version_id)
        prompt, ranking = await in_force(connection), await read_ranking(connection, principal.tenant_id)
        candidate = as_dict(merged(ranking.options, wish.ranking)) if wish.ranking else None
        baseline = {"prompt_version_id": str(prompt["id"]) if prompt else None, "ranking": as_dict(ranking.options)}
        values = {
            "id": replay_id, "prompt": wish.prompt_version_id, "ranking": Jsonb(candidate) if candidate else None,
            "baseline": Jsonb(baseline), "by": principal.user_id, "threads": wish.threads, "drafts": wish.drafts,
            "each": MOST_OF_A_THREAD,
        }  # fmt: skip
        try:
            async with connection.transaction():
                await connection.execute(ADD, values)
        except psycopg.errors.UniqueViolation as error:
            raise Conflict("a replay is under way; wait for its end or cancel it") from error
        await connection.execute(CHOOSE, values)
        await connection.execute(COUNT, values)
        told = {"prompt_version_id": str(wish.prompt_version_id or ""), "ranking": candidate or {}}
        await audit.write(connection, principal, "replay.started", "replay", replay_id, changes=told, **who)
        return await get_replay(connection, replay_id)


async def get_replay(connection: Connection, replay_id: UUID) -> Row:
    """Raises NotFound."""
    row = await (await connection.execute(GET, (replay_id,))).fetchone()
    if row is None:
        raise NotFound("no such replay")
    return row


async def list_replays(connection: Connection, *, before: UUID | None = None, limit: int = 20) -> list[Row]:
    """Newest first."""
    return await (await connection.execute(LIST, {"before": before, "limit": limit})).fetchall()


async def list_cases(
    connection: Connection, replay_id: UUID, *, changed: bool | None = None, cause: Cause | None = None,
    session_id: UUID | None = None, after: UUID | None = None, limit: int = 50,
) -> list[Row]:  # fmt: skip
    """The cases in their order: the answers of a conversation stand together, the newest conversation first. Raises
    NotFound."""
    await get_replay(connection, replay_id)
    values = {
        "replay": replay_id, "changed": changed, "cause": cause, "session": session_id, "after": after, "limit": limit,
    }  # fmt: skip
    return await (await connection.execute(CASES, values)).fetchall()


async def cancel(database: Database, principal: Principal, replay_id: UUID, **who: Any) -> Row:
    """Stop it after the case at hand; one that has ended stays as it is. Raises NotFound."""
    async with database.connection(principal.tenant_id) as connection:
        stopped = await connection.execute(CANCEL, (replay_id,))
        if stopped.rowcount:
            await audit.write(connection, principal, "replay.cancelled", "replay", replay_id, **who)
        return await get_replay(connection, replay_id)


ADD = """
insert into replays (id, tenant_id, status, prompt_version_id, ranking, baseline, total, requested_by)
values (%(id)s, current_tenant(), 'queued', %(prompt)s, %(ranking)s, %(baseline)s, 0, %(by)s)
"""
CHOOSE = """
insert into replay_cases (id, tenant_id, replay_id, ordinal, session_id, ticket_id, answer_id, status)
with threads as (
    select s.id, s.last_message_at from chat_sessions s
    where s.tenant_id = current_tenant() and exists (
        select 1 from turns t where t.session_id = s.id and t.tenant_id = s.tenant_id and t.status = 'completed'
                                    and t.answer_id is not null)
    order by s.last_message_at desc, s.id desc limit %(threads)s),
answers as (
    select th.id as session_id, null::uuid as ticket_id, a.id, 0 as kind, th.last_message_at as at, a.n
    from threads th cross join lateral (
        select m.id, m.n from turns t
        join chat_messages m on m.id = t.answer_id and m.tenant_id = t.tenant_id and m.status = 'complete'
        where t.session_id = th.id and t.tenant_id = current_tenant() and t.status = 'completed'
        order by m.n desc limit %(each)s) a),
written as (
    select null::uuid as session_id, d.ticket_id, d.id, 1 as kind, d.created_at as at, 0 as n
    from drafts d where d.tenant_id = current_tenant() order by d.id desc limit %(drafts)s)
select time_ordered_id(), current_tenant(), %(id)s, row_number() over (order by kind, at desc, session_id, n, id),
       session_id, ticket_id, id, 'pending'
from (select * from answers union all select * from written) every_one
"""
COUNT = """
update replays set total = (select count(*) from replay_cases c where c.replay_id = replays.id)
where id = %(id)s and tenant_id = current_tenant()
"""
_SHOWN = """
select r.*, p.name as prompt_name, p.version as prompt_number,
       (select count(*) from replay_cases c where c.replay_id = r.id and c.status <> 'pending') as finished
from replays r left join prompt_versions p on p.id = r.prompt_version_id
where r.tenant_id = current_tenant()
"""
GET = f"{_SHOWN} and r.id = %s"
LIST = f"{_SHOWN} and (%(before)s::uuid is null or r.id < %(before)s) order by r.id desc limit %(limit)s"
CASES = """
select c.*, t.number as ticket_number from replay_cases c
left join tickets t on t.id = c.ticket_id and t.tenant_id = c.tenant_id
where c.replay_id = %(replay)s and c.tenant_id = current_tenant()
      and (%(changed)s::boolean is null or (c.cause is not null) = %(changed)s and c.status = 'done')
      and (%(cause)s::text is null or c.cause = %(cause)s)
      and (%(session)s::uuid is null or c.session_id = %(session)s)
      and (%(after)s::uuid is null or c.ordinal > (
          select o.ordinal from replay_cases o where o.id = %(after)s and o.tenant_id = current_tenant()))
order by c.ordinal limit %(limit)s
"""
CANCEL = """
update replays set status = 'cancelled', ended_at = now(), updated_at = now()
where id = %s and tenant_id = current_tenant() and status in ('queued', 'running')
"""
