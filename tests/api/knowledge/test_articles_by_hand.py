"""Articles written by hand over HTTP: drafts beside what holds, versions, and no stale passage after any answer."""

import asyncio
from typing import Any

import pytest

from memory.models import Tenant, new_id
from memory.tenancy import Role
from tests.knowledge_desk import URL, Headers, call, found, written
from tests.product import Product

OLD = "A crimson voucher is worth ten euros and holds for a year."
NEW = "A crimson voucher is worth twenty euros and holds for a month."


async def listed(product: Product, who: Headers, **filters: Any) -> list[str]:
    answer = await product.http.get(f"{URL}/articles", headers=who, params=filters)
    assert answer.status_code == 200, answer.text
    return [item["ref"] for item in answer.json()["items"]]


class TestPublishing:
    async def test_an_edit_waits_beside_the_text_that_holds(self, product: Product, admin: Headers) -> None:
        article = await written(product, admin, "Crimson vouchers", OLD)
        edited = await call(product, "PATCH", f"/articles/{article['id']}", admin, body=NEW)
        assert (edited["version"], edited["published_version"], edited["draft_version"]) == (2, 1, 2)
        assert (await found(product, admin, "crimson voucher"))["crimson-vouchers"] == OLD
        await call(product, "POST", f"/articles/{article['id']}/publish", admin)
        assert (await found(product, admin, "crimson voucher"))["crimson-vouchers"] == NEW

    async def test_a_draft_is_found_by_nobody(self, product: Product, admin: Headers) -> None:
        article = await written(product, admin, "Crimson vouchers", OLD, publish=False)
        assert (article["status"], article["published_version"], article["draft_version"]) == ("draft", None, 1)
        assert await found(product, admin, "crimson voucher") == {}
        again = await call(product, "PATCH", f"/articles/{article['id']}", admin, body=NEW, title="Red vouchers")
        assert (again["status"], again["version"], again["draft_version"]) == ("draft", 2, 2)
        assert (await call(product, "GET", "/articles", admin))["items"][0]["title"] == "Red vouchers"

    async def test_what_was_searched_before_is_not_remembered(self, product: Product, admin: Headers) -> None:
        article = await written(product, admin, "Crimson vouchers", OLD)
        for number in range(3):
            text = f"A crimson voucher number {number} is worth {number} euros."
            assert await found(product, admin, "crimson voucher")  # kept by the cache
            await call(product, "PATCH", f"/articles/{article['id']}", admin, body=text, publish=True)
            assert await found(product, admin, "crimson voucher") == {"crimson-vouchers": text}

    async def test_withdrawn_is_gone_with_the_answer_and_comes_back(self, product: Product, admin: Headers) -> None:
        article = await written(product, admin, "Crimson vouchers", OLD)
        for _ in range(2):  # the second click changes nothing
            told = await call(product, "POST", f"/articles/{article['id']}/withdraw", admin)
            assert (told["status"], told["published_version"]) == ("withdrawn", None)
        assert await found(product, admin, "crimson voucher") == {}
        await call(product, "POST", f"/articles/{article['id']}/publish", admin)
        assert set(await found(product, admin, "crimson voucher")) == {"crimson-vouchers"}

    async def test_any_version_can_hold_again(self, product: Product, admin: Headers) -> None:
        article = await written(product, admin, "Crimson vouchers", OLD)
        await call(product, "PATCH", f"/articles/{article['id']}", admin, body=NEW, publish=True)
        back = await call(product, "POST", f"/articles/{article['id']}/publish", admin, number=1)
        assert (back["version"], back["published_version"]) == (2, 1)
        assert (await found(product, admin, "crimson voucher"))["crimson-vouchers"] == OLD

    async def test_a_draft_can_be_dropped(self, product: Product, admin: Headers) -> None:
        article = await written(product, admin, "Crimson vouchers", OLD)
        await call(product, "PATCH", f"/articles/{article['id']}", admin, body=NEW)
        told = await call(product, "POST", f"/articles/{article['id']}/discard", admin)
        assert (told["draft_version"], told["body"]) == (None, OLD)
        await call(product, "POST", f"/articles/{article['id']}/discard", admin, 409)

    async def test_what_supersedes_hides_the_older_and_gives_it_back(self, product: Product, admin: Headers) -> None:
        await written(product, admin, "Vouchers 2024", OLD, ref="vouchers-2024")
        newer = await written(product, admin, "Vouchers", NEW, ref="vouchers", supersedes=["vouchers-2024"])
        assert set(await found(product, admin, "crimson voucher")) == {"vouchers"}
        await call(product, "POST", f"/articles/{newer['id']}/withdraw", admin)
        assert set(await found(product, admin, "crimson voucher")) == {"vouchers-2024"}

    async def test_a_circle_is_refused(self, product: Product, admin: Headers) -> None:
        first = await written(product, admin, "A", OLD, ref="a", supersedes=["c"])
        await written(product, admin, "B", OLD, ref="b", supersedes=["a"])
        body = {"title": "C", "body": OLD, "ref": "c", "supersedes": ["b"], "publish": True}
        answer = await product.http.post(f"{URL}/articles", headers=admin, json=body)
        assert (answer.status_code, answer.json()["detail"][:12]) == (422, "`supersedes`")
        assert await listed(product, admin, status="published") == ["b", "a"]
        assert first["supersedes"] == ["c"]

    @pytest.mark.parametrize("end", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
    async def test_a_date_that_nobody_could_read_back_is_refused(
        self, product: Product, admin: Headers, end: str
    ) -> None:
        body = {"title": "A", "body": OLD, "effective_until": end}
        assert (await product.http.post(f"{URL}/articles", headers=admin, json=body)).status_code == 422
        article = await written(product, admin, "A", OLD, effective_until="9999-12-31T23:59:59Z")
        await call(product, "PATCH", f"/articles/{article['id']}", admin, 422, effective_from=end)
        assert (await call(product, "GET", f"/articles/{article['id']}", admin))["effective_until"] == (
            "9999-12-31T23:59:59Z"
        )

    async def test_dates_and_audience_hold(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        await written(product, admin, "Soon", OLD, effective_from="2999-01-01T00:00:00Z")
        await written(product, admin, "Past", OLD, effective_until="2020-01-01T00:00:00Z")
        await written(product, admin, "Instructors", NEW, audience=["Instructor"])
        assert set(await found(product, admin, "crimson voucher")) == {"instructors"}
        visitor = await product.visitor(tenant)
        assert "twenty" not in (await visitor.ask("What is a crimson voucher worth?"))["message"]
        await product.set_audience(tenant, visitor, "instructor")
        assert "twenty" in (await visitor.ask("What is a crimson voucher worth?"))["message"]


class TestLocking:
    async def test_an_older_version_is_refused(self, product: Product, admin: Headers) -> None:
        article = await written(product, admin, "Crimson vouchers", OLD)
        path = f"/articles/{article['id']}"
        await call(product, "PATCH", path, admin, body=NEW, version=1)
        for method, what, body in (
            ("PATCH", "", {"body": "Mine."}), ("POST", "/publish", {}), ("POST", "/withdraw", {}), ("POST", "/discard", {}),
        ):  # fmt: skip
            await call(product, method, f"{path}{what}", admin, 409, version=1, **body)
        answer = await product.http.delete(f"{URL}{path}", headers=admin, params={"version": 1})
        assert answer.status_code == 409
        assert (await call(product, "GET", path, admin))["version"] == 2

    async def test_of_many_at_once_one_wins_each_version(self, product: Product, admin: Headers) -> None:
        article = await written(product, admin, "Crimson vouchers", OLD)
        url = f"{URL}/articles/{article['id']}"
        bodies = [{"body": f"Writer {n} says so.", "version": 1, "publish": n % 2 == 0} for n in range(8)]
        answers = await asyncio.gather(*(product.http.patch(url, headers=admin, json=body) for body in bodies))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
        assert (await call(product, "GET", f"/articles/{article['id']}", admin))["version"] == 2

    async def test_one_of_many_gets_a_ref(self, product: Product, admin: Headers) -> None:
        bodies = [{"title": "T", "body": f"{n}.", "ref": "same", "publish": n % 2 == 0} for n in range(6)]
        answers = await asyncio.gather(
            *(product.http.post(f"{URL}/articles", headers=admin, json=body) for body in bodies)
        )
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5

    async def test_a_title_twice_makes_two_refs(self, product: Product, admin: Headers) -> None:
        refs = [(await written(product, admin, "Où? Größe & Co.", OLD))["ref"] for _ in range(2)]
        assert refs == ["où-größe-co", "où-größe-co-2"]


class TestReading:
    async def test_every_text_stays_with_who_wrote_it(self, product: Product, admin: Headers) -> None:
        article = await written(product, admin, "Crimson vouchers", OLD, note="first")
        await call(product, "PATCH", f"/articles/{article['id']}", admin, body=NEW, tags=["gift"], note="worth more")
        versions = (await call(product, "GET", f"/articles/{article['id']}/versions", admin))["items"]
        assert [(v["version"], v["note"], v["published"], v["draft"]) for v in versions] == [
            (2, "worth more", False, True), (1, "first", True, False),
        ]  # fmt: skip
        assert all(version["author"].startswith("user:") for version in versions)
        older = await call(product, "GET", f"/articles/{article['id']}?version=1", admin)
        assert (older["body"], older["tags"], older["shown_version"]) == (OLD, [], 1)
        await call(product, "GET", f"/articles/{article['id']}?version=3", admin, 404)

    async def test_two_versions_are_compared_line_by_line(self, product: Product, admin: Headers) -> None:
        article = await written(product, admin, "Vouchers", "# Vouchers\n\nOne.\nTwo.\nThree.")
        path = f"/articles/{article['id']}"
        await call(product, "PATCH", path, admin, body="# Vouchers\n\nOne.\n2.\nThree.\nFour.", tags=["gift"])
        told = await call(product, "GET", f"{path}/diff", admin)
        assert (told["from_version"], told["to_version"]) == (1, 2)
        assert told["fields"] == {"tags": {"from": [], "to": ["gift"]}}
        assert [(c["from_line"], c["to_line"], c["removed"], c["added"]) for c in told["changes"]] == [
            (4, 4, ["Two."], ["2."]), (6, 6, [], ["Four."]),
        ]  # fmt: skip
        assert (await call(product, "GET", f"{path}/diff?from=2&to=2", admin))["changes"] == []
        await call(product, "GET", f"{path}/diff?from=1&to=9", admin, 404)

    async def test_lists_are_filtered_and_paged(self, product: Product, admin: Headers) -> None:
        await written(product, admin, "A", "About zebras.", category="animals", tags=["x", "y"])
        await written(product, admin, "B", "About tigers.", category="animals", publish=False)
        article = await written(product, admin, "C", "About cars.", audience=["driver"], collection="garage")
        await call(product, "PATCH", f"/articles/{article['id']}", admin, body="About 100% electric cars.")
        for filters, wanted in (
            ({}, ["c", "b", "a"]), ({"category": "animals"}, ["b", "a"]), ({"tag": "y"}, ["a"]),
            ({"status": "draft"}, ["b"]), ({"audience": "Driver"}, ["c"]), ({"collection": "garage"}, ["c"]),
            ({"q": "ZEBRA"}, ["a"]), ({"q": "100% electric"}, ["c"]), ({"q": "%"}, ["c"]), ({"has_draft": True}, ["c", "b"]),
            ({"status": ["draft", "published"], "tag": "x"}, ["a"]), ({"category": "' or 1=1"}, []),
        ):  # fmt: skip
            assert await listed(product, admin, **filters) == wanted, filters
        first = await call(product, "GET", "/articles?limit=2", admin)
        rest = await call(product, "GET", f"/articles?limit=2&cursor={first['next_cursor']}", admin)
        assert [item["ref"] for item in first["items"] + rest["items"]] == ["c", "b", "a"]
        assert rest["next_cursor"] is None

    async def test_global_articles_are_read_where_they_are_used_and_never_written(
        self, product: Product, admin: Headers
    ) -> None:
        answer = await product.http.get(f"{URL}/articles", headers=admin, params={"owner": "global", "limit": 1})
        [article] = answer.json()["items"]
        path = f"/articles/{article['id']}"
        assert (await call(product, "GET", path, admin))["owner"] == "global"
        for method, what in (("PATCH", ""), ("POST", "/publish"), ("POST", "/withdraw"), ("DELETE", "")):
            answer = await product.http.request(method, f"{URL}{path}{what}", headers=admin,
                                                json={"title": "Mine"} if method == "PATCH" else None)  # fmt: skip
            assert answer.status_code == 403, what
        answer = await product.http.patch("/api/v1/settings", headers=admin, json={"collections": []})
        assert answer.status_code == 200
        await call(product, "GET", path, admin, 404)
        assert await listed(product, admin, owner="all") == []

    async def test_another_tenants_article_is_none(self, product: Product, admin: Headers) -> None:
        article = await written(product, admin, "Crimson vouchers", OLD)
        stranger = await product.staff(await product.tenant(), Role.ADMIN)
        for what in ("", "/versions", "/diff"):
            await call(product, "GET", f"/articles/{article['id']}{what}", stranger, 404)
        assert await found(product, stranger, "crimson voucher") == {}
        assert await listed(product, stranger, q="crimson") == []


class TestDeleting:
    async def test_what_is_deleted_stays_as_proof(self, product: Product, admin: Headers) -> None:
        article = await written(product, admin, "Crimson vouchers", OLD)
        path = f"/articles/{article['id']}"
        for _ in range(2):
            await call(product, "DELETE", path, admin, 204)
        assert await found(product, admin, "crimson voucher") == {}
        assert await listed(product, admin) == []
        assert await listed(product, admin, status="deleted") == ["crimson-vouchers"]
        assert (await call(product, "GET", path, admin))["body"] == OLD
        for method, what in (("POST", "/publish"), ("PATCH", ""), ("POST", "/withdraw")):
            await call(product, method, f"{path}{what}", admin, 409, **({"title": "x"} if method == "PATCH" else {}))

    async def test_erased_is_nowhere(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        article = await written(product, admin, "Erasable zanzibar", "The zanzibar rule of Mr Doe.")
        visitor = await product.visitor(tenant)
        assert (await visitor.ask("What is the zanzibar rule?"))["sources"]
        await call(product, "DELETE", f"/articles/{article['id']}?erase=true", admin, 204)
        for table in ("kb_articles", "kb_article_versions", "passages", "kb_references"):
            rows = await product.rows(tenant, f"select t::text as row from {table} t where tenant_id = %s", tenant.id)
            assert not [row for row in rows if "rule of Mr Doe" in row["row"]], table
        assert (await call(product, "GET", f"/articles/{article['id']}", admin))["body"] == ""


class TestAudit:
    async def test_every_change_is_noted_with_who_made_it(self, product: Product, admin: Headers) -> None:
        article = await written(product, admin, "Crimson vouchers", OLD)
        path = f"/articles/{article['id']}"
        await call(product, "PATCH", path, admin, body=NEW)
        await call(product, "PATCH", path, admin, body=NEW)  # the same: nothing happens
        await call(product, "POST", f"{path}/discard", admin)
        await call(product, "POST", f"{path}/publish", admin, number=2)
        await call(product, "POST", f"{path}/withdraw", admin)
        await call(product, "DELETE", path, admin, 204)
        answer = await product.http.get("/api/v1/audit", headers=admin, params={"object_id": article["id"]})
        actions = [entry["action"].removeprefix("article.") for entry in answer.json()["items"]]
        assert actions == ["deleted", "withdrawn", "published", "draft_discarded", "edited", "created"]

    async def test_a_change_that_fails_leaves_nothing(self, product: Product, admin: Headers) -> None:
        for body in ({"body": " "}, {"title": ""}, {"tags": None}, {"body": "e" + "\u0301" * 40}, {"body": "x" * 200_001},
                     {"effective_from": "2026-01-02T00:00:00Z", "effective_until": "2026-01-01T00:00:00Z"}):  # fmt: skip
            article = await written(product, admin, f"V {new_id()}", OLD)
            await call(product, "PATCH", f"/articles/{article['id']}", admin, 422, **body)
            assert (await call(product, "GET", f"/articles/{article['id']}", admin))["version"] == 1
