"""Which sentences claim nothing: greetings, thanks, apologies, questions back, offers, an honest "I don't have that".

The net is narrow on purpose. A sentence with a number, an address, an identifier or code is never small talk, and a
sentence that goes on after "but" has to be harmless on both sides.
"""

import re

from agent.grounding.reading import Reading, read
from agent.grounding.words import CHAT_WORDS, is_content
from agent.sentences import Kind, kind_of

_LONGEST = 40
"""Words; a longer sentence says something."""

_CONTRAST = re.compile(r"(?:[,;]|(?<!\s))\s+(?:but|however|aber|jedoch|mais|pero|но)\s+|;\s+", re.IGNORECASE)
_QUESTION = re.compile(r"[?？؟]\W*$")
_RHETORICAL = re.compile(
    r"\b(?:did you know|wussten sie|wusstest du|saviez-vous|sabía que|знаете ли вы)\b", re.IGNORECASE
)
_ANNOUNCES = re.compile(
    r"\b(?:here|these|this|following|follow|below|steps?|how|so|folgende\w*|schritte\w*|hier|voici|suivante?s?|étapes?|"
    r"estos?|siguientes?|pasos|вот|следующ\w+|шаг\w*|ecco|così|seguent[ei]|seguintes?|assim|tal como|كما|التالي\w*)\b[^:]*:\W*$",
    re.IGNORECASE,
)
_VOCATIVE = re.compile(
    r"\W*(?:hello|hi|hey|dear|good (?:morning|afternoon|evening)|hallo|guten (?:tag|morgen|abend)|liebe[rs]?|bonjour|"
    r"bonsoir|hola|buen[oa]s? (?:días|tardes|noches)|здравствуйте|привет|добрый день)"
    r"(?:,?\s+(?-i:[A-ZÀ-ÖØ-ÞА-ЯЁ])[\w.'-]*){0,3}\s*[,.!:]*\s*$",
    re.IGNORECASE,
)
_KNOWLEDGE = (
    r"(?:knowledge base|documentation|articles|passages|sources|wissensdatenbank|dokumentation|base de connaissances|"
    r"base de conocimientos?|documentación|баз[аеы] знаний|статьях)"
)
_NOTHING = r"(?:no|not|nothing|anything|any|keine?n?|nichts|pas|aucune?|rien|nada|ninguna?|нет|ничего)"
_SAYS_NOTHING = (
    r"(?:do(?:es)?(?:n't| not)|(?:has|have|contains?|gives?) no|says? nothing|(?:hat|enthält) keine?n?|sagt nichts|"
    r"n[e'](?: )?\w+ (?:pas|rien|aucune?)|no (?:contiene|tiene|dice|incluye|responde)|не содержит|нет)"
)
_ADMITS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # I / we do not have, know, find, see ...
        r"\b(?:i|we)\b(?:\s+\w+)?\s+(?:can(?:not|'t)|could(?:n't| not)|do(?:n't| not)|did(?:n't| not)|"
        r"have(?:n't| not)|am not|'m not|are not|'re not|was(?:n't| not)|am unable)\b.{0,40}"
        r"\b(?:have|find|found|see|know|sure|able|answer|locate|confirm|access|information|details?|unable)\b",
        # the knowledge base does not say, cover, contain ...
        rf"\b{_KNOWLEDGE}\s+(?:\w+\s+)?{_SAYS_NOTHING}",
        rf"\b{_NOTHING}\b.{{0,50}}\b(?:in|dans|en|в)\s+(?:\w+\s+)?{_KNOWLEDGE}\b",
        r"\bich (?:habe|finde|weiß|kenne|kann)\b.{0,60}\b(?:keine?n?|nicht|nichts)\b",
        r"\b(?:dazu|darüber|hierzu) (?:habe|finde|weiß) ich\b.{0,60}\b(?:keine?n?|nicht|nichts)\b",
        r"\bje (?:n'ai|ne (?:trouve|sais|dispose|connais|peux))\b.{0,40}\b(?:pas|aucune?|rien)\b",
        r"\bno (?:tengo|encuentro|encontré|sé|dispongo|puedo)\b.{0,40}"
        r"\b(?:información|respuesta|datos|nada|eso|encontrar)\b",
        r"\b(?:я|мы)?\s*(?:не (?:знаю|нашёл|нашел|нашла|нашли|могу)|у меня нет)\b",
        r"\bلا (?:توجد لدي|أجد|أعرف|أملك)\b",
    )
)
_DENIES = re.compile(r"any|rien|ningun|لا", re.IGNORECASE)
"""What these have where they have no negation."""


def claims_nothing(unit: str, language: str | None) -> bool:
    """Whether the unit may stand without support; `language` is None where nobody can tell."""
    whole, kind = read(unit, language or "en"), kind_of(unit)
    if kind is Kind.ROW:
        return not whole.stems and not whole.has_facts
    if whole.has_facts or len(whole.words) > _LONGEST or kind is Kind.FENCE:
        return False
    if kind is Kind.HEADING:
        return len(whole.words) <= 6 and not whole.strong
    languages = (language,) if language else tuple(CHAT_WORDS)
    return any(
        all(_is_harmless(part, spoken) for part in _CONTRAST.split(unit) if part.strip()) for spoken in languages
    )


def _is_harmless(part: str, language: str) -> bool:
    reading = read(part, language)
    if not reading.stems or _VOCATIVE.match(part):
        return True
    if _QUESTION.search(part):
        return not _RHETORICAL.search(part)
    if ":" in part and _ANNOUNCES.search(part):
        return not reading.strong and not reading.negated and len(reading.words) <= 16
    if (reading.negated or _DENIES.search(part)) and any(pattern.search(part) for pattern in _ADMITS):
        return not reading.strong
    return not _left_over(reading, language)


def _left_over(reading: Reading, language: str) -> list[str]:
    """Content words that conversation alone does not explain."""
    chat = CHAT_WORDS.get(language, frozenset())
    return [word for word in reading.words if len(word) > 1 and is_content(word, language) and word not in chat]
