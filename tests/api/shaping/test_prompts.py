"""Prompts over HTTP: the library, the tenant's own, their versions, and which one answers."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import UniqueViolation

from agent.seeding import seed_all
from memory.models import Tenant, new_id
from memory.tenancy import Role
from tests.product import Product, calls_to
from tools.identity.provisioning import seed_prompt
from tools.prompts.library import templates

URL = "/api/v1/prompts"
call = calls_to(URL)
QUESTION = "How do I reset my mailbox password?"
PARTS = {"system_prompt": "Be kind.", "context_template": "Known:\n{context}", "task_template": "{subject}\n{content}"}
Headers = dict[str, str]


async def made(product: Product, who: Headers, name: str = "Ours", **parts: str) -> dict[str, Any]:
    found: dict[str, Any] = await call(product, "POST", "", who, 201, name=name, **{**PARTS, **parts})
    return found


async def actions(product: Product, who: Headers) -> list[str]:
    answer = await product.http.get("/api/v1/audit", headers=who, params={"action": "prompt."})
    return [entry["action"] for entry in answer.json()["items"]]


class TestLibrary:
    async def test_every_tenant_sees_the_default_and_the_templates(self, product: Product, admin: Headers) -> None:
        found = (await call(product, "GET", "?whose=global&limit=100", admin))["items"]
        assert {prompt["name"] for prompt in found} >= {name for name, _, _ in templates()}
        assert [prompt["name"] for prompt in found if prompt["in_force"]] == ["Default support prompt"]
        assert all(prompt["is_global"] and prompt["description"] for prompt in found)
        assert (await call(product, "GET", "?whose=own", admin))["items"] == []

    async def test_a_template_is_copied_and_not_touched(self, product: Product, admin: Headers) -> None:
        [template] = [
            each for each in (await call(product, "GET", "", admin))["items"] if each["name"] == "Concise technical"
        ]
        path = f"/{template['id']}"
        for refused in ("/versions", "/activate", "/deactivate"):
            body = {"system_prompt": "Mine now."} if refused == "/versions" else {}
            await call(product, "POST", f"{path}{refused}", admin, 403, **body)
        copies = [await call(product, "POST", f"{path}/duplicate", admin, 201) for _ in range(2)]
        assert [copy["name"] for copy in copies] == ["Concise technical", "Concise technical 2"]
        assert copies[0]["system_prompt"] == template["system_prompt"]
        assert (copies[0]["is_global"], copies[0]["based_on"]) == (False, template["id"])
        await call(product, "POST", f"{path}/duplicate", admin, 409, name="Concise technical")

    async def test_seeding_again_changes_nothing(self, product: Product, admin: Headers) -> None:
        before = await call(product, "GET", "?whose=global&limit=100", admin)
        await seed_all(product.resources)
        assert await call(product, "GET", "?whose=global&limit=100", admin) == before

    async def test_a_changed_template_becomes_the_next_version(self, product: Product, admin: Headers) -> None:
        name = f"Planted {new_id().hex}"
        for text in ("One.", "One.", "Two."):
            await seed_prompt(product.owner, {**PARTS, "name": name, "system_prompt": text}, default=False)
        [found] = [each for each in (await call(product, "GET", "?limit=100", admin))["items"] if each["name"] == name]
        assert (found["version"], found["system_prompt"], found["in_force"]) == (2, "Two.", False)
        versions = await call(product, "GET", f"/{found['id']}/versions", admin)
        assert [each["version"] for each in versions["items"]] == [2, 1]


class TestVersions:
    async def test_an_edit_is_the_next_version_and_the_one_before_stays(self, product: Product, admin: Headers) -> None:
        first = await made(product, admin)
        second = await call(
            product, "POST", f"/{first['id']}/versions", admin, 201, system_prompt="Be brief.", note="shorter"
        )
        assert (second["version"], second["note"], second["based_on"]) == (2, "shorter", first["id"])
        assert second["task_template"] == PARTS["task_template"]
        again = await call(product, "GET", f"/{first['id']}", admin)
        assert (again["system_prompt"], again["version"], again["versions"]) == ("Be kind.", 1, 2)
        found = await call(product, "GET", f"/{second['id']}/diff", admin)
        assert (found["before"], list(found["parts"]), found["added"]) == (first["id"], ["system_prompt"], 1)
        assert "+Be brief." in found["unified"]
        back = await call(product, "GET", f"/{first['id']}/diff?against={second['id']}", admin)
        assert "-Be brief." in back["unified"]
        assert (await call(product, "GET", f"/{first['id']}/diff", admin))["unified"] == ""
        listed = (await call(product, "GET", "?whose=own", admin))["items"]
        assert [each["id"] for each in listed] == [second["id"]]

    async def test_only_the_newest_is_edited_and_only_to_something_else(self, product: Product, admin: Headers) -> None:
        first = await made(product, admin)
        await call(product, "POST", f"/{first['id']}/versions", admin, 422, system_prompt="Be kind.")
        await call(product, "POST", f"/{first['id']}/versions", admin, 422, note="nothing else")
        await call(product, "POST", f"/{first['id']}/versions", admin, 201, system_prompt="Two.")
        await call(product, "POST", f"/{first['id']}/versions", admin, 409, system_prompt="Three.")

    async def test_of_two_who_edit_at_once_one_wins(self, product: Product, admin: Headers) -> None:
        first = await made(product, admin)
        answers = await asyncio.gather(
            *(
                product.http.post(f"{URL}/{first['id']}/versions", json={"system_prompt": text}, headers=admin)
                for text in ("One.", "Two.", "Three.")
            )
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409]

    async def test_names_are_taken_once_a_tenant(self, product: Product, admin: Headers) -> None:
        await made(product, admin)
        await call(product, "POST", "", admin, 409, name="Ours", **PARTS)
        other = await product.staff(await product.tenant(), Role.ADMIN)
        await made(product, other)

    async def test_bad_parts_are_refused_by_name_and_not_repeated(self, product: Product, admin: Headers) -> None:
        answer = await call(product, "POST", "", admin, 422, **{**PARTS, "name": "x", "system_prompt": "{kanarie}"})
        assert "system_prompt, line 1: it takes no placeholders" in answer["detail"]
        assert "kanarie" not in str(answer)
        first = await made(product, admin)
        await call(product, "POST", f"/{first['id']}/versions", admin, 422, context_template="nothing")


class TestActivation:
    async def test_the_active_version_answers_and_each_answer_names_it(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        first = await made(product, admin)
        second = await call(product, "POST", f"/{first['id']}/versions", admin, 201, system_prompt="Be brief.")
        visitor = await product.visitor(tenant)
        named = []
        for chosen in (None, first, second):
            if chosen:
                await call(product, "POST", f"/{chosen['id']}/activate", admin)
                assert (await call(product, "GET", "/active", admin))["id"] == chosen["id"]
            await visitor.ask(QUESTION)
        await call(product, "POST", f"/{second['id']}/deactivate", admin)
        await visitor.ask(QUESTION)
        rows = await product.rows(
            tenant, "select prompt_version_id as id from chat_messages where author = 'bot' and turn_id is not null"
            " order by n",
        )  # fmt: skip
        named = [row["id"] for row in rows]
        assert named[1:3] == [UUID(first["id"]), UUID(second["id"])]
        assert named[0] == named[3] == UUID((await call(product, "GET", "/active", admin))["id"])
        assert (await call(product, "GET", "/active", admin))["is_global"]

    async def test_doing_it_again_changes_nothing(self, product: Product, admin: Headers) -> None:
        first = await made(product, admin)
        for _ in range(2):
            assert (await call(product, "POST", f"/{first['id']}/activate", admin))["in_force"]
        for _ in range(2):
            assert not (await call(product, "POST", f"/{first['id']}/deactivate", admin))["is_active"]
        assert await actions(product, admin) == ["prompt.deactivated", "prompt.activated", "prompt.created"]

    async def test_one_is_active_however_many_choose_at_once(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        ids = [(await made(product, admin, f"Prompt {n}"))["id"] for n in range(4)]
        answers = await asyncio.gather(
            *(product.http.post(f"{URL}/{each}/activate", headers=admin) for each in ids * 2)
        )
        assert {answer.status_code for answer in answers} == {200}
        rows = await product.rows(
            tenant, "select id from prompt_versions where tenant_id = %s and is_active", tenant.id
        )
        assert len(rows) == 1
        with pytest.raises(UniqueViolation):  # the constraint, whatever the code does
            await product.rows(tenant, "update prompt_versions set is_active = true where tenant_id = %s", tenant.id)

    async def test_whoever_saw_another_one_active_is_told(self, product: Product, admin: Headers) -> None:
        first, second = await made(product, admin, "First"), await made(product, admin, "Second")
        default = (await call(product, "GET", "/active", admin))["id"]
        await call(product, "POST", f"/{first['id']}/activate", admin, instead_of=default)
        await call(product, "POST", f"/{second['id']}/activate", admin, 409, instead_of=default)
        await call(product, "POST", f"/{second['id']}/activate", admin, instead_of=first["id"])

    async def test_a_tenant_may_require_a_replay_before(self, product: Product) -> None:
        tenant = await product.tenant(replay_before_activation=True)
        admin = await product.staff(tenant, Role.ADMIN)
        prompt = await made(product, admin)
        refused = await call(product, "POST", f"/{prompt['id']}/activate", admin, 409)
        assert refused["code"] == "replay_required"
        assert "POST /replays" in refused["detail"]


class TestWalls:
    async def test_agents_read_and_do_not_change(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        agent = await product.staff(tenant, Role.AGENT)
        prompt = await made(product, admin)
        assert (await call(product, "GET", f"/{prompt['id']}", agent))["name"] == "Ours"
        await call(product, "POST", f"/{prompt['id']}/activate", agent, 403)

    async def test_another_tenants_prompt_is_not_there(self, product: Product, admin: Headers) -> None:
        prompt = await made(product, admin)
        other = await product.staff(await product.tenant(), Role.ADMIN)
        for method, path in (("GET", ""), ("GET", "/diff"), ("POST", "/duplicate"), ("POST", "/activate")):
            await call(product, method, f"/{prompt['id']}{path}", other, 404)
        own = await made(product, other)
        await call(product, "GET", f"/{own['id']}/diff?against={prompt['id']}", other, 404)
        await call(product, "POST", f"/{own['id']}/activate", other, 404, instead_of=prompt["id"])
