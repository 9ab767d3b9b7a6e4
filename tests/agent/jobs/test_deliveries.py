"""Webhooks delivered to a real receiver: signed, again after a failure, once more after a crash, and past the dead."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest
import structlog
from psycopg.types.json import Jsonb

from agent.jobs.deliveries import Deliveries, Pace
from memory.database import Database
from memory.embedded import EmbeddedUrls
from memory.encryption import Cipher
from memory.errors import Unavailable
from memory.tenancy import Principal, Role
from tests.machine import usual
from tests.receiver import Receiver, answer, receiving
from tools.outbound import Outbound
from tools.webhooks import endpoints, log
from tools.webhooks.schedule import DELAYS_S, JITTER, REST_S

KEY = Cipher.new_key()
CIPHER = Cipher([KEY])
PROCESS = """
import asyncio, sys
from agent.jobs.deliveries import Deliveries
from memory.database import open_database
from memory.encryption import Cipher
from tools.outbound import Outbound

async def main(url, key, host):
    async with open_database(url, pool_size=2) as database:
        client = Outbound(allowed=frozenset({host}))
        await Deliveries(database, Cipher([key]), client).watch()

asyncio.run(main(*sys.argv[1:]))
"""
FAST = Pace(poll_s=0.01, gather_s=0.0, timeout_s=0.4, lease_s=5, grace_s=0.1)


@dataclass(frozen=True)
class Endpoint:
    """An endpoint of a tenant, and what a test asks about it."""

    database: Database
    principal: Principal
    id: UUID
    secret: str

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        async with self.database.connection(self.principal.tenant_id) as connection:
            return await (await connection.execute(query, values)).fetchall()

    async def tell(self, count: int = 1, kind: str = "message.created") -> None:
        """Have the tenant's endpoints told of as many events, as the triggers do."""
        query = "select tell_endpoints(%s, %s, now(), jsonb_build_object('n', n)) from generate_series(1, %s) n"
        await self.rows(query, self.principal.tenant_id, kind, count)

    async def deliveries(self) -> list[dict[str, Any]]:
        return await self.rows(
            "select *, extract(epoch from next_attempt_at - clock_timestamp())::float as due_in"
            " from webhook_deliveries where endpoint_id = %s order by id",
            self.id,
        )

    async def delivery(self) -> dict[str, Any]:
        [found] = await self.deliveries()
        return found

    async def row(self) -> dict[str, Any]:
        [found] = await self.rows(
            "select *, extract(epoch from rests_until - clock_timestamp())::float as rests_for"
            " from webhook_endpoints where id = %s",
            self.id,
        )
        return found

    async def let_time_pass(self) -> None:
        """Make due what waits, and wake the endpoint."""
        await self.rows("update webhook_deliveries set next_attempt_at = now() where status = 'pending' returning 1")
        await self.rows("update webhook_endpoints set rests_until = now() where rests_until is not null returning 1")


Make = Callable[..., Awaitable[Endpoint]]


@pytest.fixture
def make(database: Database, tenant: Callable[..., Awaitable[UUID]], receiver: Receiver) -> Make:
    async def endpoint(url: str = "", tenant_id: UUID | None = None, host: str = "") -> Endpoint:
        principal = Principal(tenant_id=tenant_id or await tenant(), role=Role.ADMIN)
        client = Outbound(allowed=frozenset({host or f"127.0.0.1:{receiver.port}"}))
        row, secret = await endpoints.add_endpoint(
            database, CIPHER, client, principal, url=url or receiver.url, events=["*"], description=""
        )
        return Endpoint(database, principal, row["id"], secret)

    return endpoint


@pytest.fixture
def deliveries(database: Database, receiver: Receiver) -> Deliveries:
    """What a process runs, one look at a time."""
    return worker(database, receiver)


@pytest.fixture(autouse=True)
def _nothing_of_others_is_due(database_urls: EmbeddedUrls) -> None:
    with psycopg.connect(database_urls.owner) as connection:
        connection.execute("delete from webhook_endpoints")


def worker(database: Database, receiver: Receiver, pace: Pace = FAST, cipher: Cipher = CIPHER) -> Deliveries:
    return Deliveries(database, cipher, Outbound(allowed=frozenset({f"127.0.0.1:{receiver.port}"})), pace)


async def look(deliveries: Deliveries) -> int:
    """One look for what is due, and the end of the attempts that it began."""
    began = await deliveries.deliver_due()
    await deliveries.settled()
    return began


class TestDelivering:
    async def test_an_event_arrives_signed(self, make: Make, receiver: Receiver, deliveries: Deliveries) -> None:
        endpoint = await make()
        await endpoint.tell()
        assert await look(deliveries) == 1
        [got] = receiver.got
        told = got.verified(endpoint.secret)
        assert set(told) == {"type", "timestamp", "data"}
        assert (told["type"], told["data"]) == ("message.created", {"n": 1})
        assert got.headers["content-type"] == "application/json"
        found = await endpoint.delivery()
        assert got.id == f"msg_{found['id'].hex}"
        assert (found["status"], found["attempts"], found["last_status"]) == ("delivered", 1, 200)
        assert found["delivered_at"]
        assert await look(deliveries) == 0

    async def test_any_2xx_is_enough(self, make: Make, receiver: Receiver, deliveries: Deliveries) -> None:
        receiver.reply = lambda got: answer(204)
        endpoint = await make()
        await endpoint.tell()
        await look(deliveries)
        assert (await endpoint.delivery())["status"] == "delivered"

    async def test_two_secrets_sign_for_a_day_after_a_rotation(
        self, make: Make, receiver: Receiver, deliveries: Deliveries, database: Database
    ) -> None:
        endpoint = await make()
        _, secret = await endpoints.rotate_secret(database, CIPHER, endpoint.principal, endpoint.id)
        await endpoint.tell()
        await look(deliveries)
        for key in (secret, endpoint.secret):
            receiver.got[0].verified(key)
        row = await endpoint.row()
        assert row["previous_until"] is not None
        await endpoint.rows(
            "update webhook_endpoints set previous_until = now() where id = %s returning 1", endpoint.id
        )
        await endpoint.tell()
        await look(deliveries)
        receiver.got[1].verified(secret)
        with pytest.raises(Exception, match="No matching signature"):
            receiver.got[1].verified(endpoint.secret)

    async def test_two_processes_send_each_once(self, make: Make, receiver: Receiver, database: Database) -> None:
        endpoint = await make()
        await endpoint.tell(60)
        watching = [asyncio.create_task(worker(database, receiver).watch()) for _ in range(2)]
        try:
            await receiver.wait_for(60, 20)
            await asyncio.sleep(0.1)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        assert len(receiver.got) == 60
        assert len({got.id for got in receiver.got}) == 60
        assert {found["status"] for found in await endpoint.deliveries()} == {"delivered"}

    async def test_a_suspended_tenant_is_not_told(
        self, make: Make, receiver: Receiver, deliveries: Deliveries, database_urls: EmbeddedUrls
    ) -> None:
        endpoint = await make()
        await endpoint.tell()
        async with await psycopg.AsyncConnection.connect(database_urls.owner) as owner:
            await owner.execute(
                "update tenants set status = 'suspended' where id = %s", (endpoint.principal.tenant_id,)
            )
        assert await look(deliveries) == 0


HUGE = b"HTTP/1.1 500 X\r\nContent-Length: 99999999999\r\n\r\n" + b"<secret inside>" * 100_000


class TestFailures:
    @pytest.mark.parametrize(
        ("reply", "status", "words"),
        [
            (answer(500, body=b"<secret inside>"), 500, "it answered 500"),
            (answer(404), 404, "it answered 404"),
            (answer(302, "Location: http://127.0.0.1/x"), 302, "redirects are not followed"),
            (HUGE, 500, "it answered 500"),
            (None, None, "the connection broke off"),
            (b"", None, "broke off"),
            (2.0, None, "no answer within 0.4 s"),
        ],
        ids=["500", "404", "redirect", "huge body", "reset", "closed", "silence"],
    )
    async def test_a_failed_attempt_is_logged_in_plain_words_and_made_again_under_the_same_id(
        self, make: Make, receiver: Receiver, deliveries: Deliveries, reply: Any, status: int | None, words: str
    ) -> None:
        receiver.reply = lambda got: reply
        endpoint = await make()
        await endpoint.tell()
        await look(deliveries)
        found = await endpoint.delivery()
        assert (found["status"], found["attempts"], found["last_status"]) == ("pending", 1, status)
        assert words in found["last_error"]
        assert "secret" not in found["last_error"]
        assert DELAYS_S[0] - 1 < found["due_in"] <= DELAYS_S[0] * (1 + JITTER)
        assert await look(deliveries) == 0
        receiver.reply = lambda got: answer(200)
        await endpoint.let_time_pass()
        await look(deliveries)
        found = await endpoint.delivery()
        assert (found["status"], found["attempts"], found["last_error"]) == ("delivered", 2, None)
        assert len({got.id for got in receiver.got}) == 1
        assert (await endpoint.row())["failures"] == 0

    async def test_after_the_last_attempt_it_is_given_up(
        self, make: Make, receiver: Receiver, deliveries: Deliveries
    ) -> None:
        receiver.reply = lambda got: answer(500)
        endpoint = await make()
        await endpoint.tell()
        waited = []
        for _ in range(len(DELAYS_S) + 1):
            await endpoint.let_time_pass()
            await look(deliveries)
            waited.append((await endpoint.delivery())["due_in"])
        for least, due_in in zip(DELAYS_S, waited, strict=False):
            assert least - 1 < due_in <= least * (1 + JITTER)
        assert (await endpoint.delivery())["status"] == "failed"
        await endpoint.let_time_pass()
        assert await look(deliveries) == 0
        assert len(receiver.got) == len(DELAYS_S) + 1
        assert len({got.id for got in receiver.got}) == 1

    @pytest.mark.parametrize(("asked", "least", "most"), [("900", 899, 901), ("99999999", 21599, 21601), ("1", 4, 6)])
    async def test_a_receiver_that_asks_for_time_gets_it_within_bounds(
        self, make: Make, receiver: Receiver, deliveries: Deliveries, asked: str, least: float, most: float
    ) -> None:
        receiver.reply = lambda got: answer(503, f"Retry-After: {asked}")
        endpoint = await make()
        await endpoint.tell()
        await look(deliveries)
        assert least < (await endpoint.delivery())["due_in"] < most
        assert 0 < (await endpoint.row())["rests_for"] <= 600

    async def test_410_disables_at_once_and_what_waits_ends(
        self, make: Make, receiver: Receiver, deliveries: Deliveries
    ) -> None:
        receiver.reply = lambda got: answer(410)
        endpoint = await make()
        await endpoint.tell(20)
        await look(deliveries)
        row = await endpoint.row()
        assert row["status"] == "disabled"
        assert "410" in row["disabled_because"]
        assert {found["status"] for found in await endpoint.deliveries()} == {"failed"}
        [entry] = await endpoint.rows("select * from audit_log where action = 'webhook.disabled'")
        assert entry["object_id"] == str(endpoint.id)
        assert "410" in entry["changes"]["because"]
        sent = len(receiver.got)
        await endpoint.tell()
        await endpoint.let_time_pass()
        await look(deliveries)
        assert len(receiver.got) == sent

    async def test_one_that_has_failed_for_days_is_disabled_with_the_reason(
        self, make: Make, receiver: Receiver, deliveries: Deliveries
    ) -> None:
        receiver.reply = lambda got: answer(500)
        endpoint = await make()
        failing = "update webhook_endpoints set failures = %s, failing_since = now() - interval '%s hours' returning 1"
        for failures, hours, expected in ((20, 71, "active"), (8, 73, "active"), (9, 73, "disabled")):
            await endpoint.rows(failing % (failures, hours))
            await endpoint.tell()
            await endpoint.let_time_pass()
            await look(deliveries)
            assert (await endpoint.row())["status"] == expected
        because = (await endpoint.row())["disabled_because"]
        assert "10 attempts failed" in because
        assert "it answered 500" in because
        [entry] = await endpoint.rows("select * from audit_log where action = 'webhook.disabled'")
        assert entry["actor"] == f"tenant:{endpoint.principal.tenant_id}"

    async def test_a_name_that_leads_inside_is_not_connected_to(
        self, make: Make, receiver: Receiver, database: Database
    ) -> None:
        async def inside(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        endpoint = await make(url="https://hooks.acme.example:8443/")
        await endpoint.tell()
        await look(Deliveries(database, CIPHER, Outbound(resolve=inside), FAST))
        found = await endpoint.delivery()
        assert (found["status"], receiver.connections) == ("pending", 0)
        assert "not public" in found["last_error"]

    async def test_a_lost_key_of_ours_is_not_the_receivers_fault(
        self, make: Make, receiver: Receiver, database: Database
    ) -> None:
        endpoint = await make()
        await endpoint.tell()
        await look(worker(database, receiver, cipher=Cipher([Cipher.new_key()])))
        found = await endpoint.delivery()
        assert "encryption key is missing" in found["last_error"]
        assert ((await endpoint.row())["failures"], receiver.connections) == (0, 0)
        await endpoint.let_time_pass()
        await look(worker(database, receiver))
        receiver.got[0].verified(endpoint.secret)


class TestCrashes:
    async def test_one_that_was_sent_and_not_marked_is_sent_again_under_the_same_id(
        self, make: Make, receiver: Receiver, database: Database
    ) -> None:
        endpoint = await make()
        await endpoint.tell()
        receiver.reply = lambda got: 5.0
        dying = worker(database, receiver, Pace(poll_s=0.01, timeout_s=9, grace_s=0.0, lease_s=0.3))
        task = asyncio.create_task(dying.watch())
        await receiver.wait_for(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        found = await endpoint.delivery()
        assert (found["status"], found["attempts"]) == ("pending", 1)
        receiver.reply = lambda got: answer(200)
        other = worker(database, receiver)
        assert await look(other) == 0  # the lease still holds
        await asyncio.sleep(0.35)
        assert await look(other) == 1
        first, second = receiver.got
        assert (first.id, first.body) == (second.id, second.body)
        assert first.headers["webhook-timestamp"] <= second.headers["webhook-timestamp"]
        assert ((await endpoint.delivery())["status"], (await endpoint.delivery())["attempts"]) == ("delivered", 2)

    async def test_a_killed_process_loses_nothing(self, make: Make, receiver: Receiver, database: Database) -> None:
        endpoint = await make()
        await endpoint.tell(3)
        receiver.reply = lambda got: 60.0
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROCESS, database.url, KEY, f"127.0.0.1:{receiver.port}"
        )
        try:
            await receiver.wait_for(3, timeout_s=30)
        finally:
            process.kill()
            await process.wait()
        assert {found["status"] for found in await endpoint.deliveries()} == {"pending"}
        receiver.reply = lambda got: answer(200)
        assert await look(worker(database, receiver)) == 0  # its lease still holds
        await endpoint.let_time_pass()
        await look(worker(database, receiver))
        assert {found["status"] for found in await endpoint.deliveries()} == {"delivered"}
        ids = [got.id for got in receiver.got]
        assert (len(ids), len(set(ids)), set(ids[:3])) == (6, 3, set(ids[3:]))

    async def test_a_database_that_is_away_when_it_is_to_be_marked_costs_a_second_sending(
        self, make: Make, receiver: Receiver, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        endpoint = await make()
        await endpoint.tell()

        async def away(*given: Any, **options: Any) -> Any:
            raise Unavailable("the database is away")

        with monkeypatch.context() as patch:
            patch.setattr("agent.jobs.deliveries.settle", away)
            await look(worker(database, receiver, Pace(lease_s=0.0)))
        assert (await endpoint.delivery())["status"] == "pending"
        await look(worker(database, receiver))
        assert [got.id for got in receiver.got] == [receiver.got[0].id] * 2
        assert (await endpoint.delivery())["status"] == "delivered"

    async def test_a_process_that_stops_waits_for_what_it_has_just_sent(
        self, make: Make, receiver: Receiver, database: Database
    ) -> None:
        endpoint = await make()
        await endpoint.tell()
        receiver.reply = lambda got: 0.2
        task = asyncio.create_task(worker(database, receiver, Pace(poll_s=0.01, grace_s=2)).watch())
        await receiver.wait_for(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await endpoint.delivery())["status"] == "delivered"

    async def test_an_outcome_that_comes_after_a_newer_attempt_changes_nothing(
        self, make: Make, receiver: Receiver, database: Database
    ) -> None:
        endpoint = await make()
        await endpoint.tell()
        late_s = usual(1.0)
        receiver.reply = lambda got: 2 * late_s if len(receiver.got) == 1 else answer(200)
        slow = worker(database, receiver, Pace(lease_s=0.05, timeout_s=late_s))
        await slow.deliver_due()
        await receiver.wait_for(1)
        await asyncio.sleep(0.06)
        await look(worker(database, receiver))
        assert (await endpoint.delivery())["status"] == "delivered"
        await slow.settled()  # its attempt failed, for want of an answer
        found = await endpoint.delivery()
        assert (found["status"], found["last_error"]) == ("delivered", None)
        assert (await endpoint.row())["failures"] == 0


class TestTheDead:
    async def test_one_that_is_silent_holds_up_nobody_else(
        self, make: Make, receiver: Receiver, database: Database
    ) -> None:
        async with receiving() as dead:
            dead.reply = lambda got: 60.0
            host = f"127.0.0.1:{dead.port}"
            silent = await make(url=dead.url, host=host)
            await silent.tell(500)
            well = await make()
            client = Outbound(allowed=frozenset({host, f"127.0.0.1:{receiver.port}"}))
            task = asyncio.create_task(Deliveries(database, CIPHER, client, Pace(poll_s=0.02)).watch())
            await dead.wait_for(4)
            started = time.perf_counter()
            await well.tell(40)
            await receiver.wait_for(40)
            assert time.perf_counter() - started < usual(2)
            assert dead.most_open == Pace().per_endpoint
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def test_one_tenant_has_only_its_share(
        self, make: Make, receiver: Receiver, database: Database, tenant: Callable[..., Awaitable[UUID]]
    ) -> None:
        greedy = await tenant()
        for _ in range(8):
            endpoint = await make(tenant_id=greedy)
        await endpoint.tell(10)
        other = await make()
        await other.tell()
        receiver.reply = lambda got: 0.2
        busy = worker(database, receiver, Pace(at_once=20, per_tenant=6))
        began = await busy.deliver_due()
        began += await busy.deliver_due()
        assert began == 7
        await busy.settled()
        assert (await other.delivery())["status"] == "delivered"

    async def test_after_failures_in_a_row_it_rests_and_is_tried_once_after_each_rest(
        self, make: Make, receiver: Receiver, deliveries: Deliveries
    ) -> None:
        receiver.reply = lambda got: answer(500)
        endpoint = await make()
        await endpoint.tell(50)
        await look(deliveries)
        await look(deliveries)
        resting = await endpoint.row()
        assert REST_S - 2 < resting["rests_for"] <= REST_S * 8
        sent = len(receiver.got)
        assert sent == 8
        assert await look(deliveries) == 0
        await endpoint.let_time_pass()
        began = [await deliveries.deliver_due() for _ in range(3)]
        await deliveries.settled()
        assert began == [1, 0, 0]
        assert (await endpoint.row())["rests_for"] > resting["rests_for"]
        receiver.reply = lambda got: answer(200)
        await endpoint.let_time_pass()
        while await look(deliveries):
            pass
        assert {found["status"] for found in await endpoint.deliveries()} == {"delivered"}
        assert (await endpoint.row())["rests_until"] is None


class TestReplaying:
    async def test_one_that_was_given_up_goes_again_with_all_its_attempts(
        self, make: Make, receiver: Receiver, deliveries: Deliveries, database: Database
    ) -> None:
        endpoint = await make()
        await endpoint.tell()
        await endpoint.rows("update webhook_deliveries set status = 'failed', attempts = 11 returning 1")
        found = await endpoint.delivery()
        again = await log.replay(database, endpoint.principal, endpoint.id, found["id"])
        assert (again["status"], again["attempts"]) == ("pending", 0)
        await look(deliveries)
        assert receiver.got[0].id == f"msg_{found['id'].hex}"
        assert (await endpoint.delivery())["status"] == "delivered"

    async def test_old_ones_are_forgotten(self, make: Make, database: Database) -> None:
        endpoint = await make()
        await endpoint.tell(2)
        first = (await endpoint.deliveries())[0]
        old = f"{int((time.time() - 31 * 86400) * 1000):012x}7{first['id'].hex[13:]}"
        await endpoint.rows("update webhook_deliveries set id = %s where id = %s returning 1", UUID(old), first["id"])
        async with database.connection(endpoint.principal.tenant_id) as connection:
            assert await log.forget_old(connection) == 1
            assert await log.forget_old(connection) == 0
        assert len(await endpoint.deliveries()) == 1


class TestSecrets:
    async def test_neither_the_secret_nor_the_address_is_logged(
        self, make: Make, receiver: Receiver, deliveries: Deliveries
    ) -> None:
        receiver.reply = lambda got: answer(500, body=b"canary-in-the-answer")
        endpoint = await make(url=f"{receiver.url}?token=canary-in-the-address")
        async with endpoint.database.connection(endpoint.principal.tenant_id) as connection:
            data = Jsonb({"text": "canary-in-the-event"})
            await connection.execute(
                "select tell_endpoints(%s, 'message.created', now(), %s)", (endpoint.principal.tenant_id, data)
            )
        with structlog.testing.capture_logs() as lines:
            await look(deliveries)
        written = json.dumps(lines, default=str)
        assert lines
        assert "canary" not in written
        assert endpoint.secret not in written
        row = await endpoint.row()
        assert endpoint.secret.removeprefix("whsec_") not in json.dumps(row, default=str)
        stored = await endpoint.delivery()
        assert "canary-in-the-answer" not in json.dumps(stored, default=str)
