"""Takes people's names out of a text, without tearing it apart.

A whole name always goes, and so does each part of it that is no everyday word. Of a customer named `Will May` or `Web Mail
Support` the parts are also words of ordinary sentences: these go only where they are said as a name, after a greeting or a
title, beside another part of the name, alone on a line, and, of what people are called, in the middle of a sentence.
"""

import re
from collections.abc import Collection
from functools import cache, partial

from kbs.articles.global_content import global_collections, open_global_content
from kbs.words.glossary import FUNCTION_WORDS
from tools.intents import load_packs

SHORTEST = 3
MOST_PARTS = 4
"""Of one name, that stand beside each other."""
_PARTS = re.compile(r"[\s.@_-]+")
_LETTERS = re.compile(r"(?<![^\W_])[^\W\d_]{3,}(?![^\W_])")
_CODE = re.compile(r"```.*?```|`[^`]*`|\S*[@/\\_#:.]\S+", re.DOTALL)
_MONTH = "may"
_PEOPLES = """
will may mark grace max grant faith hope bill rich art black white green cross day long major short small little
"""
"""Everyday words that people are called by."""
_COMPANIES = """
gmbh ltd llc inc company group team service services support web mail hosting host online shop store studio media digital
data systems solutions software cloud server network technology agency office club school hotel restaurant firma verein
kunden kundendienst dienst dienste agentur praxis büro reisebüro haus technik schule laden netz société agence boutique
bureau école réseau empresa tienda agencia oficina escuela servicio servicios grupo red компания магазин студия агентство
сервис группа школа сеть
"""
"""Everyday words that companies are called by."""
_OF_PEOPLE, _OF_COMPANIES = frozenset(_PEOPLES.split()), frozenset(_COMPANIES.split())
_TITLE = (
    r"(?:mr|mrs|ms|miss|dr|prof|herrn?|frau|monsieur|madame|mme|mlle|señora?|sra?|don|doña|господин|госпожа|г-н|г-жа)"
)
_GREETING = (
    r"(?:hello|hi|hey|dear|good (?:morning|evening|afternoon)|thanks|thank you|i am|i'm|this is|name is|"
    r"hallo|liebe[rs]?|guten (?:tag|morgen|abend)|moin|danke|ich bin|ich heiße|name ist|"
    r"bonjour|bonsoir|chère?|merci|je suis|je m'appelle|hola|buen[oa]s (?:días|tardes)|estimad[oa]|querid[oa]|gracias|soy|"
    r"me llamo|здравствуйте|привет|уважаем\w{2,3}|спасибо|меня зовут)"
)


def without_names(text: str, names: Collection[str], mark: str) -> str:
    """The text with `mark` where one of these names stood."""
    for name in _longest_first(_whole(names) | telling_parts(names)):
        text = re.sub(rf"\b{re.escape(name)}\b", mark, text)
    if everyday := _parts(names) - telling_parts(names):
        text = _without_everyday(text, _longest_first(everyday), mark, of_people=bool(telling_parts(names)))
    return text


def telling_parts(names: Collection[str]) -> set[str]:
    """The parts of names that are no everyday words."""
    return {part for part in _parts(names) if part.casefold() not in everyday_words()}


@cache
def everyday_words() -> frozenset[str]:
    """In lower case: what the articles that ship say in ordinary sentences, what tickets are about in several languages,
    and what people and companies are called by although it means something else. Not each English word that a model
    knows: these hold thousands of names."""
    written = frozenset[str]().union(*map(_words_of, global_collections()))
    said = (keyword for pack in load_packs().values() for intent in pack.intents for keyword in intent.keywords)
    asked = {term.removesuffix("*") for phrase in said for step in phrase.steps for term in step.terms}
    return frozenset(written | asked | _OF_PEOPLE | _OF_COMPANIES).union(*FUNCTION_WORDS.values())


def _words_of(collection: str) -> frozenset[str]:
    """Of a collection's articles, words in lower case outside of code and addresses, which hold names of users."""
    with open_global_content(collection) as folder:
        texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*.md")]
    return frozenset(word for text in texts for word in _LETTERS.findall(_CODE.sub(" ", text)) if word.islower())


def _whole(names: Collection[str]) -> set[str]:
    return {" ".join(name.split()) for name in names if len(name.strip()) >= SHORTEST}


def _parts(names: Collection[str]) -> set[str]:
    """Those that are long enough and begin with a capital: others would tear text apart."""
    found = {part for name in _whole(names) for part in _PARTS.split(name)}
    return {part for part in found if len(part) >= SHORTEST and part[:1].isupper()}


def _without_everyday(text: str, parts: list[str], mark: str, *, of_people: bool) -> str:
    """Without those of an everyday meaning, where they stand as somebody's name; `of_people` says that another part of the
    name is none, so that this one is likely to be a surname."""
    any_part = _any_of(parts)
    put = partial(_put, mark)
    text = re.sub(rf"(?P<kept>\b(?i:{_TITLE})\.?\s{{1,3}}){any_part}", put, text)
    text = re.sub(rf"(?P<kept>\b(?i:{_GREETING})\s{{1,3}}){any_part}(?=\s*(?:[,.!;:–-]|$))", put, text, flags=re.M)
    beside = rf"(?:{any_part} ){{0,{MOST_PARTS}}}{re.escape(mark)}(?: {any_part}){{0,{MOST_PARTS}}}"
    text = re.sub(beside, mark, text)
    if called := [part for part in parts if part.casefold() not in _OF_COMPANIES]:
        text = re.sub(rf"(?P<kept>^[ \t]*(?:[–—-] ?)?){_any_of(called)}(?=[ \t]*[.,!]?[ \t]*$)", put, text, flags=re.M)
    said = [part for part in called if (of_people or part.casefold() in _OF_PEOPLE) and part.casefold() != _MONTH]
    if said:
        text = re.sub(rf"(?P<kept>[^\W\d_A-Z][,;]? ){_any_of(said)}", put, text)
    return text


def _put(mark: str, found: re.Match[str]) -> str:
    return f"{found['kept']}{mark}"


def _any_of(parts: list[str]) -> str:
    return rf"\b(?:{'|'.join(map(re.escape, parts))})\b"


def _longest_first(names: set[str]) -> list[str]:
    return sorted(names, key=lambda name: (-len(name), name))
