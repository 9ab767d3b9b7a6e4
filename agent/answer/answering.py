"""The answer as it leaves: verified unit by unit, stored before it is shown, numbered by what it cites.

A unit is a sentence, a list item or a code block. It is released once it is supported by a passage of this turn or
claims nothing; what is withheld is counted and never stored. Citations are renumbered in the order in which they first
appear, so that `[n]` is always the n-th source of the answer.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from agent.answer.links import inert, seen
from agent.answer.unspoken import Unspoken
from agent.grounding import verify_sentence
from agent.sentences import Kind, SentenceBuffer, kind_of, split
from kbs.passages import Passage
from memory.database import Database
from memory.events import Event
from memory.streams import Streams
from memory.turns import Lease, release_text
from tools.guardrails import check_document

_CODE_OR_MARK = re.compile(r"(?P<code>`+[^`\n]*`+)|(?P<space>\s?)\[(?P<number>\d{1,2})\]")
TAIL = 60
"""Characters before a unit in which what it gives away may begin."""
LOOKED_AT = 2_000
"""Characters that are looked at together for orders to an assistant."""
_TRAILING_SPACE = re.compile(r"\s*\Z")


@dataclass(slots=True, kw_only=True)
class Wording:
    """Text that is verified unit by unit and numbered by what it cites; who extends it says where it goes."""

    verify: bool = True
    asked: str = ""
    """The question: a condition that it names need not be said again."""
    hosts: frozenset[str] | None = None
    """Links may lead to these, and nothing else in the text leads anywhere; None: every link stays."""
    unspoken: Unspoken | None = None
    """What the model was told and the text may not give away."""
    own: frozenset[str] = frozenset()
    """Units that are our own words, around the customer's, and need no support: what stays open is named with these."""
    names_gap: bool = False
    """One of them was said."""
    text: str = ""
    pending: str = ""
    """Words that claim nothing and lead up to some that do: released with the first supported unit."""
    cited: list[Passage] = field(default_factory=list)
    told: list[Passage] = field(default_factory=list)
    """What tools said in this turn: it supports a sentence and is no source that a customer could open."""
    supported: int = 0
    withheld: int = 0
    incomplete: bool = False
    first_text_s: float | None = None
    """From the beginning to the first piece that went out."""
    _buffer: SentenceBuffer = field(default_factory=SentenceBuffer)

    async def feed(self, text: str, passages: Sequence[Passage]) -> None:
        """Take in a piece of the model's text and release the units that it completes."""
        for unit in self._buffer.feed(text):
            self._offer(unit, passages)
        await self._send()

    async def flush(self, passages: Sequence[Passage]) -> None:
        """Offer what is left at the end of a model's text."""
        for unit in self._buffer.flush():
            self._offer(unit, passages)
        await self._send()

    async def settle(self) -> None:
        """Release what led up to nothing, unless what it announced was withheld."""
        pending, self.pending = self.pending, ""
        if pending.strip() and not self.withheld:
            self._let_out(pending)
            await self._send()

    def discard(self) -> None:
        """Forget what was never completed or never led up to anything."""
        self._buffer = SentenceBuffer()
        self.pending = ""

    async def say(self, text: str) -> None:
        """Words of our own: they claim nothing that a passage would have to support."""
        self._let_out(f"\n\n{text}" if self.text.strip() else text)
        await self._send()

    def _let_out(self, text: str) -> None:
        """Release a piece, with nothing in it that a reader's client would fetch or follow."""
        if self.hosts is not None:
            text = inert(text, self.hosts)
            if self.text.endswith("]") and text.startswith("("):
                text = f" {text}"  # or the two would be a link together
        self.text += text

    async def _send(self) -> None:
        """Let what was released go out."""

    def _withhold(self, unit: str) -> None:
        self.withheld += 1

    def _offer(self, unit: str, passages: Sequence[Passage]) -> None:
        if not unit.strip():
            self._lead_up(unit)
            return
        if unit.strip() in self.own:
            self.names_gap = True
            self._lead_up(_renumber(unit, {}))
            return
        unit = seen(unit)
        support = verify_sentence(unit, [*passages, *self.told], said=f"{self.asked} {self.text}")
        if self.verify and not (support.supported and self._may_be_told(unit, passages)):
            self._withhold(unit)
        elif support.factual or not self.verify:
            self.supported += 1
            pending, self.pending = self.pending, ""
            self._let_out(pending + self._cite(unit, support.passage_numbers, passages))
        else:
            self._lead_up(_renumber(unit, {}))

    def _lead_up(self, text: str) -> None:
        """Words without a claim follow at once in a running answer; before it they wait for what they announce."""
        if self.text.strip():
            self._let_out(text)
        else:
            self.pending += text

    def _may_be_told(self, unit: str, passages: Sequence[Passage]) -> bool:
        if any(_gives_orders(each.text) for each in (*passages, *self.told)) and _gives_orders(unit):
            return False  # an order to an assistant is nothing that a customer asked for, whatever article it stands in
        before = f"{self.text}{self.pending}"[-TAIL:]
        return self.unspoken is None or not self.unspoken.heard_in(unit, before, [*passages, *self.told])

    def _cite(self, unit: str, numbers: tuple[int, ...], passages: Sequence[Passage]) -> str:
        """The unit with its citations in the answer's own numbering; one is added where the model gave none."""
        known = [number for number in dict.fromkeys(numbers) if 1 <= number <= len(passages)]
        own = {number: self._source(passages[number - 1]) for number in known}
        if unit.lstrip().startswith("```"):
            return unit  # the model puts the mark on a line below
        if unit.lstrip().startswith("|"):
            return _renumber(unit, own)  # a mark that is added would break the row
        body = _renumber(unit, {})
        marks = "".join(f" [{number}]" for number in dict.fromkeys(own.values()))
        space = _TRAILING_SPACE.search(body)
        end = space.start() if space else len(body)
        return body[:end] + marks + body[end:]

    def _source(self, passage: Passage) -> int:
        for number, cited in enumerate(self.cited, 1):
            if cited.digest == passage.digest:
                return number
        self.cited.append(passage)
        return len(self.cited)


@dataclass(slots=True, kw_only=True)
class Answer(Wording):
    """What has been said in this turn so far, and where it goes."""

    database: Database
    streams: Streams
    lease: Lease
    _sent: int = 0
    """Characters that went out."""
    _shown: int = 0
    """Sources that did."""
    _started: float = field(default_factory=time.perf_counter)

    async def _send(self) -> None:
        """Units that came together are stored and shown together."""
        offset, text = self._sent, self.text[self._sent :]
        if not text:
            return
        await release_text(self.database.calls(self.lease.tenant_id), self.lease, text)
        self._sent += len(text)
        if self.first_text_s is None:
            self.first_text_s = time.perf_counter() - self._started
        if self._shown < len(self.cited):  # before the text that cites them, and with it
            self._shown = len(self.cited)
            self._tell("sources", {"sources": sources(self.cited)})
        data = {"turn_id": str(self.lease.turn_id), "text": text, "offset": offset}
        self.streams.publish(
            Event(
                session_id=self.lease.session_id, type="message.delta", data=data, n=self.lease.started_n,
                k=self._sent,
            )
        )  # fmt: skip

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        self.streams.publish(Event(session_id=self.lease.session_id, type=kind, data=data))


@lru_cache(maxsize=1024)  # of articles the same few are told again and again, and to look takes a while
def _gives_orders(text: str) -> bool:
    """Whether somebody has planted orders to an assistant in a text."""
    return any(
        check_document(text[start : start + LOOKED_AT]).action == "refuse" for start in range(0, len(text), LOOKED_AT)
    )


def _renumber(unit: str, numbers: dict[int, int]) -> str:
    """The unit with each `[n]` under its new number, and without those that have none; code is left as it is."""

    def replace(found: re.Match[str]) -> str:
        if found["code"]:
            return found[0]
        number = numbers.get(int(found["number"]))
        return f"{found['space']}[{number}]" if number else ""

    return _CODE_OR_MARK.sub(replace, unit)


def without_marks(text: str) -> str:
    """The text without the numbers of its sources, for those who are not shown them; code is left as it is."""
    kept = []
    for unit in split(text):
        bare = unit if kind_of(unit) is Kind.FENCE else _renumber(unit, {})
        if bare.strip() or bare == unit:  # a line that was a mark and nothing else goes
            kept.append(bare)
    return "".join(kept).strip()


def sources(passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Passages as the wire shows them: the article's stable id, the text, and 1 - score as distance."""
    return [
        {
            "id": passage.ref,
            "content": passage.text,
            "metadata": {
                "source": passage.origin, "title": passage.title, "heading": passage.heading,
                "collection": passage.collection, "version": passage.version, "language": passage.language,
            },
            "distance": round(1 - passage.score, 4),
        }
        for passage in passages
    ]  # fmt: skip
