"""Where articles are kept, and how a change of them is noted in the audit log.

The knowledge base may have a database of its own. Then the note goes into the other database before the change commits:
a crash in between leaves a note of a change that was not made, never a change without a note.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kbs.articles.publishing import Library
from memory import audit
from memory.database import Connection, Database
from memory.tenancy import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The product's database, and the library with the database of its own that it may have."""

    database: Database
    knowledge: Database
    library: Library

    async def note(
        self, connection: Connection, principal: Principal, action: str, article_id: UUID, changes: dict[str, Any],
        **who: Any,
    ) -> None:  # fmt: skip
        """Write into the audit log; `connection` is the change's own transaction."""
        if self.knowledge is self.database:
            await audit.write(connection, principal, action, "article", article_id, changes=changes, **who)
            return
        async with self.database.connection(principal.tenant_id) as other:
            await audit.write(other, principal, action, "article", article_id, changes=changes, **who)
