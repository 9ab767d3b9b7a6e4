"""Sections of a system prompt that only some audiences' turns are given.

    You are the support agent of this company.

    [for trainee, instructor]
    They work in labs and reach no host: never name its addresses.

    [for everyone]
    Be brief.

What stands before the first such line, or below `[for everyone]`, holds for all. A customer of several audiences gets
the sections of each, in their order.
"""

import re
from collections.abc import Iterator

EVERYONE = "everyone"
AUDIENCE = re.compile(r"[a-z][a-z0-9_-]{0,59}")
_LINE = re.compile(r"^[ \t]*\[for\b([^\]\n]*)\][ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


def heard_by(text: str, audience: frozenset[str] | None) -> str:
    """The prompt as a customer of these audiences has it; None stands for colleagues who try it, who get every section."""
    if "[" not in text:
        return text
    head, *rest = _LINE.split(text)
    kept = [head]
    for names, section in zip(rest[::2], rest[1::2], strict=True):
        meant = _names(names)
        if audience is None or EVERYONE in meant or not audience.isdisjoint(meant):
            kept.append(section)
    return "\n\n".join(part.strip() for part in kept if part.strip()) if rest else text


def wrong_lines(text: str) -> Iterator[int]:
    """Numbers of the lines, counted from 1, that name an audience in another way than `[for name, name]`."""
    for found in _LINE.finditer(text):
        names = _names(found[1])
        if not found[1].startswith(" ") or not names or not all(AUDIENCE.fullmatch(name) for name in names):
            yield text.count("\n", 0, found.start()) + 1


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]
