"""What approved replies and corrections near a ticket contribute to its draft.

A lesson near the ticket goes into the prompt as a note: its reply, what was wrong, and why; never the other customer's
words, which nobody needs to follow. Where the two customers ask the same thing, the reply that a person approved is a
passage besides: a draft goes to colleagues, who may see it, and its sentences bear its number. What a correction says
was wrong is not said again in the same matter.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np
from rapidfuzz.fuzz import ratio

from agent.drafts.letter import unframed
from agent.drafts.shapes import DraftRequest, NearLesson
from agent.parts import LessonVectors
from agent.sentences import split
from kbs.articles.passage_making import digest_of
from kbs.index import Scope, Vectors
from kbs.passages import Passage, Source
from kbs.search.cache import Retrieved
from kbs.search.retrieval import RetrievalOptions, Retriever
from kbs.search.weights import Weights
from memory.database import Database
from tools.classification import detect_language
from tools.learning.lessons import Lesson, lessons_by_id
from tools.learning.redaction import redact
from tools.subjects import says_something

LEARNED = frozenset({Source.EXAMPLE, Source.CORRECTION})
FOUND_AT_MOST = 12
"""Passages of each kind: a long lesson has several."""
NEAR_AT_MOST = 4
NOTED_MISTAKES = 2
"""Of the notes, those that are kept for corrections, however many examples are nearer."""
WARN_ABOVE = 0.5
"""Similarity of a correction above which a colleague is warned: the specification's."""
NOTED_FROM = 0.45
"""Similarity from which a lesson is worth a note."""
SAME_MATTER = 0.55
"""`alike` from which two matters are taken to be the same. On 180 questions of 30 neighbouring matters, two of each known,
half of them under subjects that say nothing (`python -m evals.training.matters`): the right reply is taken over for 67 %,
a wrong one for 3 %; with a matter that is new, a wrong one for 9 %. Where no subject says anything 45, 4 and 9 %. To take
the better of question with and without its subject brings as many wrong replies as right ones, and to leave out subjects
that say nothing had fewer drafts sent unchanged."""
WORDS_ENOUGH = 6
"""Of a ticket: fewer, such as "it does not work", are said of every matter."""
REPLY_WEIGHT = 0.7
"""What the reply says about the question tells as much about the matter as how another customer asked."""
WEIGHED_AT_MOST = {"example": 8, "correction": 4}
"""Lessons of each kind whose parts are compared with the ticket: a mistake is warned of, however often replies to such
tickets have been approved since."""
SIMILAR_MATTER = 0.45
"""`alike` from which a correction's mistake is not repeated, where it is near enough for a warning, too."""
REPEATS = 86
"""Of 100: how like a wrong sentence another one is that says it again."""
LONGEST_NOTE = 1200
_EVEN = RetrievalOptions(weights=Weights(global_kb=0, tenant_kb=0, example=1, correction=1), diversity=0.0)
_WORD = re.compile(r"\w+")
_DONE = re.compile(
    r"\b(?:i|we)(?:'ve| have| had| just)\b|\b(?:i|we) (?:re)?(?:set|moved|sent|restored|added|fixed|removed|changed|"
    r"refunded|credited|restarted|enabled|disabled|extended|cancelled|unblocked|unlocked|increased|renewed)\b|"
    r"\b(?:ich|wir) (?:habe|haben)\b|\bhabe ich\b|\b(?:j'ai|nous avons)\b|\b(?:yo )?(?:he|hemos) \w+[dt]o\b|"
    r"\b(?:я|мы) (?:\w+ )?\w+(?:ла|ли|л)\b",
    re.IGNORECASE,
)


async def near_lessons(
    retriever: Retriever, vectors: LessonVectors, database: Database, scope: Scope, request: DraftRequest,
    retrieved: Retrieved, vector: Vectors,
) -> tuple[NearLesson, ...]:  # fmt: skip
    """The lessons nearest to the ticket, whatever the tenant's ranking made of them, those of the same matter first."""
    kinds = [source for source in sorted(LEARNED) if retrieved.best(source) >= NOTED_FROM]
    if not kinds:
        return ()
    found = [
        await retriever.search(
            request.asked,
            replace(scope, sources=frozenset({kind})),
            _EVEN,
            mode="dense",
            k=FOUND_AT_MOST,
            vector=vector,
        )
        for kind in kinds
    ]
    best: dict[UUID, float] = {}
    for passage in (passage for each in (*found, retrieved) for passage in each.passages):
        if passage.source in LEARNED and passage.similarity >= NOTED_FROM:
            ref = UUID(passage.ref)
            best[ref] = max(best.get(ref, 0.0), passage.similarity)
    async with database.connection(scope.tenant_id) as connection:
        lessons = await lessons_by_id(connection, best)
    if not lessons:
        return ()
    ordered = sorted(lessons.values(), key=lambda lesson: -best[lesson.id])
    weighed = [
        lesson
        for kind, most in WEIGHED_AT_MOST.items()
        for lesson in [each for each in ordered if each.kind == kind][:most]
    ]
    asked, replies = np.split(await vectors.of(weighed), 2)
    words = _plain(redact(request.content, names=[request.customer_name]))
    same = np.array([asks_the_same(lesson, request, words) for lesson in weighed])
    asked = np.where(same[:, None], vector, asked)
    near = [
        NearLesson(lesson=lesson, match=best[lesson.id], alike=float(alike))
        for lesson, alike in zip(weighed, likeness(asked, replies, vector), strict=True)
    ]
    return nearest([near])


def nearest(lists: Sequence[Sequence[NearLesson]]) -> tuple[NearLesson, ...]:
    """The lessons of all lists, each as near as it came to any, those of the same matter first."""
    best: dict[UUID, NearLesson] = {}
    for each in (each for near in lists for each in near):
        known = best.get(each.lesson.id)
        if known is None or each.alike > known.alike:
            best[each.lesson.id] = each
    return tuple(sorted(best.values(), key=lambda each: (-each.alike, -each.match, -each.lesson.id.int)))


def asks_the_same(lesson: Lesson, request: DraftRequest, words: str) -> bool:
    """Whether a ticket has the very words of a lesson's, and no two subjects that tell them apart: then these made their
    vectors unlike for nothing. `words` are the ticket's, redacted."""
    if says_something(lesson.subject) and says_something(request.subject):
        return False
    said = _plain(redact(lesson.issue))  # once more: what is public of the team stayed in it, and is gone from `words`
    return len(said.split()) >= WORDS_ENOUGH and said == words


def likeness(asked: Vectors, replies: Vectors, ticket: Vectors) -> Vectors:
    """How sure it is that each lesson is of the ticket's matter, 0 to 1, from what it was asked and what it answers."""
    near: Vectors = np.clip(asked @ ticket, 0, 1) + REPLY_WEIGHT * np.clip(replies @ ticket, 0, 1)
    return near / np.float32(1 + REPLY_WEIGHT)


def corrections_near(near: Sequence[NearLesson]) -> tuple[NearLesson, ...]:
    """Those that a colleague is warned of."""
    return tuple(each for each in near if each.lesson.kind == "correction" and each.match > WARN_ABOVE)[:NEAR_AT_MOST]


def notes_of(near: Sequence[NearLesson]) -> list[str]:
    """For the prompt: what colleagues wrote about tickets like this one."""
    mistakes = corrections_near(near)[:NOTED_MISTAKES]
    others = [each for each in near if each not in mistakes][: NEAR_AT_MOST - len(mistakes)]
    return [_note(each)[:LONGEST_NOTE] for each in near if each in mistakes or each in others]


def evidence_of(near: Sequence[NearLesson], language: str) -> tuple[Passage, ...]:
    """Replies that were approved in the same matter and language, as passages that a draft may draw on: each text once,
    and none of which a colleague has taken the most out since."""
    mistakes = mistakes_in(near)
    found = [
        _passage(each)
        for each in near
        if each.alike >= SAME_MATTER and _still_holds(each.lesson, mistakes) and _is_in(each.lesson.reply, language)
    ]
    return tuple({passage.digest: passage for passage in reversed(found)}.values())[::-1][:NEAR_AT_MOST]


def original(passage: Passage) -> Passage:
    """A passage under its true source, after verification has read it as one to quote."""
    return replace(passage, source=Source(passage.collection)) if passage.collection in LEARNED else passage


def is_lesson(passage: Passage) -> bool:
    return passage.collection in LEARNED


def mistakes_in(near: Sequence[NearLesson]) -> tuple[str, ...]:
    """Sentences that a colleague took out of a draft in a matter like this, and that nobody has approved since."""
    wrong: list[str] = []
    for each in near:
        if each.lesson.kind == "correction" and each.match > WARN_ABOVE and each.alike >= SIMILAR_MATTER:
            since = [other.lesson for other in near if other.lesson.id >= each.lesson.id]  # ids are ordered by time
            approved = [sentence for lesson in since for sentence in _sentences(lesson.reply)]
            wrong += [sentence for sentence in _sentences(each.lesson.wrong) if not says_again(sentence, approved)]
    return tuple(wrong)


def says_again(sentence: str, others: Sequence[str]) -> bool:
    """Whether one of these is said again, word for word or nearly."""
    words = _plain(sentence)
    return any(ratio(words, other, score_cutoff=REPEATS) for other in map(_plain, others))


def tells_what_was_done(unit: str) -> bool:
    """Whether a sentence says that something was done for the customer: for another one, where it was learned."""
    return bool(_DONE.search(unit))


def _note(near: NearLesson) -> str:
    lesson = near.lesson
    if lesson.kind == "example":
        return f"A reply that was approved for a similar ticket (similarity {near.match:.2f}): {lesson.reply}"
    why = f" What was changed: {lesson.notes}" if lesson.notes else ""
    return (
        f"A draft for a similar ticket was corrected (similarity {near.match:.2f}). Correct: {lesson.reply} "
        f"Wrong, do not say: {lesson.wrong}{why}"
    )


def _passage(near: NearLesson) -> Passage:
    """A reply as a passage; its kind waits in `collection` while it is read as one that may be quoted."""
    lesson, text = near.lesson, unframed(near.lesson.reply)
    kind = Source.EXAMPLE if lesson.kind == "example" else Source.CORRECTION
    return Passage(
        id=lesson.id, source=Source.TENANT_KB, ref=str(lesson.id), title=lesson.subject, heading="", text=text,
        digest=digest_of(text), version=lesson.version, collection=kind.value, similarity=near.alike, score=near.alike,
        language=detect_language(text),
    )  # fmt: skip


def _still_holds(lesson: Lesson, mistakes: Sequence[str]) -> bool:
    sentences = _sentences(lesson.reply) or [lesson.reply]
    return 2 * sum(says_again(sentence, mistakes) for sentence in sentences) < len(sentences)


def _is_in(text: str, language: str) -> bool:
    return detect_language(text) == language


def _sentences(text: str) -> list[str]:
    return [unit for unit in split(unframed(text)) if len(_WORD.findall(unit)) >= 3]


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))
