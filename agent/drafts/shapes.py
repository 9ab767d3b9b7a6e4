"""What a draft is asked for, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from langchain_core.messages import BaseMessage

from agent.prompting import PromptParts, Turn
from agent.scoring.confidence import Confidence
from kbs.passages import Passage, Source
from kbs.search.cache import Retrieved
from memory.models import Attachment
from tools.classification import Classification
from tools.escalation_policy import EscalationDecision
from tools.guardrails import Verdict
from tools.learning.lessons import Lesson


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRequest:
    """A ticket's words, or any others: nothing of it has to be stored."""

    tenant_id: UUID
    content: str
    """The customer's words that are to be answered."""
    messages: tuple[str, ...] = ()
    """The same one by one, where there are several."""
    subject: str = ""
    department: str = ""
    language: str | None = None
    """Code of the customer's language where the caller knows it; else it is detected."""
    audience: frozenset[str] | None = frozenset()
    """Of the customer: no article for others is quoted. None: of everybody, for a trial by colleagues."""
    customer_name: str = ""
    history: tuple[Turn, ...] = ()
    """What was said before, oldest first, without `content`."""
    instruction: str = ""
    """What a colleague wants to be different; theirs alone, never words of a customer."""
    ticket_id: UUID | None = None
    """Where the account of the ticket's customer may be looked into."""
    files: tuple[Attachment, ...] = ()
    """That came with the ticket, oldest first."""
    fresh: frozenset[UUID] = frozenset()
    """Of the messages and events that nobody has answered: what came with these is always looked at."""

    @property
    def one_by_one(self) -> bool:
        """Whether it came in several messages, each of which may ask something of its own."""
        return bool(self.messages) and self.messages != (self.content,)

    @property
    def asked(self) -> str:
        """Subject and words together, as they are searched for and answered."""
        subject, content = self.subject.strip(), self.content.strip()
        return content if not subject or subject.casefold() in content.casefold() else f"{subject}\n\n{content}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NearLesson:
    """A learned reply near the ticket."""

    lesson: Lesson
    match: float
    """Raw cosine of the ticket with its nearest passage: what the confidence and the warning rest on."""
    alike: float
    """Whether it is the same matter, 0 to 1: how like the ticket its question and its reply are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A sentence that the model wrote and the draft does not hold."""

    text: str
    reason: str
    """unsupported | mistake | done_elsewhere"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Something that the model looked up before it wrote."""

    tool: str
    """search_knowledge | client_details | client_invoices | unknown"""
    query: str
    ok: bool
    error: str
    refs: tuple[str, ...]
    """Of the passages that it gave, as the sources name them."""
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Warnings:
    """What a colleague should look at before they approve."""

    corrections: tuple[NearLesson, ...] = ()
    """Past mistakes near this ticket (similarity above 0.5), nearest first."""
    withheld: tuple[Withheld, ...] = ()
    missing_knowledge: bool = False
    """Nothing that is known answers this."""
    open_questions: tuple[str, ...] = ()
    """Questions of the customer that the draft may leave open."""
    placeholders: tuple[str, ...] = ()
    """Marks of removed personal data that stand in the draft and must be filled in."""
    cut_off: bool = False
    """The model's answer was longer than it may be."""
    guard: Verdict | None = None
    """What the guard has against the customer's words, if anything."""
    files_refused: tuple[str, ...] = ()
    """Categories of what the guard found in the ticket's files, and left out."""
    files_unread: tuple[str, ...] = ()
    """Names of files in which there was nothing to read: a person should look at them."""
    not_looked_up: tuple[Lookup, ...] = ()
    """What the model wanted to look up and could not."""

    def as_dict(self) -> dict[str, Any]:
        """As it is stored and shown; what holds nothing is left out."""
        found: dict[str, Any] = {
            "corrections": [
                {
                    "id": str(near.lesson.id), "similarity": round(near.match, 4), "alike": round(near.alike, 4),
                    "subject": near.lesson.subject, "wrong": near.lesson.wrong, "reply": near.lesson.reply,
                    "notes": near.lesson.notes,
                }
                for near in self.corrections
            ],
            "withheld": [{"text": each.text, "reason": each.reason} for each in self.withheld],
            "missing_knowledge": self.missing_knowledge,
            "open_questions": list(self.open_questions),
            "placeholders": list(self.placeholders),
            "cut_off": self.cut_off,
            "guard": (
                {"action": self.guard.action, "category": self.guard.category, "reason": self.guard.reason}
                if self.guard else None
            ),
            "files_refused": list(self.files_refused),
            "files_unread": list(self.files_unread),
            "not_looked_up": [{"tool": each.tool, "error": each.error} for each in self.not_looked_up],
        }  # fmt: skip
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedDraft:
    """A draft with everything that led to it."""

    text: str
    """As it would be sent."""
    cited_text: str
    """The same with `[n]` where it rests on the n-th of `sources`."""
    sources: tuple[Passage, ...]
    """What it rests on, in the order of its numbers; of a learned reply, `text` is the part that was drawn on."""
    query: str
    """What was searched for: the ticket's words, in the light of those before."""
    retrieved: Retrieved
    """All that was found, with scores, and the best similarities by source."""
    lessons: tuple[NearLesson, ...]
    classification: Classification
    """With the severity and the tier as the finished draft leaves them."""
    confidence: Confidence
    answerability: float
    answered: bool
    escalation: EscalationDecision
    """What the policy of conversations would say: advice for a colleague, here."""
    warnings: Warnings
    prompt: PromptParts
    messages: tuple[BaseMessage, ...] = ()
    """The prompt as it was written out; without a model nobody may have read it."""
    model: str
    usage: Mapping[str, int] = field(default_factory=dict)
    """`input` and `output` tokens, as the provider counts."""
    lookups: tuple[Lookup, ...] = ()
    """What the model looked up, in its order."""
    steps_ms: Mapping[str, float] = field(default_factory=dict)
    """embed, retrieve, rerank, classify, confidence, prompt, generate, verify; and read_files and look_up, where it did."""

    @property
    def language(self) -> str:
        return self.classification.language

    def scores(self) -> dict[Source, tuple[float, ...]]:
        """Final ranking scores of what was found, by source."""
        found: dict[Source, tuple[float, ...]] = {}
        for passage in self.retrieved.passages:
            found[passage.source] = (*found.get(passage.source, ()), round(passage.score, 4))
        return found
