"""The parts that a turn is made with: what the composition root opens and hands to those who run turns."""

from dataclasses import dataclass

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from agent.graph import TurnGraph
from agent.llm import Models
from agent.state import Judges
from kbs.embeddings import Embedder
from kbs.index import KnowledgeIndex
from kbs.retrieval import Retriever
from memory.database import Database
from memory.files import Files
from memory.redis import Redis
from memory.streams import Streams


@dataclass(kw_only=True)
class Parts:
    """One process's connections, models and rules."""

    database: Database
    knowledge: Database
    """Where articles and passages are: the same database, unless they were given one of their own."""
    redis: Redis
    streams: Streams
    files: Files
    """What people sent, on this machine's disk or a volume that all processes share."""
    embedder: Embedder
    index: KnowledgeIndex
    retriever: Retriever
    models: Models
    judges: Judges
    checkpointer: AsyncPostgresSaver
    graph: TurnGraph
    process: str
    """Names this process in leases and events."""
