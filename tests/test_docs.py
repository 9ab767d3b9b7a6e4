"""What the documentation shows is run: the page on tools, and the README's names."""

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent.settings import variables
from memory.models import Tenant
from memory.tenancy import Principal, Role
from memory.turns import Lease
from tests.product import Product
from tools import catalog
from tools.context import TurnContext
from tools.tenants import TenantOptions

ROOT = Path(__file__).parent.parent


@pytest.fixture
def page() -> dict[str, Any]:
    """The names that the page's code blocks define, run in order."""
    text = (ROOT / "docs" / "add-a-tool.md").read_text("utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "docs/add-a-tool.md", "exec"), names)
    return names


async def context_of(product: Product, tenant: Tenant, session_id: str) -> TurnContext:
    [row] = await product.rows(tenant, "select customer_id from chat_sessions where id = %s", session_id)
    lease = Lease(
        tenant_id=tenant.id, session_id=UUID(session_id), turn_id=UUID(int=1), fence=1, epoch=0, started_n=1,
    )  # fmt: skip

    async def search(query: str) -> Any:
        raise AssertionError("this tool does not search")

    return TurnContext(
        principal=Principal(tenant_id=tenant.id, role=Role.CUSTOMER, customer_id=row["customer_id"]),
        lease=lease, database=product.resources.database, streams=product.resources.streams, options=TenantOptions(),
        search=search,
    )  # fmt: skip


class TestAddATool:
    async def test_the_pages_tool_works_and_stays_with_its_customer(
        self, product: Product, page: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(catalog, "CATALOG", (*catalog.CATALOG, page["ORDER_STATE"]))
        tenant = await product.tenant()
        mine, theirs = await product.visitor(tenant), await product.visitor(tenant)
        await mine.http.post("/api/v1/tickets", json={"subject": "Order AB-1234", "content": "x"}, headers=mine.headers)
        own = await context_of(product, tenant, mine.session_id)
        foreign = await context_of(product, tenant, theirs.session_id)
        arguments = {"order": "AB-1234", "customer_id": str(own.customer_id)}
        assert (await catalog.call(own, "order_state", arguments)).text == "The state of Order AB-1234 is open."
        assert "no such order" in (await catalog.call(foreign, "order_state", arguments)).text
        wrong = await catalog.call(own, "order_state", {"order": "'; drop table tickets"})
        assert (wrong.ok, "do not fit" in wrong.text) == (False, True)

    def test_a_model_sees_only_what_its_caller_may_use(
        self, page: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(catalog, "CATALOG", (*catalog.CATALOG, page["ORDER_STATE"]))
        assert "order_state" in {tool.name for tool in catalog.tools_for(Role.CUSTOMER)}
        assert "order_state" not in {tool.name for tool in catalog.tools_for(Role.AGENT)}
        for tool in catalog.tools_for(Role.CUSTOMER):
            parameters = tool.schema()["function"]["parameters"]["properties"]
            assert not {"tenant_id", "customer_id", "session_id", "user_id"} & set(parameters)


class TestReadme:
    def test_every_setting_is_there_and_none_that_is_not(self) -> None:
        readme = (ROOT / "README.md").read_text("utf-8")
        named = set(re.findall(r"^\| `([A-Z_]+)`", readme, re.MULTILINE))
        assert named == variables()

    def test_its_commands_exist(self) -> None:
        from api.cli import COMMANDS

        readme = (ROOT / "README.md").read_text("utf-8")
        assert set(re.findall(r"helpdesk ([a-z]+(?:-[a-z]+)*)", readme)) - {"is"} <= set(COMMANDS)
        assert set(re.findall(r"^make (\w+)", readme, re.MULTILINE)) <= set(
            re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        )
