"""Which passage answers the question, and which of its blocks are quoted. Pure but for the sentence scorer.

Passages are weighed by how much of the question they cover, by their similarity and by their rank. One article is
quoted: its best passage, and from its other passages at most a sentence that says what the best one leaves open.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from math import log

from agent.extractive import files
from agent.extractive.blocks import Block, blocks_of, narrowed
from agent.grounding.words import CHAT_WORDS, content_stems, guess_language
from agent.prompting import NumberedPassage, Question
from agent.scoring.assessment import spelled_as

SentenceScorer = Callable[[str, list[str]], Awaitable[list[float]]]
"""Similarity of each sentence to the question, about 0 to 1."""

MAX_WORDS = 160
MAX_SENTENCES = 6
SHORT_PASSAGE = 60
"""A passage of at most so many words is quoted whole."""
OPENING = 2
"""Sentences that stand before steps which another passage of the article gives."""
NEARLY_BEST = 0.55
"""A sentence is quoted if it scores this part of the best one."""
ANSWERABLE = 0.32
"""Least mean of similarity (0.6) and coverage (0.4) at which a passage counts as an answer."""
ANSWERABLE_BY_WORDS = 0.5
"""Least coverage where no similarity is known."""
WHOLE_TABLE = 3
"""Rows of a table that is quoted whole; of a longer one the rows that match best are."""
COMPLETES = 0.4
"""Least share of the words still open that a sentence from another passage must cover."""
ROW_MATCHES = 0.25
"""Least coverage of the question by such a row."""
COGNATE = 5
"""Letters that make a word of another language count as the same."""

_PROCEDURAL = re.compile(
    r"\b(?:how (?:do|can|could|should|to|would)|where (?:do|can) i|steps?|set ?up|instructions?|wie (?:kann|geht|setze|mache|"
    r"richte|ändere|\w+ ich)|comment|cómo|como puedo|как)\b",
    re.IGNORECASE,
)
_BACK_REFERENCE = re.compile(
    r"(?:it|its|this|that|these|those|they|them|then|otherwise|both|such|er|dies|diese[rs]?|sie|es|dann|sonst|il|elle|"
    r"ils|elles|cela|ceci|esto|eso|ella|ellos|entonces|он|она|они|это|тогда)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quotation:
    """What is quoted, in order, each with the number of its passage, and the language that it is in."""

    blocks: tuple[tuple[int, Block], ...]
    language: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The question as weighted stems; a stem that few passages have weighs more."""

    weights: dict[str, float]
    foreign: bool

    def share(self, stems: set[str]) -> float:
        total = sum(self.weights.values())
        return sum(weight for stem, weight in self.weights.items() if self._in(stem, stems)) / total if total else 0.0

    def _in(self, stem: str, stems: set[str]) -> bool:
        if stem in stems:
            return True
        return self.foreign and len(stem) >= COGNATE and any(other[:COGNATE] == stem[:COGNATE] for other in stems)


def choose_passage(
    question: Question, earlier: Sequence[str], passages: Sequence[NumberedPassage]
) -> tuple[NumberedPassage, _Wanted] | None:
    """The passage that answers best with the question's weighted words, or None where none answers."""
    for asked, among in files.in_turn(question, passages):
        before = () if among and files.is_file(among[0]) and asked is not question else earlier
        if best := _best(asked, before, among):
            return best
    return None


def _best(
    question: Question, earlier: Sequence[str], passages: Sequence[NumberedPassage]
) -> tuple[NumberedPassage, _Wanted] | None:
    language = question.language or guess_language(question.text)
    if passages and files.is_file(passages[0]) and not content_stems(question.text, language or "en"):
        return passages[0], _Wanted({}, foreign=False)  # "what does it say" is asked of its best passage
    scored = []
    for rank, passage in enumerate(passages):
        spoken = guess_language(passage.text) or passage.language
        wanted = _wanted(question.text, earlier, language, spoken, passages)
        covered = wanted.share(_stems(passage, spoken))
        if _answers(passage.similarity, covered):
            score = 0.6 * passage.similarity + 0.4 * covered + 0.15 / (1 + rank)
            scored.append((score, -rank, passage, wanted))
    if not scored:
        return None
    *_, best, wanted = max(scored, key=lambda entry: entry[:2])
    return best, wanted


async def quote(
    question: Question,
    earlier: Sequence[str],
    passages: Sequence[NumberedPassage],
    scorer: SentenceScorer | None = None,
) -> Quotation | None:
    """The blocks that answer the question, or None where nothing does; who asks how to do something gets the steps."""
    procedural = bool(_PROCEDURAL.search(question.text))
    question = _in_their_words(question, passages)
    chosen = choose_passage(question, earlier, passages)
    if chosen is None:
        return None
    best, wanted = chosen
    language = guess_language(best.text) or best.language
    if files.has_lines(best):
        lines = files.lines_of(best)
        found = files.quoted_lines(
            lines, [wanted.share(set(content_stems(line, language))) for line in lines], NEARLY_BEST
        )
        return Quotation(((best.number, found),), language) if found else None
    blocks = blocks_of(best.text)
    scores = await _scores(question.text, wanted, blocks, language, scorer)
    procedural = procedural or bool(_PROCEDURAL.search(question.text))
    picked = _pick(blocks, scores, procedural=procedural)
    quoted = [(best.number, _narrow(block, wanted, language)) for block in picked]
    if procedural and not any(block.is_procedure for block in picked):
        quoted = [*quoted[:OPENING], *_procedure_elsewhere(best, passages, wanted)] or quoted
    elif len(quoted) < MAX_SENTENCES and sum(block.words for block in picked) < MAX_WORDS / 2:
        quoted += _complement(best, quoted, passages, wanted, language)
    return Quotation(tuple(quoted), language) if quoted else None


def _in_their_words(question: Question, passages: Sequence[NumberedPassage]) -> Question:
    """The question as the passages would put it; one from another language is in English then."""
    text = spelled_as(question.text, passages)
    if text == question.text or (question.language or guess_language(question.text)) in (None, "en"):
        return replace(question, text=text)
    return replace(question, text=text, language="en")


def _answers(similarity: float, covered: float) -> bool:
    if similarity == 0.0:
        return covered >= ANSWERABLE_BY_WORDS
    return 0.6 * similarity + 0.4 * covered >= ANSWERABLE


def _wanted(
    text: str, earlier: Sequence[str], language: str | None, spoken: str, passages: Sequence[NumberedPassage]
) -> _Wanted:
    """The question's stems, in the passages' language unless it is known to be in another."""
    foreign = language is not None and language != spoken
    asked = language if foreign and language else spoken
    own = _telling(text, asked)
    before = _telling(earlier[-1], asked) if earlier and len(own) < 2 else []
    having = [_stems(passage, spoken) for passage in passages]
    weights = {}
    for stem in dict.fromkeys([*own, *before]):
        rarity = log(1 + len(passages) / (1 + sum(stem in stems for stems in having)))
        weights[stem] = rarity * (1.0 if stem in own else 0.5)
    return _Wanted(weights, foreign)


def _telling(text: str, language: str) -> list[str]:
    """Content stems without the words of mere conversation, unless there are no others."""
    chat = CHAT_WORDS.get(language, frozenset())
    words = re.findall(r"[^\W_]+", text.lower())
    return content_stems(" ".join(w for w in words if w not in chat), language) or content_stems(text, language)


def _stems(passage: NumberedPassage, language: str) -> set[str]:
    return set(content_stems(f"{passage.title} {passage.heading} {passage.text}", language))


async def _scores(
    question: str, wanted: _Wanted, blocks: Sequence[Block], language: str, scorer: SentenceScorer | None
) -> list[float]:
    shares = [wanted.share(set(content_stems(block.text, language))) for block in blocks]
    if scorer is None or len(blocks) < 2:
        return shares
    similarities = await scorer(question, [block.text for block in blocks])
    return [0.5 * share + max(0.0, near) for share, near in zip(shares, similarities, strict=True)]


def _pick(blocks: Sequence[Block], scores: Sequence[float], *, procedural: bool) -> list[Block]:
    """The blocks of one passage to quote, in their order: the whole of a short one, else what scores best."""
    if sum(block.words for block in blocks) <= SHORT_PASSAGE and sum(b.kind != "sentence" for b in blocks) <= 1:
        return list(blocks)[:MAX_SENTENCES]
    order = sorted(range(len(blocks)), key=lambda place: (-scores[place], place))
    chosen: set[int] = set()
    if procedural:
        chosen = _first_procedure(blocks, scores)
    for place in order:
        if scores[place] < NEARLY_BEST * scores[order[0]]:
            break
        _take(place, blocks, chosen)
    return [blocks[place] for place in sorted(chosen)]


def _first_procedure(blocks: Sequence[Block], scores: Sequence[float]) -> set[int]:
    """The best procedure with the sentence before it."""
    procedures = [place for place, block in enumerate(blocks) if block.is_procedure]
    chosen: set[int] = set()
    if procedures:
        _take(max(procedures, key=lambda place: scores[place]), blocks, chosen)
    return chosen


def _procedure_elsewhere(
    best: NumberedPassage, passages: Sequence[NumberedPassage], wanted: _Wanted
) -> list[tuple[int, Block]]:
    """The steps of the same article's other passage that is nearest to the question, with the sentence before them."""
    near: list[tuple[float, int, NumberedPassage, list[Block], int]] = []
    for rank, passage in enumerate(passages):
        if passage.ref != best.ref or passage.number == best.number:
            continue
        blocks = blocks_of(passage.text)
        score = passage.similarity + wanted.share(_stems(passage, passage.language))
        near += [(score, -rank, passage, blocks, place) for place, block in enumerate(blocks) if block.is_procedure][:1]
    if not near:
        return []
    _, _, passage, blocks, place = max(near, key=lambda entry: entry[:2])
    chosen: set[int] = set()
    _take(place, blocks, chosen)
    return [(passage.number, blocks[each]) for each in sorted(chosen)]


def _take(place: int, blocks: Sequence[Block], chosen: set[int]) -> None:
    """Adds a block and what it cannot stand without, where there is room for them."""
    together = {place}
    if blocks[place].leads_in and place + 1 < len(blocks):
        together.add(place + 1)
    first = blocks[place]
    needs_before = first.kind != "sentence" or _BACK_REFERENCE.match(first.text)
    if place and blocks[place - 1].kind == "sentence" and needs_before:
        together.add(place - 1)
    result = chosen | together
    sentences = [blocks[p] for p in result if blocks[p].kind == "sentence"]
    others = [blocks[p] for p in result if blocks[p].kind != "sentence"]
    fits = len(sentences) <= MAX_SENTENCES and sum(block.words for block in sentences) <= MAX_WORDS and len(others) <= 1
    if fits or not chosen:
        chosen |= together


def _narrow(block: Block, wanted: _Wanted, language: str) -> Block:
    """Of a long table the rows that the question is about, if any is."""
    if block.kind != "table" or len(block.units) - 2 <= WHOLE_TABLE:
        return block
    shares = [wanted.share(set(content_stems(unit, language))) for unit in block.units]
    most = max(shares[2:])
    if most < ROW_MATCHES:
        return block
    return narrowed(block, {place for place, share in enumerate(shares) if share == most})


def _complement(
    best: NumberedPassage,
    quoted: Sequence[tuple[int, Block]],
    passages: Sequence[NumberedPassage],
    wanted: _Wanted,
    language: str,
) -> list[tuple[int, Block]]:
    """A sentence from another passage of the article for words of the question that are not yet covered."""
    have = set(content_stems(f"{best.title} {' '.join(block.text for _, block in quoted)}", language))
    missing = _Wanted({s: w for s, w in wanted.weights.items() if s not in have}, wanted.foreign)
    options = [
        (missing.share(set(content_stems(block.text, language))), -rank, passage.number, block)
        for rank, passage in enumerate(passages)
        if passage.ref == best.ref and passage.number != best.number
        for block in blocks_of(passage.text)
        if block.kind == "sentence" and not block.leads_in and not _BACK_REFERENCE.match(block.text)
    ]
    share, _, number, block = max(options, key=lambda option: option[:2], default=(0.0, 0, 0, None))
    return [(number, block)] if block and share >= COMPLETES else []
