"""Which of Chroma's collections a vector lies in, and what is filtered there.

Chroma applies a filter by walking the metadata of its whole database: 1 ms without one became 20 ms at 10,000 passages.
So what every caller of a tenant may find lies on an open shelf that is searched without a filter. What is inactive,
dated or for an audience lies on a small limited shelf, and carries there what the filter asks for.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from kbs.index import KINDS, Kind, Scope
from kbs.passages import Source
from memory.models import GLOBAL_TENANT

LIMITED = "limited"
EVERYONE = "for_everyone"
ALWAYS_FROM, ALWAYS_UNTIL = 0.0, 4e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The filtered columns of a row."""

    ref: str
    collection: str
    audience: Sequence[str]
    active: bool
    effective_from: datetime | None
    effective_until: datetime | None

    @property
    def is_open(self) -> bool:
        return self.active and not self.audience and self.effective_from is None and self.effective_until is None

    @property
    def metadata(self) -> dict[str, Any]:
        """The columns in Chroma's terms, which have neither lists nor nulls."""
        if self.is_open:
            return {"ref": self.ref}
        limits: dict[str, Any] = {
            "ref": self.ref, "collection": self.collection, "active": self.active, EVERYONE: not self.audience,
            "from": self.effective_from.timestamp() if self.effective_from else ALWAYS_FROM,
            "until": self.effective_until.timestamp() if self.effective_until else ALWAYS_UNTIL,
        }  # fmt: skip
        return limits | {_audience_key(name): True for name in self.audience}


class Shelves:
    """Names of collections: one prefix for each product and embedder, so that several share a server."""

    def __init__(self, name: str, embedder: str) -> None:
        self._prefix = f"{name}-{_digest(embedder)}"

    def stem(self, tenant_id: UUID, kind: Kind) -> str:
        return f"{self._prefix}-{tenant_id.hex}-{kind}"

    def of(self, tenant_id: UUID, kind: Kind, place: Place) -> str:
        """Global articles have an open shelf for each of their collections, of which a tenant enables some."""
        stem = self.stem(tenant_id, kind)
        if not place.is_open:
            return f"{stem}-{LIMITED}"
        return self._open(stem, place.collection) if tenant_id == GLOBAL_TENANT else stem

    def fixed(self, tenant_id: UUID, kind: Kind) -> tuple[str, str]:
        """All shelves of a tenant that is not the global one."""
        stem = self.stem(tenant_id, kind)
        return stem, f"{stem}-{LIMITED}"

    def searched(self, scope: Scope, source: Source, hidden: Sequence[str]) -> dict[str, dict[str, Any] | None]:
        """The shelves of a source with the filter for each; `hidden` are refs that the tenant's own articles replace."""
        stem = self.stem(scope.owner_of(source), KINDS[source])
        limited = {f"{stem}-{LIMITED}": _filter(scope, source, hidden)}
        if source is not Source.GLOBAL_KB:
            return {stem: None} | limited
        without: dict[str, Any] | None = {"ref": {"$nin": list(hidden)}} if hidden else None
        return {self._open(stem, collection): without for collection in scope.collections} | limited

    @staticmethod
    def _open(stem: str, collection: str) -> str:
        return f"{stem}-{_digest(collection)}"


def _filter(scope: Scope, source: Source, hidden: Sequence[str]) -> dict[str, Any]:
    now = datetime.now(UTC).timestamp()
    conditions: list[dict[str, Any]] = [{"active": True}, {"from": {"$lte": now}}, {"until": {"$gt": now}}]
    if scope.audience is not None:
        conditions.append(
            _any_of([{EVERYONE: True}, *({_audience_key(name): True} for name in sorted(scope.audience))])
        )
    if source is Source.GLOBAL_KB:
        conditions.append({"collection": {"$in": list(scope.collections)}})
        if hidden:
            conditions.append({"ref": {"$nin": list(hidden)}})
    return {"$and": conditions}


def _any_of(conditions: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Chroma refuses an `$or` of one."""
    every = list(conditions)
    return every[0] if len(every) == 1 else {"$or": every}


def _audience_key(name: str) -> str:
    return f"for:{name}"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:12]
