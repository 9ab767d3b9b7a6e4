"""The parts that a turn is made with: what the composition root opens and hands to those who run turns."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from agent.drafts.lesson_vectors import LessonVectors
from agent.graph import TurnGraph
from agent.llm import Models
from agent.state import Judges
from kbs.embeddings import Embedder
from kbs.index import KnowledgeIndex
from kbs.publishing import Library
from kbs.retrieval import Retriever
from memory.database import Database
from memory.files import Files
from memory.streams import Streams
from tools.articles.shelf import Shelf
from tools.drafts.channel import Channel
from tools.whmcs.account import Accounts

if TYPE_CHECKING:
    from memory.redis import Redis


@dataclass(kw_only=True)
class Parts:
    """One process's connections, models and rules."""

    database: Database
    knowledge: Database
    """Where articles and passages are: the same database, unless they were given one of their own."""
    redis: "Redis | None"
    """What all processes share; None where there is only one."""
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
    channels: dict[str, Channel] = field(default_factory=dict)
    """Where approved replies to tickets of other systems go, by the tickets' `source`."""
    accounts: Accounts | None = None
    """Where a draft's model may look up the customer's account."""

    @property
    def shelf(self) -> Shelf:
        """Where articles are kept, for those who work on them."""
        library = Library(database=self.knowledge, index=self.index, embedder=self.embedder)
        return Shelf(database=self.database, knowledge=self.knowledge, library=library)

    lesson_vectors: LessonVectors = field(init=False)

    def __post_init__(self) -> None:
        self.lesson_vectors = LessonVectors(self.embedder)
