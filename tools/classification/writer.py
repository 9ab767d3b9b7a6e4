"""What the words tell about the writer: the mood, and what is wished for."""

from tools.classification.cues import load_cues
from tools.phrases import Phrases, Reading

LONGEST_CALL = 80
"""Characters; a longer message says more than that."""


def wants_human(text: str) -> bool:
    """Whether the writer asks, in plain words, for a person."""
    return human_wanted(load_cues().read(text))


def human_wanted(reading: Reading) -> bool:
    cues = load_cues()
    return _asked(reading, cues.human, cues.not_human)


def wants_ticket(text: str) -> bool:
    """Whether the writer asks, in plain words, for a ticket to be opened."""
    cues = load_cues()
    return _asked(cues.read(text), cues.ticket, cues.not_ticket)


def _asked(reading: Reading, wanted: Phrases, explained: Phrases) -> bool:
    """Whether a wish occurs that no longer phrase about the same words explains away."""
    asked = reading.ends(wanted)
    if asked:
        for phrase in explained:
            ends = reading.ends_of(phrase)
            asked &= ~(ends | ends << 1 | ends << 2 | ends >> 1 | ends >> 2)
    return bool(asked)


def asks_who_is_there(text: str) -> bool:
    """Whether somebody who waits asks if anybody comes, and nothing else: `is anybody there?`, `still waiting`."""
    cues = load_cues()
    return len(text) <= LONGEST_CALL and bool(cues.read(text).ends(cues.presence))


def says_yes(text: str) -> bool:
    """Whether the message takes up an offer and says nothing else: `yes please`, `ja, gerne`."""
    cues = load_cues()
    reading = cues.read(text, across=True)
    return bool(reading.ends(cues.assent)) and not reading.ends(cues.dissent)


def sentiment(text: str) -> float:
    """Mood by words, -1 to 1; a negation before a word of praise turns it."""
    return mood_of(load_cues().read(text))


def mood_of(reading: Reading) -> float:
    cues = load_cues()
    negated = reading.ends(cues.mood["negation"])
    near = negated << 1 | negated << 2
    praise, blame = reading.ends(cues.mood["positive"]), reading.ends(cues.mood["negative"])
    good = (praise & ~near).bit_count()
    bad = (blame & ~near).bit_count() + (praise & near).bit_count() + reading.ends(cues.mood["strong"]).bit_count()
    return round((good - bad) / (good + bad + 1), 2)
