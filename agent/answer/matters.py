"""Several matters in one turn or draft: each searched for by itself, and their passages merged so that none goes short."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.phrases import say
from agent.prompting import Several
from agent.sentences import split
from kbs.passages import Passage, Source
from kbs.search.cache import Retrieved
from tools.matters import Matter, rest_of

MOST_PASSAGES = 16
"""Of all matters together; the best of each come first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found for one matter."""

    matter: Matter
    retrieved: Retrieved


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What may be quoted for all of them."""

    passages: tuple[Passage, ...]
    several: Several
    matters: tuple[Matter, ...]
    sure: float
    """How likely they hold the answer to that which they answer worst, 0 to 1."""


def merged(found: Sequence[Found]) -> Retrieved:
    """What was found for all of them, as one search would tell it; of a source the similarity of the matter that it knows
    least of, and of corrections that of the one that they are nearest to: an answer is no surer than its weakest part."""
    first = found[0].retrieved
    if len(found) == 1:
        return first
    passages, _ = take_turns([each.retrieved.passages for each in found])
    pick = {source: max if source is Source.CORRECTION else min for source in Source}
    best = {
        source: pick[source]((each.retrieved.similarities.get(source, ()) for each in found), key=lambda s: s[:1] or (0.0,))
        for source in Source
    }  # fmt: skip
    return replace(
        first, passages=passages, similarities={source: values for source, values in best.items() if values},
        cached=all(each.retrieved.cached for each in found),
    )  # fmt: skip


def choose(
    found: Sequence[Found],
    messages: Sequence[str],
    sure_of: Callable[[Matter, tuple[Passage, ...]], float],
    *,
    least: float,
    least_told: float,
) -> Choice:
    """The passages for those that are answerable. What is told and asks nothing counts as a matter only where it is surely
    one that the passages know; else it stands beside the others."""
    judged = []
    for each in found:
        quotable = tuple(passage for passage in each.retrieved.passages if passage.source.quotable)
        judged.append((each.matter, quotable, sure_of(each.matter, quotable)))
    kept = [each for each in judged if each[0].asks or each[2] >= least_told] or judged
    passages, about = take_turns([quotable if sure >= least else () for _, quotable, sure in kept])
    matters = [matter for matter, _, _ in kept]
    most = max(MOST_PASSAGES, *(len(quotable) for _, quotable, _ in kept))  # one matter has all that its search gave
    several = Several(
        texts=tuple(matter.text for matter in matters), rest=rest_of(messages, matters), about=about[:most]
    )
    return Choice(
        passages=passages[:most], several=several, matters=tuple(matters), sure=min(sure for _, _, sure in kept)
    )


def take_turns(lists: Sequence[Sequence[Passage]]) -> tuple[tuple[Passage, ...], tuple[tuple[int, ...], ...]]:
    """The passages of all lists, the best of each first, and of each passage the numbers of its lists from 1. One that is
    in several stands once, as near as it came to any."""
    found: dict[tuple[Source, object], Passage] = {}
    lists_of: dict[tuple[Source, object], list[int]] = {}
    for rank in range(max(map(len, lists), default=0)):
        for n, passages in enumerate(lists, 1):
            if rank < len(passages):
                passage = passages[rank]
                key = (passage.source, passage.id)
                lists_of.setdefault(key, []).append(n)
                if key not in found or passage.similarity > found[key].similarity:
                    found[key] = passage
    return tuple(found.values()), tuple(tuple(sorted(lists_of[key])) for key in found)


def left_open(several: Several | None, sentence: Callable[[str], str]) -> frozenset[str]:
    """The units by which an answer may say that it leaves a matter open."""
    texts = several.texts if several and len(several.texts) > 1 else ()
    return frozenset(unit.strip() for text in texts for unit in split(sentence(text)))


def left_open_in_chat(text: str, language: str | None) -> str:
    """That a matter has no answer, in the customer's language."""
    return say("left_open", language, question=Matter(text=text).title)
