"""ChatOpenAI that carries the breaker of its provider, so that whoever calls it needs nothing else."""

from langchain_openai import ChatOpenAI
from pydantic import Field

from agent.llm.breaker import Breaker


class GuardedChatOpenAI(ChatOpenAI):
    breaker: Breaker = Field(exclude=True, repr=False)
    """Shared by all models behind the provider: they fail together."""
