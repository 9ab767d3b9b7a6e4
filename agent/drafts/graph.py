"""A draft as a LangGraph state machine: the boxes of a conversation's turn, drawn again without an end that sends.

START ─▶ read_files ─▶ embed ─▶ [retrieve | classify] ─▶ assess ─▶ respond ─▶ verify ─▶ END
                                                                   ▲    │
                                                                   look_up
"""

from functools import cache

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agent.drafts import nodes
from agent.drafts.state import DraftContext, DraftState

DraftGraph = CompiledStateGraph[DraftState, DraftContext, DraftState, DraftState]
SEARCHES = ["retrieve", "classify"]


@cache
def draft_graph() -> DraftGraph:
    return (
        StateGraph(DraftState, context_schema=DraftContext)
        .add_node("read_files", nodes.read_files)
        .add_node("embed", nodes.embed)
        .add_node("retrieve", nodes.retrieve)
        .add_node("classify", nodes.classify)
        .add_node("assess", nodes.assess)
        .add_node("respond", nodes.respond)
        .add_node("look_up", nodes.look_up)
        .add_node("verify", nodes.verify)
        .add_edge(START, "read_files")
        .add_edge("read_files", "embed")
        .add_edge("embed", "retrieve")
        .add_edge("embed", "classify")
        .add_edge(SEARCHES, "assess")
        .add_edge("assess", "respond")
        .add_conditional_edges("respond", nodes.after_respond)
        .add_edge("look_up", "respond")
        .add_edge("verify", END)
        .compile()
    )
