"""What phrases can't express about a text, named so that rules can use it like a word."""

import re
from collections.abc import Iterator
from itertools import groupby

from tools.guardrails.disguises import LONGEST_DECODED, SPACED, TAGS

_FEATURES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("#chat-template", re.compile(r"<\|\w{2,20}\|>|\[/?INST\]|<</?SYS>>|<start_of_turn>|</?system>")),
    (
        "#role-line",
        re.compile(r"^[\[(*# \t]{0,8}(?:system|assistant|ai|gpt|model|chatgpt|bot)[\])*]{0,4}:", re.I | re.M),
    ),
    ("#sends-data", re.compile(r"!\[[^\]\n]{0,200}\]\(https?://[^)\s?]{0,300}\?[^)\s=]{0,80}=", re.I)),
    ("#html-comment", re.compile(r"<!--")),
    (
        "#blank",
        re.compile(r"\[[A-Z_ ]{0,30}(?:HERE|PROMPT|QUESTION|REQUEST)[A-Z_ ]{0,20}\]|\{\w{0,20}prompt\w{0,20}\}"),
    ),
)
_SPELLED_OUT = 40
"""Characters in words written letter by letter, from which on it is no accident."""
_HIDDEN = 8
_SAME_WORD = 25


def features(text: str) -> Iterator[str]:
    """Names of the features that the text has."""
    yield from (name for name, pattern in _FEATURES if pattern.search(text))
    if not text.isascii() and sum(ord(char) in TAGS for char in text) >= _HIDDEN:
        yield "#hidden"
    start = text[:LONGEST_DECODED]
    if sum(len(match[0]) for match in SPACED.finditer(start)) >= _SPELLED_OUT:
        yield "#spelled-out"
    if any(len(word) > 3 and sum(1 for _ in run) >= _SAME_WORD for word, run in groupby(start.split())):
        yield "#repeated"
