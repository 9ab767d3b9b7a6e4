"""What the API's tests share: their people, the product with a model, and a receiver that it knows from its start."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.model_server import ModelServer
from tests.people import ada, admin, bert, customer, tenant
from tests.product import Product, beside, with_models_of
from tests.receiver import Receiver, receiving

__all__ = ["ada", "admin", "bert", "customer", "tenant"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def modelled(product: Product, provider: ModelServer) -> AsyncIterator[Product]:
    async with beside(product, **with_models_of(provider)) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened
