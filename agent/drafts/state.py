"""What one run of the draft graph finds out, and its surroundings. Nothing of it is checkpointed."""

import operator
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, TypedDict

from langchain_core.messages import BaseMessage

from agent.answer.matters import Found
from agent.drafts.files import with_file
from agent.drafts.shapes import DraftRequest, Lookup, NearLesson, Withheld
from agent.llm import Finish, ToolCall
from agent.parts import Parts
from agent.prompting import PromptParts, Several
from agent.scoring.confidence import Confidence
from kbs.index import Scope, Vectors
from kbs.passages import Passage
from kbs.search.cache import Retrieved
from kbs.search.retrieval import RetrievalOptions
from tools.attachments.asking import is_about_file
from tools.attachments.reading import Reading
from tools.classification import Classification
from tools.classification.own import packs_with
from tools.guardrails import Verdict
from tools.intents import Packs, load_packs
from tools.matters import Matter
from tools.rewriting import rewrite
from tools.tenants import TenantOptions
from tools.whmcs.account import Account

Steps = dict[str, float]


class DraftState(TypedDict, total=False):
    files: Reading
    """What the ticket's files say."""
    told_by_file: str
    """What a file says in place of the customer, whose words hardly do more than point at it."""
    vectors: tuple[Vectors, ...]
    """Of what is searched for, one for each matter."""
    found: tuple[Found, ...]
    retrieved: Retrieved
    lessons: tuple[NearLesson, ...]
    lessons_of: tuple[tuple[NearLesson, ...], ...]
    """Those near each matter."""
    classification: Classification
    verdict: Verdict
    confidence: Confidence
    answerability: float
    passages: tuple[Passage, ...]
    """What the draft may draw on, in the order of its numbers."""
    several: Several | None
    """The matters that are answered one by one, where the customer wrote more than once."""
    messages: list[BaseMessage]
    """The prompt, and what was looked up since."""
    calls: tuple[ToolCall, ...]
    """What the model asked to look up, and waits for."""
    rounds: int
    lookups: tuple[Lookup, ...]
    raw: str
    """As the model wrote it."""
    finish: Finish
    usage: dict[str, int]
    body: str
    """Verified, with its numbers, before greeting and closing."""
    left_open: tuple[str, ...]
    """Matters that the body says it leaves open."""
    cited: tuple[Passage, ...]
    left_out: tuple[Withheld, ...]
    steps: Annotated[Steps, operator.or_]
    """Milliseconds of each step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftContext:
    """The surroundings of one run: the graph's `context_schema`."""

    parts: Parts
    request: DraftRequest
    options: TenantOptions
    scope: Scope
    ranking: RetrievalOptions
    prompt: PromptParts
    matters: tuple[Matter, ...]
    """What is asked, each thing for itself; one, where the customer wrote once."""
    deadline: float
    """When the model must have ended, on the monotonic clock."""
    account: Account | None = None
    """Of the ticket's customer in the tenant's WHMCS."""

    @property
    def packs(self) -> Packs:
        packs = load_packs()
        return packs_with([packs[name] for name in self.options.intent_packs if name in packs], self.options.intents)

    def queries(self, told_by_file: str) -> tuple[str, ...]:
        """What is searched for, of each matter: its words, and those before them where a follow-up leans on them."""
        earlier = [turn.text for turn in self.request.history if turn.author == "customer"]
        words = [rewrite(matter.text, [*earlier, *matter.earlier]) for matter in self.matters]
        return tuple(
            with_file(replace(self.request, content=text).asked, self._told(matter, told_by_file))
            for text, matter in zip(words, self.matters, strict=True)
        )

    def asked(self, matter: Matter, told_by_file: str = "") -> str:
        """The subject and the words of a matter."""
        return with_file(replace(self.request, content=matter.text).asked, self._told(matter, told_by_file))

    def _told(self, matter: Matter, told_by_file: str) -> str:
        """A file speaks for the matter that points at it."""
        names = [file.name for file in self.request.files]
        return told_by_file if len(self.matters) == 1 or is_about_file(matter.text, names) else ""

    @property
    def seconds_left(self) -> float:
        return max(0.5, self.deadline - time.monotonic())


@contextmanager
def timed(steps: Steps, name: str) -> Iterator[None]:
    """Adds the time of a step to those that are known."""
    started = time.perf_counter()
    yield
    steps[name] = round(steps.get(name, 0.0) + (time.perf_counter() - started) * 1000, 2)
