"""From a ticket to what the composer is asked, and from what it composed to what is kept."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from agent.drafts.shapes import ComposedDraft, DraftRequest
from agent.prompting import Turn
from agent.scoring.calibration import FEWEST, Calibration
from tools.drafts.asking import Asked
from tools.drafts.writing import NewDraft

TOO_FEW = "{outcomes} decisions about drafts are too few to tell how likely an approval is; it takes {fewest}"


def request_of(tenant_id: UUID, asked: Asked, instruction: str = "") -> DraftRequest:
    """A ticket as the composer takes it."""
    return DraftRequest(
        tenant_id=tenant_id, content=asked.content, messages=asked.messages,
        subject=asked.ticket.subject, department=asked.ticket.department,
        language=asked.ticket.language, audience=asked.audience, customer_name=asked.customer_name,
        history=tuple(Turn(author=word.author, text=word.text) for word in asked.told_before), instruction=instruction,
        ticket_id=asked.ticket.id, files=asked.files, fresh=asked.unanswered,
    )  # fmt: skip


def new_draft(
    asked: Asked, composed: ComposedDraft, calibration: Calibration, *, created_by: str, instruction: str = ""
) -> NewDraft:
    """What is kept of a composed draft."""
    found = composed.classification
    return NewDraft(
        ticket_id=asked.ticket.id, content=composed.text, marked=composed.cited_text, question=asked.content,
        answers_event_id=asked.last.id, created_by=created_by, created_at=asked.at, sources=composed.sources,
        language=found.language, instruction=instruction, prompt_version_id=_uuid(composed.prompt.version_id),
        model=composed.model, intent=found.intent, severity=found.severity, tier=found.tier, score=composed.confidence.score,
        level=composed.confidence.level, warnings=composed.warnings.as_dict(), steps_ms=dict(composed.steps_ms),
        usage=dict(composed.usage), lookups=[asdict(each) for each in composed.lookups],
        confidence={
            **composed.confidence.as_dict(), "answerability": composed.answerability,
            "similarities": {source.value: list(best) for source, best in composed.retrieved.similarities.items()},
            "found": [
                {"source": p.source.value, "ref": p.ref, "title": p.title if p.source.quotable else "",
                 "score": round(p.score, 4), "similarity": round(p.similarity, 4)}
                for p in composed.retrieved.passages
            ],
            "approval": approval_of(calibration, composed.confidence.score),
            "escalation": {"advised": composed.escalation.escalate, "reason": composed.escalation.reason},
        },
    )  # fmt: skip


def approval_of(calibration: Calibration, score: int) -> dict[str, Any]:
    """How probable it is that a draft with this score is approved unchanged; no number where the tenant's own decisions
    are too few to say one, but why."""
    found = calibration.at(score).as_dict()
    if found["basis"] != "prior":
        return {**found, "reason": ""}
    return {**found, "probability": None, "reason": TOO_FEW.format(outcomes=calibration.outcomes, fewest=FEWEST)}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
