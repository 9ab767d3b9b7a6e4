"""Bodies of the playground: any words under any setting, and everything that the pipeline made of them. For colleagues."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from agent.playground import Trial
from api.schemas.chat import ConfidenceOut, SourceOut
from api.schemas.common import Body, CleanText, Line, MessageText, Out
from api.schemas.prompts import ContextTemplate, SystemPrompt, TaskTemplate
from api.schemas.weights import RankingIn, WeightsOut
from tools.prompts.checking import PARTS

Name = Annotated[CleanText, StringConstraints(min_length=1, max_length=60)]


class SaidIn(Body):
    author: Literal["customer", "bot", "agent"]
    text: MessageText


class TicketWordsIn(Body):
    subject: Line
    content: MessageText
    department: Annotated[CleanText, StringConstraints(max_length=60)] = ""


class PlaygroundIn(RankingIn):
    """A `message` or a `ticket`; what is left out of the rest is as it is for your tenant."""

    message: MessageText | None = Field(default=None, description="answered as in a conversation")
    ticket: TicketWordsIn | None = Field(default=None, description="gets a draft")
    history: Annotated[list[SaidIn], Field(max_length=20, description="what was said before, oldest first")] = []
    prompt_version_id: UUID | None = None
    system_prompt: SystemPrompt | None = None
    context_template: ContextTemplate | None = None
    task_template: TaskTemplate | None = None
    audience: Annotated[list[Name], Field(max_length=20, description="of the customer who asks")] = []

    @model_validator(mode="after")
    def _one_of_two(self) -> "PlaygroundIn":
        if (self.message is None) == (self.ticket is None):
            raise ValueError("give a message or a ticket, and not both")
        return self

    @property
    def trial(self) -> Trial:
        ticket = self.ticket
        texts = {part: text for part in PARTS if (text := getattr(self, part)) is not None}
        return Trial(
            message=self.message or "", subject=ticket.subject if ticket else "",
            content=ticket.content if ticket else "", department=ticket.department if ticket else "",
            history=tuple((said.author, said.text) for said in self.history), texts=texts or None,
            prompt_version_id=self.prompt_version_id, ranking=self.changes() or None,
            audience=frozenset(name.lower() for name in self.audience),
        )  # fmt: skip


class StepOut(Out):
    name: str
    ms: float


class GuardOut(Out):
    action: Literal["allow", "refuse", "escalate"]
    category: str
    rule: str
    reason: str
    escalate: bool


class ClassificationOut(Out):
    kind: str
    intent: str | None
    certainty: float
    keywords: list[str]
    keyword_intent: str | None
    embedded_intent: str | None
    severity: Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]
    tier: int
    language: str
    sentiment: float
    wants_human: bool


class DecisionOut(Out):
    escalate: bool
    reason: str | None
    detail: str
    further: list[str]


class PassageOut(Out):
    id: str
    passage_id: UUID
    source: str
    title: str
    heading: str
    content: str
    score: float = Field(description="by which it was ranked")
    similarity: float = Field(description="raw cosine with the question")
    collection: str
    version: int
    number: int | None = Field(description="its number in the prompt; null where the model was not shown it")
    cited: bool


class WithheldOut(Out):
    text: str
    reason: str


class EffectOut(Out):
    """What a live turn would have done."""

    what: str
    data: dict[str, Any]


class PromptMessageOut(Out):
    role: str
    content: str
    tool_calls: list[dict[str, Any]]


class TokensOut(Out):
    input: int
    output: int


class RankingUsedOut(Out):
    weights: WeightsOut
    rerank: bool
    threshold: float
    top_k: int


class PlaygroundOut(Out):
    kind: Literal["message", "draft"]
    answer: str = Field(description="with `[n]` for the n-th of `sources`")
    outcome: str | None
    sources: list[SourceOut]
    withheld: list[WithheldOut] = Field(description="what the model wrote and no customer would see")
    requires_escalation: bool
    effects: list[EffectOut] = Field(description="what a live turn would have done; nothing was")
    guard: GuardOut
    classification: ClassificationOut
    decision: DecisionOut | None
    confidence: ConfidenceOut | None
    answerability: float | None
    queries: list[str] = Field(description="what was searched for: the question as it was rewritten first")
    passages: list[PassageOut]
    similarities: dict[str, list[float]] = Field(description="the best raw cosines of each source")
    warnings: dict[str, Any] = Field(description="of a draft: what a colleague should look at")
    prompt: list[PromptMessageOut] = Field(description="as it was sent; empty where no model was asked")
    prompt_name: str
    prompt_version_id: str | None = Field(description="null for parts that are no version")
    ranking: RankingUsedOut
    tokens: TokensOut
    steps: list[StepOut]
    search_ms: dict[str, float] = Field(description="parts of the search; empty where it came from the cache")
    total_ms: float
