"""The same conversation with the knowledge base elsewhere: in Chroma, or in a database of its own."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from agent.seeding import seed_all
from agent.settings import Settings
from memory.embedded import EmbeddedUrls
from memory.models import GLOBAL_TENANT
from tests.conftest import Cluster
from tests.product import Product, running, settings_for


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
