"""The last turn in the light of the one before: what to search for when a question leans on the history.

Only a message that shows that it leans is rewritten: joining past turns blindly helps one set of conversations and
hurts another as much.
"""

import re
from collections.abc import Sequence

LEANING_WORDS = 12
"""A message longer than this stands on its own."""
OWN_WORDS = 1
"""Of content, that a message which opens with `and` may have and still lean: with more it is a question of its own."""
CORRECTION_WORDS = 4
"""Of content, up to which `no, I meant the mailbox` corrects the question before it and asks none of its own."""

_OPENING = re.compile(
    r"^(?:and|but|or|so|what about|how about|what if|then|also|same|why|und|aber|was ist mit|wie ist es mit|"
    r"et|mais|y|pero|и|а|что насчёт)\b",
    re.IGNORECASE,
)
_CORRECTING = re.compile(
    r"^(?:(?:sorry|no|nein|non|não|нет|لا|entschuldigung|pardon|perdón|scusi)\W+)*"
    r"(?:i (?:meant|mean)|ich (?:meinte|meine)|je (?:voulais dire|parlais|parle)|"
    r"(?:quería|quise|quiero) decir|me refer\w+|intendevo|volevo dire|(?:queria|quis) dizer|я имела? в виду|أقصد|قصدت|أعني)\b",
    re.IGNORECASE,
)
_POINTING = re.compile(
    r"\b(?:it|its|that|this|those|these|them|they|there|one|ones|the same|instead|either|too|again|above|"
    r"das|dies|dort|damit|davon|cela|ça|eso|esto|это|этого|там)\b",
    re.IGNORECASE,
)
_CONTENT = re.compile(r"[^\W\d_]{4,}")
_ABOUT = re.compile(r"^(?:what about|how about|was ist mit|wie ist es mit|что насчёт)\b", re.IGNORECASE)
_EMPTY = frozenset(
    ["about", "does", "what", "when", "where", "which", "would", "could", "should", "with", "have", "will", "from", "other",
     "others", "another", "thing", "things", "something", "same", "more", "else", "again", "also", "then"]
)  # fmt: skip
"""Four letters and more, and yet no content."""
_ACKNOWLEDGEMENT = re.compile(r"^(?:thanks|thank you|ok|okay|great|danke|merci|gracias|спасибо)\b", re.IGNORECASE)


def leans(question: str) -> bool:
    """Whether a message can't be understood without the one before."""
    words = question.split()
    if not words or len(words) > LEANING_WORDS or _ACKNOWLEDGEMENT.match(question):
        return False
    told = [word for word in _CONTENT.findall(question) if word.lower() not in _EMPTY]
    if _ABOUT.match(question.strip()) or (_CORRECTING.match(question.strip()) and len(told) <= CORRECTION_WORDS):
        return True
    if _OPENING.match(question.strip()):
        return len(told) <= OWN_WORDS or bool(_POINTING.search(question))
    return bool(_POINTING.search(question)) and len(told) <= 5


def rewrite(question: str, earlier: Sequence[str]) -> str:
    """The query to search for: the question, led by the last earlier one that stood on its own if it leans."""
    if not leans(question):
        return question
    for before in reversed(earlier):
        if not leans(before) and _CONTENT.search(before) and not _ACKNOWLEDGEMENT.match(before):
            return f"{before.strip()} {question.strip()}"
    return question
