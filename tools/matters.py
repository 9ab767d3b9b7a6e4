"""What several messages of one customer ask: which of them name a matter of their own, and which only press for an answer.

People write in pieces. Two questions sent one after the other are two matters; `hello?`, `any news?` and `I want to talk to
somebody` are none; `It is on my phone` belongs to what was said before it. A statement that stands on its own may describe
what the question beside it asks about, or something else: which of the two is told by their meaning.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from kbs.index import Vectors
from memory.yaml_files import read_yaml
from tools.classification.language import tell_language
from tools.classification.talk import talk_kind
from tools.rewriting import leans

SEARCHED_AT_MOST = 4
"""Matters of one turn or draft that are searched for: the first and the newest."""
SAME_MATTER = 0.3
"""Cosine from which a statement and the question beside it are taken to be about the same thing."""
SAME_QUESTION = 0.4
"""Cosine from which two questions of one sentence are taken to be about the same thing."""
LONG_WORDS = 60
"""Of a message that is a story around a question."""
LONGEST_TITLE = 120
WORDS_FILE = Path(__file__).with_name("matters.yaml")
_MY_MAIL = re.compile(
    r"\b(?:my|our|meine?|unsere|mon|notre|mi|nuestro|моё|мое|наше) (?:last |letzte |dernier |último )?(?:e-?mails?|письмо)\b",
    re.IGNORECASE,
)
"""What the customer has written, to those who are asked about it; else a mailbox may be what the question is about."""
_YOU = re.compile(
    r"\b(?:you|u|anyone|anybody|someone|sie|ihr|du|jemand|vous|usted|ustedes|alguien|вы|кто)\b", re.IGNORECASE
)
_WORD = re.compile(r"[^\W_]+")
_SENTENCE = re.compile(r"[^.!?。！？؟\n]+(?:[.!?](?!\s|$)[^.!?。！？؟\n]*)*[.!?。！？؟]*")
_ENDS_ASKING = re.compile(r"[?？؟][^\w\s]{0,8}(?:\s|$)")
_COURTESY = (
    r"(?:\W*(?:and|also|or|so|but|then|hi|hello|hey|dear\s+\w+|please|ok(?:ay)?|und|auch|oder|aber|dann|hallo|bitte|"
    r"et|aussi|mais|bonjour|y|también|pero|hola|и|а|ещё|еще|также|привет|здравствуйте|another question|one more thing|"
    r"noch eine frage|autre question|otra pregunta)\b)*\W*"
)
_BEGINS_ASKING = re.compile(
    _COURTESY + r"(?:how|what|where|when|which|who|whom|whose|why|can|could|may|do|does|did|is|are|will|would|should|shall|"
    r"tell me|explain|show me|help me|i (?:want|need|wish|would like|'d like)|i'd like|"
    r"wie|was|wo|woher|wohin|wann|welche[rsmn]?|wer|wem|wen|warum|wieso|weshalb|womit|wofür|kann|können|könnte[n]?|darf|"
    r"gibt es|muss|soll|sollte|ist|sind|ich (?:möchte|will|brauche|würde)|"
    r"comment|où|quand|quel(?:le)?s?|qui|pourquoi|combien|est-ce|puis-je|peut-on|pouvez-vous|je (?:veux|voudrais|souhaite)|"
    r"qu'est-ce|que faire|"
    r"cómo|como|dónde|donde|cuándo|cuando|qué|cuál(?:es)?|quién|por qué|cuánto|puedo|se puede|pueden|quiero|quisiera|"
    r"necesito|как|что|где|куда|когда|какой|какая|какие|каким|кто|почему|зачем|сколько|можно|могу|нужно|хочу|"
    r"come(?! on)|dove|quando|quale|quali|qual|cosa|perché|quanto|posso|si può|potete|vorrei|voglio|"
    r"onde|quais|o que|por que|pode|podem|gostaria|preciso|quero|"
    r"كيف|متى|أين|هل|كم|لماذا|ما|أريد)\b",
    re.IGNORECASE,
)  # fmt: skip
_AND = (
    r"(?:and|plus|as well as|und|sowie|et|ainsi que|y|además|e|inoltre|и|а)\s+"
    r"(?:(?:also|then|secondly|auch|außerdem|dann|aussi|ensuite|también|luego|anche|poi|também|depois|также|ещё)\s+)?"
)
_ASKS_ALSO = (
    r"(?:how|what|where|which|who|why|whether|"
    r"(?:when|can|could|do|does|is|are|will|would|should) (?:i|we|you|it|the|my|our|your)|"
    r"wie|was|wo|woher|wohin|wann|welche[rsmn]?|wer|warum|wieso|weshalb|womit|gibt es|"
    r"(?:kann|können|muss|darf|soll) (?:ich|man|wir|sie)|"
    r"comment|où|quand|quel(?:le)?s?|pourquoi|combien|qui|est-ce|qu'est-ce|puis-je|peut-on|que faire|"
    r"cómo|dónde|cuándo|qué|cuál(?:es)?|quién|por qué|cuánto|come|dove|quale|quali|qual|perché|quanto|"
    r"como|onde|quais|o que|por que|как|что|где|куда|когда|какой|какая|какие|почему|зачем|сколько|можно)\b"
)
_JOINT = re.compile(rf"[,;،]?\s+(?=(?P<and>{_AND}){_ASKS_ALSO}|و\s?(?:كيف|متى|أين|هل|كم|لماذا|ما)\b)", re.IGNORECASE)
"""Between two questions of one sentence: `How do I pay, and where do I see my invoices?`"""
_CONTENT = re.compile(r"[^\W\d_]{4,}")

Embed = Callable[[str], Awaitable[Vectors]]
"""The meaning of a text, as a vector of length 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """One of the things that are asked for."""

    text: str
    """In the customer's words."""
    asks: bool = True
    """It is put as a question or a request; else it is told, and may be no more than that."""
    earlier: tuple[str, ...] = ()
    """What was asked before it in the same breath: it may lean on that."""

    @property
    def title(self) -> str:
        """By which it can be named in a sentence: what it asks, in one line without an end of its own."""
        sentences = [" ".join(found.split()) for found in _SENTENCE.findall(self.text)]
        asking = [each for each in sentences if asks(each)] or [each for each in sentences if not is_nudge(each)]
        if joint := _JOINT.match(f" {(asking or sentences or [self.text])[-1]}"):
            asking = [(asking or sentences)[-1][len(joint["and"] or "") :]]
        named = re.sub(r"[.!?。！？؟]+(?=\s|$)", ",", (asking or sentences or [self.text])[-1]).strip(" ,;:-¿¡")
        return named if len(named) <= LONGEST_TITLE else f"{named[:LONGEST_TITLE].rsplit(' ', 1)[0]} …"


@cache
def _words_that(do: str) -> frozenset[str]:
    """Those of the file that do this, of all languages."""
    return frozenset(word for words in read_yaml(WORDS_FILE)[do].values() for word in words.split())


def _asking() -> frozenset[str]:
    """Words that say that something is asked, and not what."""
    return _words_that("presses") | _words_that("asks")


def is_nudge(text: str) -> bool:
    """Whether a message names nothing at all: small talk, a call for somebody, a question for the answer to another."""
    told = _MY_MAIL.sub(" ", text) if _YOU.search(text) else text
    words = [word.casefold() for word in _WORD.findall(told)]
    return _words_that("presses").issuperset(words) or talk_kind(text)[0] != "question"


def asks(text: str) -> bool:
    """Whether a message is put as a question or a request."""
    return bool(_ENDS_ASKING.search(text) or _BEGINS_ASKING.match(text))


def in_pieces(messages: Sequence[str]) -> tuple[str, ...]:
    """The messages, with those in pieces that put several questions of which each can be understood without the others:
    what is told before a question goes with it, and what stands behind the last one with that. Two questions of one
    sentence are two where neither leans; `matters_of` puts together again what is about the same thing."""
    return tuple(piece for message in messages for piece in _pieces_of(message))


def _pieces_of(message: str) -> tuple[str, ...]:
    questions = _questions_in(message)
    pieces = tuple(piece for question in questions for piece in _joint_questions(question))
    return pieces if len(pieces) <= SEARCHED_AT_MOST else questions


def _joint_questions(text: str) -> tuple[str, ...]:
    """The questions of one sentence that are joined by an `and`; the text as it is where that is only one."""
    places = [0, *(found.end() for found in _JOINT.finditer(text)), len(text)]
    pieces = tuple(text[start:end].strip() for start, end in pairwise(places))
    if len(pieces) == 1 or not all(_stands_alone(_last_sentence(piece)) for piece in pieces):
        return (text,)
    if any(_WORD.findall(piece)[-1].casefold() in _asking() for piece in pieces[:-1]):
        return (text,)  # `tell me where and how my domain is registered`
    return pieces if asks(_last_sentence(pieces[0])) else (text,)


def _last_sentence(text: str) -> str:
    asking = [found for found in _SENTENCE.findall(text) if _ENDS_ASKING.search(found)]
    return str((asking or _SENTENCE.findall(text) or [text])[-1]).strip()


def _questions_in(message: str) -> tuple[str, ...]:
    if sum(map(message.count, "?？؟")) < 2:
        return (message,)
    questions = [found for found in _SENTENCE.finditer(message) if _ENDS_ASKING.search(found[0])]
    alone = [n for n, found in enumerate(questions) if _stands_alone(found[0])]
    if not 1 < len(alone) <= SEARCHED_AT_MOST:
        return (message,)  # a text that was pasted is no list of what its sender wants to know
    places = [0, *(questions[n - 1].end() for n in alone[1:]), len(message)]  # each begins behind the question before
    return tuple(message[start:end].strip() for start, end in pairwise(places))


def _stands_alone(question: str) -> bool:
    words = [word.casefold() for word in _WORD.findall(question) if len(word) > 2]
    empty = _asking()
    return sum(word not in empty for word in words) >= 2 and not leans(question.strip())


def core_of(message: str) -> Matter | None:
    """The one question of a long story that can be understood without the story: what is told around it drowns it in a
    search. None where the message is short, asks nothing or several things, or where its question leans on the rest."""
    if len(message.split()) <= LONG_WORDS:
        return None
    questions = [found.strip() for found in _SENTENCE.findall(message) if _ENDS_ASKING.search(found)]
    questions = list(dict.fromkeys(questions))
    return Matter(text=questions[0]) if len(questions) == 1 and _stands_alone(questions[0]) else None


async def matters_of(messages: Sequence[str], embed: Embed) -> tuple[Matter, ...]:
    """What these messages are about, in their order; of what only presses nothing is left."""
    told: list[Matter] = []
    for message in messages:
        text = message.strip()
        if is_nudge(text):
            continue
        matter = Matter(text=text, asks=asks(text), earlier=tuple(each.text for each in told))
        if told and await _belongs(told[-1], matter, embed):
            told[-1] = _joined(told[-1], matter)
        elif all(text.casefold() != each.text.casefold() for each in told):
            told.append(matter)
    return tuple(told)


def searched(matters: Sequence[Matter]) -> frozenset[int]:
    """The places of those that are searched for: of many the first and the newest."""
    if len(matters) <= SEARCHED_AT_MOST:
        return frozenset(range(len(matters)))
    return frozenset([0, *range(len(matters) - SEARCHED_AT_MOST + 1, len(matters))])


def rest_of(messages: Sequence[str], matters: Sequence[Matter]) -> str:
    """The messages that are part of none of these matters."""
    taken = [matter.text for matter in matters]
    return "\n".join(each for each in messages if each.strip() and all(each.strip() not in text for text in taken))


async def _belongs(before: Matter, matter: Matter, embed: Embed) -> bool:
    """Whether a message goes on with the one before it. Two questions don't: each is answered, unless the second goes
    on with an `and` and is about the same thing."""
    if before.asks and matter.asks:
        return bool(_JOINT.match(f" {matter.text}")) and await _same_thing(before.text, matter.text, embed)
    if leans(matter.text) or any(not each.asks and _is_fragment(each.text) for each in (before, matter)):
        return True
    return float(np.dot(await embed(before.text), await embed(matter.text))) >= SAME_MATTER


async def _same_thing(one: str, other: str, embed: Embed) -> bool:
    """Two questions with a word in common are about one thing; English ones without, if they mean nearly the same. In
    other languages the likeness that the local embedder finds tells the language and not the thing."""
    if _content(one) & _content(other):
        return True
    if any(tell_language(text) not in (None, "en") for text in (one, other)):
        return False
    return float(np.dot(await embed(one), await embed(other))) >= SAME_QUESTION


def _content(text: str) -> frozenset[str]:
    """The words that tell what it is about, without their endings."""
    asking = _asking()
    return frozenset(word[:6] for word in map(str.casefold, _CONTENT.findall(text)) if word not in asking)


def _is_fragment(text: str) -> bool:
    return sum(word.casefold() not in _words_that("presses") for word in _WORD.findall(text)) < 2


def _joined(first: Matter, then: Matter) -> Matter:
    return Matter(text=f"{first.text}\n{then.text}", asks=first.asks or then.asks, earlier=first.earlier)
