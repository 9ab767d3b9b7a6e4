"""Vectors of what lessons are made of, remembered by this process: a lesson's version never changes."""

from collections import OrderedDict
from collections.abc import Sequence
from uuid import UUID

import numpy as np

from agent.drafts.letter import unframed
from kbs.embedding.embedder import Embedder
from kbs.index import Vectors
from tools.learning.lessons import Lesson

REMEMBERED = 4096
"""Lessons: 12 MB with the local model."""


class RememberedVectors:
    """Embeds questions and replies of lessons, each version once."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: OrderedDict[tuple[UUID, int], tuple[Vectors, Vectors]] = OrderedDict()

    async def of(self, lessons: Sequence[Lesson]) -> Vectors:
        """Of n lessons the n questions and then the n replies, of unit length."""
        found = {each.id: self._known.get((each.id, each.version)) for each in lessons}
        new = [each for each in lessons if found[each.id] is None]
        if new:
            texts = [*(each.asked for each in new), *(unframed(each.reply) for each in new)]
            asked, replies = np.split(await self._embedder.embed_texts(texts), 2)
            found |= {each.id: pair for each, pair in zip(new, zip(asked, replies, strict=True), strict=True)}
        pairs = [pair for each in lessons if (pair := found[each.id])]
        for each, pair in zip(lessons, pairs, strict=True):
            self._known[each.id, each.version] = pair
            self._known.move_to_end((each.id, each.version))
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return np.stack([question for question, _ in pairs] + [reply for _, reply in pairs])
