"""What makes an answer a reply: a greeting, a closing, and an honest sentence where there is no answer."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from memory.yaml_files import read_yaml
from tools.matters import Matter

_NAME = re.compile(r"[^\W\d_]+(?:[ '’.-]{1,2}[^\W\d_]+){0,3}\.?")
LONGEST_NAME = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The words of one language."""

    greeting: str
    greeting_named: str
    closing: str
    gap: str
    left_open: str
    begins: re.Pattern[str]
    ends: re.Pattern[str]


def letter_of(language: str | None) -> Letter:
    """In the customer's language, else in English."""
    letters = _letters()
    return letters.get(language or "en", letters["en"])


def left_open_in_letter(text: str, language: str | None) -> str:
    """That a colleague will look into one of several matters."""
    return letter_of(language).left_open.replace("{question}", Matter(text=text).title)


def framed(body: str, language: str | None, *, name: str = "") -> str:
    """The body with a greeting before and a closing after it, unless it brings its own."""
    letter = letter_of(language)
    lines = body.strip().split("\n")
    parts = [body.strip()]
    if not any(_begins(lines[0], each) for each in _letters().values()):
        parts.insert(0, _greeting(letter, name))
    if len(lines) == 1 or not any(_ends(lines, each) for each in _letters().values()):
        parts.append(letter.closing)
    return "\n\n".join(part for part in parts if part)


def unframed(text: str) -> str:
    """A reply without its greeting and without its closing and what follows that: what it says."""
    lines = text.strip().split("\n")
    while lines and (not lines[0].strip() or any(_begins(lines[0], each) for each in _letters().values())):
        lines.pop(0)
    for place in range(max(0, len(lines) - 6), len(lines)):
        if any(_closes(lines[place], each) for each in _letters().values()):
            lines = lines[:place]
            break
    return "\n".join(lines).strip()


def is_closing(text: str) -> bool:
    """A closing and nothing else."""
    return any(letter.ends.fullmatch(_bare(text)) for letter in _letters().values())


def _greeting(letter: Letter, name: str) -> str:
    """By name only where it looks like one: what customers call themselves is their words, too."""
    name = " ".join(name.split())
    if len(name) <= LONGEST_NAME and _NAME.fullmatch(name):
        return letter.greeting_named.replace("{name}", name)
    return letter.greeting


def _begins(line: str, letter: Letter) -> bool:
    """A line of its own: `Hello Ada,` and not `Hello, the link is in the panel.`"""
    bare = line.strip()
    return len(bare.split()) <= 6 and bool(letter.begins.fullmatch(_bare(bare)))


def _ends(lines: list[str], letter: Letter) -> bool:
    return any(_closes(line, letter) for line in lines[-4:])


def _closes(line: str, letter: Letter) -> bool:
    """Alone on its line, or with a name behind it."""
    found = letter.ends.match(_bare(line))
    return found is not None and len(_bare(line)) - found.end() <= LONGEST_NAME


def _bare(line: str) -> str:
    return line.strip().strip(",.!:*_ ")


@cache
def _letters() -> dict[str, Letter]:
    loaded = read_yaml(Path(__file__).with_name("letter.yaml"))
    return {language: _letter(words) for language, words in loaded.items()}


def _letter(words: dict[str, str]) -> Letter:
    patterns = {name: re.compile(words[name], re.IGNORECASE) for name in ("begins", "ends")}
    return Letter(
        greeting=words["greeting"], greeting_named=words["greeting_named"], closing=words["closing"],
        gap=words["gap"], left_open=words["left_open"], begins=patterns["begins"], ends=patterns["ends"],
    )  # fmt: skip
