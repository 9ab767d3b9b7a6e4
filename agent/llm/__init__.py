"""Chat models by role, and the two ways to call one: `stream_model` for answers, `complete` for short results.

A stream of ChatOpenAI is read line by line below LangChain: building its objects for every token costs more than the
rest of a turn. Client, credentials, timeouts and payload stay ChatOpenAI's. Other chat models stream through `astream`.
"""

from agent.llm.answer import Finish, Finished, Text, ToolCall, message_of
from agent.llm.completion import complete
from agent.llm.failures import ModelUnavailable, Unavailable
from agent.llm.models import EXTRACTIVE, ModelConfig, Models, build_models
from agent.llm.streaming import stream_model

__all__ = [
    "EXTRACTIVE",
    "Finish",
    "Finished",
    "ModelConfig",
    "ModelUnavailable",
    "Models",
    "Text",
    "ToolCall",
    "Unavailable",
    "build_models",
    "complete",
    "message_of",
    "stream_model",
]
