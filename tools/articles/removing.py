"""What admins take back. Each verb is one transaction with its note in the audit log.

discard   drop the draft; what holds stays
withdraw  answers are made from it no more; it can be published again
delete    withdraw for good. What answers relied on stays readable, unless the texts are erased too
"""

from typing import Any
from uuid import UUID

from kbs.articles.publishing import withdrawing
from kbs.articles.rows import StoredArticle, set_state
from memory.errors import Conflict
from memory.tenancy import Principal
from tools.articles.shelf import Shelf
from tools.articles.writing import find_own, hold


async def discard(
    shelf: Shelf, principal: Principal, article_id: UUID, *, version: int | None = None, **who: Any
) -> None:
    """Drop the draft beside what holds; its text stays a version. Raises Conflict where there is none."""
    stored = await find_own(shelf, principal, article_id, version)
    if stored.draft is None or stored.status == "draft":
        raise Conflict("there is no draft beside a text that was published; delete the article instead")
    async with shelf.knowledge.connection(principal.tenant_id) as connection:
        await hold(connection, principal, stored.ref, stored)
        await set_state(connection, principal.tenant_id, stored.ref, draft=None)
        changes = {"version": stored.draft}
        await shelf.note(connection, principal, "article.draft_discarded", article_id, changes, **who)


async def withdraw(
    shelf: Shelf, principal: Principal, article_id: UUID, *, version: int | None = None, **who: Any
) -> None:
    """Let no answer be made from it any more. Nothing happens where it is withdrawn. Raises Conflict for a draft."""
    stored = await find_own(shelf, principal, article_id, version)
    if stored.status == "draft":
        raise Conflict("a draft is not published; delete it instead")
    if stored.published:
        await _take_back(shelf, principal, stored, "withdrawn", "article.withdrawn", who)


async def delete(
    shelf: Shelf, principal: Principal, article_id: UUID, *, version: int | None = None, erase: bool = False,
    **who: Any,
) -> None:  # fmt: skip
    """Withdraw it for good; with `erase` its texts go too, in every version and where answers quoted them."""
    stored = await find_own(shelf, principal, article_id, version, deleted=True)
    if stored.status != "deleted":
        await _take_back(shelf, principal, stored, "deleted", "article.deleted", who)
    if erase:
        await _erase(shelf, principal, stored, who)


async def _take_back(
    shelf: Shelf, principal: Principal, stored: StoredArticle, status: str, action: str, who: dict[str, Any]
) -> None:
    async with withdrawing(shelf.library, principal.tenant_id, stored.ref, before=stored.supersedes) as connection:
        await hold(connection, principal, stored.ref, stored)
        await set_state(connection, principal.tenant_id, stored.ref, status=status)
        await shelf.note(connection, principal, action, stored.id, {"version": stored.version}, **who)


async def _erase(shelf: Shelf, principal: Principal, stored: StoredArticle, who: dict[str, Any]) -> None:
    """First what answers quoted, then the texts: broken off in between it is done again from the start."""
    async with shelf.database.connection(principal.tenant_id) as connection:
        await connection.execute(FORGET_QUOTES, (stored.id,))
    async with shelf.knowledge.connection(principal.tenant_id) as connection:
        await connection.execute(FORGET_TEXTS, (stored.id,))
        await connection.execute(FORGET_NAMES, (stored.id,))
        await shelf.note(connection, principal, "article.erased", stored.id, {"versions": stored.latest}, **who)


FORGET_QUOTES = """
update kb_references set quoted = '', title = '' where article_id = %s and tenant_id = current_tenant()
"""
FORGET_TEXTS = "delete from kb_article_versions where article_id = %s and tenant_id = current_tenant()"
FORGET_NAMES = """
update kb_articles set title = '', category = '', tags = '{}', content_hash = '', draft = null, updated_at = now()
where id = %s and tenant_id = current_tenant()
"""
