"""The turn as a LangGraph state machine.

    START ─▶ judge ─┬─▶ refuse ───────────────────────┐
    (guard, and     ├─▶ smalltalk, file_ticket ───────┤
     what is known) ├─▶ escalate ◀───────┐            ▼
                    ├─▶ clarify ─────────│──▶ (remember) END
                    └─▶ respond ─────────┤            ▲
                         ▲   │  ─────────│────────────┘
                         └ tools   (when the policy asks for a person)

Several steps share a node, since each node costs a fiftieth of a turn: `judge` is guard and then [recall | retrieve |
classify] ─▶ assess, and whatever ends a turn also remembers what is to be kept of it. `respond` verifies each sentence
while it streams. Every run is one checkpoint of control state (`durability="exit"`).
"""

from collections.abc import Callable
from typing import Any, Protocol

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from agent.nodes import answering, closing, judging
from agent.nodes.common import Run
from agent.state import GraphContext, TurnState

TurnGraph = CompiledStateGraph[TurnState, GraphContext, TurnState, TurnState]


class Node(Protocol):
    async def __call__(self, state: TurnState, runtime: Run) -> TurnState: ...


class Routed(Protocol):
    async def __call__(self, state: TurnState, runtime: Run) -> Command[str]: ...


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None) -> TurnGraph:
    return (
        StateGraph(TurnState, context_schema=GraphContext)
        .add_node(
            "judge", then(judging.judge, judging.after_judge),
            destinations=("refuse", "escalate", "smalltalk", "file_ticket", "respond", "clarify"),
        )
        .add_node("respond", then(answering.respond, answering.after_respond), destinations=("tools", "escalate", END))
        .add_node("tools", answering.use_tools)
        .add_node("clarify", last(closing.clarify))
        .add_node("smalltalk", last(closing.smalltalk))
        .add_node("file_ticket", last(closing.file_ticket))
        .add_node("refuse", last(closing.refuse))
        .add_node("escalate", last(closing.escalate))
        .add_edge(START, "judge")
        .add_edge("tools", "respond")
        .add_edge("clarify", END)
        .add_edge("smalltalk", END)
        .add_edge("file_ticket", END)
        .add_edge("refuse", END)
        .add_edge("escalate", END)
        .compile(checkpointer=checkpointer)
    )  # fmt: skip


def then(node: Node, route: Callable[[TurnState], str]) -> Routed:
    """A node that says where the turn goes on. LangGraph's conditional edges read the whole state once more for that."""

    async def routed(state: TurnState, runtime: Run) -> Command[str]:
        update = await node(state, runtime)
        goto = route({**state, **update})
        return Command(update=update if goto != END else await remembered(state, update, runtime), goto=goto)

    return routed


def last(node: Node) -> Node:
    """A node after which nothing comes but to remember what is to be kept of the turn."""

    async def closed(state: TurnState, runtime: Run) -> TurnState:
        return await remembered(state, await node(state, runtime), runtime)

    return closed


async def remembered(state: TurnState, update: TurnState, runtime: Run) -> TurnState:
    return {**update, **await closing.remember({**state, **update}, runtime)}
