"""The words of each tenant's knowledge base, kept while they are current."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from kbs.index import Postgres, Scope
from kbs.search.cache import knowledge_state
from kbs.words.glossary import foreign_language, glossed, is_english_too
from kbs.words.spelling import Vocabulary, corrected, is_everyday, unknown_words, vocabulary_of
from memory.models import GLOBAL_TENANT

MOST_PASSAGES = 3000
MOST_KEPT = 64
LOOK_AGAIN_S = 60.0
"""After so long it is asked whether the knowledge base has changed."""

_TEXTS = """
select title, heading, text from passages
where active and source = 'article'
    and (tenant_id = %(tenant)s or (tenant_id = %(everyone)s and collection = any(%(collections)s)))
order by id limit %(most)s
"""
_Key = tuple[UUID, tuple[str, ...]]


@dataclass(slots=True)
class _Kept:
    state: str
    looked: float
    words: Vocabulary


class Vocabularies:
    """Words by tenant and collections. What an audience may not see may be spelled right for it, but is not found."""

    def __init__(self, database: Postgres) -> None:
        self._database = database
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()

    async def correct(self, query: str, scope: Scope, *, gloss: bool) -> str:
        """The question with its typing errors put right, or (`gloss`) one in another language followed by its English
        words, since what is said with names is found by them as they are; everyday English costs no query."""
        if is_everyday(query):
            return query
        if foreign_language(query) is None and unknown_words(query):
            return corrected(query, await self._words(scope))
        if not gloss:
            return query
        known = await self._words(scope)
        english = glossed(query, known, among_english=is_english_too(known))
        return query if english == query else f"{query} {english}"

    async def _words(self, scope: Scope) -> Vocabulary:
        key = (scope.tenant_id, tuple(sorted(scope.collections)))
        kept = self._kept.get(key)
        if kept and time.monotonic() - kept.looked < LOOK_AGAIN_S:
            self._kept.move_to_end(key)
            return kept.words
        state = await knowledge_state(self._database, scope.tenant_id)
        if kept is None or kept.state != state:
            kept = _Kept(state=state, looked=0.0, words=await self._load(scope))
        kept.looked = time.monotonic()
        self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return kept.words

    async def _load(self, scope: Scope) -> Vocabulary:
        values = {
            "tenant": scope.tenant_id, "everyone": GLOBAL_TENANT, "collections": list(scope.collections),
            "most": MOST_PASSAGES,
        }  # fmt: skip
        async with self._database.connection(scope.tenant_id) as connection:
            rows = await (await connection.execute(_TEXTS, values)).fetchall()
        return await asyncio.to_thread(vocabulary_of, [" ".join(row.values()) for row in rows])
