"""The turn as a LangGraph state machine.

    START ─▶ guard ─┬─▶ refuse ──────────────────────────────┐
                    ├─▶ smalltalk ───────────────────────────┤
                    ├─▶ escalate ◀───────────────┐           │
                    └─▶ [recall | retrieve |     │           ▼
                         classify] ─▶ assess ─┬─▶│clarify ─▶ remember ─▶ END
                                              ├──┘           ▲
                                              └─▶ respond ───┤
                                                   ▲   │     │
                                                   └ tools   └─ (escalate, when the policy asks for a person)

`respond` verifies each sentence while it streams. Every run is one checkpoint of control state (`durability="exit"`).
"""

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agent import nodes
from agent.state import GraphContext, TurnState

TurnGraph = CompiledStateGraph[TurnState, GraphContext, TurnState, TurnState]
SEARCHES = ["recall", "retrieve", "classify"]


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None) -> TurnGraph:
    return (
        StateGraph(TurnState, context_schema=GraphContext)
        .add_node("guard", nodes.guard)
        .add_node("recall", nodes.recall)
        .add_node("retrieve", nodes.retrieve)
        .add_node("classify", nodes.classify)
        .add_node("assess", nodes.assess)
        .add_node("respond", nodes.respond)
        .add_node("tools", nodes.use_tools)
        .add_node("clarify", nodes.clarify)
        .add_node("smalltalk", nodes.smalltalk)
        .add_node("refuse", nodes.refuse)
        .add_node("escalate", nodes.escalate)
        .add_node("remember", nodes.remember)
        .add_edge(START, "guard")
        .add_conditional_edges("guard", nodes.after_guard, ["refuse", "escalate", "smalltalk", *SEARCHES])
        .add_edge(SEARCHES, "assess")
        .add_conditional_edges("assess", nodes.after_assess, ["respond", "clarify", "escalate"])
        .add_conditional_edges("respond", nodes.after_respond, ["tools", "escalate", "remember"])
        .add_edge("tools", "respond")
        .add_edge("clarify", "remember")
        .add_edge("smalltalk", "remember")
        .add_edge("refuse", "remember")
        .add_edge("escalate", "remember")
        .add_edge("remember", END)
        .compile(checkpointer=checkpointer)
    )
