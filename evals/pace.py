"""What the check of citations costs in time: until the first words of an answer may be shown, with it and without.

A stub model gives `TOKENS` tokens, one in `TOKEN_MS`. Its clock is counted, not waited for; what our own code takes is
measured and added, so that a slow check delays every token behind it.

    token             what a product shows that checks nothing and waits for nothing
    sentence          the first one complete, unchecked
    checked sentence  the first one released by the check
    end, checked      the end of the answer, checked
"""

import re
from collections.abc import Sequence
from time import perf_counter

from agent.answer.answering import Wording
from agent.sentences import Kind, kind_of
from kbs.passages import Passage

TOKENS = 64
TOKEN_MS = 10.0
_TOKEN = re.compile(r"\s*\S{1,4}")
"""Four letters or so."""


async def first_texts(sentences: Sequence[str], question: str, passages: Sequence[Passage]) -> dict[str, float]:
    """Milliseconds from the model's call, for an answer made of these sentences; empty where there are none."""
    text = "".join(f"{unit.rstrip()}{' ' if kind_of(unit) is Kind.TEXT else chr(10)}" for unit in sentences)
    tokens = _TOKEN.findall(text)[:TOKENS]
    if not tokens:
        return {}
    unchecked, _ = await _played(Wording(verify=False), tokens, passages)
    checked, end = await _played(Wording(asked=question), tokens, passages)
    return {"token": TOKEN_MS, "sentence": unchecked, "checked sentence": checked, "end, checked": end}


async def _played(wording: Wording, tokens: Sequence[str], passages: Sequence[Passage]) -> tuple[float, float]:
    """When the first text went out, and when all was done."""
    clock, first = 0.0, 0.0
    for place, token in enumerate([*tokens, None], 1):
        clock = max(clock, TOKEN_MS * min(place, len(tokens)))
        before = perf_counter()
        await (wording.flush(passages) if token is None else wording.feed(token, passages))
        clock += (perf_counter() - before) * 1000
        if wording.text.strip() and not first:
            first = clock
    return round(first or clock, 3), round(clock, 3)
