"""The automaton that finds the language model's pieces of words, as the trie it was made of.

As a table of each state's 256 next ones it is 39 MB, of which the texts of a day touch half: a page here and a page
there. Each row of it is the row of a shorter suffix (A. Aho and M. Corasick, Efficient String Matching, 1975) with a
few places changed. Those few are all that is kept here: 1.3 MB, and the same answers.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from py3langid.langid import LanguageIdentifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Trie:
    """`states` nodes, numbered level by level, so that the children of one stand side by side; node 0 is the root."""

    letters: bytes
    """(states - 1,) the byte that leads to node 1, 2 and so on, from its parent."""
    first: memoryview
    """(states + 1,) uint32: where in `letters` the children of each node begin; they end where the next one's do."""
    suffix: memoryview
    """(states,) uint32: the node of the longest suffix that has one, where no child is for the next byte."""
    found: memoryview
    """(states,) int32: the feature that is complete here; -1 without one."""

    def count(self, text: bytes) -> Counter[int]:
        """How often each feature occurs."""
        child, first, suffix, found = self.letters.find, self.first, self.suffix, self.found
        node, features = 0, []
        for letter in text:
            while (at := child(letter, first[node], first[node + 1])) < 0 and node:
                node = suffix[node]
            node = at + 1
            if (feature := found[node]) >= 0:
                features.append(feature)
        return Counter(features)


class TrieIdentifier(LanguageIdentifier):  # type: ignore[misc]
    """The library's, with the trie instead of its table."""

    __slots__ = ("_trie",)

    def __init__(self, trie: Trie, scores: Any, prior: Any, codes: list[str]) -> None:
        super().__init__(scores, prior, codes, b"", b"", norm_probs=True, tk_row=())
        self._trie = trie

    def _raw_score(self, text: bytes) -> Any:
        visits = self._trie.count(text)
        return self._sparse_score(visits, self.nb_ptc) if visits else super()._raw_score(b"")


def grown(table: Any, row: Any, found: Any) -> Trie:
    """From the library's table: (rows * 256,) next states, (states,) row of each state, (states,) features.

    In order of the distance from the root: who is first to lead to a state is its parent.
    """
    rows = np.asarray(table, np.uint32).reshape(-1, 256)
    seen = np.zeros(len(row), bool)
    seen[0] = True
    level = suffix = np.zeros(1, np.intp)
    levels, letters, suffixes, children = [level], [], [suffix], []
    while len(level):
        following = rows[row[level]]
        new = ~seen[following]
        children.append(new.sum(axis=1))
        parent, letter = np.nonzero(new)
        suffix = np.where(level[parent] == 0, 0, rows[row[suffix[parent]], letter])
        level = following[parent, letter].astype(np.intp)
        seen[level] = True
        levels.append(level)
        letters.append(letter)
        suffixes.append(suffix)
    order = np.concatenate(levels)
    number = np.empty(len(row), np.uint32)
    number[order] = np.arange(len(order))
    return Trie(
        letters=np.concatenate(letters).astype(np.uint8).tobytes(),
        first=np.concatenate([[0], np.cumsum(np.concatenate(children))]).astype(np.uint32).data,
        suffix=number[np.concatenate(suffixes)].data,
        found=np.asarray(found, np.int32)[order].data,
    )
