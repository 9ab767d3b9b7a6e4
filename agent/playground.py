"""The pipeline on any words, with every step to see: a message as a conversation's turn, or a ticket as a draft. Nothing
is stored, and nothing is done."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

from langchain_core.messages import AIMessage, BaseMessage

from agent.answer.answering import sources
from agent.drafts.composing import compose
from agent.drafts.shapes import ComposedDraft, DraftRequest
from agent.parts import Parts
from agent.prompting import PromptParts, Turn, parse_passages
from agent.scoring.assessment import answerability
from agent.turns.rehearsal import Outline, rehearse
from agent.turns.results import result
from agent.turns.scenes import Scene, Setting, prompt_of, read_setting
from kbs.passages import Passage
from kbs.search.cache import Retrieved
from kbs.search.retrieval import RetrievalOptions
from memory.database import Connection
from memory.models import ChatMessage, ChatSession, new_id
from memory.tenancy import Principal, Role
from tools.classification import Classification
from tools.escalation_policy import EscalationDecision
from tools.guardrails import Verdict
from tools.prompts.checking import PARTS, check
from tools.prompts.versions import get_version, texts_of
from tools.ranking.settings import as_dict, merged
from tools.staff import people_are_there

Row = dict[str, Any]
Said = Literal["customer", "bot", "agent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried, and under what; None leaves as it is for the tenant."""

    message: str = ""
    subject: str = ""
    content: str = ""
    department: str = ""
    """A ticket's words, instead of a message."""
    history: tuple[tuple[Said, str], ...] = ()
    """What was said before, oldest first."""
    prompt_version_id: UUID | None = None
    texts: Mapping[str, str] | None = None
    """Parts of a prompt, in place of those of the version."""
    ranking: Mapping[str, Any] | None = None
    audience: frozenset[str] = frozenset()


async def try_out(parts: Parts, tenant_id: UUID, trial: Trial) -> Row:
    """Run the pipeline and tell everything. Raises NotFound for the prompt, Invalid for its parts, Unavailable where the
    model is away."""
    async with parts.database.connection(tenant_id) as connection:
        setting = await _setting(connection, tenant_id, trial)
        there = await people_are_there(connection, setting.options)
    if trial.message:
        outline = await rehearse(parts, _scene(tenant_id, trial, people_there=there), setting)
        return _of_turn(trial, outline)
    request = DraftRequest(
        tenant_id=tenant_id, subject=trial.subject, content=trial.content, department=trial.department,
        audience=trial.audience, history=tuple(Turn(author=author, text=text) for author, text in trial.history),
    )  # fmt: skip
    started = time.perf_counter()
    composed = await compose(parts, request, prompt=setting.prompt, ranking=setting.ranking, options=setting.options)
    return {**_of_draft(composed, setting), "total_ms": round((time.perf_counter() - started) * 1000, 1)}


async def _setting(connection: Connection, tenant_id: UUID, trial: Trial) -> Setting:
    setting = await read_setting(connection, tenant_id)
    if trial.prompt_version_id:
        setting = replace(setting, prompt=prompt_of(await get_version(connection, trial.prompt_version_id)))
    if trial.texts:
        setting = replace(setting, prompt=_edited(setting.prompt, trial.texts))
    if trial.ranking:
        setting = replace(setting, ranking=merged(setting.ranking, trial.ranking))
    return setting


def _edited(prompt: PromptParts, texts: Mapping[str, str]) -> PromptParts:
    """The prompt with other words, which no version has."""
    found = {part: texts.get(part, getattr(prompt, part)) for part in PARTS}
    check(texts_of(found))
    return PromptParts(name=prompt.name, version_id="unsaved", **found)


def _scene(tenant_id: UUID, trial: Trial, *, people_there: bool) -> Scene:
    """A conversation that is in no table, with a customer who is in none."""
    customer_id = new_id()
    session = ChatSession(tenant_id=tenant_id, customer_id=customer_id)
    return Scene(
        session=session,
        principal=Principal(
            tenant_id=tenant_id, role=Role.CUSTOMER, customer_id=customer_id, audience=trial.audience
        ),
        question=trial.message,
        history=tuple(
            ChatMessage(tenant_id=tenant_id, session_id=session.id, n=n, author=author, content=text)
            for n, (author, text) in enumerate(trial.history, 1)
        ),
        people_there=people_there,
    )  # fmt: skip


def _of_turn(trial: Trial, outline: Outline) -> Row:
    state, answer = outline.state, outline.answer
    told, retrieved = result(state, answer), state.get("retrieved")
    quotable = [each for each in retrieved.passages if each.source.quotable] if retrieved else []
    return {
        "kind": "message", "answer": answer.text, "outcome": state.get("outcome"), "sources": told["sources"],
        "confidence": told["confidence"], "requires_escalation": told["requires_escalation"],
        "withheld": [{"text": unit, "reason": "unsupported"} for unit in answer.held_back],
        "effects": [{"what": deed.what, "data": deed.data} for deed in outline.deeds],
        "warnings": {}, "queries": list(outline.queries),
        "steps": outline.steps, "total_ms": outline.total_ms, "search_ms": dict(outline.timings_ms),
        "answerability": round(answerability(trial.message, quotable), 4) if retrieved else None,
        "tokens": {"input": outline.tokens.input, "output": outline.tokens.output},
        **_judged(state["verdict"], state["classification"], state.get("decision")),
        **_found(retrieved, answer.cited, outline.messages),
        **_asked(outline.setting.prompt, outline.setting.ranking, outline.messages),
    }  # fmt: skip


def _of_draft(composed: ComposedDraft, setting: Setting) -> Row:
    warnings = composed.warnings
    verdict = warnings.guard or Verdict(action="allow")
    return {
        "kind": "draft", "answer": composed.cited_text, "outcome": "answered" if composed.answered else "honest_no",
        "sources": sources(composed.sources), "confidence": composed.confidence.as_dict(),
        "requires_escalation": composed.escalation.escalate,
        "withheld": [{"text": each.text, "reason": each.reason} for each in warnings.withheld],
        "effects": [], "warnings": warnings.as_dict(), "queries": [composed.query],
        "steps": [{"name": name, "ms": ms} for name, ms in composed.steps_ms.items()],
        "total_ms": round(sum(composed.steps_ms.values()), 1), "search_ms": dict(composed.retrieved.timings_ms),
        "answerability": composed.answerability,
        "tokens": {"input": composed.usage.get("input", 0), "output": composed.usage.get("output", 0)},
        **_judged(verdict, composed.classification, composed.escalation),
        **_found(composed.retrieved, composed.sources, composed.messages),
        **_asked(composed.prompt, setting.ranking, composed.messages),
    }  # fmt: skip


def _judged(verdict: Verdict, found: Classification, decision: EscalationDecision | None) -> Row:
    return {
        "guard": {name: getattr(verdict, name) for name in ("action", "category", "rule", "reason", "escalate")},
        "classification": {
            name: getattr(found, name)
            for name in ("kind", "intent", "certainty", "keywords", "keyword_intent", "embedded_intent", "severity",
                         "tier", "language", "sentiment", "wants_human")
        },
        "decision": {
            "escalate": decision.escalate, "reason": decision.reason, "detail": decision.detail,
            "further": list(decision.further),
        } if decision else None,
    }  # fmt: skip


def _found(retrieved: Retrieved | None, cited: Sequence[Passage], messages: Sequence[BaseMessage]) -> Row:
    """Everything that was found, each with its number in the prompt and whether the answer rests on it."""
    passages: list[Passage] = [*(retrieved.passages if retrieved else ())]
    passages += [each for each in cited if all(each.digest != known.digest for known in passages)]
    numbers = {shown.text: shown.number for shown in parse_passages(messages)}
    relied = {each.digest for each in cited}
    similarities = retrieved.similarities if retrieved else {}
    return {
        "passages": [
            {
                "id": each.ref, "passage_id": each.id, "source": each.origin, "title": each.title,
                "heading": each.heading, "content": each.text, "score": round(each.score, 4),
                "similarity": round(each.similarity, 4), "collection": each.collection, "version": each.version,
                "number": numbers.get(each.text), "cited": each.digest in relied,
            }
            for each in passages
        ],
        "similarities": {
            source.value: [round(value, 4) for value in values] for source, values in similarities.items()
        },
    }  # fmt: skip


def _asked(prompt: PromptParts, ranking: RetrievalOptions, messages: Sequence[BaseMessage]) -> Row:
    version = None if prompt.version_id == "unsaved" else prompt.version_id
    return {
        "prompt": [_message(each) for each in messages],
        "prompt_name": prompt.name, "prompt_version_id": version, "ranking": as_dict(ranking),
    }  # fmt: skip


def _message(message: BaseMessage) -> Row:
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return {
        "role": {"human": "user", "ai": "assistant"}.get(message.type, message.type), "content": str(message.text),
        "tool_calls": [{"name": call["name"], "arguments": call["args"]} for call in calls],
    }  # fmt: skip
