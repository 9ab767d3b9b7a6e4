"""What one run of the graph knows: the checkpointed control state, this turn's findings, and its surroundings.

Only the first four fields are ever stored, and none of them holds a word of the customer. Everything else of a turn
passes through channels that no checkpoint sees.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict
from uuid import UUID

from langchain_core.messages import BaseMessage
from langgraph.channels import UntrackedValue

from agent.answer.answering import Wording
from agent.answer.matters import Found
from agent.llm import Models, ToolCall
from agent.prompting import PromptParts, Several
from agent.scoring.confidence import Confidence
from kbs.embedding.embedder import Embedder
from kbs.passages import Passage
from kbs.search.cache import Retrieved
from memory.files import Files
from memory.models import Attachment, ChatMessage, ChatSession, Ticket
from tools.attachments.reading import Reading
from tools.classification import ByWords, Classification, Prototypes
from tools.context import TurnContext
from tools.escalation_policy import EscalationDecision
from tools.guardrails import GuardRules, Verdict

Outcome = Literal["answered", "honest_no", "clarified", "refused", "escalated", "smalltalk", "model_failed"]
Offer = Literal["ticket", "human"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """As the provider counts them."""

    input: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class Before:
    """How the turns before left the conversation."""

    failed_attempts: int = 0
    clarifying: bool = False
    offered: Offer | None = None


class TurnState(TypedDict, total=False):
    failed_attempts: int
    """Turns in a row that ended without an answer."""
    clarifying: bool
    """The last turn asked back; the next message answers that question."""
    last_intent: str | None
    last_turn: str

    accepts: Annotated[bool, UntrackedValue]
    """The message says yes and nothing else."""
    before: Annotated[Before, UntrackedValue]
    """The first two fields as the turn found them, and what the answer before offered."""
    verdict: Annotated[Verdict, UntrackedValue]
    retrieved: Annotated[Retrieved, UntrackedValue]
    found: Annotated[tuple[Found, ...], UntrackedValue]
    """What was found for each matter, where the messages of this turn name more than one or press for an answer."""
    by_words: Annotated[ByWords, UntrackedValue]
    classification: Annotated[Classification, UntrackedValue]
    confidence: Annotated[Confidence, UntrackedValue]
    files: Annotated[Reading, UntrackedValue]
    """What the session's files say about the question."""
    passages: Annotated[tuple[Passage, ...], UntrackedValue]
    """What the answer may quote, in the order of its numbers."""
    several: Annotated[Several | None, UntrackedValue]
    """The matters that are answered one by one."""
    decision: Annotated[EscalationDecision, UntrackedValue]
    messages: Annotated[list[BaseMessage], UntrackedValue]
    calls: Annotated[tuple[ToolCall, ...], UntrackedValue]
    rounds: Annotated[int, UntrackedValue]
    tokens: Annotated[Tokens, UntrackedValue]
    """What the answer's model read and wrote in this turn."""
    outcome: Annotated[Outcome, UntrackedValue]
    offered: Annotated[Offer | None, UntrackedValue]
    """What the answer asks the customer whether they want it; it is kept beside the answer, and a yes is their wish."""
    ticket: Annotated[Ticket, UntrackedValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judges:
    """The loaded rules and vocabularies that judgements rest on."""

    rules: GuardRules
    prototypes: Prototypes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphContext:
    """The surroundings of one run: the graph's `context_schema`, never checkpointed."""

    turn: TurnContext
    session: ChatSession
    question: str
    """All messages that this turn answers, joined."""
    messages: tuple[str, ...]
    """The same one by one."""
    asked: frozenset[UUID]
    """Ids of those messages."""
    facts: tuple[str, ...]
    """What is known of the customer."""
    attachments: tuple[Attachment, ...]
    """The newest files of the session."""
    files: Files
    history: tuple[ChatMessage, ...]
    prompt: PromptParts
    models: Models
    embedder: Embedder
    judges: Judges
    answer: Wording
    waiting_ticket: Ticket | None
    """Of the handoff that is open already."""
    deadline: float
    """When the models of this turn must have ended, on the monotonic clock."""
    begun: Callable[[], None]
    """To be told when the model has the question: another turn may begin."""

    @property
    def has_new_files(self) -> bool:
        """Whether a file came with what is to be answered."""
        return any(attachment.message_id in self.asked for attachment in self.attachments)

    @property
    def seconds_left(self) -> float:
        return max(0.5, self.deadline - time.monotonic())
