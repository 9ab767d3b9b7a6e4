"""What the tools' tests share: the model that embeds on this machine."""

from collections.abc import AsyncIterator

import pytest_asyncio

from kbs.embedders import open_embedder
from kbs.embeddings import Embedder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def embedder() -> AsyncIterator[Embedder]:
    async with open_embedder("minilm", base_url=None, api_key=None, cache=None) as opened:
        yield opened
