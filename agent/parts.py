"""The parts that a turn is made with: what the composition root opens and hands to those who run turns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from agent.graph import TurnGraph
from agent.llm import Models
from agent.state import Judges
from kbs.articles.publishing import Library
from kbs.embedding.embedder import Embedder
from kbs.index import KnowledgeIndex, Vectors
from kbs.search.retrieval import Retriever
from memory.database import Database
from memory.files import Files
from memory.streams import Streams
from tools.articles.shelf import Shelf
from tools.channel import Channel
from tools.learning.lessons import Lesson
from tools.whmcs.account import Accounts

if TYPE_CHECKING:
    from memory.redis import Redis


class LessonVectors(Protocol):
    """Vectors of lessons, each version embedded once."""

    async def of(self, lessons: Sequence[Lesson]) -> Vectors:
        """Of n lessons the n questions and then the n replies, of unit length."""


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
    graph: TurnGraph
    lesson_vectors: LessonVectors
    """What lessons are compared by, remembered."""
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
