"""Prompts as rows: a version is never changed, an edit of the newest is the next one. Global ones are copied, not edited."""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

import psycopg

from memory import audit
from memory.database import Connection, Database
from memory.errors import Conflict, Invalid, NotAllowed, NotFound
from memory.models import GLOBAL_TENANT, new_id
from memory.tenancy import Principal
from tools.prompts.checking import PARTS, PromptTexts, check

Row = dict[str, Any]
Whose = Literal["own", "global"]


def texts_of(row: Mapping[str, Any]) -> PromptTexts:
    return PromptTexts(**{part: row[part] for part in PARTS})


async def list_prompts(
    connection: Connection, *, whose: Whose | None = None, before: UUID | None = None, limit: int = 50
) -> list[Row]:
    """The newest version of each prompt, own and global, newest first."""
    values = {"whose": whose, "before": before, "limit": limit, "everyone": GLOBAL_TENANT}
    return await (await connection.execute(LIST, values)).fetchall()


async def list_versions(
    connection: Connection, version_id: UUID, *, before: UUID | None = None, limit: int = 50
) -> list[Row]:
    """Every version of the prompt that this one belongs to, newest first. Raises NotFound."""
    found = await get_version(connection, version_id)
    values = {"name": found["name"], "tenant": found["tenant_id"], "before": before, "limit": limit}
    return await (await connection.execute(VERSIONS, {**values, "everyone": GLOBAL_TENANT})).fetchall()


async def get_version(connection: Connection, version_id: UUID) -> Row:
    """One version, own or global. Raises NotFound."""
    row = await (await connection.execute(GET, {"id": version_id, "everyone": GLOBAL_TENANT})).fetchone()
    if row is None:
        raise NotFound("no such prompt")
    return row


async def in_force(connection: Connection) -> Row | None:
    """The version that answers now: the tenant's active one, else the global default."""
    return await (await connection.execute(IN_FORCE, {"everyone": GLOBAL_TENANT})).fetchone()


async def create_prompt(
    database: Database, principal: Principal, *, name: str, description: str, texts: PromptTexts, **who: Any
) -> Row:
    """A prompt from scratch. Raises Invalid, Conflict for a name that is taken."""
    check(texts)
    async with database.connection(principal.tenant_id) as connection:
        values = {"name": name, "description": description, "version": 1, "note": "", "based_on": None}
        row = await _insert(connection, principal, values, texts, "there is a prompt of this name already")
        await audit.write(
            connection, principal, "prompt.created", "prompt", row["id"], changes={"name": name, "version": 1}, **who
        )
    return row


async def edit_prompt(
    database: Database, principal: Principal, version_id: UUID, changes: Mapping[str, str], *, note: str, **who: Any
) -> Row:
    """The next version: what is not named in `changes` stays. Raises NotFound, NotAllowed for a global prompt, Conflict
    where somebody was faster, Invalid."""
    async with database.connection(principal.tenant_id) as connection:
        found = await get_version(connection, version_id)
        if found["is_global"]:
            raise NotAllowed("a global prompt is not edited: duplicate it and edit the copy")
        if found["version"] != found["versions"]:
            raise Conflict(f"version {found['versions']} is newer than the one that you edit; read it first")
        changed = {name: text for name, text in changes.items() if text != found[name]}
        if not changed:
            raise Invalid("nothing differs from this version")
        texts = texts_of({**found, **changed})
        check(texts)
        values = {
            "name": found["name"], "description": changes.get("description", found["description"]),
            "version": found["version"] + 1, "note": note, "based_on": version_id,
        }  # fmt: skip
        row = await _insert(connection, principal, values, texts, "somebody was faster: there is a newer version")
        told = {"name": row["name"], "version": row["version"], "changed": sorted(changed), "note": note}
        await audit.write(connection, principal, "prompt.edited", "prompt", row["id"], changes=told, **who)
    return row


async def duplicate_prompt(
    database: Database, principal: Principal, version_id: UUID, *, name: str | None, **who: Any
) -> Row:
    """A prompt of the tenant's own with the same parts, from one of its own or a global one. Without a name the first
    free one is taken. Raises NotFound, Conflict."""
    async with database.connection(principal.tenant_id) as connection:
        found = await get_version(connection, version_id)
        values = {
            "name": name or await _free_name(connection, found["name"]), "description": found["description"],
            "version": 1, "note": "", "based_on": version_id,
        }  # fmt: skip
        row = await _insert(connection, principal, values, texts_of(found), "there is a prompt of this name already")
        told = {"name": row["name"], "from": found["name"], "from_version": found["version"]}
        await audit.write(connection, principal, "prompt.duplicated", "prompt", row["id"], changes=told, **who)
    return row


async def _insert(connection: Connection, principal: Principal, values: Row, texts: PromptTexts, taken: str) -> Row:
    parts = {part: getattr(texts, part) for part in PARTS}
    try:
        async with connection.transaction():
            cursor = await connection.execute(
                INSERT, {**values, **parts, "id": new_id(), "by": principal.user_id, "everyone": GLOBAL_TENANT}
            )
            row = await cursor.fetchone()
    except psycopg.errors.UniqueViolation as error:
        raise Conflict(taken) from error
    assert row is not None  # an insert returns its row
    return await get_version(connection, row["id"])


async def _free_name(connection: Connection, name: str) -> str:
    """The name itself where nobody has it, else with the next number: `Friendly support 2`."""
    rows = await (await connection.execute(NAMES, (name,))).fetchall()
    taken = {row["name"] for row in rows}
    wanted, number = name, 2
    while wanted in taken:
        wanted, number = f"{name} {number}", number + 1
    return wanted


# Each names the tenant, or its own beside the global one: a layer besides row-level security.
_READABLE = "p.tenant_id in (current_tenant(), %(everyone)s)"
_OWN_ACTIVE = "select a.id from prompt_versions a where a.tenant_id = current_tenant() and a.is_active"
_DEFAULT = "select a.id from prompt_versions a where a.tenant_id = %(everyone)s and a.is_active"
_SHOWN = f"""
p.*, p.tenant_id = %(everyone)s as is_global,
coalesce(p.id = coalesce(({_OWN_ACTIVE}), ({_DEFAULT})), false) as in_force,
(select max(o.version) from prompt_versions o where o.tenant_id = p.tenant_id and o.name = p.name) as versions,
(select o.version from prompt_versions o where o.tenant_id = p.tenant_id and o.name = p.name and o.is_active)
    as active_version
"""
GET = f"select {_SHOWN} from prompt_versions p where p.id = %(id)s and {_READABLE}"
IN_FORCE = f"""
select {_SHOWN} from prompt_versions p
where p.is_active and {_READABLE} order by (p.tenant_id = current_tenant()) desc limit 1
"""
LIST = f"""
select {_SHOWN} from prompt_versions p
where {_READABLE} and (%(before)s::uuid is null or p.id < %(before)s)
      and (%(whose)s::text is null or (p.tenant_id = %(everyone)s) = (%(whose)s = 'global'))
      and p.version = (select max(o.version) from prompt_versions o where o.tenant_id = p.tenant_id and o.name = p.name)
order by p.id desc limit %(limit)s
"""
VERSIONS = f"""
select {_SHOWN} from prompt_versions p
where p.name = %(name)s and p.tenant_id = %(tenant)s and {_READABLE}
      and (%(before)s::uuid is null or p.id < %(before)s)
order by p.id desc limit %(limit)s
"""
NAMES = """
select distinct name from prompt_versions where tenant_id = current_tenant() and starts_with(name, %s)
"""
INSERT = """
insert into prompt_versions (id, tenant_id, name, version, system_prompt, context_template, task_template, is_active,
                             description, note, based_on, created_by)
values (%(id)s, current_tenant(), %(name)s, %(version)s, %(system_prompt)s, %(context_template)s, %(task_template)s,
        false, %(description)s, %(note)s, %(based_on)s, %(by)s)
returning id
"""
