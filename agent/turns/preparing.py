"""Before the graph runs: its surroundings, made of what was read in one short transaction."""

import time
from collections.abc import Callable

from agent import metrics
from agent.answer.answering import Answer, Wording
from agent.parts import Parts
from agent.state import GraphContext
from agent.turns.scenes import Scene, Setting, read_now
from kbs.search.cache import Retrieved
from memory.cancelling import within
from memory.checkpoints import TurnCheckpoint
from memory.errors import Unavailable
from memory.tenancy import Principal
from memory.turns import Lease
from tools.consent import OwnWords
from tools.context import Search, TurnContext
from tools.matters import in_pieces
from tools.search import scope_of

MODELS_S = 28.0
"""Of the 32 s that a turn may take: what is left is for saying that it failed."""
SEARCH_S = 6.0
"""One search, the question's embedding included."""


async def prepare(
    parts: Parts, lease: Lease, begun: Callable[[], None] = lambda: None
) -> tuple[GraphContext, TurnCheckpoint]:
    """The surroundings of one turn, and what it goes on from."""
    setting, scene, thread = await read_now(parts.database, lease)
    turn = TurnContext(
        principal=scene.principal, lease=lease, database=parts.database, streams=parts.streams,
        options=setting.options, search=searcher(parts, scene.principal, setting), people_there=scene.people_there,
        words=own_words(scene),
    )  # fmt: skip
    answer = Answer(
        database=parts.database, streams=parts.streams, lease=lease, asked=scene.question,
        hosts=frozenset(setting.options.link_hosts),
    )  # fmt: skip
    return surroundings(parts, scene, setting, turn=turn, answer=answer, begun=begun), thread


def surroundings(
    parts: Parts, scene: Scene, setting: Setting, *, turn: TurnContext, answer: Wording,
    begun: Callable[[], None] = lambda: None,
) -> GraphContext:  # fmt: skip
    """What the graph runs in: this scene under this setting, with the answer going where `answer` lets it."""
    return GraphContext(
        turn=turn,
        session=scene.session,
        question=scene.question,
        messages=in_pieces(scene.messages),
        asked=scene.asked,
        facts=scene.facts,
        attachments=scene.attachments,
        files=parts.files,
        history=scene.history,
        prompt=setting.prompt,
        models=parts.models,
        embedder=parts.embedder,
        judges=parts.judges,
        answer=answer,
        waiting_ticket=scene.waiting_ticket,
        deadline=time.monotonic() + MODELS_S,
        begun=begun,
    )


def own_words(scene: Scene) -> OwnWords:
    """What the customer themselves wrote, apart from all that others did."""
    before = tuple(message.content for message in scene.history if message.author == "customer")
    return OwnWords(now=scene.question, before=before)


def searcher(parts: Parts, principal: Principal, setting: Setting) -> Search:
    """The knowledge base as this caller may see it, ranked as the setting says."""
    scope = scope_of(principal, setting.options)

    async def search(query: str) -> Retrieved:
        try:
            found = await within(SEARCH_S, parts.retriever.search(query, scope, setting.ranking))
        except TimeoutError:
            raise Unavailable("the knowledge base is too slow") from None
        metrics.retrieval_cache_total.labels("hit" if found.cached else "miss").inc()
        return found

    return search
