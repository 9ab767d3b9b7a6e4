"""Around the API: health, metrics, request ids, CORS, and the OpenAPI document."""

import asyncio
import dataclasses
import re
import time
from uuid import UUID

import pytest
import pytest_asyncio

from api import limits
from memory import chats, turns
from memory.database import Database
from memory.errors import TooMany
from memory.events import journal
from memory.models import Tenant
from memory.tenancy import Role
from tests.product import Product


class TestHealth:
    async def test_ready_says_what_is_up(self, product: Product) -> None:
        assert (await product.http.get("/livez")).json() == {"status": "alive"}
        ready = (await product.http.get("/readyz")).json()
        assert ready == {"status": "ready", "database": "up", "redis": "in_process", "knowledge": "up"}

    async def test_articles_in_a_database_that_is_away_are_no_reason_to_stop_serving(
        self, product: Product, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away = Database("postgresql://nobody@127.0.0.1:1/nothing", pool_size=2)
        await away.pool.open(wait=False)
        try:
            monkeypatch.setattr(product.resources, "knowledge", away)
            state = await product.http.get("/readyz")
        finally:
            await away.pool.close()
        assert (state.status_code, state.json()["database"], state.json()["knowledge"]) == (200, "up", "down")

    async def test_metrics_count_without_naming_anybody(self, product: Product) -> None:
        tenant = await product.tenant()
        visitor = await product.visitor(tenant)
        await visitor.ask("How do I reset my mailbox password?")
        text = (await product.http.get("/metrics")).text
        for name in ("chat_messages_total", "chat_message_duration_seconds_bucket", "active_sessions", "turns_total"):
            assert name in text
        for secret in (str(tenant.id), visitor.session_id, tenant.slug):
            assert secret not in text

    async def test_a_session_counts_while_its_turn_runs_or_somebody_watches_and_once_where_both_do(
        self, product: Product, tenant: Tenant
    ) -> None:
        async def active() -> float:
            text = (await product.http.get("/metrics")).text
            [value] = [line.split()[1] for line in text.splitlines() if line.startswith("active_sessions ")]
            return float(value)

        resources = product.resources
        visitor = await product.visitor(tenant)
        async with journal(resources.database, resources.streams, tenant.id) as entry:
            session = await chats.get_session(entry.connection, UUID(visitor.session_id), lock=True)
            accepted = await turns.accept(
                entry, session, "hello", author_id=session.customer_id, owner=resources.turns.parts.process,
                reject_if_busy=False,
            )  # fmt: skip
        others = resources.streams.sessions | resources.turns.sessions
        async with journal(resources.database, resources.streams, tenant.id) as entry:
            await chats.get_session(entry.connection, session.id, lock=True)  # the turn can't end before this does
            resources.turns.start(accepted.lease)
            assert session.id not in resources.streams.sessions
            assert await active() == len(others | {session.id})
            inbox = resources.streams.expect(session.id)
            assert await active() == len(others | {session.id})
        assert inbox
        async with asyncio.timeout(10):
            while session.id in resources.turns.sessions:
                await asyncio.sleep(0.02)


class TestRequests:
    async def test_a_request_id_is_given_or_kept(self, product: Product) -> None:
        assert (await product.http.get("/livez", headers={"X-Request-ID": "my-request-1"})).headers[
            "x-request-id"
        ] == "my-request-1"
        for forged in ("short", "with space and more", "x" * 200):
            given = (await product.http.get("/livez", headers={"X-Request-ID": forged})).headers["x-request-id"]
            assert given != forged

    async def test_security_headers_are_on_every_answer(self, product: Product) -> None:
        for path in ("/livez", "/nothing", "/api/v1/auth/me"):
            headers = (await product.http.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"


class TestCors:
    async def test_no_origin_is_allowed_by_default(self, product: Product) -> None:
        answer = await product.http.get("/livez", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers

    async def test_a_tenants_own_sites_are(self, product: Product) -> None:
        tenant = await product.tenant()
        admin = await product.staff(tenant, Role.ADMIN)
        site = f"https://{tenant.slug}.example"
        await product.http.patch("/api/v1/settings", json={"allowed_origins": [site]}, headers=admin)
        preflight = await product.http.options(
            "/api/v1/chat/sessions",
            headers={
                "Origin": site, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-widget-key",
            },
        )  # fmt: skip
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == site
        assert "access-control-allow-credentials" not in preflight.headers
        opened = await product.http.post(
            "/api/v1/chat/sessions", headers={"Origin": site, "X-Widget-Key": tenant.widget_key}
        )
        assert opened.headers["access-control-allow-origin"] == site

    async def test_a_page_may_ask_whatever_the_document_declares(self, product: Product) -> None:
        """A method or header that a preflight refuses is one that no page can use."""
        tenant = await product.tenant()
        admin = await product.staff(tenant, Role.ADMIN)
        site = f"https://{tenant.slug}.example"
        await product.http.patch("/api/v1/settings", json={"allowed_origins": [site]}, headers=admin)
        for path, found in product.app.openapi()["paths"].items():
            for method, operation in found.items():
                named = [each["name"] for each in operation.get("parameters", []) if each["in"] == "header"]
                asked = {"Access-Control-Request-Method": method.upper()}
                if named:
                    asked["Access-Control-Request-Headers"] = ", ".join(named).lower()
                preflight = await product.http.options(path, headers={"Origin": site, **asked})
                assert preflight.status_code == 200, (method, path, preflight.text)


class TestOpenApi:
    async def test_each_shape_has_a_name_of_its_own(self, product: Product) -> None:
        """Where two share one, each is called by its module's path, and generated clients break when a file moves."""
        names = product.app.openapi()["components"]["schemas"]
        assert [name for name in names if name.startswith("api__")] == []

    async def test_every_operation_declares_its_errors(self, product: Product) -> None:
        document = product.app.openapi()
        for path, operations in document["paths"].items():
            if not path.startswith("/api/"):
                continue
            for method, operation in operations.items():
                declared = set(operation["responses"])
                assert {"422", "429", "500", "503"} <= declared, (method, path)
                assert "401" in declared, (method, path)

    async def test_the_docs_are_served_where_debugging_is_on(self, product: Product) -> None:
        page = await product.http.get("/docs")
        assert page.status_code == 200
        assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert assets
        for asset in assets:
            assert asset.startswith("/docs/assets/")
            assert (await product.http.get(asset)).status_code == 200


@pytest_asyncio.fixture(loop_scope="session")
async def one_minute() -> None:
    """Nothing is counted over the turn of a minute, after which a part of what was asked before it counts no more."""
    left = 60 - time.time() % 60
    if left < 5:
        await asyncio.sleep(left)


@pytest.mark.usefixtures("one_minute")
class TestLimits:
    async def test_a_caller_who_asks_too_often_is_told_when_to_come_back(self, product: Product) -> None:
        limiter = product.app.state.limiter
        for _ in range(5):
            await limiter.check("test", "caller", 5)
        with pytest.raises(TooMany) as caught:
            await limiter.check("test", "caller", 5)
        assert caught.value.retry_after
        assert 0 < caught.value.retry_after <= 61
        await limiter.check("test", "another caller", 5)

    async def test_counters_that_expired_go_without_being_looked_for_at_each_request(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counters = limits.Counters()
        await counters.incr("one", expiry=0.01)
        sweep = counters.timer
        assert sweep is not None
        await sweep
        await asyncio.sleep(0.02)
        await counters.incr("two", expiry=60)
        assert counters.timer is sweep
        assert "one" in counters.storage
        monkeypatch.setattr(limits, "SWEEP_S", 0.0)
        await counters.incr("two", expiry=60)
        assert counters.timer not in (None, sweep)
        await asyncio.sleep(0.01)
        assert dict(counters.storage) == {"two": 2}

    async def test_a_server_is_limited_per_conversation(
        self, product: Product, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        http = product.resources.settings.http.model_copy(
            update={"messages_per_minute": 2, "requests_per_minute": 2, "key_requests_per_minute": 50}
        )
        tenant = await product.tenant()
        admin = await product.staff(tenant, Role.ADMIN)
        made = await product.http.post("/api/v1/api-keys", json={"name": "site", "scopes": ["chat"]}, headers=admin)
        server = made.json()["secret"]
        monkeypatch.setattr(product.resources, "settings", dataclasses.replace(product.resources.settings, http=http))
        first, second = [await product.visitor(tenant, server, user_id=name) for name in ("one", "two")]
        for _ in range(2):
            await first.ask("thanks")
        refused = await product.http.post(f"{first.url}/messages", json={"message": "thanks"}, headers=first.headers)
        assert refused.status_code == 429
        wait = refused.headers["retry-after"]
        assert refused.headers["ratelimit-policy"] == '"messages";q=2;w=60'
        assert refused.headers["ratelimit"] == f'"messages";r=0;t={wait}'
        await second.ask("thanks")

    async def test_colleagues_and_servers_may_ask_for_more_than_a_customer(
        self, product: Product, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        http = product.resources.settings.http.model_copy(
            update={"requests_per_minute": 2, "staff_requests_per_minute": 4, "key_requests_per_minute": 6}
        )
        tenant = await product.tenant()
        admin, agent = await product.staff(tenant, Role.ADMIN), await product.staff(tenant, Role.AGENT)
        wish = {"name": "site", "scopes": ["chat", "tickets"]}
        made = await product.http.post("/api/v1/api-keys", json=wish, headers=admin)
        server = {"Authorization": f"Bearer {made.json()['secret']}"}
        visitor = await product.visitor(tenant)
        monkeypatch.setattr(product.resources, "settings", dataclasses.replace(product.resources.settings, http=http))

        async def allowed(who: dict[str, str]) -> int:
            """Requests before one is refused; each has a key, and those are counted by themselves as well."""
            for number in range(20):
                keyed = {**who, "Idempotency-Key": f"{number}"}
                answer = await product.http.post("/api/v1/tickets", json={"user_id": "one"}, headers=keyed)
                if answer.status_code == 429:
                    return number
            return 20

        assert [await allowed(who) for who in (visitor.headers, agent, server)] == [2, 4, 6]

    async def test_many_idle_streams_leave_room_for_others(self, product: Product) -> None:
        visitor = await product.visitor(await product.tenant())
        opened = asyncio.Semaphore(0)
        done = asyncio.Event()

        async def idle() -> None:
            async with visitor.follow() as events:
                await anext(events)
                opened.release()
                await done.wait()

        idlers = [asyncio.create_task(idle()) for _ in range(60)]
        for _ in idlers:
            await opened.acquire()
        assert (await visitor.ask("hello"))["message"]
        stats = product.resources.database.pool.get_stats()
        assert stats["pool_size"] - stats["pool_available"] <= 2
        done.set()
        await asyncio.gather(*idlers)
