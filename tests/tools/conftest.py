"""What the tools' tests share: the model that embeds on this machine."""

from collections.abc import AsyncIterator

import pytest_asyncio

from kbs.embedding.embedder import Embedder
from kbs.embedding.opening import open_embedder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def embedder() -> AsyncIterator[Embedder]:
    async with open_embedder("minilm", base_url=None, api_key=None, cache=None) as opened:
        yield opened
