"""The audit log: who did what to what, for admins to read, and for nobody to change."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from memory import audit
from memory.models import Tenant, new_id
from memory.tenancy import Principal, Role
from tests.product import PASSWORD, Product

URL = "/api/v1/audit"


class Reader:
    """An admin who reads the log."""

    def __init__(self, product: Product, tenant: Tenant, headers: dict[str, str], me: dict[str, Any]) -> None:
        self.product, self.tenant, self.headers, self.me = product, tenant, headers, me

    async def read(self, expect: int = 200, **params: Any) -> dict[str, Any]:
        found = await self.product.http.get(URL, params=params, headers=self.headers)
        assert found.status_code == expect, found.text
        answer: dict[str, Any] = found.json()
        return answer

    async def actions(self, **params: Any) -> list[str]:
        return [item["action"] for item in (await self.read(**params))["items"]]

    async def export(self, **params: Any) -> list[dict[str, str]]:
        found = await self.product.http.get(f"{URL}/export", params=params, headers=self.headers)
        assert found.status_code == 200, found.text
        assert found.headers["content-type"] == "text/csv; charset=utf-8"
        assert found.headers["content-disposition"] == 'attachment; filename="audit.csv"'
        return list(csv.DictReader(io.StringIO(found.text)))

    async def write(self, principal: Principal, action: str, object_id: UUID | str = "x", **options: Any) -> None:
        async with self.product.resources.database.connection(self.tenant.id) as connection:
            await audit.write(connection, principal, action, "thing", object_id, **options)


@pytest.fixture
async def reader(product: Product) -> Reader:
    tenant = await product.tenant()
    headers = await product.staff(tenant, Role.ADMIN)
    me = (await product.http.get("/api/v1/auth/me", headers=headers)).json()["user"]
    return Reader(product, tenant, headers, me)


def system(tenant: Tenant) -> Principal:
    return Principal(tenant_id=tenant.id, role=Role.ADMIN)


class TestReading:
    async def test_names_who_did_what_to_what_from_where(self, product: Product, reader: Reader) -> None:
        made = await product.http.post(
            "/api/v1/api-keys", json={"name": "shop", "scopes": ["tickets"]}, headers=reader.headers
        )
        [entry] = (await reader.read(action="api_key.added"))["items"]
        assert entry["id"]
        assert (entry["actor_type"], entry["actor_id"], entry["actor_name"]) == (
            "user", reader.me["id"], reader.me["email"],
        )  # fmt: skip
        assert (entry["object_type"], entry["object_id"]) == ("api_key", made.json()["id"])
        assert entry["changes"] == {"scopes": ["tickets"]}
        assert (entry["address"], entry["request_id"]) == ("127.0.0.1", made.headers["x-request-id"])
        assert abs(datetime.now(UTC) - datetime.fromisoformat(entry["created_at"])) < timedelta(minutes=1)

    async def test_every_kind_of_actor_has_a_name(self, product: Product, reader: Reader) -> None:
        made = await product.http.post(
            "/api/v1/api-keys", json={"name": "shop", "scopes": ["tickets"]}, headers=reader.headers
        )
        tenant_id, customer_id = reader.tenant.id, new_id()
        async with product.resources.database.connection(tenant_id) as connection:
            await connection.execute(
                "insert into customers (id, tenant_id, email, email_verified, name, visitor_epoch)"
                " values (%s, %s, 'cleo@example.com', false, '', 0)",
                (customer_id, tenant_id),
            )
        key = Principal(tenant_id=tenant_id, role=Role.AGENT, user_id=UUID(made.json()["id"]), is_server=True)
        customer = Principal(tenant_id=tenant_id, role=Role.CUSTOMER, customer_id=customer_id)
        for principal in (key, customer, system(reader.tenant)):
            await reader.write(principal, "thing.done")
        items = (await reader.read(action="thing.done"))["items"]
        assert [(item["actor_type"], item["actor_name"]) for item in items] == [
            ("system", None), ("customer", "cleo@example.com"), ("key", "shop"),
        ]  # fmt: skip
        assert [item["action"] for item in (await reader.read(actor="system"))["items"]] == ["thing.done"]
        assert await reader.actions(actor=str(customer_id)) == ["thing.done"]
        assert await reader.actions(actor=made.json()["id"]) == ["thing.done"]

    async def test_filters(self, product: Product, reader: Reader) -> None:
        me = Principal(tenant_id=reader.tenant.id, role=Role.ADMIN, user_id=UUID(reader.me["id"]))
        start = datetime.now(UTC)
        one, two = new_id(), new_id()
        await reader.write(me, "thing.made", one)
        await reader.write(me, "thing.changed", one)
        middle = datetime.now(UTC)
        await reader.write(system(reader.tenant), "thing.made", two)
        await reader.write(system(reader.tenant), "thingummy.made", two)
        everything = ["thingummy.made", "thing.made", "thing.changed", "thing.made"]
        for params, expected in (
            ({"created_from": start.isoformat()}, everything),
            ({"created_from": middle.isoformat()}, everything[:2]),
            ({"created_from": start.isoformat(), "created_to": middle.isoformat()}, everything[2:]),
            ({"created_to": start.isoformat(), "object_type": "thing"}, []),
            ({"created_from": "9999-01-01T00:00:00Z"}, []),
            ({"created_to": "0001-01-01T00:00:00Z"}, []),
            ({"action": "thing."}, everything[1:]),
            ({"action": "thing.made"}, ["thing.made", "thing.made"]),
            ({"action": "thing"}, []),
            ({"action": "%."}, []),
            ({"object_id": str(one)}, everything[2:]),
            ({"object_type": "thing", "object_id": str(two)}, everything[:2]),
            ({"object_type": "nothing"}, []),
            ({"actor": reader.me["email"].upper(), "object_type": "thing"}, everything[2:]),
            ({"actor": reader.me["id"], "object_type": "thing"}, everything[2:]),
            ({"actor": "system"}, everything[:2]),
            ({"actor": "nobody@example.com"}, []),
            ({"actor": "system", "action": "thing.made", "object_id": str(two)}, ["thing.made"]),
        ):
            assert await reader.actions(**params) == expected, params

    async def test_pages_neither_skip_nor_repeat(self, reader: Reader) -> None:
        for n in range(7):
            await reader.write(system(reader.tenant), f"thing.{n}")
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = await reader.read(limit=3, action="thing.", **cursor)
            seen += [item["action"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert seen == [f"thing.{n}" for n in reversed(range(7))]

    @pytest.mark.parametrize(
        "params",
        [{"created_from": "2026-01-01T00:00:00"}, {"created_to": "soon"}, {"actor": ""}, {"limit": 101}, {"cursor": "x"},
         {"action": "x" * 101}],
        ids=str,
    )  # fmt: skip
    async def test_what_is_no_question_is_refused(self, reader: Reader, params: dict[str, Any]) -> None:
        await reader.read(expect=422, **params)

    async def test_another_tenants_entries_are_not_there(self, product: Product, reader: Reader) -> None:
        other = await product.tenant()
        headers = await product.staff(other, Role.ADMIN)
        made = await product.http.post("/api/v1/api-keys", json={"name": "theirs", "scopes": ["chat"]}, headers=headers)
        assert await reader.actions(object_id=made.json()["id"]) == []
        assert not [row for row in await reader.export() if row["object_id"] == made.json()["id"]]

    async def test_holds_no_secret(self, product: Product, reader: Reader) -> None:
        post = product.http.post
        key = (await post("/api/v1/api-keys", json={"name": "k", "scopes": ["chat"]}, headers=reader.headers)).json()
        hook = (
            await post(
                "/api/v1/webhooks", json={"url": "https://hooks.acme.example/canary", "events": ["*"]},
                headers=reader.headers,
            )
        ).json()  # fmt: skip
        identity = "canary-of-an-identity-secret-0123456789"
        await product.http.patch("/api/v1/settings", json={"identity_secret": identity}, headers=reader.headers)
        await post(
            "/api/v1/users", json={"email": f"{new_id().hex}@example.com", "password": PASSWORD, "role": "agent"},
            headers=reader.headers,
        )  # fmt: skip
        written = (await product.http.get(URL, headers=reader.headers)).text
        assert len((await reader.read())["items"]) >= 4
        for secret in (key["secret"], hook["secret"], identity, PASSWORD, "canary"):
            assert secret not in written


class TestExport:
    async def test_is_what_is_read_and_runs_nothing_in_a_spreadsheet(self, reader: Reader) -> None:
        evil = {"name": '=HYPERLINK("http://evil")', "note": 'a "quoted", b\nnext'}
        await reader.write(system(reader.tenant), "=cmd|' /C calc'!A0", "@SUM(1)", changes=evil, address="+1")
        [row] = await reader.export(object_type="thing")
        assert (row["action"], row["object_id"], row["address"]) == ("'=cmd|' /C calc'!A0", "'@SUM(1)", "'+1")
        assert row["changes"].startswith("{")
        assert (row["actor_type"], row["actor_name"]) == ("system", "")

    async def test_goes_over_pages(self, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("api.routes.audit.EXPORT_PAGE", 4)
        for n in range(10):
            await reader.write(system(reader.tenant), f"thing.{n}")
        rows = await reader.export(object_type="thing")
        assert [row["action"] for row in rows] == [f"thing.{n}" for n in reversed(range(10))]
        monkeypatch.setattr("api.routes.audit.EXPORT_MOST", 8)
        assert len(await reader.export(object_type="thing")) == 8


class TestAppendOnly:
    @pytest.mark.parametrize(
        "statement",
        ["update audit_log set actor = 'user:nobody'", "delete from audit_log", "truncate audit_log",
         "alter table audit_log disable row level security", "drop table audit_log"],
    )  # fmt: skip
    async def test_the_applications_role_cannot_change_what_was_written(self, reader: Reader, statement: str) -> None:
        await reader.write(system(reader.tenant), "thing.done")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with reader.product.resources.database.connection(reader.tenant.id) as connection:
                await connection.execute(statement)  # type: ignore[call-overload]
        assert await reader.actions(action="thing.done") == ["thing.done"]

    async def test_an_entry_that_was_written_with_a_failed_change_is_gone_with_it(self, reader: Reader) -> None:
        async def broken() -> None:
            async with reader.product.resources.database.connection(reader.tenant.id) as connection:
                await audit.write(connection, system(reader.tenant), "thing.lost", "thing", "x")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await broken()
        assert await reader.actions(action="thing.lost") == []
