"""A request happens once: a row per (tenant, principal, route, key) holds its body's digest and its result for a day.

Retries, also concurrent ones, come to the same row. A message's row names the message, whose result its turn holds;
any other route's row holds the answer itself, also one that says what the state does not allow. An answer of 5xx is not
kept.
"""

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from memory.database import Connection
from memory.errors import KeyReused
from memory.pipeline import Asked, statement
from memory.tenancy import Principal

KEPT = "24 hours"
LOCK_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Whose request it is, on which route, under which key, with which body."""

    tenant_id: UUID
    principal: str
    route: str
    key: str
    body_hash: str

    @classmethod
    def of(cls, principal: Principal, route: str, key: str, body: bytes) -> "Key":
        return cls(
            tenant_id=principal.tenant_id, principal=principal.key, route=route, key=key,
            body_hash=hashlib.sha256(body).hexdigest(),
        )  # fmt: skip

    @property
    def values(self) -> dict[str, Any]:
        """For queries."""
        return {
            "tenant": self.tenant_id, "principal": self.principal, "route": self.route, "key": self.key,
            "hash": self.body_hash, "lock": LOCK_S, "kept": KEPT,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What an earlier request under the same key has come to; `status_code` is None while it runs."""

    status_code: int | None
    body: Any
    resource_id: UUID | None


async def begin(connection: Connection, key: Key) -> Earlier | None:
    """Claim the key: None when this request is the first and shall run. Raises KeyReused for another body."""
    (claimed,) = await connection.together(claim(key))
    return None if claimed else await earlier(connection, key)


def claim(key: Key, resource_id: UUID | None = None, *, if_there: UUID | None = None) -> Asked:
    """Asks for the key, for what the same transaction makes, or if it has made this message: one row when this request is
    the first and shall run."""
    return CLAIM, {**key.values, "resource": resource_id, "if_there": if_there}


async def earlier(connection: Connection, key: Key) -> Earlier:
    """What came of the request that has the key. Raises KeyReused for another body."""
    row = await (await connection.execute(READ, key.values)).fetchone()
    if row is None:
        return Earlier(status_code=None, body=None, resource_id=None)
    if row["body_hash"] != key.body_hash:
        raise KeyReused("this Idempotency-Key was used with another request body")
    return Earlier(status_code=row["status_code"], body=row["body"], resource_id=row["resource_id"])


async def attach(connection: Connection, key: Key, resource_id: UUID) -> None:
    """Name what the request made, in the transaction that made it."""
    await connection.execute(ATTACH, {**key.values, "resource": resource_id})


async def finish(connection: Connection, key: Key, *, status_code: int, body: Any) -> None:
    await connection.execute(FINISH, {**key.values, "status": status_code, "body": Jsonb(body)})


async def forget(connection: Connection, key: Key) -> None:
    """The request came to nothing that should be repeated."""
    await connection.execute(FORGET, key.values)


async def forget_old(connection: Connection) -> None:
    """Whatever is older than a key holds."""
    await connection.execute(FORGET_OLD, (KEPT,))


_ROW = "tenant_id = %(tenant)s and principal = %(principal)s and route = %(route)s and key = %(key)s"
CLAIM = statement("""
insert into idempotency_keys (tenant_id, principal, route, key, body_hash, body, resource_id, locked_until)
select %(tenant)s, %(principal)s, %(route)s, %(key)s, %(hash)s, '{}', %(resource)s,
       clock_timestamp() + make_interval(secs => %(lock)s)
where %(if_there)s::uuid is null or exists (
    select from chat_messages where id = %(if_there)s and tenant_id = current_tenant())
on conflict (tenant_id, principal, route, key) do update
set body_hash = excluded.body_hash, status_code = null, body = '{}', resource_id = excluded.resource_id,
    locked_until = excluded.locked_until, created_at = now()
where idempotency_keys.created_at < now() - %(kept)s::interval
   or (idempotency_keys.status_code is null and idempotency_keys.resource_id is null
       and idempotency_keys.locked_until < clock_timestamp() and idempotency_keys.body_hash = excluded.body_hash)
returning 1
""")
CLAIMED = f"""
select from idempotency_keys where {_ROW} and created_at >= now() - interval '{KEPT}'
"""
"""Whether an earlier request has the key of a message, whose row names the message from the start."""
READ = f"select body_hash, status_code, body, resource_id from idempotency_keys where {_ROW}"
FINISH = f"update idempotency_keys set status_code = %(status)s, body = %(body)s where {_ROW}"
ATTACH = f"update idempotency_keys set resource_id = %(resource)s where {_ROW}"
FORGET = f"delete from idempotency_keys where {_ROW} and status_code is null"
FORGET_OLD = "delete from idempotency_keys where tenant_id = current_tenant() and created_at < now() - %s::interval"
