"""A passage's text as blocks that can be quoted whole, and a block as a quotation with its citation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from agent.sentences import Kind, kind_of, split

BlockKind = Literal["sentence", "list", "table", "code"]
_STRAY_CITATION = re.compile(r"(?<!\w)\s?\[\d{1,3}\](?!\()")
_NOT_PROSE = re.compile(r"(?P<code>(`{1,8}).+?\2)|(?:!\[[^\]]*\]\([^)]*\)\s*|<[^>]+>\s*)+", re.DOTALL)
_ORDERED = re.compile(r"\s*\d{1,9}[.)]\s")


@dataclass(frozen=True, slots=True)
class Block:
    """One sentence, or a whole list, table or fenced code with the units that it consists of."""

    kind: BlockKind
    units: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(self.units)

    @property
    def words(self) -> int:
        return len(self.text.split())

    @property
    def is_procedure(self) -> bool:
        """Steps in an order, rather than a list of things."""
        return self.kind == "list" and bool(_ORDERED.match(self.units[0]))

    @property
    def leads_in(self) -> bool:
        """A sentence that announces the next block."""
        return self.kind == "sentence" and self.text.endswith(":")

    def quote(self, number: int) -> str:
        """The block followed by its citation: after the sentence, after each item, below a table or code."""
        match self.kind:
            case "sentence":
                return f"{self.text} [{number}]"
            case "list":
                return "".join(self._items(number)).rstrip("\n")
            case _:
                return f"{self.text.rstrip()}\n\n[{number}]"

    def _items(self, number: int) -> Iterator[str]:
        for unit in self.units:
            yield f"{unit.rstrip()} [{number}]\n" if kind_of(unit) is Kind.ITEM else f"{unit.rstrip()}\n"


def blocks_of(text: str) -> list[Block]:
    """The blocks in the order of the text; headings, pictures and bare HTML are left out."""
    found: list[Block] = []
    for unit in split(_STRAY_CITATION.sub("", text)):
        kind = kind_of(unit)
        before = found[-1] if found else None
        if kind is Kind.ITEM or (kind is Kind.FENCE and unit[0] in " \t" and before and before.kind == "list"):
            _extend(found, "list", unit)
        elif kind is Kind.ROW:
            _extend(found, "table", unit)
        elif kind is Kind.FENCE:
            found.append(Block("code", (unit,)))
        elif kind is Kind.TEXT and (sentence := " ".join(_NOT_PROSE.sub(_code_alone, unit).split())):
            found.append(Block("sentence", (sentence,)))
    return found


def _code_alone(found: re.Match[str]) -> str:
    """`<your-address>` in code is to be read; marks and pictures are not."""
    return found["code"] or ""


def narrowed(table: Block, rows: set[int]) -> Block:
    """The table with its head and only these of its units."""
    return Block("table", tuple(unit for place, unit in enumerate(table.units) if place < 2 or place in rows))


def _extend(found: list[Block], kind: BlockKind, unit: str) -> None:
    if found and found[-1].kind == kind:
        found[-1] = Block(kind, (*found[-1].units, unit))
    else:
        found.append(Block(kind, (unit,)))
