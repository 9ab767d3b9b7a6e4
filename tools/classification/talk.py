"""Whether a message is nothing but small talk, and of which kind; or nothing but a no, a name, `it fails`."""

import re
from collections.abc import Mapping
from functools import reduce
from operator import or_

from kbs.words.spelling import is_common
from tools.classification.cues import TALK, Kind, load_cues
from tools.phrases import NO_PHRASES, Phrases, fold

LONGEST_TALK = 100
"""Characters; a longer message is a question whatever it is made of."""
LONGEST_NAME = 6
"""Words of a name, with whom it belongs to: `Ada de la Cruz from Acme`."""
_IN_NAMES = frozenset(
    ["von", "van", "de", "der", "den", "del", "da", "di", "la", "le", "al", "el", "bin", "y", "zu", "from", "of", "at", "aus",
     "bei", "chez", "из"]
)  # fmt: skip
_ENDINGS = ("ed", "ing")
"""Of no name: `my name is misspelled`."""
_WORD = re.compile(r"[^\W_]+")
_IN_A_NAME = re.compile(r"[ '’-]")
_AROUND = " \t\n.,;:!–-"
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
        if not reading.has_any(cues.talk_firsts[language]):
            continue
        said = {kind: reading.covers(cues.talk[kind].get(language, NO_PHRASES)) for kind in TALK}
        if any(said.values()) and reduce(or_, said.values()) | reading.covers(filler) == whole:
            kind = max(TALK, key=lambda kind: said[kind].bit_count())
            best = max(best, (said[kind].bit_count(), kind, language), key=lambda found: found[0])
    return best[1:]


def refusal_languages(text: str) -> tuple[str, ...]:
    """The languages in which the message says no and nothing else: `no, thank you`, `sorry, wrong chat`."""
    cues = load_cues()
    return _made_of(text, cues.refusal, cues.beside_refusal)


def complaint_languages(text: str) -> tuple[str, ...]:
    """The languages in which the message says that something did not help or does not work, and nothing else: `still
    not working`, `that's wrong`, `das hat nicht geholfen`. What it is that does not work it does not say."""
    cues = load_cues()
    return _made_of(text, cues.complaint, cues.beside_complaint)


def says_nothing(text: str) -> bool:
    """Whether a message has no word in it, nor a sign that stands for one: `???`, `🤷`."""
    return bool(text.strip()) and not re.search(r"\w", text) and text.strip()[:1] not in _REACTIONS


def _made_of(text: str, said: Mapping[str, Phrases], beside: Mapping[str, Phrases]) -> tuple[str, ...]:
    """The languages in which a short message that asks nothing is made of these phrases, and of words that may stand
    beside them."""
    if len(text) > LONGEST_TALK or not text.strip() or "?" in text:
        return ()
    reading = load_cues().read(text, across=True)
    whole = (1 << reading.length) - 1
    found = []
    for language, phrases in said.items():
        covered = reading.covers(phrases)
        if covered and covered | reading.covers(beside.get(language, NO_PHRASES)) == whole:
            found.append(language)
    return tuple(found)


def introduction_language(text: str) -> str | None:
    """The language in which somebody says who they are and nothing else: `Hi, I'm Ada`, `Mein Name ist Ada Byron`."""
    if len(text) > LONGEST_TALK or text.isupper():
        return None
    words = [(match[0], *match.span()) for match in _WORD.finditer(text)]
    folded = [fold(word) for word, _, _ in words]
    said = frozenset(folded)
    for language, openers in load_cues().introduction.items():
        for opener in openers:
            if not said.issuperset(opener):
                continue
            for at in range(len(words) - len(opener)):
                if tuple(folded[at : at + len(opener)]) == opener:
                    end = _name_end(text, words[at + len(opener) :], lower=language == "en" and "name" in opener)
                    if end and _is_talk(text[: words[at][1]]) and _is_talk(text[end:]):
                        return language
    return None


def _name_end(text: str, words: list[tuple[str, int, int]], *, lower: bool) -> int:
    """Where the name ends that these words begin with, 0 where they are none. A name is written with capitals; with
    `lower` it need not be, unless its word means something."""
    name: list[tuple[str, int, int]] = []
    for word, start, end in words:
        if name and not _IN_A_NAME.fullmatch(text[name[-1][2] : start]):
            break
        strange = lower and not is_common(word) and not word.endswith(_ENDINGS)
        if not (word[0].isupper() or (name and word in _IN_NAMES) or strange):
            break
        name.append((word, start, end))
    if not name or len(name) > LONGEST_NAME or name[-1][0] in _IN_NAMES or any(char.isdigit() for char in name[0][0]):
        return 0
    return name[-1][2]


def _is_talk(text: str) -> bool:
    text = text.strip(_AROUND)
    return not text or talk_kind(text)[0] != "question"
