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

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agent.nodes import answering, closing, judging
from agent.state import GraphContext, TurnState

TurnGraph = CompiledStateGraph[TurnState, GraphContext, TurnState, TurnState]


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None) -> TurnGraph:
    return (
        StateGraph(TurnState, context_schema=GraphContext)
        .add_node("guard", judging.guard)
        .add_node("consider", judging.consider)
        .add_node("respond", answering.respond)
        .add_node("tools", answering.use_tools)
        .add_node("clarify", closing.clarify)
        .add_node("smalltalk", closing.smalltalk)
        .add_node("file_ticket", closing.file_ticket)
        .add_node("refuse", closing.refuse)
        .add_node("escalate", closing.escalate)
        .add_node("remember", closing.remember)
        .add_edge(START, "guard")
        .add_conditional_edges(
            "guard", judging.after_guard, ["refuse", "escalate", "smalltalk", "file_ticket", "consider"]
        )
        .add_conditional_edges("consider", judging.after_consider, ["respond", "clarify", "escalate"])
        .add_conditional_edges("respond", answering.after_respond, ["tools", "escalate", "remember"])
        .add_edge("tools", "respond")
        .add_edge("clarify", "remember")
        .add_edge("smalltalk", "remember")
        .add_edge("file_ticket", "remember")
        .add_edge("refuse", "remember")
        .add_edge("escalate", "remember")
        .add_edge("remember", END)
        .compile(checkpointer=checkpointer)
    )
