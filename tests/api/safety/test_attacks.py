"""What an attacker tried with well-formed requests: tokens, keys, limits."""

import asyncio
import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from typing import Any

import httpx
import jwt
import orjson
import pytest
from starlette.requests import Request

from api.dependencies import network_of
from api.tokens import _derive
from memory.models import Tenant, new_id
from memory.tenancy import Role
from tests.product import SECRET, Product

SITE_SECRET = "the secret that a tenant's own site signs with"
TICKETS = "/api/v1/tickets"


def signed(payload: bytes, secret: str = SITE_SECRET) -> str:
    """A token with any payload at all under a right signature."""
    parts = [urlsafe_b64encode(part).rstrip(b"=") for part in (b'{"alg":"HS256","typ":"JWT"}', payload)]
    tag = hmac.digest(secret.encode(), b".".join(parts), hashlib.sha256)
    return b".".join([*parts, urlsafe_b64encode(tag).rstrip(b"=")]).decode()


def claims(**changes: Any) -> bytes:
    now = int(time.time())
    return orjson.dumps({"sub": "customer-1", "aud": "helpdesk", "iat": now, "exp": now + 600, **changes})


def with_raw(name: str, value: bytes) -> bytes:
    return claims(**{name: "RAW"}).replace(b'"RAW"', value)


async def vouching(product: Product) -> tuple[Tenant, dict[str, str]]:
    """A tenant whose site signs identities, and its admin."""
    tenant = await product.tenant()
    admin = await product.staff(tenant, Role.ADMIN)
    await product.http.patch("/api/v1/settings", json={"identity_secret": SITE_SECRET}, headers=admin)
    return tenant, admin


class TestIdentityTokens:
    async def test_claims_that_cannot_be_kept_are_refused(self, product: Product) -> None:
        tenant, _ = await vouching(product)
        bad = {
            "NUL": with_raw("sub", rb'"a\u0000b"'), "a surrogate": with_raw("sub", rb'"a\ud800b"'),
            "no one": claims(sub=""), "a number": claims(sub=7), "too long": claims(sub="x" * 201),
            "NUL in the name": with_raw("name", rb'"\u0000"'), "NUL in the address": with_raw("email", rb'"\u0000"'),
            "an address of lists": claims(email=["a@example.com"]), "an odd audience": claims(audience=["Trainee!"]),
            "an audience of objects": claims(audience=[{"a": 1}]), "too many audiences": claims(audience=["a"] * 21),
            "exp in words": claims(exp=str(int(time.time()) + 600)), "iat in words": claims(iat=str(int(time.time()))),
            "exp without end": with_raw("exp", b"Infinity"), "iat never": with_raw("iat", b"NaN"),
            "iat long ago": with_raw("iat", b"-Infinity"), "a year": claims(exp=int(time.time()) + 31_536_000),
            "no object": b"[]", "deep": b"[" * 2900,
        }  # fmt: skip
        answers = {}
        for name, payload in bad.items():
            headers = {"Authorization": f"Bearer {signed(payload)}", "X-Widget-Key": tenant.widget_key}
            answers[name] = (await product.http.get("/api/v1/auth/me", headers=headers)).status_code
        assert answers == dict.fromkeys(bad, 401)

    async def test_a_tenants_secret_vouches_for_nobody_elsewhere(self, product: Product) -> None:
        tenant, _ = await vouching(product)
        other = await product.tenant()
        admin = await product.staff(other, Role.ADMIN)
        await product.http.patch("/api/v1/settings", json={"identity_secret": SITE_SECRET[::-1]}, headers=admin)
        token = {"Authorization": f"Bearer {signed(claims())}"}
        for widget_key, status in ((tenant.widget_key, 200), (other.widget_key, 401), ("demo", 401)):
            answer = await product.http.get("/api/v1/auth/me", headers={**token, "X-Widget-Key": widget_key})
            assert answer.status_code == status

    @pytest.mark.parametrize("client", ["whmcs:17", "whmcs:guest:ada@example.com"])
    async def test_who_chose_the_id_of_a_client_of_whmcs_is_not_that_client(
        self, product: Product, client: str
    ) -> None:
        tenant, admin = await vouching(product)
        token = {"Authorization": f"Bearer {signed(claims(sub=client))}", "X-Widget-Key": tenant.widget_key}
        assert (await product.http.get("/api/v1/tickets", headers=token)).status_code == 401
        body = {"name": "shop", "scopes": ["chat", "tickets"]}
        key = (await product.http.post("/api/v1/api-keys", json=body, headers=admin)).json()["secret"]
        server = {"Authorization": f"Bearer {key}"}
        opened = await product.http.post("/api/v1/chat/sessions", json={"user_id": client}, headers=server)
        ticket = {"user_id": client, "subject": "Invoices", "content": "Which are due?"}
        asked = await product.http.post("/api/v1/tickets", json=ticket, headers=server)
        assert (opened.status_code, asked.status_code) == (422, 422)


class TestTokens:
    async def test_one_kind_never_passes_for_another(self, product: Product) -> None:
        tenant = await product.tenant()
        admin = await product.staff(tenant, Role.ADMIN)
        visitor = await product.visitor(tenant)
        access_key, visitor_key = _derive(SECRET, "access"), _derive(SECRET, "visitor")
        said = jwt.decode(admin["Authorization"].split()[1], options={"verify_signature": False})
        seen = jwt.decode(visitor.headers["Authorization"].split()[1], options={"verify_signature": False})
        forged = [
            jwt.encode(seen, visitor_key, "HS256", headers={"kid": "access"}),
            jwt.encode(said, visitor_key, "HS256", headers={"kid": "visitor"}),
            jwt.encode({**said, "aud": "helpdesk:visitor"}, visitor_key, "HS256", headers={"kid": "visitor"}),
            jwt.encode(said, None, "none", headers={"kid": "access"}),  # type: ignore[arg-type]
            jwt.encode(said, access_key * 2, "HS384", headers={"kid": "access"}),
            jwt.encode({**said, "tenant_id": str((await product.tenant()).id)}, access_key, headers={"kid": "access"}),
            jwt.encode({**said, "epoch": 99}, access_key, headers={"kid": "access"}),
            jwt.encode(said, access_key, headers={"kid": "access", "crit": ["x"], "x": 1}),
        ]
        for token in forged:
            answer = await product.http.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401, jwt.get_unverified_header(token)

    async def test_nothing_of_a_suspended_tenant_holds(self, product: Product) -> None:
        tenant, admin = await vouching(product)
        visitor = await product.visitor(tenant)
        made = await product.http.post("/api/v1/api-keys", json={"name": "k", "scopes": ["chat"]}, headers=admin)
        async with product.owner.connection(tenant.id) as connection:
            await connection.execute("update tenants set status = 'suspended' where id = %s", (tenant.id,))
        widget = {"X-Widget-Key": tenant.widget_key}
        for headers in (
            admin, visitor.headers, {"Authorization": f"Bearer {made.json()['secret']}"}, widget,
            {"Authorization": f"Bearer {signed(claims())}", **widget},
        ):  # fmt: skip
            assert (await product.http.post("/api/v1/chat/sessions", headers=headers)).status_code == 401


class TestIdempotencyKeys:
    async def test_many_at_once_happen_once(self, product: Product) -> None:
        visitor = await product.visitor(await product.tenant())
        headers = {**visitor.headers, "Idempotency-Key": "once"}
        same = {"subject": "Same", "content": "words"}
        answers = await asyncio.gather(*(product.http.post(TICKETS, json=same, headers=headers) for _ in range(8)))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1

    async def test_of_different_bodies_one_wins(self, product: Product) -> None:
        visitor = await product.visitor(await product.tenant())
        headers = {**visitor.headers, "Idempotency-Key": "one of many"}
        answers = await asyncio.gather(
            *(product.http.post(TICKETS, json={"subject": f"{n}", "content": "x"}, headers=headers) for n in range(8))
        )
        assert sorted(answer.status_code for answer in answers) == [201] + [422] * 7

    async def test_a_key_is_the_callers_own_and_a_refusal_does_not_use_it_up(self, product: Product) -> None:
        tenant = await product.tenant()
        one, other = await product.visitor(tenant), await product.visitor(tenant)
        key, body = {"Idempotency-Key": "shared"}, {"subject": "Mine", "content": "x"}
        refused = await product.http.post(TICKETS, json={"subject": ""}, headers={**one.headers, **key})
        first = await product.http.post(TICKETS, json=body, headers={**one.headers, **key})
        second = await product.http.post(TICKETS, json=body, headers={**other.headers, **key})
        assert (refused.status_code, first.status_code, second.status_code) == (422, 201, 201)
        assert first.json()["id"] != second.json()["id"]

    async def test_what_the_state_did_not_allow_does_not_happen_later(self, product: Product) -> None:
        """A retry that arrives late must not do what its sender was told is not done."""
        tenant = await product.tenant()
        visitor, agent = await product.visitor(tenant), await product.staff(tenant, Role.AGENT)
        opened = await product.http.post(TICKETS, json={"subject": "Help", "content": "x"}, headers=visitor.headers)
        url = f"{TICKETS}/{opened.json()['id']}"

        async def escalated(key: str) -> httpx.Response:
            return await product.http.post(
                f"{url}/escalate", json={"reason": "too hard"}, headers={**agent, "Idempotency-Key": key}
            )

        async def set_status(status: str) -> None:
            assert (await product.http.patch(url, json={"status": status}, headers=agent)).status_code == 200

        await set_status("closed")
        first = await escalated("one")
        await set_status("open")
        again, other = await escalated("one"), await escalated("another")
        assert (first.status_code, again.status_code, other.status_code) == (409, 409, 200)
        assert again.content == first.content
        assert again.headers["content-type"] == "application/problem+json"
        assert again.headers["idempotency-replayed"] == "true"

    async def test_an_answer_is_repeated_with_its_etag(self, product: Product) -> None:
        visitor = await product.visitor(await product.tenant())
        headers, body = {**visitor.headers, "Idempotency-Key": "tagged"}, {"subject": "Help", "content": "x"}
        answers = [await product.http.post(TICKETS, json=body, headers=headers) for _ in range(2)]
        assert [answer.headers["etag"] for answer in answers] == ['"1"', '"1"']
        assert [answer.headers["content-type"] for answer in answers] == ["application/json"] * 2

    async def test_a_colleagues_first_ticket_is_opened_once(self, product: Product) -> None:
        """It makes them a customer; the retry comes from the same person all the same."""
        agent = await product.staff(await product.tenant(), Role.AGENT)
        headers, body = {**agent, "Idempotency-Key": "first"}, {"subject": "Help", "content": "x"}
        answers = [await product.http.post(TICKETS, json=body, headers=headers) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert answers[1].headers["idempotency-replayed"] == "true"

    async def test_the_secret_of_a_new_api_key_is_not_kept_in_clear(self, product: Product) -> None:
        tenant = await product.tenant()
        headers = {**await product.staff(tenant, Role.ADMIN), "Idempotency-Key": "new key"}
        body = {"name": "server", "scopes": ["chat"]}
        answers = [await product.http.post("/api/v1/api-keys", json=body, headers=headers) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        rows = await product.rows(tenant, "select body::text as body from idempotency_keys")
        assert len(rows) == 1
        assert answers[0].json()["secret"] not in rows[0]["body"]

    @pytest.mark.parametrize(("left_s", "status"), [(-1, 201), (3600, 503)])
    async def test_a_request_that_died_may_be_made_again_once_its_time_is_over(
        self, product: Product, left_s: int, status: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tenant = await product.tenant()
        visitor = await product.visitor(tenant)
        body = b'{"subject": "Again", "content": "x"}'
        async with product.owner.connection(tenant.id) as connection:
            await connection.execute(
                """insert into idempotency_keys (tenant_id, principal, route, key, body_hash, locked_until)
                select %s, 'customer:' || customer_id, %s, 'died', %s, now() + make_interval(secs => %s)
                from chat_sessions where id = %s""",
                (tenant.id, f"POST {TICKETS}", hashlib.sha256(body).hexdigest(), left_s, visitor.session_id),
            )
        monkeypatch.setattr("api.idempotency.WAIT_S", 0.1)
        headers = {**visitor.headers, "Idempotency-Key": "died", "Content-Type": "application/json"}
        answer = await product.http.post(TICKETS, content=body, headers=headers)
        assert answer.status_code == status


class TestLimits:
    async def test_signing_in_under_ever_new_addresses_is_counted_too(
        self, product: Product, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limiter, counted = product.app.state.limiter, []
        check = type(limiter).check

        async def note(self: object, name: str, caller: str, per_minute: int) -> None:
            counted.append((name, caller))
            await check(limiter, name, caller, per_minute)

        monkeypatch.setattr(type(limiter), "check", note)
        for _ in range(2):
            email = f"{new_id().hex}@example.com"
            await product.http.post("/api/v1/auth/login", json={"email": email, "password": "wrong"})
        assert counted.count(("anonymous", "127.0.0.1")) == 2

    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("192.0.2.7", "192.0.2.7"),
            ("a-socket", "a-socket"),
        ],
    )
    async def test_the_addresses_of_one_network_count_together(self, address: str, network: str) -> None:
        assert network_of(Request({"type": "http", "client": (address, 1)})) == network


class TestLogs:
    async def test_neither_words_nor_credentials_nor_forged_lines_get_in(
        self, product: Product, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tenant = await product.tenant()
        admin = await product.staff(tenant, Role.ADMIN)
        visitor = await product.visitor(tenant)
        capsys.readouterr()
        await visitor.ask('my words\r\n{"event": "forged", "level": "error"}')
        await product.http.get(
            f"/api/v1/users?q={tenant.widget_key}", headers={**admin, "X-Request-ID": "forged\\r\\n"}
        )
        await product.http.get("/api/v1/%0d%0aforged", headers=admin)
        lines = capsys.readouterr().out.splitlines()
        assert sum(orjson.loads(line)["event"] == "request" for line in lines) == 3
        written = "\n".join(lines)
        for secret in (
            "my words",
            "forged",
            tenant.widget_key,
            admin["Authorization"][7:],
            visitor.headers["Authorization"][7:],
        ):
            assert secret not in written


async def test_a_server_that_names_a_customer_changes_nothing_about_them(product: Product) -> None:
    """A trainee stays a trainee when the tenant's server opens a session for them."""
    tenant = await product.tenant()
    admin = await product.staff(tenant, Role.ADMIN)
    made = (await product.http.post("/api/v1/api-keys", json={"name": "crm", "scopes": ["chat"]}, headers=admin)).json()
    first = await product.visitor(tenant, made["secret"], user_id="trainee-7")
    await product.set_audience(tenant, first, "trainee")
    await product.visitor(tenant, made["secret"], user_id="trainee-7")
    [customer] = await product.rows(tenant, "select audience from customers where external_id = 'trainee-7'")
    assert customer["audience"] == ["trainee"]


async def test_a_forged_forwarded_header_counts_for_nothing(product: Product) -> None:
    statuses = []
    for number in range(12):
        answer = await product.http.post(
            "/api/v1/auth/login", json={"email": "flood@example.com", "password": "guess guess"},
            headers={"X-Forwarded-For": f"10.0.0.{number}"},
        )  # fmt: skip
        statuses.append(answer.status_code)
    assert 429 in statuses
