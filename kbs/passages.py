"""The four sources, and the passage a search returns: the shape shared by retrieval, prompts and citations."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Source(StrEnum):
    """Where a passage comes from; the order is the specification's."""

    GLOBAL_KB = "global_kb"
    TENANT_KB = "tenant_kb"
    EXAMPLE = "example"
    CORRECTION = "correction"

    @property
    def quotable(self) -> bool:
        """Only articles may be quoted, cited or shown to a customer."""
        return self in (Source.GLOBAL_KB, Source.TENANT_KB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One retrieved piece of text with where it stands and how well it matched."""

    id: UUID
    source: Source
    ref: str
    """Stable id of the article or example, such as `email-reset-password`; `sources[].id` on the wire."""
    title: str
    heading: str
    """Path of headings below the title, joined by ` > `; empty for the article's opening."""
    text: str
    """Markdown as it stands in the article, without its headings."""
    digest: str
    """sha256 hex of `text`, so that a citation can be checked after a reindex."""
    article_id: UUID | None = None
    version: int = 1
    """Number of the article version that the text is from."""
    collection: str = ""
    language: str = "en"
    similarity: float = 0.0
    """Raw dense cosine with the query, clipped to [0, 1]; before weights and fusion."""
    score: float = 0.0
    """Final ranking score in [0, 1]; order only, not a probability."""
    attached: bool = False
    """It stands in a file that came with the conversation, not in the knowledge base."""
    told_by: str = ""
    """Name of the other system that says it of one customer, where it is from one."""

    @property
    def origin(self) -> str:
        """Where it comes from, as it is shown and counted."""
        return "attachment" if self.attached else self.told_by or self.source.value
