"""One product for all API tests: seeded once, on a real socket."""

from collections.abc import AsyncIterator

import pytest_asyncio

from api.cli.setup import seed_all
from tests.conftest import Cluster
from tests.product import Product, running, settings_for


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def product(postgres: Cluster) -> AsyncIterator[Product]:
    """The embedded defaults: local embeddings, the extractive answerer, the whole global knowledge base."""
    settings = settings_for(postgres.clone())
    async with running(settings) as started:
        await seed_all(settings, started.resources)
        yield started
