"""What the nodes share: the run they are part of, the tenant's vocabulary, and telling watchers about a step."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langgraph.runtime import Runtime

from agent.phrases import Phrase, say
from agent.state import GraphContext, TurnState
from tools.classification import Classification
from tools.classification.own import packs_with
from tools.intents import Packs, load_packs

Run = Runtime[GraphContext]


def packs(context: GraphContext) -> Packs:
    packs = load_packs()
    options = context.turn.options
    return packs_with([packs[name] for name in options.intent_packs if name in packs], options.intents)


def phrase(state: TurnState, phrase: Phrase, **values: object) -> str:
    found: Classification | None = state.get("classification")
    return say(phrase, found.language if found else None, **values)


@asynccontextmanager
async def step(context: GraphContext, name: str) -> AsyncIterator[None]:
    """Tells watchers which step ran and how long it took."""
    started = time.perf_counter()
    yield
    context.turn.tell("step", {"name": name, "ms": round((time.perf_counter() - started) * 1000, 1)})
