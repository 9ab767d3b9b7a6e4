"""A turn without consequences: the real graph and its nodes, on any scene and under any setting.

Nothing is stored and nobody is told. The answer stays in memory, what the turn would do to the world is noted, no
checkpoint is read or written, and the database refuses every write that might be tried all the same.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, cast

from langchain_core.messages import BaseMessage

from agent.answer.answering import Wording
from agent.graph import TurnGraph, build_graph
from agent.parts import Parts
from agent.state import Before, Tokens, TurnState
from agent.turns.preparing import own_words, searcher, surroundings
from agent.turns.scenes import Scene, Setting
from kbs.search.cache import Retrieved
from memory.events import Event
from memory.models import Ticket, new_id
from memory.turns import Lease
from tools.context import Deed, Rehearsal, Search, TurnContext


@dataclass(slots=True, kw_only=True)
class Notebook:
    """Keeps what watchers would have been shown while it happened."""

    events: list[Event] = field(default_factory=list)

    def publish(self, event: Event) -> None:
        self.events.append(event)

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Each step's name and milliseconds, in the order in which they ended."""
        return [event.data for event in self.events if event.type == "step"]


@dataclass(slots=True, kw_only=True)
class Unsaid(Wording):
    """An answer that goes nowhere, and keeps what a customer would not have seen."""

    held_back: list[str] = field(default_factory=list)

    def _withhold(self, unit: str) -> None:
        Wording._withhold(self, unit)
        self.held_back.append(unit.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """Everything that a rehearsed turn came to."""

    state: TurnState
    answer: Unsaid
    setting: Setting
    steps: list[dict[str, Any]]
    total_ms: float
    queries: tuple[str, ...]
    """What was searched for: the question as it was rewritten, and what the model asked for besides."""
    deeds: tuple[Deed, ...]
    """What a live turn would have done."""
    timings_ms: Mapping[str, float]
    """The parts of the first search; empty where it came from the cache."""

    @property
    def messages(self) -> list[BaseMessage]:
        """The prompt as it was sent, with the tools' results; empty where no model was asked."""
        return self.state.get("messages", [])

    @property
    def tokens(self) -> Tokens:
        return self.state.get("tokens", Tokens())


async def rehearse(
    parts: Parts,
    scene: Scene,
    setting: Setting,
    *,
    before: Before | None = None,
    ticket: Ticket | None = None,
) -> Outline:
    """Run a turn to its end and change nothing.

    `before` is how the turns before left the conversation, and `ticket` stands for the one that the turn would open.
    """
    started, notebook = time.perf_counter(), Notebook()
    was_read = tuple(each for each in scene.attachments if each.extraction != "pending")  # reading one is kept
    scene = replace(scene, attachments=was_read)
    heard = _Heard(searcher(parts, scene.principal, setting))
    rehearsal = Rehearsal(ticket=ticket or _no_ticket(scene))
    answer = Unsaid(hosts=frozenset(setting.options.link_hosts))
    turn = TurnContext(
        principal=scene.principal, lease=_no_lease(scene), database=parts.database.reading(), streams=notebook,
        options=setting.options, search=heard.search, people_there=scene.people_there, rehearsal=rehearsal,
        words=own_words(scene),
    )  # fmt: skip
    found = before or Before()
    output = await _graph().ainvoke(
        TurnState(failed_attempts=found.failed_attempts, clarifying=found.clarifying),
        context=surroundings(parts, scene, setting, turn=turn, answer=answer),
    )
    return Outline(
        state=cast(TurnState, output), answer=answer, setting=setting, steps=notebook.steps,
        total_ms=round((time.perf_counter() - started) * 1000, 1), queries=tuple(heard.queries),
        deeds=tuple(rehearsal.deeds), timings_ms=heard.timings_ms,
    )  # fmt: skip


class _Heard:
    """A search that remembers what it was asked."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self.queries: list[str] = []
        self.timings_ms: Mapping[str, float] = {}

    async def search(self, query: str) -> Retrieved:
        self.queries.append(query)
        found = await self._search(query)
        self.timings_ms = self.timings_ms or found.timings_ms
        return found


@cache
def _graph() -> TurnGraph:
    """The same drawing without checkpoints."""
    return build_graph(None)


def _no_lease(scene: Scene) -> Lease:
    """Names a turn that is in no table: whoever would write under it finds no row."""
    return Lease(
        tenant_id=scene.principal.tenant_id, session_id=scene.session.id, turn_id=new_id(), fence=0,
        epoch=scene.session.epoch, started_n=0,
    )  # fmt: skip


def _no_ticket(scene: Scene) -> Ticket:
    return Ticket(tenant_id=scene.principal.tenant_id, customer_id=scene.session.customer_id, number=0, subject="")
