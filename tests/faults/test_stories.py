"""Hypothesis plays a customer and bad luck against the running product: sends, retries, streams, cancels, reconnects, crashes.

The model of it is small: what was accepted under which key, in order. The product must agree after every step, and when
the story is over every turn has one end and the client has put together what is stored. `tests/agent/turns/test_takeover.py`
has people in it and looks at rows alone; here everything goes over HTTP, with a model that is still typing.
`STORIES` sets how many are played.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest_asyncio
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from memory.models import Tenant
from tests.faults.client import QUESTION, Client, Promise
from tests.faults.invariants import streamed_to
from tests.faults.model import Model
from tests.model_server import model_server
from tests.product import Product, beside, with_models_of

STORIES = int(os.environ.get("STORIES", "4"))
STEPS = 8
T = TypeVar("T")
PAUSES = st.sampled_from([0.0, 0.02, 0.2, 0.6])
"""Between two moves: before, while and after an answer is written."""


@dataclass
class Theatre:
    product: Product
    tenant: Tenant
    loop: asyncio.AbstractEventLoop
    provider: Model

    def play(self, part: Coroutine[Any, Any, T]) -> T:
        """Run a part in the product's loop, from the thread in which the story is told."""
        return asyncio.run_coroutine_threadsafe(part, self.loop).result(60)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def theatre(product: Product) -> AsyncIterator[Theatre]:
    async with model_server() as server:
        provider = Model(server)
        provider.install()
        async with beside(product, **with_models_of(server)) as started:
            yield Theatre(started, await started.tenant(), asyncio.get_running_loop(), provider)


class Story(RuleBasedStateMachine):
    """One customer in one session; `sent` is the model."""

    theatre: Theatre

    @initialize(seed=st.integers(0, 2**16))
    def open(self, seed: int) -> None:
        product, self.sent = self.theatre.product, dict[str, tuple[str, dict[str, Any]]]()
        self.cancelled = 0
        door = str(product.http.base_url).rstrip("/")
        key = self.theatre.tenant.widget_key
        self.client = Client(http=product.http, doors=lambda: [door], widget_key=key, rng=random.Random(seed))
        self.play(self.client.open())

    def play(self, part: Coroutine[Any, Any, T]) -> T:
        return self.theatre.play(part)

    @rule(pause=PAUSES)
    def send(self, pause: float) -> None:
        key, text = f"key-{len(self.sent)}", f"{QUESTION} (case answer {len(self.sent):x})"
        answer = self.play(self.client.send(key, text))
        assert answer.status_code == 202, answer.text
        self.sent[key] = (text, answer.json())
        self.client.promises.append(Promise(answer.json()["message_id"], answer.json()["turn_id"], 0))
        self.play(asyncio.sleep(pause))

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 99))
    def retry(self, which: int) -> None:
        key = list(self.sent)[which % len(self.sent)]
        text, first = self.sent[key]
        again = self.play(self.client.send(key, text))
        assert (again.status_code, again.json()) == (202, first)
        assert self.play(self.client.send(key, f"{text}!")).status_code == 422

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 99))
    def stream(self, which: int) -> None:
        """Sent again by a client that wants the answer as the response; it reads while the story goes on."""
        key = list(self.sent)[which % len(self.sent)]
        text, first = self.sent[key]
        self.theatre.loop.call_soon_threadsafe(self.client.stream, first["turn_id"], key, text)

    @rule(pause=PAUSES)
    def cancel(self, pause: float) -> None:
        answer = self.play(self.client.request("POST", f"{self.client.path}/cancel", headers=self.client.headers))
        assert answer.json()["status"] in ("cancelled", "idle")
        self.cancelled += answer.json()["status"] == "cancelled"
        self.play(asyncio.sleep(pause))

    @rule(pause=PAUSES)
    def reconnect(self, pause: float) -> None:
        self.play(self.client.leave())
        self.play(asyncio.sleep(pause))
        self.play(self.client.come())

    @rule()
    def crash(self) -> None:
        """The process falls silent in the middle of its turn, as the others see it: its lease has lapsed."""
        self.play(self._crash())

    async def _crash(self) -> None:
        theatre = self.theatre
        await theatre.product.rows(
            theatre.tenant,
            "update turns set lease_until = clock_timestamp() - interval '1 second'"
            " where session_id = %s and status = 'running' returning id",
            self.client.session_id,
        )
        await theatre.product.resources.turns.recover()

    @invariant()
    def holds(self) -> None:
        """At any moment, also in the middle of a turn."""
        if hasattr(self, "client"):
            self.play(self._holds())

    async def _holds(self) -> None:
        assert self.client.wrong == []
        assert await self._asked() == [first["message_id"] for _, first in self.sent.values()]

    async def _history(self) -> list[dict[str, Any]]:
        path = f"{self.client.path}/messages?limit=100"
        items: list[dict[str, Any]] = (await self.client.request("GET", path, headers=self.client.headers)).json()[
            "items"
        ]
        return items

    async def _asked(self) -> list[str]:
        return [message["id"] for message in await self._history() if message["author"] == "customer"]

    def teardown(self) -> None:
        if hasattr(self, "client"):
            self.play(self._finish())

    async def _finish(self) -> None:
        try:
            for promise in self.client.promises:
                await self.client.end_of(promise, 20)
            async with asyncio.timeout(20):
                await self.client.all_streamed()
            await self._agree()
        finally:
            await self.client.go()

    async def _agree(self) -> None:
        """What the model, the client and the rows say of the story is the same."""
        client, history = self.client, await self._history()
        await self._holds()
        assert [how for how, _ in client.ended.values()].count("cancelled") == self.cancelled
        ends = await self.theatre.product.rows(
            self.theatre.tenant,
            "select data ->> 'turn_id' as turn, count(*) as n from session_events where session_id = %s"
            " and type in ('turn.completed', 'turn.failed', 'turn.cancelled') group by 1",
            client.session_id,
        )
        assert {row["turn"]: row["n"] for row in ends} == dict.fromkeys(client.ended, 1)
        async with asyncio.timeout(5):
            while client.messages != {message["id"]: message["content"] for message in history}:
                await asyncio.sleep(0.01)
        assert [n for n, _ in client.rows] == list(range(1, len(client.rows) + 1))
        assert client.wrong == []
        assert streamed_to(client) == []
        assert client.refusals == []
        assert self.theatre.provider.refusable == []


async def test_whatever_a_customer_and_bad_luck_do(theatre: Theatre) -> None:
    story = type("OneStory", (Story,), {"theatre": theatre})
    chosen = settings(
        max_examples=STORIES, stateful_step_count=STEPS, deadline=None, derandomize=True, database=None,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    await asyncio.to_thread(run_state_machine_as_test, story, settings=chosen)
