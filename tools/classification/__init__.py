"""What kind of message it is: intent, severity, tier, language, mood, small talk, and whether a person is wanted.

Everything but the nearest prototypes works on words alone, and its cues are data in `intents.yaml`.
"""

from tools.classification.language import detect_language
from tools.classification.message import ByWords, Classification, at_least, classified, classify, read_words, reassess
from tools.classification.prototypes import Prototypes, build_prototypes
from tools.classification.writer import asks_who_is_there, says_yes

__all__ = [
    "ByWords",
    "Classification",
    "Prototypes",
    "asks_who_is_there",
    "at_least",
    "build_prototypes",
    "classified",
    "classify",
    "detect_language",
    "read_words",
    "reassess",
    "says_yes",
]
