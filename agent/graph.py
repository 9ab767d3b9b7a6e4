"""The turn as a LangGraph state machine.

    START ─▶ guard ─┬─▶ refuse ──────────────────────┐
                    ├─▶ smalltalk, file_ticket ──────┤
                    ├─▶ escalate ◀───────┐           ▼
                    └─▶ consider ─────┬─▶│clarify ─▶ remember ─▶ END
                                      ├──┘           ▲
                                      └─▶ respond ───┤
                                           ▲   │     │
                                           └ tools   └─ (escalate, when the policy asks for a person)

`consider` is [recall | retrieve | classify] ─▶ assess: one node, since a node for each would cost a thirtieth of a turn.
`respond` verifies each sentence while it streams. Every run is one checkpoint of control state (`durability="exit"`).
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
            "guard", then(judging.guard, judging.after_guard),
            destinations=("refuse", "escalate", "smalltalk", "file_ticket", "consider"),
        )
        .add_node(
            "consider", then(judging.consider, judging.after_consider), destinations=("respond", "clarify", "escalate")
        )
        .add_node(
            "respond", then(answering.respond, answering.after_respond), destinations=("tools", "escalate", "remember")
        )
        .add_node("tools", answering.use_tools)
        .add_node("clarify", closing.clarify)
        .add_node("smalltalk", closing.smalltalk)
        .add_node("file_ticket", closing.file_ticket)
        .add_node("refuse", closing.refuse)
        .add_node("escalate", closing.escalate)
        .add_node("remember", closing.remember)
        .add_edge(START, "guard")
        .add_edge("tools", "respond")
        .add_edge("clarify", "remember")
        .add_edge("smalltalk", "remember")
        .add_edge("file_ticket", "remember")
        .add_edge("refuse", "remember")
        .add_edge("escalate", "remember")
        .add_edge("remember", END)
        .compile(checkpointer=checkpointer)
    )  # fmt: skip


def then(node: Node, route: Callable[[TurnState], str]) -> Routed:
    """A node that says where the turn goes on. LangGraph's conditional edges read the whole state once more for that."""

    async def routed(state: TurnState, runtime: Run) -> Command[str]:
        update = await node(state, runtime)
        return Command(update=update, goto=route({**state, **update}))

    return routed
