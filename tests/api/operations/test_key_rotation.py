"""Keys of stored secrets change, and every credential stays readable, under the new one alone."""

import ast
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent.settings import Settings
from api.cli.keys import rotate
from memory.database import Database
from memory.encryption import Cipher
from memory.errors import Misconfigured
from memory.models import new_id
from tests.conftest import Cluster
from tests.product import settings_for
from tools.identity import provisioning
from tools.identity.key_rotation import PLACES, rotate_all

ROOT = Path(__file__).parents[3]
OLD, NEW = Cipher.new_key(), Cipher.new_key()
SECRETS = {
    "tenant_settings.identity_secret": "identity", "webhook_endpoints.secret": "hook",
    "webhook_endpoints.previous_secret": "hook-before", "whmcs_connections.identifier": "whmcs-id",
    "whmcs_connections.secret": "whmcs-secret", "whmcs_connections.access_key": "whmcs-key",
    "idempotency_keys.body": '{"secret": "hk_once"}',
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(postgres: Cluster) -> Any:
    urls = postgres.clone()
    database = Database(urls.owner, pool_size=4)
    await database.pool.open()
    yield database, settings_for(urls, ENCRYPTION_KEYS=f"{NEW},{OLD}")
    await database.pool.close()
    await database.engine.dispose()
    postgres.drop(urls)


async def plant(owner: Database, cipher: Cipher) -> None:
    """One of each secret, of a new tenant."""
    tenant = await provisioning.add_tenant(owner, f"t-{new_id().hex}", "T")
    sealed = {name: cipher.encrypt(secret) for name, secret in SECRETS.items()}
    async with owner.connection(tenant.id) as connection:
        await connection.execute(
            "update tenant_settings set identity_secret = %s where tenant_id = %s",
            (sealed["tenant_settings.identity_secret"], tenant.id),
        )
        await connection.execute(
            "insert into webhook_endpoints (id, tenant_id, url, description, secret, previous_secret, status, failures)"
            " values (%s, %s, '-', '', %s, %s, 'active', 0)",
            (new_id(), tenant.id, sealed["webhook_endpoints.secret"], sealed["webhook_endpoints.previous_secret"]),
        )
        await connection.execute(
            "insert into whmcs_connections (tenant_id, version, url, identifier, secret, access_key, failures)"
            " values (%s, 1, '-', %s, %s, %s, 0)",
            (tenant.id, *(sealed[f"whmcs_connections.{name}"] for name in ("identifier", "secret", "access_key"))),
        )
        await connection.execute(
            "insert into idempotency_keys (tenant_id, principal, route, key, body_hash, status_code, body)"
            " values (%s, 'p', 'r', 'k', '-', 201, jsonb_build_object('sealed', %s::text))",
            (tenant.id, sealed["idempotency_keys.body"]),
        )


async def read_all(owner: Database, cipher: Cipher) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for place in PLACES:
        async with owner.lookup() as connection:
            rows = await connection.execute(f"select {place.secret} as secret from {place.table}")
            stored = [row["secret"] for row in await rows.fetchall() if row["secret"]]
        found[place.name] = {cipher.decrypt(secret) for secret in stored}
    return found


class TestRotation:
    async def test_keeps_every_credential_readable_under_the_new_key_alone(
        self, owner: tuple[Database, Settings]
    ) -> None:
        database, settings = owner
        await plant(database, Cipher([OLD]))
        await plant(database, Cipher([NEW, OLD]))
        with pytest.raises(Misconfigured):
            await read_all(database, Cipher([NEW]))
        rotated = await rotate(settings)
        assert rotated.unreadable == {}
        assert rotated.done == dict.fromkeys(SECRETS, 2)
        assert await read_all(database, Cipher([NEW])) == {name: {secret} for name, secret in SECRETS.items()}

    async def test_leaves_what_fits_no_key_as_it_is_and_says_so(self, owner: tuple[Database, Settings]) -> None:
        database, _ = owner
        await plant(database, Cipher([Cipher.new_key()]))
        rotated = await rotate_all(database, Cipher([NEW]))
        assert rotated.unreadable == dict.fromkeys(SECRETS, 1)

    def test_knows_every_place_that_something_is_encrypted_for(self) -> None:
        """A new use of the cipher belongs into the table of places; this is where they are now."""
        uses = set()
        for package in ("memory", "kbs", "tools", "agent", "api"):
            for path in (ROOT / package).rglob("*.py"):
                calls = [
                    node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)
                ]
                if any(isinstance(call, ast.Attribute) and call.attr == "encrypt" for call in calls):
                    uses.add(str(path.relative_to(ROOT)))
        assert uses - {"memory/encryption.py"} == {
            "api/idempotency.py", "api/routes/admin.py", "tools/webhooks/endpoints.py", "tools/whmcs/connections.py"
        }  # fmt: skip
