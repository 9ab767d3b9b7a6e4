"""The small language that rules, intents and cues are written in, and its matcher.

    words one after the other     reset password
    alternatives                  reset|change|lost
    a stem                        migrat*
    up to n words in between      reset ~3 password
    the start or end of the text  ^ hello $   (^ ~2 hello: after two words at most)
    a named list of words         {reveal} ~3 prompt

Text and phrases pass through the same `fold` and `tokenize`. Matching works on sets of positions held as bits, without
backtracking: its cost grows linearly with the text, whatever the text is.
"""

from tools.phrases.book import PhraseBook
from tools.phrases.parsing import NO_PHRASES, Phrase, Phrases, Step, parse_phrase
from tools.phrases.reading import Reading
from tools.phrases.tokens import fold, tokenize

__all__ = ["NO_PHRASES", "Phrase", "PhraseBook", "Phrases", "Reading", "Step", "fold", "parse_phrase", "tokenize"]
