"""Articles in versions, the passages cut from them, their embeddings, and which answer relied on which."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import BigInteger, CheckConstraint, Computed, Float, Index, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlmodel import Field

from memory.models.base import (
    Row,
    SharedRead,
    TenantOwned,
    long_text,
    named_by_tenant,
    of_tenant,
    optional_time,
    text_list,
    timestamp,
)


class Article(Row, SharedRead, table=True):
    """The current state of an article; every text it ever had stays in its versions."""

    __tablename__ = "kb_articles"
    __table_args__ = (Index("kb_articles_ref", "tenant_id", "ref", unique=True), named_by_tenant())

    ref: str = Field(description="the stable id of the front matter")
    collection: str
    path: str = Field(default="", description="of its file below the ingested folder; empty if it has none")
    title: str
    status: str = Field(default="published", description="draft | published | withdrawn | deleted")
    category: str = ""
    audience: list[str] = text_list()
    tags: list[str] = text_list()
    supersedes: list[str] = text_list()
    language: str = "en"
    version: int = Field(default=1, description="that holds: the published one, or the last that was")
    latest: int = Field(default=1, description="number of the newest version")
    draft: int | None = Field(default=None, description="the version that waits to be published")
    content_hash: str
    file_hash: str = Field(default="", description="of its file at the last ingest; empty where none stands behind it")
    effective_from: datetime | None = optional_time()
    effective_until: datetime | None = optional_time()
    updated_at: datetime = timestamp()


class ArticleVersion(Row, SharedRead, table=True):
    """A text that the article had or is to have, with all that was said about it. Nothing changes it; erasing removes it."""

    __tablename__ = "kb_article_versions"
    __table_args__ = (
        Index("kb_article_versions_number", "article_id", "version", unique=True),
        of_tenant("article_id", "kb_articles"),
    )

    article_id: UUID
    version: int
    label: str = Field(default="", description="the author's own version name")
    last_updated: date | None = None
    title: str
    body: str = long_text()
    content_hash: str
    category: str = ""
    audience: list[str] = text_list()
    tags: list[str] = text_list()
    supersedes: list[str] = text_list()
    language: str = "en"
    effective_from: datetime | None = optional_time()
    effective_until: datetime | None = optional_time()
    author: str = Field(default="", description="who wrote it, as the audit log names people; `file` for an ingest")
    note: str = Field(default="", description="what the author says about the change")


BY_TENANT = {"postgresql_partition_by": "HASH (tenant_id)"}
"""Keeps a tenant's rows together: a search reads most of them."""


class Searchable(SharedRead):
    """What the search filters on. Stands on passages and on vectors alike, so that neither half needs a join
    to stay inside the tenant, the collection and the caller's audience. No foreign key to the tenant: the index may
    live in a database of its own."""

    tenant_id: UUID = Field(nullable=False)
    source: str = Field(description="article | example | correction")
    collection: str = ""
    ref: str
    audience: list[str] = text_list()
    active: bool = Field(default=True, description="false once superseded or withdrawn: never retrieved")
    effective_from: datetime | None = optional_time()
    effective_until: datetime | None = optional_time()
    embedder: str


class IndexedPassage(Row, Searchable, table=True):
    """A piece of an article, an example or a correction, as the lexical half searches it.

    No index on `tsv`: its operator is not leakproof, so under row-level security Postgres could not use one. The
    tenant's own rows are scanned instead, which is why they are kept whole in their pages (see the migration)."""

    __tablename__ = "passages"
    __table_args__ = (
        Index("passages_place", "tenant_id", "source", "ref", "ordinal", unique=True),
        Index("passages_embedder", "embedder"),
        Index(
            "passages_dated", "tenant_id",
            postgresql_where=text("effective_from is not null or effective_until is not null"),
        ),
        BY_TENANT,
    )  # fmt: skip

    tenant_id: UUID = Field(primary_key=True)

    article_id: UUID | None = None
    version: int = 1
    ordinal: int = 0
    title: str
    heading: str = ""
    text: str = long_text()
    digest: str
    language: str = "en"
    tsv: Any = Field(
        default=None, sa_type=TSVECTOR, nullable=True,
        sa_column_args=[Computed("setweight(passage_words(language, title || ' ' || heading), 'A')"
                                 " || passage_words(language, text)", persisted=True)],
    )  # fmt: skip


class Embedding384(Searchable, table=True):
    """Vectors of the local model, apart from their passages so that a scan over them stays small. No foreign key to
    these: between partitioned tables it is one for every pair of partitions."""

    __tablename__ = "embeddings_384"
    __table_args__ = (Index("embeddings_384_scope", "tenant_id", "source", "ref"), BY_TENANT)

    tenant_id: UUID = Field(primary_key=True)
    passage_id: UUID = Field(primary_key=True)
    embedding: Any = Field(sa_type=HALFVEC(384), nullable=False)


class Embedding1536(Searchable, table=True):
    __tablename__ = "embeddings_1536"
    __table_args__ = (Index("embeddings_1536_scope", "tenant_id", "source", "ref"), BY_TENANT)

    tenant_id: UUID = Field(primary_key=True)
    passage_id: UUID = Field(primary_key=True)
    embedding: Any = Field(sa_type=HALFVEC(1536), nullable=False)


class KnowledgeRevision(SharedRead, table=True):
    """Counts the changes of a tenant's knowledge, so that no cached search outlives one."""

    __tablename__ = "knowledge_revisions"

    tenant_id: UUID = Field(primary_key=True)
    revision: int = Field(sa_type=BigInteger)
    replaced: list[str] = text_list()
    """Refs of global articles that an article of this tenant replaces: hidden from its searches."""


class Reference(Row, TenantOwned, table=True):
    """A message or a draft relied on this passage. No foreign key to it: the proof outlives a reindex and the article."""

    __tablename__ = "kb_references"
    __table_args__ = (
        of_tenant("message_id", "chat_messages"),
        of_tenant("draft_id", "drafts"),
        CheckConstraint("num_nonnulls(message_id, draft_id) = 1", name="kb_references_of_one"),
    )

    message_id: UUID | None = Field(default=None, index=True)
    draft_id: UUID | None = Field(default=None, index=True)
    article_id: UUID | None = Field(default=None, index=True)
    ref: str
    title: str
    version: int
    passage_digest: str
    quoted: str = long_text()
    rank: int
    score: float = Field(sa_type=Float)
    source: str


class RetrievalSettings(Row, TenantOwned, table=True):
    """How a tenant's search ranks; the newest row holds, the older ones are its history."""

    __tablename__ = "retrieval_settings"
    __table_args__ = (Index("retrieval_settings_newest", "tenant_id", "id"),)

    weight_global_kb: float = 0.20
    weight_tenant_kb: float = 0.30
    weight_example: float = 0.35
    weight_correction: float = 0.15
    rerank: bool = False
    threshold: float = 0.0
    top_k: int = 6
    changed_by: UUID | None = None
    kind: str = Field(default="set", description="set | reset | recommended")
    reason: str = long_text()
