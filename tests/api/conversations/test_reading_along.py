"""How many streams one caller may hold open."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from api import sse
from tests.product import Product


async def test_a_caller_who_opens_too_many_streams_is_told_to_close_one(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "MOST_OPEN", 5)
    visitor = await product.visitor(await product.tenant())
    url = f"{visitor.url}/events"
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(visitor.follow()) for _ in range(5)]
        for events in opened:
            await anext(events)
        refused = await product.http.get(url, headers=visitor.headers)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "1"
        other = await product.visitor(await product.tenant())
        async with other.follow() as events:
            assert (await anext(events)).type == "message.created"
    async with asyncio.timeout(5):
        while sse.READERS._open:
            await asyncio.sleep(0.01)
    async with visitor.follow() as events:
        assert (await anext(events)).type == "message.created"
