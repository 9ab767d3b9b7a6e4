"""The queue of deliveries in the database: fair between endpoints, and never in the way of the event itself."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

import psycopg
import pytest

from memory.database import Database
from memory.embedded import EmbeddedUrls
from memory.encryption import Cipher
from memory.errors import Conflict
from memory.tenancy import Principal, Role
from tests.machine import usual
from tools.outbound import Outbound
from tools.webhooks import endpoints
from tools.webhooks.queue import find_due, settle, take
from tools.webhooks.sending import Outcome

CIPHER = Cipher([Cipher.new_key()])
OUTBOUND = Outbound()
TELL = "select tell_endpoints(%s, %s, now(), '{}') from generate_series(1, %s)"


@pytest.fixture(autouse=True)
def _nothing_of_others_is_due(database_urls: EmbeddedUrls) -> None:
    with psycopg.connect(database_urls.owner) as connection:
        connection.execute("delete from webhook_endpoints")


@pytest.fixture
async def admin(tenant: Callable[..., Awaitable[UUID]]) -> Principal:
    return Principal(tenant_id=await tenant(), role=Role.ADMIN)


async def add(database: Database, principal: Principal, *events: str) -> UUID:
    row, _ = await endpoints.add_endpoint(
        database, CIPHER, OUTBOUND, principal, url="https://hooks.acme.example/", events=list(events) or ["*"],
        description="",
    )  # fmt: skip
    found: UUID = row["id"]
    return found


async def tell(database: Database, principal: Principal, kind: str = "message.created", count: int = 1) -> None:
    async with database.connection(principal.tenant_id) as connection:
        await connection.execute(TELL, (principal.tenant_id, kind, count))


async def waiting(database: Database, principal: Principal) -> list[tuple[UUID, str]]:
    async with database.connection(principal.tenant_id) as connection:
        rows = await connection.execute("select endpoint_id, event_type from webhook_deliveries order by id")
        return [(row["endpoint_id"], row["event_type"]) for row in await rows.fetchall()]


class TestTelling:
    async def test_only_those_who_asked_for_the_event_are_told(self, database: Database, admin: Principal) -> None:
        every, some = await add(database, admin), await add(database, admin, "handoff.requested", "ticket.created")
        off = await add(database, admin)
        await endpoints.change_endpoint(database, OUTBOUND, admin, off, {"status": "disabled"})
        await tell(database, admin, "message.created")
        await tell(database, admin, "ticket.created")
        assert sorted(await waiting(database, admin)) == sorted(
            [(every, "message.created"), (every, "ticket.created"), (some, "ticket.created")]
        )

    async def test_an_event_is_not_failed_by_an_endpoint_that_is_being_removed(
        self, database: Database, admin: Principal
    ) -> None:
        endpoint = await add(database, admin)
        async with database.connection(admin.tenant_id) as removing:
            await removing.execute("delete from webhook_endpoints where id = %s", (endpoint,))
            telling = asyncio.create_task(tell(database, admin))
            await asyncio.sleep(0.1)
            assert not telling.done()
        await telling
        assert await waiting(database, admin) == []

    async def test_two_events_at_once_do_not_wait_for_each_other(self, database: Database, admin: Principal) -> None:
        await add(database, admin)
        async with database.connection(admin.tenant_id) as first:
            await first.execute(TELL, (admin.tenant_id, "message.created", 1))
            await asyncio.wait_for(tell(database, admin), 1)
        assert len(await waiting(database, admin)) == 2

    async def test_nothing_is_told_without_the_event(self, database: Database, admin: Principal) -> None:
        await add(database, admin)

        async def broken() -> None:
            async with database.connection(admin.tenant_id) as connection:
                await connection.execute(TELL, (admin.tenant_id, "message.created", 1))
                raise Conflict

        with pytest.raises(Conflict):
            await broken()
        assert await waiting(database, admin) == []


class TestTaking:
    async def test_a_heap_for_one_hides_nobody_else_and_is_found_fast(
        self, database: Database, admin: Principal, tenant: Callable[..., Awaitable[UUID]], database_urls: EmbeddedUrls
    ) -> None:
        heap = await add(database, admin)
        await tell(database, admin, count=20_000)
        other = Principal(tenant_id=await tenant(), role=Role.ADMIN)
        small = await add(database, other)
        await tell(database, other)
        async with await psycopg.AsyncConnection.connect(database_urls.owner, autocommit=True) as owner:
            await owner.execute("analyze webhook_deliveries")
        started = time.perf_counter()
        for _ in range(10):
            found = await find_due(database, most=64, per_endpoint=4)
        assert (time.perf_counter() - started) / 10 < usual(0.05)
        assert [endpoint for _, endpoint, _ in found] == [heap] * 4 + [small]
        assert [endpoint for _, endpoint, _ in await find_due(database, most=64, per_endpoint=4, busy=[heap])] == [
            small
        ]
        assert await find_due(database, most=64, per_endpoint=4, busy=[heap, other.tenant_id]) == []

    async def test_what_is_taken_is_nobody_elses_until_its_lease_ends(
        self, database: Database, admin: Principal
    ) -> None:
        await add(database, admin)
        await tell(database, admin, count=10)
        ids = [delivery for _, _, delivery in await find_due(database, most=10, per_endpoint=10)]
        both = await asyncio.gather(*(take(database, admin.tenant_id, ids, lease_s=30) for _ in range(4)))
        taken = [found.delivery_id for part in both for found in part]
        assert sorted(taken) == sorted(ids)
        assert await find_due(database, most=10, per_endpoint=10) == []

    async def test_another_tenants_deliveries_are_not_taken(
        self, database: Database, admin: Principal, tenant: Callable[..., Awaitable[UUID]]
    ) -> None:
        await add(database, admin)
        await tell(database, admin)
        ids = [delivery for _, _, delivery in await find_due(database, most=10, per_endpoint=10)]
        assert await take(database, await tenant(), ids, lease_s=30) == []

    async def test_many_failures_at_once_end_in_one_disabled_endpoint(
        self, database: Database, admin: Principal
    ) -> None:
        endpoint = await add(database, admin)
        await tell(database, admin, count=40)
        ids = [delivery for _, _, delivery in await find_due(database, most=8, per_endpoint=8)]
        taken = await take(database, admin.tenant_id, ids, lease_s=30)
        gone = Outcome(status=410, error="gone")
        async with asyncio.timeout(5):  # nobody waits in a circle
            results = await asyncio.gather(*(settle(database, one, gone, jitter=0.0) for one in taken))
        assert set(results) == {"failed"}
        async with database.connection(admin.tenant_id) as connection:
            rows = await connection.execute("select status, count(*) as n from webhook_deliveries group by status")
            assert await rows.fetchall() == [{"status": "failed", "n": 40}]
            entries = await connection.execute("select 1 from audit_log where action = 'webhook.disabled'")
            assert len(await entries.fetchall()) == 1
            assert (await endpoints.get_endpoint(connection, endpoint))["status"] == "disabled"


class TestEndpoints:
    async def test_a_tenant_has_few(self, database: Database, admin: Principal) -> None:
        made = await asyncio.gather(*(add(database, admin) for _ in range(endpoints.MOST + 5)), return_exceptions=True)
        assert sum(isinstance(one, UUID) for one in made) == endpoints.MOST
        assert all(isinstance(one, UUID | Conflict) for one in made)

    async def test_secrets_are_stored_encrypted(self, database: Database, admin: Principal) -> None:
        row, secret = await endpoints.add_endpoint(
            database, CIPHER, OUTBOUND, admin, url="https://hooks.acme.example/", events=["*"], description=""
        )
        async with database.connection(admin.tenant_id) as connection:
            stored = await (await connection.execute("select secret from webhook_endpoints")).fetchone()
        assert stored
        assert secret not in stored["secret"]
        assert CIPHER.decrypt(stored["secret"]) == secret
        assert "secret" not in row
