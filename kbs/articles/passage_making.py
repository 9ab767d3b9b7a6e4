"""From an article's text to the rows of its passages, embedding only what is not embedded yet."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import numpy as np

from kbs.articles.chunking import embedded_text, split
from kbs.embedding.embedder import Embedder
from kbs.index import Kind, Row, Vectors
from memory.models import new_id

NOT_YET: Vectors = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What is cut into passages: an article's version, or a learned reply."""

    kind: Kind
    collection: str
    ref: str
    title: str
    body: str
    article_id: UUID | None = None
    version: int = 1
    language: str = "en"
    audience: tuple[str, ...] = ()
    active: bool = True
    effective_from: datetime | None = None
    effective_until: datetime | None = None


def cut(document: Document) -> tuple[Row, ...]:
    """Rows whose vectors are still to come."""
    return tuple(
        Row(
            id=new_id(), kind=document.kind, collection=document.collection, ref=document.ref,
            article_id=document.article_id, version=document.version, ordinal=chunk.ordinal, title=document.title,
            heading=chunk.heading, text=chunk.text, digest=digest_of(chunk.text), vector=NOT_YET,
            language=document.language, audience=document.audience, active=document.active,
            effective_from=document.effective_from, effective_until=document.effective_until,
        )
        for chunk in split(document.body, title=document.title)
    )  # fmt: skip


async def with_vectors(
    rows: Sequence[Row], embedder: Embedder, known: Mapping[tuple[str, str, str], Vectors]
) -> tuple[tuple[Row, ...], int]:
    """The same rows complete, and how many had to be embedded."""
    missing = [row for row in rows if _key(row) not in known]
    found = dict(known)
    if missing:
        texts = [embedded_text(*_key(row)) for row in missing]
        vectors = await embedder.embed_texts(texts)
        found |= {_key(row): vector for row, vector in zip(missing, vectors, strict=True)}
    return tuple(replace(row, vector=found[_key(row)]) for row in rows), len(missing)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(row: Row) -> tuple[str, str, str]:
    return row.title, row.heading, row.text
