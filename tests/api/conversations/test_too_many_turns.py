"""More questions than can be begun: refused before anything is stored, and early where somebody does not wait."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from agent.turns.admission import Admission
from memory.errors import TooMany
from memory.models import Tenant
from tests.product import Product


@pytest.fixture
async def full(product: Product, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Admission:
    """One place, which is taken, and a row of this tenant's turns before it."""
    admission = Admission(at_once=1, patience_s=0.0)
    monkeypatch.setattr(product.resources.turns, "admission", admission)
    return admission


async def test_a_question_too_many_is_refused_and_not_stored(product: Product, tenant: Tenant, full: Admission) -> None:
    visitor = await product.visitor(tenant)
    async with AsyncExitStack() as stack:
        (await stack.enter_async_context(full.turn(tenant.id)))()
        await stack.enter_async_context(full.turn(tenant.id))
        waiting = [asyncio.create_task(stack.enter_async_context(full.turn(tenant.id))) for _ in range(2)]
        await asyncio.sleep(0.02)
        refused = [
            await visitor.http.post(f"{visitor.url}/messages", json={"message": "Hello?"}, headers=visitor.headers)
            for _ in range(2)
        ]
        for task in waiting:
            task.cancel()
    assert [answer.status_code for answer in refused] == [429, 429]
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert "asked to wait" in refused[1].json()["detail"]
    assert refused[1].headers["Content-Type"] == refused[0].headers["Content-Type"]
    assert refused[1].json()["request_id"] == refused[1].headers["X-Request-ID"]
    assert [message["author"] for message in await visitor.history() if message["author"] == "customer"] == []
    other = await product.visitor(tenant)
    assert (await other.ask("How do I pay an invoice?"))["status"] == "complete"


async def test_who_waited_as_asked_is_heard(product: Product, tenant: Tenant) -> None:
    limiter = product.app.state.limiter
    with pytest.raises(TooMany), limiter.remembering("somebody"):
        raise TooMany("later", retry_after=0.05)
    with pytest.raises(TooMany):
        limiter.refuse_early("somebody")
    limiter.refuse_early("somebody else")
    await asyncio.sleep(0.06)
    limiter.refuse_early("somebody")
