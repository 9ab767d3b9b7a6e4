"""A file's text as passages, and the few of them that matter to a question.

The cut is by lines and lengths alone, without a Markdown parser: what strangers send must not choose how long that
takes. Headings (`#`) become the path of what follows. First the words of the question choose candidates, then the
embedder ranks those; a question without words of its own gets the beginning.
"""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import log

from kbs.articles.chunking import LIMIT, TARGET, estimated_tokens
from kbs.embedding.embedder import Embedder, EmbeddingUnavailable

MOST = 1000
"""Pieces of a file that are looked at."""
CANDIDATES = 12
"""Passages that are embedded for one question, of all files together."""
WORDS = 0.5
"""Weight of the share of the question's words; the rest is similarity."""
_HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(.{1,200})")
_WORD = re.compile(r"[^\W_]+(?:[.\-_][^\W_]+)*")
_LINE = LIMIT * 4
"""Characters of a line that is not cut; a longer one is data rather than prose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """A piece of a file's text with the heading it stands under."""

    heading: str
    text: str
    place: int

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    excerpt: Excerpt
    similarity: float
    """Raw cosine with the question, clipped to [0, 1]; 0 where the embedder was away."""
    covered: float
    """Share of the question's words that it has, rare ones counting more."""

    @property
    def score(self) -> float:
        return WORDS * self.covered + (1 - WORDS) * self.similarity


@lru_cache(maxsize=64)
def excerpts(text: str, *, headings: bool) -> tuple[Excerpt, ...]:
    """The text in order, in pieces of about `TARGET` tokens that never span two headings; the first `MOST` of them.
    Without `headings` a `#` is a character like others, as in a log or a configuration."""
    pieces = (
        (heading, piece)
        for heading, lines in (_sections(text) if headings else [("", list(_lines(text)))])
        for piece in _pack(lines)
    )
    return tuple(
        Excerpt(heading=heading, text=piece, place=place) for place, (heading, piece) in enumerate(islice(pieces, MOST))
    )


async def rank(
    question: str, pieces: Sequence[Excerpt], embedder: Embedder, *, candidates: int = CANDIDATES
) -> list[Ranked]:
    """The pieces that fit the question, best first; without words in it, or where none is found, the first ones."""
    covered = await asyncio.to_thread(_coverage, question, pieces)
    order = sorted(range(len(pieces)), key=lambda n: (-covered[n], n))[:candidates]
    similarity = await _similarities(question, [pieces[n] for n in order], embedder)
    ranked = [
        Ranked(excerpt=pieces[n], similarity=near, covered=covered[n])
        for n, near in zip(order, similarity, strict=True)
    ]
    return sorted(ranked, key=lambda each: (-each.score, each.excerpt.place))


async def _similarities(question: str, pieces: Sequence[Excerpt], embedder: Embedder) -> list[float]:
    if not question.strip() or not pieces:
        return [0.0] * len(pieces)
    try:
        vectors = await embedder.embed_texts([question, *(f"{p.heading}\n{p.text}".strip() for p in pieces)])
    except EmbeddingUnavailable:
        return [0.0] * len(pieces)
    return [min(1.0, max(0.0, float(score))) for score in vectors[1:] @ vectors[0]]


def _coverage(question: str, pieces: Sequence[Excerpt]) -> list[float]:
    wanted = _words(question)
    having = [wanted & _words(f"{piece.heading} {piece.text}") for piece in pieces]
    common = Counter(word for words in having for word in words)
    weights = {word: log(1 + len(pieces) / (1 + common[word])) for word in wanted}
    total = sum(weights.values())
    return [sum(weights[word] for word in words) / total if total else 0.0 for words in having]


def _words(text: str) -> set[str]:
    """Words as they stand and by their first six letters, so that endings do not part them."""
    return {word[:6] if word.isalpha() else word for word in _WORD.findall(text.casefold())}


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    for line in _lines(text):
        found = _HEADING.fullmatch(line)
        if found is None:
            lines.append(line)
            continue
        level = len(found[1])
        yield _section(path, lines, deeper=level)
        lines = []
        path = [*((depth, name) for depth, name in path if depth < level), (level, found[2].strip())]
    yield _section(path, lines, deeper=0)


def _section(path: list[tuple[int, str]], lines: list[str], *, deeper: int) -> tuple[str, list[str]]:
    """A heading with nothing below it stands for itself."""
    alone = path and deeper <= path[-1][0] and not any(line.strip() for line in lines)
    return " > ".join(name for _, name in path), [path[-1][1]] if alone else lines


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        yield from (line[at : at + _LINE] for at in range(0, max(len(line), 1), _LINE))


def _pack(lines: Sequence[str]) -> Iterator[str]:
    held: list[str] = []
    size = 0
    for line in lines:
        need = estimated_tokens(line)
        full = size + need > LIMIT or (size >= TARGET // 2 and not line.strip()) or size >= TARGET
        if held and full:
            yield from _whole(held)
            held, size = [], 0
        held.append(line)
        size += need
    yield from _whole(held)


def _whole(lines: Sequence[str]) -> Iterator[str]:
    text = "\n".join(lines).strip("\n")
    if text.strip():
        yield text
