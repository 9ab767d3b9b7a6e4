"""What the tests of drafts share: their people, and the product's parts with a model that answers from a script."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agent.resources import Resources
from tests.model_server import ModelServer
from tests.people import ada, customer, tenant
from tests.product import Product
from tests.reply_desk import with_a_model

__all__ = ["ada", "customer", "tenant"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def modelled(product: Product, provider: ModelServer) -> AsyncIterator[Resources]:
    async with with_a_model(product, provider) as parts:
        yield parts


@pytest.fixture
def parts(modelled: Resources, provider: ModelServer) -> Resources:
    provider.script()
    provider.requests.clear()
    modelled.models.breaker.forget()  # a provider that failed in the last test is a new one in this
    return modelled
