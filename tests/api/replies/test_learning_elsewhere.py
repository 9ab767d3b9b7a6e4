"""What drafts learn and rely on, with the knowledge base in a database of its own: no question may join the two."""

import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest_asyncio

from agent.replays.past import changed_since, past_draft
from kbs.articles.reindex import reindex
from memory.database import Database, open_owner
from memory.models import Tenant
from memory.tenancy import Principal, Role
from tests.conftest import Cluster
from tests.knowledge_desk import call, written
from tests.product import Product, Visitor, running, settings_for
from tests.reply_desk import approved, drafted, work
from tests.ticket_desk import opened
from tools.analytics import alerts
from tools.identity.provisioning import mirror_tenants
from tools.privacy.erasing import Stores, erase_customer

REPLY = (
    "Hello,\n\nYou can buy one apple pie at any of our stands with your kiwi coupon, and nothing else.\n\nKind regards"
)
QUESTION = "How many euros is a kiwi coupon worth?"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def product(postgres: Cluster) -> AsyncIterator[Product]:
    """With an empty knowledge base in another database."""
    urls, there = postgres.clone(), postgres.clone()
    with tempfile.TemporaryDirectory() as folder:
        async with running(settings_for(urls, CONNECTION_PG_VECTORDB=there.app, DATA_DIR=folder)) as started:
            yield started
    postgres.drop(urls)
    postgres.drop(there)


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(product: Product) -> Tenant:
    made = await product.tenant()
    urls = product.resources.urls
    async with open_owner(urls.owner) as owner, open_owner(urls.knowledge_owner) as knowledge:
        await mirror_tenants(owner, knowledge)
    return made


async def passages(database: Database, tenant: Tenant, source: str) -> int:
    async with database.connection(tenant.id) as connection:
        row = await (
            await connection.execute(
                "select count(*) as n from passages where tenant_id = %s and source = %s", (tenant.id, source)
            )
        ).fetchone()
    assert row
    found: int = row["n"]
    return found


async def test_a_reply_is_learned_there_found_again_rebuilt_and_forgotten(
    product: Product, tenant: Tenant, customer: Visitor
) -> None:
    parts, ada = product.resources, await product.staff(tenant, Role.ADMIN)
    await written(product, ada, "Kiwi", "A kiwi coupon is worth ten euros.")
    first = await drafted(product, ada, await opened(product, customer.headers, "Coupon", content=QUESTION))
    assert [source["source"] for source in first["sources"]] == ["tenant_kb"]
    await approved(product, ada, first, content=REPLY)
    await work(product, tenant)
    assert (
        await passages(parts.knowledge, tenant, "correction"),
        await passages(parts.database, tenant, "correction"),
    ) == (1, 0)
    other = await product.visitor(tenant)
    again = await drafted(product, ada, await opened(product, other.headers, "Coupon", content=QUESTION))
    assert again["warnings"]["corrections"]
    assert "apple pie" in again["content"]
    await reindex(parts.knowledge, parts.index, parts.embedder, tenant_id=tenant.id, lessons=parts.database)
    assert await passages(parts.knowledge, tenant, "correction") == 1

    [article] = (await call(product, "GET", "/articles", ada))["items"]
    await call(
        product, "PATCH", f"/articles/{article['id']}", ada, body="A kiwi coupon is worth nine euros.", publish=True
    )
    told = await call(product, "GET", f"/articles/{article['id']}/relied-on", ada)
    assert {item["kind"] for item in told["items"]} >= {"ticket_reply", "correction"}

    [row] = await product.rows(tenant, "select customer_id from chat_sessions where id = %s", UUID(customer.session_id))
    stores = Stores(database=parts.database, knowledge=parts.knowledge, index=parts.index, files=parts.files)
    await erase_customer(stores, Principal(tenant_id=tenant.id, role=Role.ADMIN), row["customer_id"])
    assert await passages(parts.knowledge, tenant, "correction") == 0


async def test_a_replay_knows_that_articles_changed_since(product: Product, tenant: Tenant, customer: Visitor) -> None:
    parts, ada = product.resources, await product.staff(tenant, Role.ADMIN)
    draft = await drafted(product, ada, await opened(product, customer.headers, "Coupon", content=QUESTION))
    async with parts.database.connection(tenant.id) as connection:
        past = await past_draft(connection, tenant.id, UUID(draft["id"]))
    in_force = {"prompt_version_id": draft["prompt_version_id"]}
    assert await changed_since(parts, tenant.id, past, in_force) == ()
    await written(product, ada, "Kiwi", "A kiwi coupon is worth ten euros.")
    assert await changed_since(parts, tenant.id, past, in_force) == ("knowledge",)


async def test_an_article_that_the_index_lost_is_an_alert(product: Product, tenant: Tenant) -> None:
    parts, ada = product.resources, await product.staff(tenant, Role.ADMIN)
    await written(product, ada, "Kiwi", "A kiwi coupon is worth ten euros.")
    with psycopg.connect(parts.urls.knowledge_owner or "") as connection:
        connection.execute("delete from passages where tenant_id = %s", (tenant.id,))
        connection.execute(
            "update kb_articles set updated_at = %s where tenant_id = %s",
            (datetime.now(UTC) - timedelta(hours=1), tenant.id),
        )
    task = parts.jobs.app.tasks["look_for_alerts"]
    await task.func(timestamp=0)
    async with parts.database.connection(tenant.id) as connection:
        found = await alerts.list_alerts(connection, alerts.AlertFilters())
    assert [(alert.kind, alert.data["articles"]) for alert in found] == [("stale_index", 1)]


async def test_a_gap_and_its_article_find_each_other(product: Product, tenant: Tenant, customer: Visitor) -> None:
    ada = await product.staff(tenant, Role.ADMIN)
    await customer.ask("Which opening hours does the cafeteria have?")
    [gap] = (await call(product, "GET", "/gaps?min_size=1", ada))["items"]
    article = await call(product, "POST", f"/gaps/{gap['id']}/draft", ada, 201)
    await call(product, "POST", f"/gaps/{gap['id']}/draft", ada, 409)
    await call(product, "POST", f"/gaps/{gap['id']}/resolve", ada, article_id=article["id"])
    assert (await call(product, "GET", f"/gaps/{gap['id']}", ada))["article_id"] == article["id"]
