"""Signing in, registering, users, keys, settings and the identities that a tenant's site vouches for."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest

from memory.models import Tenant
from memory.tenancy import Role
from tests.product import PASSWORD, Product
from tests.ticket_desk import server_of
from tools.identity import accounts

IDENTITY_SECRET = "the site's own identity secret, long enough"


def email() -> str:
    return f"{secrets.token_hex(6)}@example.com"


def identity(
    subject: str, secret: str = IDENTITY_SECRET, life: timedelta = timedelta(minutes=30), **claims: Any
) -> str:
    now = datetime.now(UTC)
    return jwt.encode({"sub": subject, "aud": "helpdesk", "iat": now, "exp": now + life, **claims}, secret, "HS256")


async def colleague(product: Product) -> tuple[dict[str, Any], dict[str, str]]:
    """One with a password, and the headers of the admin who added them."""
    admin = await product.staff(await product.tenant(), Role.ADMIN)
    body = {"email": email(), "password": PASSWORD, "role": "agent"}
    return (await product.http.post("/api/v1/users", json=body, headers=admin)).json(), admin


async def statuses(product: Product, *each: dict[str, str]) -> list[int]:
    return [(await product.http.get("/api/v1/auth/me", headers=headers)).status_code for headers in each]


async def signs_in(product: Product, address: str, password: str) -> int:
    body = {"email": address, "password": password}
    return (await product.http.post("/api/v1/auth/login", json=body)).status_code


class TestSignIn:
    async def test_a_wrong_password_and_an_unknown_address_look_alike(self, product: Product) -> None:
        await product.staff(await product.tenant(), Role.AGENT)
        answers = [
            await product.http.post("/api/v1/auth/login", json={"email": address, "password": "not the password"})
            for address in (email(), email())
        ]
        assert {answer.status_code for answer in answers} == {401}
        assert len({answer.json()["detail"] for answer in answers}) == 1

    async def test_guessing_is_slowed_down(self, product: Product) -> None:
        address = email()
        statuses = [
            (
                await product.http.post("/api/v1/auth/login", json={"email": address, "password": "guess guess"})
            ).status_code
            for _ in range(12)
        ]
        assert statuses[-1] == 429

    async def test_a_token_is_renewed_while_it_holds_and_as_long_as_its_user_does(self, product: Product) -> None:
        tenant = await product.tenant()
        headers = await product.staff(tenant, Role.AGENT)
        renewed = await product.http.post("/api/v1/auth/renew", headers=headers)
        assert (renewed.status_code, renewed.json()["expires_in"]) == (200, 1800)
        new = {"Authorization": f"Bearer {renewed.json()['access_token']}"}
        assert (await product.http.get("/api/v1/auth/me", headers=new)).json()["role"] == "agent"
        async with product.owner.connection(tenant.id) as connection:
            await connection.execute(
                "update users set token_epoch = token_epoch + 1 where tenant_id = %s", (tenant.id,)
            )
        assert (await product.http.post("/api/v1/auth/renew", headers=new)).status_code == 401

    async def test_what_is_no_sign_in_is_not_renewed(self, product: Product) -> None:
        tenant = await product.tenant()
        assert (await product.http.post("/api/v1/auth/renew")).status_code == 401
        visitor = await product.visitor(tenant)
        server = await server_of(product, tenant)
        for headers in (visitor.headers, server):
            assert (await product.http.post("/api/v1/auth/renew", headers=headers)).status_code == 403

    async def test_signing_out_ends_one_sign_in_with_what_it_was_renewed_to(self, product: Product) -> None:
        user, _ = await colleague(product)
        laptop, phone = await product.sign_in(user["email"]), await product.sign_in(user["email"])
        renewed = await product.http.post("/api/v1/auth/renew", headers=laptop)
        second = {"Authorization": f"Bearer {renewed.json()['access_token']}"}
        for _ in range(2):  # who is out already is told so
            left = await product.http.post("/api/v1/auth/logout", headers=second)
        assert left.status_code == 401
        assert await statuses(product, laptop, second, phone) == [401, 401, 200]
        assert (await product.http.post("/api/v1/auth/renew", headers=laptop)).status_code == 401
        left = await product.http.post("/api/v1/auth/logout", json={"everywhere": False}, headers=phone)
        assert left.status_code == 204
        assert await statuses(product, phone, await product.sign_in(user["email"])) == [401, 200]

    async def test_signing_out_everywhere_ends_all_of_them(self, product: Product) -> None:
        user, admin = await colleague(product)
        first, second = await product.sign_in(user["email"]), await product.sign_in(user["email"])
        left = await product.http.post("/api/v1/auth/logout", json={"everywhere": True}, headers=first)
        assert left.status_code == 204
        assert await statuses(product, first, second, await product.sign_in(user["email"])) == [401, 401, 200]
        entries = (await product.http.get("/api/v1/audit", params={"action": "user.signed_out"}, headers=admin)).json()
        assert [entry["changes"] for entry in entries["items"]] == [{"everywhere": True}]

    async def test_who_signs_out_all_day_long_fills_no_row(
        self, product: Product, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(accounts, "MOST_SIGNED_OUT", 2)
        user, _ = await colleague(product)
        kept = [await product.sign_in(user["email"]) for _ in range(4)]
        for headers in kept[:2]:
            await product.http.post("/api/v1/auth/logout", headers=headers)
        assert await statuses(product, *kept) == [401, 401, 200, 200]
        await product.http.post("/api/v1/auth/logout", headers=kept[2])
        assert await statuses(product, *kept) == [401] * 4

    async def test_a_suspended_tenant_lets_nobody_in(self, product: Product) -> None:
        from tools.identity.provisioning import set_tenant_status

        tenant = await product.tenant()
        admin, visitor = await product.staff(tenant, Role.ADMIN), await product.visitor(tenant)
        await set_tenant_status(product.owner, tenant.slug, "suspended")
        for headers in (admin, visitor.headers):
            assert (await product.http.get("/api/v1/auth/me", headers=headers)).status_code == 401
        opened = await product.http.post("/api/v1/chat/sessions", headers={"X-Widget-Key": tenant.widget_key})
        assert opened.status_code == 401

    async def test_a_colleague_and_a_customer_may_share_an_address(self, product: Product) -> None:
        """Otherwise whoever registers first with the widget's public key would keep a colleague out."""
        tenant = await product.tenant()
        address, key = email(), {"X-Widget-Key": tenant.widget_key}
        admin = await product.staff(tenant, Role.ADMIN)
        passwords = {"customer": PASSWORD, "agent": f"{PASSWORD} of a colleague"}
        body = {"email": address, "password": passwords["customer"]}
        assert (await product.http.post("/api/v1/auth/register", json=body, headers=key)).status_code == 201
        body = {"email": address, "password": passwords["agent"], "role": "agent"}
        assert (await product.http.post("/api/v1/users", json=body, headers=admin)).status_code == 201
        assert (await product.http.post("/api/v1/users", json=body, headers=admin)).status_code == 409

        async def role(password: str, headers: dict[str, str]) -> str:
            body = {"email": address, "password": password}
            answer = await product.http.post("/api/v1/auth/login", json=body, headers=headers)
            if answer.status_code != 200:
                return "nobody"
            bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
            return (await product.http.get("/api/v1/auth/me", headers=bearer)).json()["role"]  # type: ignore[no-any-return]

        found = {(kind, bool(headers)): await role(passwords[kind], headers)
                 for kind in passwords for headers in (key, {})}  # fmt: skip
        assert found == {
            ("customer", True): "customer", ("customer", False): "nobody",
            ("agent", True): "nobody", ("agent", False): "agent",
        }  # fmt: skip


class TestPasswords:
    NEW = f"{PASSWORD}, and newer"

    async def test_ones_own_is_changed_with_the_one_before_and_ends_every_other_sign_in(self, product: Product) -> None:
        user, _ = await colleague(product)
        here, elsewhere = await product.sign_in(user["email"]), await product.sign_in(user["email"])
        wrong = await self.change(product, here, "not what it is")
        assert (wrong.status_code, wrong.json()["detail"]) == (422, "the current password is wrong")
        assert await statuses(product, here, elsewhere) == [200, 200]
        changed = await self.change(product, here, PASSWORD)
        new = {"Authorization": f"Bearer {changed.json()['access_token']}"}
        assert await statuses(product, here, elsewhere, new) == [401, 401, 200]
        assert await signs_in(product, user["email"], PASSWORD) == 401
        assert await signs_in(product, user["email"], self.NEW) == 200

    async def test_the_one_before_can_not_be_guessed_with_a_stolen_token(self, product: Product) -> None:
        user, _ = await colleague(product)
        headers = await product.sign_in(user["email"])
        assert [(await self.change(product, headers, "a guess")).status_code for _ in range(12)][-1] == 429

    async def test_an_admin_gives_another_to_who_forgot_theirs(self, product: Product) -> None:
        user, admin = await colleague(product)
        before = await product.sign_in(user["email"])
        url = f"/api/v1/users/{user['id']}"
        assert (await product.http.patch(url, json={"password": "short"}, headers=admin)).status_code == 422
        given = await product.http.patch(url, json={"password": self.NEW, "name": "Ada"}, headers=admin)
        assert (given.status_code, given.json()["name"]) == (200, "Ada")
        assert "password" not in given.json()
        assert await statuses(product, before) == [401]
        assert await signs_in(product, user["email"], self.NEW) == 200
        entries = (await product.http.get("/api/v1/audit", params={"action": "user.changed"}, headers=admin)).json()
        assert entries["items"][0]["changes"] == {"name": "Ada", "password": "set"}

    async def test_an_admins_own_needs_the_one_before(self, product: Product) -> None:
        admin = await product.staff(await product.tenant(), Role.ADMIN)
        me = (await product.http.get("/api/v1/auth/me", headers=admin)).json()["user"]
        given = await product.http.patch(f"/api/v1/users/{me['id']}", json={"password": self.NEW}, headers=admin)
        assert given.status_code == 409
        assert await statuses(product, admin) == [200]

    async def change(self, product: Product, headers: dict[str, str], current: str) -> httpx.Response:
        body = {"current_password": current, "new_password": self.NEW}
        return await product.http.put("/api/v1/auth/password", json=body, headers=headers)


class TestRegister:
    async def test_makes_a_customer_and_nothing_more(self, product: Product) -> None:
        tenant = await product.tenant()
        address = email()
        body = {"email": address.upper(), "password": PASSWORD}
        made = await product.http.post("/api/v1/auth/register", json=body, headers={"X-Widget-Key": tenant.widget_key})
        assert made.status_code == 201
        headers = await product.sign_in(address, **{"X-Widget-Key": tenant.widget_key})
        me = (await product.http.get("/api/v1/auth/me", headers=headers)).json()
        assert (me["role"], me["user"]["email"]) == ("customer", address)
        again = await product.http.post("/api/v1/auth/register", json=body, headers={"X-Widget-Key": tenant.widget_key})
        assert again.status_code == 409

    async def test_the_same_address_may_register_with_two_tenants(self, product: Product) -> None:
        address = email()
        for tenant in (await product.tenant(), await product.tenant()):
            made = await product.http.post(
                "/api/v1/auth/register", json={"email": address, "password": PASSWORD},
                headers={"X-Widget-Key": tenant.widget_key},
            )  # fmt: skip
            assert made.status_code == 201

    async def test_can_be_switched_off(self, product: Product) -> None:
        tenant = await product.tenant(registration=False)
        made = await product.http.post(
            "/api/v1/auth/register", json={"email": email(), "password": PASSWORD},
            headers={"X-Widget-Key": tenant.widget_key},
        )  # fmt: skip
        assert made.status_code == 403


class TestUsers:
    async def test_a_changed_role_ends_the_tokens(self, product: Product) -> None:
        tenant = await product.tenant()
        admin, agent = await product.staff(tenant, Role.ADMIN), await product.staff(tenant, Role.AGENT)
        user = (await product.http.get("/api/v1/auth/me", headers=agent)).json()["user"]
        changed = await product.http.patch(f"/api/v1/users/{user['id']}", json={"role": "admin"}, headers=admin)
        assert changed.json()["role"] == "admin"
        assert (await product.http.get("/api/v1/auth/me", headers=agent)).status_code == 401

    async def test_the_last_admin_stays(self, product: Product) -> None:
        tenant = await product.tenant()
        admin = await product.staff(tenant, Role.ADMIN)
        user = (await product.http.get("/api/v1/auth/me", headers=admin)).json()["user"]
        for change in ({"is_active": False}, {"role": "agent"}):
            answer = await product.http.patch(f"/api/v1/users/{user['id']}", json=change, headers=admin)
            assert answer.status_code == 409

    async def test_support_agent_is_an_accepted_name(self, product: Product) -> None:
        tenant = await product.tenant()
        admin = await product.staff(tenant, Role.ADMIN)
        body = {"email": email(), "password": PASSWORD, "role": "support_agent"}
        assert (await product.http.post("/api/v1/users", json=body, headers=admin)).json()["role"] == "agent"

    async def test_changes_are_in_the_audit_log_without_secrets(self, product: Product) -> None:
        tenant = await product.tenant()
        admin = await product.staff(tenant, Role.ADMIN)
        body = {"email": email(), "password": PASSWORD, "role": "agent"}
        await product.http.post("/api/v1/users", json=body, headers=admin)
        await product.http.patch("/api/v1/settings", json={"identity_secret": IDENTITY_SECRET}, headers=admin)
        entries = await product.rows(tenant, "select * from audit_log order by id")
        assert [entry["action"] for entry in entries] == ["user.added", "settings.changed"]
        assert PASSWORD not in str(entries)
        assert IDENTITY_SECRET not in str(entries)
        assert all(entry["address"] and entry["request_id"] for entry in entries)


class TestApiKeys:
    async def test_a_key_works_until_it_is_revoked_and_is_never_shown_again(self, product: Product) -> None:
        tenant = await product.tenant()
        admin = await product.staff(tenant, Role.ADMIN)
        made = (
            await product.http.post("/api/v1/api-keys", json={"name": "crm", "scopes": ["search"]}, headers=admin)
        ).json()
        headers = {"Authorization": f"Bearer {made['secret']}"}
        search = {"query": "How do I pay an invoice?"}
        assert (await product.http.post("/api/v1/search/unified", json=search, headers=headers)).status_code == 200
        listed = (await product.http.get("/api/v1/api-keys", headers=admin)).text
        assert made["secret"] not in listed
        await product.http.delete(f"/api/v1/api-keys/{made['id']}", headers=admin)
        assert (await product.http.post("/api/v1/search/unified", json=search, headers=headers)).status_code == 401

    async def test_a_server_speaks_for_its_own_customers(self, product: Product) -> None:
        tenant = await product.tenant()
        admin = await product.staff(tenant, Role.ADMIN)
        made = (
            await product.http.post("/api/v1/api-keys", json={"name": "crm", "scopes": ["chat"]}, headers=admin)
        ).json()
        first = await product.visitor(tenant, made["secret"], user_id="customer-1")
        again = await product.visitor(tenant, made["secret"], user_id="customer-1")
        customers = await product.rows(tenant, "select distinct customer_id from chat_sessions")
        assert len(customers) == 1
        assert (await first.ask("hello"))["message"]
        assert first.session_id != again.session_id


class TestSettings:
    async def test_change_and_validation(self, product: Product) -> None:
        tenant = await product.tenant()
        admin = await product.staff(tenant, Role.ADMIN)
        changed = await product.http.patch("/api/v1/settings", json={"greeting": "Moin!"}, headers=admin)
        assert (changed.status_code, changed.json()["greeting"]) == (200, "Moin!")
        assert (await product.visitor(tenant)).greeting == "Moin!"
        for wrong in (
            {"greeting": ""},
            {"answerable_at": 7},
            {"clarify_at": 0.9},  # above `answerable_at`
            {"unknown": 1},
            {"allowed_origins": ["javascript:alert(1)"]},
            {"allowed_origins": ["https://a.example:\u0664\u0664\u0663"]},  # no header can hold it
            {"link_hosts": ["a.example:\u0664\u0664\u0663"]},
            {"collections": ["no-such-collection"]},
        ):
            assert (await product.http.patch("/api/v1/settings", json=wrong, headers=admin)).status_code == 422
        assert (await product.http.get("/api/v1/settings", headers=admin)).json()["version"] == changed.json()[
            "version"
        ]


class TestIdentity:
    @pytest.fixture
    async def tenant(self, product: Product) -> Tenant:
        tenant = await product.tenant()
        admin = await product.staff(tenant, Role.ADMIN)
        set_secret = {"identity_secret": IDENTITY_SECRET, "require_identity": True}
        assert (await product.http.patch("/api/v1/settings", json=set_secret, headers=admin)).status_code == 200
        return tenant

    async def test_the_sites_word_makes_one_customer(self, product: Product, tenant: Tenant) -> None:
        headers = {"X-Widget-Key": tenant.widget_key}
        for _ in range(2):
            token = identity("user-7", email="seven@example.com", email_verified=True, audience=["trainee"])
            opened = await product.http.post(
                "/api/v1/chat/sessions", headers={**headers, "Authorization": f"Bearer {token}"}
            )
            assert opened.status_code == 201
            assert opened.json()["visitor_token"] is None
        customers = await product.rows(tenant, "select * from customers where external_id = 'user-7'")
        assert [(found["email"], found["audience"]) for found in customers] == [("seven@example.com", ["trainee"])]

    @pytest.mark.parametrize("verified", [True, False])
    async def test_a_word_without_an_address_says_nothing_about_the_one_before(
        self, product: Product, tenant: Tenant, verified: bool
    ) -> None:
        for claims in ({"email": "seven@example.com", "email_verified": verified}, {"email_verified": not verified}):
            token = identity("user-7", **claims)
            headers = {"X-Widget-Key": tenant.widget_key, "Authorization": f"Bearer {token}"}
            assert (await product.http.get("/api/v1/auth/me", headers=headers)).status_code == 200
        customers = await product.rows(tenant, "select email, email_verified from customers")
        assert customers == [{"email": "seven@example.com", "email_verified": verified}]

    @pytest.mark.parametrize(
        "token",
        [
            identity("user-7", secret="another secret of about the same length"),
            identity("user-7", life=timedelta(days=2)),
            identity("user-7", life=timedelta(minutes=-5)),
            jwt.encode({"sub": "user-7", "aud": "helpdesk"}, None, "none"),
            "not.a.token",
        ],
        ids=["foreign secret", "too long a life", "expired", "unsigned", "no token"],
    )
    async def test_a_false_word_is_refused(self, product: Product, tenant: Tenant, token: str) -> None:
        headers = {"X-Widget-Key": tenant.widget_key, "Authorization": f"Bearer {token}"}
        assert (await product.http.post("/api/v1/chat/sessions", headers=headers)).status_code == 401

    async def test_visitors_without_identity_are_refused_where_it_is_required(
        self, product: Product, tenant: Tenant
    ) -> None:
        opened = await product.http.post("/api/v1/chat/sessions", headers={"X-Widget-Key": tenant.widget_key})
        assert opened.status_code == 401

    async def test_a_visitor_from_before_the_rule_is_refused_too(self, product: Product) -> None:
        tenant = await product.tenant()
        admin = await product.staff(tenant, Role.ADMIN)
        visitor = await product.visitor(tenant)
        set_secret = {"identity_secret": IDENTITY_SECRET, "require_identity": True}
        assert (await product.http.patch("/api/v1/settings", json=set_secret, headers=admin)).status_code == 200
        for method, path in (
            ("post", "/api/v1/chat/sessions"),
            ("post", f"{visitor.url}/messages"),
            ("get", visitor.url),
        ):
            answer = await product.http.request(method, path, headers=visitor.headers, json={"message": "hello"})
            assert answer.status_code == 401, path
