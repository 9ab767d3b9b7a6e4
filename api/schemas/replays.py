"""Bodies of replays: what to replay with what, how far it is, and what would have changed."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from agent.replays.comparing import Aspect, Cause, Since
from agent.replays.rows import MOST_THREADS, Wish
from api.schemas.common import Out, Time
from api.schemas.weights import RankingIn
from tools.numbers import Whole
from tools.prices import Prices

Count = Annotated[Whole, Field(ge=0, le=MOST_THREADS)]


class ReplayIn(RankingIn):
    """A candidate: another version of a prompt, another ranking, or both. Without either it is asked whether everything
    still answers as it did."""

    prompt_version_id: UUID | None = None
    threads: Count = Field(default=50, description="the newest conversations with answers")
    drafts: Count = Field(default=50, description="the newest drafts of tickets")

    @property
    def wish(self) -> Wish:
        return Wish(
            prompt_version_id=self.prompt_version_id, ranking=self.changes() or None, threads=self.threads,
            drafts=self.drafts,
        )  # fmt: skip


class BothOut(Out):
    before: float
    after: float


class ReplaySummaryOut(Out):
    """Over all cases that were replayed; `before` is today's answer, or the stored one where that is the same."""

    done: int
    failed: int
    unchanged: int
    changed: int
    causes: dict[Cause, int] = Field(description="why answers differ; only `candidate` is the candidate's doing")
    aspects: dict[Aspect, int] = Field(description="of the candidate's changes")
    similarity: float | None = Field(description="mean likeness of the texts, 0 to 1")
    confidence: BothOut | None = Field(description="mean score")
    escalations: BothOut | None
    tokens: BothOut | None
    cost: BothOut | None = Field(description="of all tokens, by `TOKEN_PRICE_INPUT` and `TOKEN_PRICE_OUTPUT`")

    @classmethod
    def of(cls, summary: dict[str, Any], prices: Prices) -> "ReplaySummaryOut":
        read, written = summary.get("input_tokens"), summary.get("output_tokens")
        cost = {side: prices.of(read[side], written[side]) for side in read} if read and written else None
        return cls.model_validate({**summary, "cost": cost})


class BaselineOut(Out):
    prompt_version_id: UUID | None
    ranking: dict[str, Any]


class ReplayOut(Out):
    id: UUID
    status: Literal["queued", "running", "completed", "cancelled", "failed"]
    prompt_version_id: UUID | None
    prompt_name: str | None
    prompt_number: int | None
    ranking: dict[str, Any] | None
    baseline: BaselineOut = Field(description="what was in force when it was asked for")
    total: int
    finished: int
    summary: ReplaySummaryOut | None
    error: str | None
    requested_by: UUID | None
    created_at: Time
    ended_at: Time | None

    @classmethod
    def of(cls, row: dict[str, Any], prices: Prices) -> "ReplayOut":
        return cls.model_validate(
            {**row, "summary": ReplaySummaryOut.of(row["summary"], prices) if row["summary"] else None}
        )


class CitedOut(Out):
    id: str
    version: int


class GivenOut(Out):
    answer: str
    sources: list[CitedOut]
    confidence: int | None
    level: str | None
    outcome: str | None
    escalates: bool | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None = Field(description="of its tokens")

    @classmethod
    def of(cls, given: dict[str, Any], prices: Prices) -> "GivenOut":
        read, written = given["input_tokens"], given["output_tokens"]
        return cls.model_validate({**given, "cost": None if None in (read, written) else prices.of(read, written)})


class CaseOut(Out):
    """One answer: as it was, as it would be today, as it would be with the candidate."""

    id: UUID
    ordinal: int
    session_id: UUID | None
    ticket_id: UUID | None
    ticket_number: int | None
    answer_id: UUID
    status: Literal["pending", "done", "failed"]
    cause: Cause | None = Field(description="why it differs; null: it does not")
    changed: list[Aspect]
    since: list[Since] = Field(description="what is not as it was when the answer was given")
    question: str
    similarity: float | None = Field(description="of the texts, 0 to 1")
    stored: GivenOut | None
    current: GivenOut | None = Field(description="today, without the candidate; null where it was not needed")
    candidate: GivenOut | None
    error: str | None

    @classmethod
    def of(cls, row: dict[str, Any], prices: Prices) -> "CaseOut":
        sides = ("stored", "current", "candidate")
        told = {side: GivenOut.of(row[side], prices) if row[side] else None for side in sides}
        return cls.model_validate(
            {**row, **told, "since": row["stored"].get("since", []), "question": row["stored"].get("question", ""),
             "similarity": row["candidate"].get("similarity")}
        )  # fmt: skip
