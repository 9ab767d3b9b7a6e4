"""The secrets under which tenants' sites vouch for their customers, kept in memory for a moment."""

import time
from uuid import UUID

from memory.database import Database
from memory.encryption import Cipher

KEPT_S = 30.0


class IdentitySecrets:
    """One process's. What another process changes is known here after `KEPT_S`."""

    def __init__(self, database: Database, cipher: Cipher) -> None:
        self._database, self._cipher = database, cipher
        self._kept: dict[UUID, tuple[float, str | None]] = {}

    async def of(self, tenant_id: UUID) -> str | None:
        """The tenant's, decrypted; None where it has none."""
        until, secret = self._kept.get(tenant_id, (0.0, None))
        if time.monotonic() < until:
            return secret
        async with self._database.connection(tenant_id) as connection:
            row = await (
                await connection.execute(
                    "select identity_secret from tenant_settings where tenant_id = %s", (tenant_id,)
                )
            ).fetchone()
        secret = self._cipher.decrypt(row["identity_secret"]) if row and row["identity_secret"] else None
        self._kept[tenant_id] = (time.monotonic() + KEPT_S, secret)
        return secret

    def forget(self, tenant_id: UUID) -> None:
        """Read the tenant's anew after a change."""
        self._kept.pop(tenant_id, None)
