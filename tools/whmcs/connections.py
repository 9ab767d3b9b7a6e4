"""A tenant's connection to its WHMCS: set, tried, changed and removed by admins, each change in the audit log.

Credentials are written and never read again: an answer says whether they are set and how the longer ones end. A new
host wants them anew, so that nobody has them sent elsewhere; and it must be said whether it is the same installation,
because tickets are known by its ids.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from psycopg.types.json import Jsonb

from memory import audit
from memory.database import Connection, Database
from memory.encryption import Cipher
from memory.errors import Conflict, HelpdeskError, Invalid, Misconfigured, NotFound
from memory.tenancy import Principal
from tools.outbound import Outbound
from tools.whmcs.client import API, Credentials, Whmcs
from tools.whmcs.errors import CredentialsRefused
from tools.whmcs.options import LONGEST_URL, WhmcsOptions

SECRETS = ("identifier", "secret", "access_key")
UNREADABLE = "the stored credentials can't be read, because an older encryption key is missing: store them again"
HINT_FROM = 16
"""Characters from which the last four of a credential are shown."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """A connection as an admin wants it. A credential that is not named stays; None takes the access key away."""

    url: str
    options: WhmcsOptions
    credentials: Mapping[str, str | None]
    same_installation: bool | None = None
    version: int | None = None


async def history_until(connection: Connection) -> datetime | None:
    """Before when tickets and words are history; None without a connection."""
    row = await _row(connection)
    return row["history_until"] if row else None


def base_of(outbound: Outbound, url: str) -> str:
    """The address without its end, checked. Raises Refused, and Invalid for what can't be an installation."""
    target = outbound.check(url)
    path = target.path.removesuffix("/").removesuffix(API).rstrip("/")
    if "?" in path or "#" in url or len(url) > LONGEST_URL:
        raise Invalid("give the address of WHMCS without parameters")
    return f"{target.scheme}://{target.netloc}{path}"


async def save(
    database: Database,
    cipher: Cipher,
    outbound: Outbound,
    principal: Principal,
    settings: ConnectionSettings,
    **who: Any,
) -> Row:
    """Make or replace the connection; its schedule begins anew. Raises Refused, Invalid and Conflict."""
    url = base_of(outbound, settings.url)
    async with database.connection(principal.tenant_id) as connection:
        await connection.execute(ONE_AT_A_TIME, (str(principal.tenant_id),))
        before = await _row(connection)
        if settings.version is not None and settings.version != (before["version"] if before else 0):
            raise Conflict("somebody has changed this connection meanwhile; read it again")
        moved = before is not None and _host(before["url"]) != _host(url)
        sealed = _sealed(cipher, before, settings, moved=moved)
        if moved:
            await _settle_identity(connection, settings.same_installation)
        anew = before is None or before["removed_at"] is not None or (moved and not settings.same_installation)
        values = {
            "url": url, "options": Jsonb(settings.options.model_dump()), "every": settings.options.sync_every_minutes, **sealed,
            "history": anew or _is_wider(WhmcsOptions.model_validate(before["options"] if before else {}), settings.options),
        }  # fmt: skip
        await connection.execute(SAVE, values)
        changes = {
            "host": urlsplit(url).netloc, "options": settings.options.model_dump(exclude_defaults=True),
            "credentials": sorted(settings.credentials),
        }  # fmt: skip
        action = "whmcs.changed" if before and before["removed_at"] is None else "whmcs.connected"
        await audit.write(connection, principal, action, "whmcs", principal.tenant_id, changes=changes, **who)
        return _shown(cipher, await _there(connection))


async def read(database: Database, cipher: Cipher, principal: Principal) -> Row:
    """The connection as admins see it. Raises NotFound."""
    async with database.connection(principal.tenant_id) as connection:
        return _shown(cipher, await _there(connection))


async def remove(database: Database, principal: Principal, **who: Any) -> None:
    """Forget the credentials and end what runs; tickets stay, and are known again if it comes back. Raises NotFound."""
    async with database.connection(principal.tenant_id) as connection:
        await connection.execute(ONE_AT_A_TIME, (str(principal.tenant_id),))
        await _there(connection)
        await connection.execute(REMOVE)
        await connection.execute(END_SYNCS)
        await audit.write(connection, principal, "whmcs.removed", "whmcs", principal.tenant_id, **who)


async def open_whmcs(
    database: Database, cipher: Cipher, outbound: Outbound, tenant_id: UUID
) -> tuple[Whmcs, WhmcsOptions]:
    """The tenant's WHMCS, to be called. Raises NotFound without a connection, CredentialsRefused where no key fits."""
    async with database.connection(tenant_id) as connection:
        row = await _there(connection)
    return Whmcs(outbound=outbound, credentials=_credentials(cipher, row)), WhmcsOptions.model_validate(row["options"])


async def try_out(database: Database, cipher: Cipher, outbound: Outbound, principal: Principal) -> Row:
    """Call WHMCS for what the sync needs, and say what came of it: `error`, or what there is to choose from."""
    found: Row = {"ok": False, "error": None, "code": None, "departments": [], "statuses": [], "active_tickets": None}
    async with database.connection(principal.tenant_id) as connection:
        await _there(connection)
    try:
        whmcs, options = await open_whmcs(database, cipher, outbound, principal.tenant_id)
        found["active_tickets"] = (await whmcs.list_tickets(0, limit=1)).total
        found["departments"] = [{"id": one.id, "name": one.name} for one in await whmcs.departments()]
        found["statuses"] = [
            {"title": one.title, "ours": options.status_of(one.title)} for one in await whmcs.statuses() if one.title
        ]
    except HelpdeskError as error:
        return {**found, "error": error.detail, "code": error.code}
    return {**found, "ok": True}


def _is_wider(before: WhmcsOptions, after: WhmcsOptions) -> bool:
    """Whether tickets come now that were left out: those are of the past."""
    if after.include_closed and not before.include_closed:
        return True
    return bool(before.departments) and not (after.departments and set(after.departments) <= set(before.departments))


def _sealed(cipher: Cipher, before: Row | None, settings: ConnectionSettings, *, moved: bool) -> dict[str, str | None]:
    kept = before if before and before["removed_at"] is None and not moved else None
    sealed: dict[str, str | None] = {}
    for name in SECRETS:
        if name in settings.credentials:
            given = settings.credentials[name]
            sealed[name] = cipher.encrypt(given) if given else None
        else:
            sealed[name] = kept[name] if kept else None
    if not sealed["identifier"] or not sealed["secret"]:
        raise Invalid("a new connection, and a new host, want identifier and secret")
    return sealed


async def _settle_identity(connection: Connection, same: bool | None) -> None:
    """Tickets of the host before: still this installation's, or of one that is gone."""
    row = await (await connection.execute(HAS_TICKETS)).fetchone()
    if row is None or not row["has"] or same:
        return
    if same is None:
        raise Conflict(
            "there are tickets of the host before: say with same_installation whether this is the same WHMCS elsewhere"
        )
    await connection.execute(LET_GO_OF_WORDS)
    await connection.execute(LET_GO)
    await connection.execute(LET_GO_OF_CLIENTS)


def _credentials(cipher: Cipher, row: Row) -> Credentials:
    try:
        plain = {name: cipher.decrypt(row[name]) if row[name] else None for name in SECRETS}
    except Misconfigured:
        raise CredentialsRefused(UNREADABLE) from None
    return Credentials(
        url=row["url"], identifier=plain["identifier"] or "", secret=plain["secret"] or "",
        access_key=plain["access_key"],
    )  # fmt: skip


def _shown(cipher: Cipher, row: Row) -> Row:
    return {**row, **{name: _hint(cipher, row[name]) for name in SECRETS}}


def _hint(cipher: Cipher, sealed: str | None) -> Row:
    """Whether a credential is set, and how it ends: enough to tell two apart, too little to use."""
    if not sealed:
        return {"set": False, "ends_with": None}
    try:
        plain = cipher.decrypt(sealed)
    except Misconfigured:
        return {"set": True, "ends_with": None}
    return {"set": True, "ends_with": plain[-4:] if len(plain) >= HINT_FROM else None}


def _host(url: str) -> str:
    return urlsplit(url).netloc.lower()


async def _row(connection: Connection) -> Row | None:
    return await (await connection.execute(GET)).fetchone()


async def _there(connection: Connection) -> Row:
    row = await _row(connection)
    if row is None or row["removed_at"] is not None:
        raise NotFound("there is no connection to WHMCS")
    return row


ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended('whmcs ' || %s, 0))"
GET = "select * from whmcs_connections where tenant_id = current_tenant()"
SAVE = """
insert into whmcs_connections (tenant_id, version, url, identifier, secret, access_key, options, next_sync_at, failures)
values (current_tenant(), 1, %(url)s, %(identifier)s, %(secret)s, %(access_key)s, %(options)s,
        case when %(every)s > 0 then clock_timestamp() end, 0)
on conflict (tenant_id) do update
set version = whmcs_connections.version + 1, url = excluded.url, identifier = excluded.identifier,
    secret = excluded.secret, access_key = excluded.access_key, options = excluded.options, removed_at = null,
    history_until = case when %(history)s then clock_timestamp() else whmcs_connections.history_until end,
    updated_at = clock_timestamp(), next_sync_at = excluded.next_sync_at, failures = 0, failing_since = null,
    error_code = null, error = null
"""
REMOVE = """
update whmcs_connections
set removed_at = clock_timestamp(), updated_at = clock_timestamp(), version = version + 1, identifier = '', secret = '',
    access_key = null, next_sync_at = null, failures = 0, failing_since = null, error_code = null, error = null
where tenant_id = current_tenant()
"""
END_SYNCS = """
update whmcs_syncs set state = 'failed', error = 'the connection was removed', ended_at = clock_timestamp(), owner = ''
where tenant_id = current_tenant() and state = 'running'
"""
HAS_TICKETS = """
select exists (select 1 from tickets where tenant_id = current_tenant() and source = 'whmcs' and external_id is not null)
as has
"""
LET_GO = """
update tickets set external_id = null, external_mark = ''
where tenant_id = current_tenant() and source = 'whmcs' and external_id is not null
"""
LET_GO_OF_WORDS = """
update ticket_events e set external_id = null
from tickets t
where t.tenant_id = current_tenant() and t.source = 'whmcs' and e.tenant_id = t.tenant_id and e.ticket_id = t.id
      and e.external_id is not null
"""
LET_GO_OF_CLIENTS = """
update customers set external_id = null where tenant_id = current_tenant() and starts_with(external_id, 'whmcs:')
"""
