"""Composes a draft and stores nothing: the same run serves a ticket, a trial in the playground, and a replay."""

import time

from agent.answering import without_marks
from agent.drafts.files import with_file
from agent.drafts.graph import draft_graph
from agent.drafts.lessons import corrections_near, original
from agent.drafts.letter import framed, letter_of
from agent.drafts.shapes import ComposedDraft, DraftRequest, Warnings
from agent.drafts.state import DraftContext, DraftState
from agent.extractive import ExtractiveChat
from agent.grounding.words import content_stems
from agent.llm import EXTRACTIVE
from agent.parts import Parts
from agent.preparing import MODELS_S
from agent.prompting import PromptParts
from agent.scenes import active_prompt
from agent.sentences import split
from kbs.index import Scope
from kbs.retrieval import RetrievalOptions
from tools.classification import Classification, reassess
from tools.escalation_policy import EscalationDecision, decide
from tools.intents import find_intent
from tools.learning.redaction import marks_in
from tools.search import load_retrieval_options
from tools.tenants import TenantOptions, load_options
from tools.whmcs.account import Account

COVERED = 0.34
"""Share of a question's words that the draft has, below which it is shown as left open."""
QUESTIONS_AT_MOST = 5


async def compose(
    parts: Parts,
    request: DraftRequest,
    *,
    prompt: PromptParts | None = None,
    ranking: RetrievalOptions | None = None,
    options: TenantOptions | None = None,
) -> ComposedDraft:
    """Write a draft. Prompt, ranking and settings are the tenant's own unless they are given.

    Raises Unavailable where a model is away.
    """
    async with parts.database.connection(request.tenant_id) as connection:
        options = options or await load_options(connection, request.tenant_id)
        ranking = ranking or await load_retrieval_options(connection, request.tenant_id)
        prompt = prompt or await active_prompt(connection)
    scope = Scope(tenant_id=request.tenant_id, collections=tuple(options.collections), audience=request.audience)
    context = DraftContext(
        parts=parts, request=request, options=options, scope=scope, ranking=ranking, prompt=prompt,
        deadline=time.monotonic() + MODELS_S, account=await _account(parts, request),
    )  # fmt: skip
    state: DraftState = await draft_graph().ainvoke({}, context=context)  # type: ignore[assignment]
    return _composed(context, state)


async def _account(parts: Parts, request: DraftRequest) -> Account | None:
    """Of the ticket's customer, where a model might look into it."""
    if parts.accounts is None or request.ticket_id is None or isinstance(parts.models.draft, ExtractiveChat):
        return None
    return await parts.accounts.of(request.tenant_id, request.ticket_id)


def _composed(context: DraftContext, state: DraftState) -> ComposedDraft:
    request, body = context.request, state["body"]
    answered = bool(body)
    found = reassess(state["classification"], body, answered=answered)
    language = found.language
    cited_text = framed(body or letter_of(language).gap, language, name=request.customer_name)
    text = without_marks(cited_text)
    return ComposedDraft(
        text=text, cited_text=cited_text, sources=tuple(original(passage) for passage in state["cited"]),
        query=with_file(context.query, state["told_by_file"]), retrieved=state["retrieved"], lessons=state["lessons"],
        classification=found, confidence=state["confidence"], answerability=round(state["answerability"], 4), answered=answered,
        escalation=_escalation(context, state, found, answered=answered),
        warnings=Warnings(
            corrections=corrections_near(state["lessons"]),
            withheld=state["left_out"],
            missing_knowledge=not answered,
            open_questions=_open_questions(request.content, body, language) if answered else (),
            placeholders=marks_in(text),
            cut_off=state["finish"] == "length",
            guard=state["verdict"] if state["verdict"].action != "allow" else None,
            files_refused=tuple(dict.fromkeys(each.category for each in state["files"].refused)),
            files_unread=state["files"].unread,
            not_looked_up=tuple(each for each in state.get("lookups", ()) if not each.ok),
        ),
        prompt=context.prompt, messages=tuple(state["messages"]), model=_model_name(context),
        usage=state["usage"], lookups=state.get("lookups", ()), steps_ms=state["steps"],
    )  # fmt: skip


def _escalation(
    context: DraftContext, state: DraftState, found: Classification, *, answered: bool
) -> EscalationDecision:
    intent = find_intent(found.intent, context.packs)
    return decide(
        wants_human=found.wants_human, verdict=state["verdict"], failed_attempts=0, severity=found.severity,
        tier=found.tier, sensitive=bool(intent and intent.sensitive), answerable=answered,
        confidence_level=state["confidence"].level,
    )  # fmt: skip


def _open_questions(content: str, body: str, language: str) -> tuple[str, ...]:
    """Of a ticket that asks several things, those whose words the draft has few of."""
    questions = [unit.strip() for unit in split(content) if unit.rstrip().endswith("?")]
    if len(questions) < 2:
        return ()
    said = set(content_stems(body, language))
    left = []
    for question in questions:
        wanted = set(content_stems(question, language))
        if wanted and len(wanted & said) < COVERED * len(wanted):
            left.append(question)
    return tuple(left[:QUESTIONS_AT_MOST])


def _model_name(context: DraftContext) -> str:
    model = context.parts.models.draft
    return EXTRACTIVE if isinstance(model, ExtractiveChat) else str(getattr(model, "model_name", "")) or model._llm_type
