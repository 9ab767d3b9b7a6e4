"""Everything that is stored encrypted, written again under the newest key, so that an older one can be thrown away.

Run by the owner of the installation, past every tenant's wall. Each secret is changed only where it still is what was
read: one that somebody sets meanwhile is under the newest key already.
"""

from dataclasses import dataclass, field

from memory.database import Database
from memory.encryption import Cipher
from memory.errors import Misconfigured

BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A column of secrets; `inside` names the entry of a JSON object that is one."""

    table: str
    column: str
    key: str = "id"
    kind: str = "uuid"
    """Of the key. A row without an id of its own is named by its place on the disk: when it moves, it was written anew."""
    inside: str | None = None

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}"

    @property
    def secret(self) -> str:
        return f"{self.column} ->> '{self.inside}'" if self.inside else self.column

    @property
    def changed(self) -> str:
        return f"jsonb_set({self.column}, '{{{self.inside}}}', to_jsonb(%(new)s::text))" if self.inside else "%(new)s"


PLACES: tuple[Place, ...] = (
    Place(table="tenant_settings", column="identity_secret", key="tenant_id"),
    Place(table="webhook_endpoints", column="secret"),
    Place(table="webhook_endpoints", column="previous_secret"),
    Place(table="whmcs_connections", column="identifier", key="tenant_id"),
    Place(table="whmcs_connections", column="secret", key="tenant_id"),
    Place(table="whmcs_connections", column="access_key", key="tenant_id"),
    Place(table="idempotency_keys", column="body", key="ctid", kind="tid", inside="sealed"),
)
"""Every column that `Cipher.encrypt` writes to; a test looks for others."""


@dataclass(slots=True, kw_only=True)
class Rotated:
    """How many secrets are under the newest key now, and how many fit no key at all, by their place."""

    done: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, int] = field(default_factory=dict)


async def rotate_all(owner: Database, cipher: Cipher) -> Rotated:
    """Encrypt every stored secret anew; safe to repeat, and to run while the product does."""
    rotated = Rotated()
    for place in PLACES:
        await _rotate(owner, cipher, place, rotated)
    return rotated


async def _rotate(owner: Database, cipher: Cipher, place: Place, rotated: Rotated) -> None:
    async with owner.lookup() as connection:
        keys = await (await connection.execute(ALL.format(place=place))).fetchall()
    rotated.done[place.name] = 0
    for start in range(0, len(keys), BATCH):
        wanted = [row["key"] for row in keys[start : start + BATCH]]
        async with owner.lookup() as connection, connection.transaction():
            rows = await (await connection.execute(SOME.format(place=place), (wanted,))).fetchall()
            for row in rows:
                try:
                    new = cipher.rotate(row["secret"])
                except Misconfigured:
                    rotated.unreadable[place.name] = rotated.unreadable.get(place.name, 0) + 1
                    continue
                values = {"key": row["key"], "old": row["secret"], "new": new}
                changed = await connection.execute(CHANGE.format(place=place), values)
                rotated.done[place.name] += changed.rowcount


_SET = "coalesce({place.secret}, '') <> ''"
ALL = f"select {{place.key}}::text as key from {{place.table}} where {_SET}"
SOME = f"""
select {{place.key}}::text as key, {{place.secret}} as secret from {{place.table}}
where {{place.key}} = any(%s::{{place.kind}}[]) and {_SET} for update
"""
CHANGE = """
update {place.table} set {place.column} = {place.changed}
where {place.key} = %(key)s::{place.kind} and {place.secret} = %(old)s
"""
