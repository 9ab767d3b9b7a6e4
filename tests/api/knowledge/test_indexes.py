"""The same conversation with the knowledge base elsewhere: in Chroma, or in a database of its own."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from agent.seeding import seed_all
from agent.settings import Settings
from memory.database import open_owner
from memory.embedded import EmbeddedUrls
from memory.models import GLOBAL_TENANT
from memory.tenancy import Role
from tests.conftest import Cluster
from tests.knowledge_desk import call, found, uploaded, worked, written
from tests.product import Product, running, settings_for
from tools.identity.provisioning import mirror_tenants


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["chroma", "another database"])
async def elsewhere(request: pytest.FixtureRequest, postgres: Cluster) -> AsyncIterator[Product]:
    """One collection is enough here."""
    urls = postgres.clone()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("agent.seeding.global_collections", lambda: ("cyber-training",))
        settings = _settings(request.param, postgres, urls, Path(folder))
        async with running(settings) as started:
            await seed_all(started.resources)
            yield started


def _settings(kind: str, postgres: Cluster, urls: EmbeddedUrls, folder: Path) -> Settings:
    if kind == "chroma":
        return settings_for(urls, KNOWLEDGE_INDEX="chroma", DATA_DIR=folder)
    return settings_for(urls, CONNECTION_PG_VECTORDB=postgres.clone().app)


async def test_an_answer_cites_its_article(elsewhere: Product) -> None:
    answer = await (await elsewhere.visitor(await elsewhere.tenant())).ask("My lab is stuck on provisioning")
    assert "lab-stuck-provisioning" in [source["id"] for source in answer["sources"]]


async def test_audiences_hold(elsewhere: Product) -> None:
    tenant = await elsewhere.tenant()
    question = "How many hours is the safety snapshot kept when an instructor resets a trainee's VM?"
    trainee, instructor = await elsewhere.visitor(tenant), await elsewhere.visitor(tenant)
    await elsewhere.set_audience(tenant, trainee, "trainee")
    await elsewhere.set_audience(tenant, instructor, "instructor")
    assert "vm-instructor-guide" in str((await instructor.ask(question))["sources"])
    assert "vm-instructor-guide" not in str((await trainee.ask(question))["sources"])


async def test_an_article_by_hand_is_found_and_gone_with_each_answer(elsewhere: Product) -> None:
    tenant = await elsewhere.tenant()
    if elsewhere.resources.knowledge is not elsewhere.resources.database:
        admin = await elsewhere.staff(tenant, Role.ADMIN)
        body = {"title": "Kiwi", "body": "A kiwi coupon is worth ten euros."}
        answer = await elsewhere.http.post("/api/v1/kb/articles", headers=admin, json=body)
        assert (answer.status_code, "helpdesk seed" in answer.text) == (503, True)  # the tenant is new there
        urls = elsewhere.resources.urls
        async with open_owner(urls.owner) as owner, open_owner(urls.knowledge_owner) as knowledge:
            await mirror_tenants(owner, knowledge)
    admin = await elsewhere.staff(tenant, Role.ADMIN)
    article = await written(elsewhere, admin, "Kiwi", "A kiwi coupon is worth ten euros.")
    for text in ("A kiwi coupon is worth twenty euros.", "A kiwi coupon is worth thirty euros."):
        assert await found(elsewhere, admin, "kiwi coupon")
        await call(elsewhere, "PATCH", f"/articles/{article['id']}", admin, body=text, publish=True)
        assert await found(elsewhere, admin, "kiwi coupon") == {"kiwi": text}
    job = await uploaded(elsewhere, admin, ("kiwi.md", b"---\nid: kiwi\ntitle: Kiwi\n---\nA kiwi coupon is gone."))
    assert job["changed"] == 1
    assert await found(elsewhere, admin, "kiwi coupon") == {"kiwi": "A kiwi coupon is gone."}
    rebuilt = await worked(elsewhere, admin, await call(elsewhere, "POST", "/rebuild", admin, 202))
    assert (rebuilt["status"], rebuilt["passages"]) == ("done", 1)
    await call(elsewhere, "POST", f"/articles/{article['id']}/withdraw", admin)
    assert await found(elsewhere, admin, "kiwi coupon") == {}
    told = await call(elsewhere, "GET", "/status", admin)
    assert (told["withdrawn"], told["passages"], told["vectors"], told["is_whole"]) == (1, 0, 0, True)
    noted = await elsewhere.http.get("/api/v1/audit", headers=admin, params={"object_id": article["id"]})
    assert [entry["action"] for entry in noted.json()["items"]] == ["article.withdrawn"] + ["article.edited"] * 3 + [
        "article.created"
    ]


async def test_passages_are_where_they_were_told_to_be(elsewhere: Product) -> None:
    resources = elsewhere.resources
    with psycopg.connect(resources.urls.owner or "") as connection:
        [here] = connection.execute("select count(*) from embeddings_384").fetchone() or (0,)
        [rows] = connection.execute("select count(*) from passages").fetchone() or (0,)
    if resources.settings.knowledge.index == "chroma":
        assert (here, rows > 0) == (0, True)
    else:
        assert (here, rows) == (0, 0)
    assert await resources.index.count(GLOBAL_TENANT) > 0
