"""Whether a message is nothing but small talk, and of which kind."""

import re
from functools import reduce
from operator import or_

from tools.classification.cues import TALK, Kind, load_cues
from tools.phrases import NO_PHRASES

LONGEST_TALK = 100
"""Characters; a longer message is a question whatever it is made of."""
_REACTIONS: dict[str, Kind] = {
    "👍": "thanks",
    "🙏": "thanks",
    "❤": "thanks",
    "👋": "greeting",
    "🙂": "smalltalk",
    "😊": "smalltalk",
}


def talk_kind(text: str) -> tuple[Kind, str | None]:
    """Small talk of some kind, when the message is nothing else, and its language if the words tell it."""
    if reaction := _REACTIONS.get(text.strip()[:1]):
        return (reaction, None) if not re.search(r"\w", text) else ("question", None)
    cues = load_cues()
    if len(text) > LONGEST_TALK or not text.strip():
        return "question", None
    reading = cues.read(text, across=True)
    whole = (1 << reading.length) - 1
    best: tuple[int, Kind, str | None] = (0, "question", None)
    for language, filler in cues.filler.items():
        said = {kind: reading.covers(cues.talk[kind].get(language, NO_PHRASES)) for kind in TALK}
        if any(said.values()) and reduce(or_, said.values()) | reading.covers(filler) == whole:
            kind = max(TALK, key=lambda kind: said[kind].bit_count())
            best = max(best, (said[kind].bit_count(), kind, language), key=lambda found: found[0])
    return best[1:]
