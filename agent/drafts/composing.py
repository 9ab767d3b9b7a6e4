"""Composes a draft and stores nothing: the same run serves a ticket, a trial in the playground, and a replay."""

import time
from dataclasses import replace

from agent.answer.answering import without_marks
from agent.drafts.graph import draft_graph
from agent.drafts.lessons import corrections_near, original
from agent.drafts.letter import framed, letter_of
from agent.drafts.shapes import ComposedDraft, DraftRequest, Warnings
from agent.drafts.state import DraftContext, DraftState
from agent.extractive import ExtractiveChat
from agent.grounding.words import content_stems
from agent.llm import EXTRACTIVE
from agent.parts import Parts
from agent.prompting import PromptParts
from agent.sentences import split
from agent.turns.preparing import MODELS_S
from agent.turns.scenes import active_prompt
from kbs.index import Scope
from kbs.search.retrieval import RetrievalOptions
from tools.classification import Classification, reassess
from tools.escalation_policy import EscalationDecision, decide
from tools.intents import find_intent
from tools.learning.redaction import marks_in
from tools.matters import Matter, in_pieces, is_nudge, matters_of
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
    request = replace(request, messages=in_pieces(request.messages or (request.content,)))
    async with parts.database.connection(request.tenant_id) as connection:
        options = options or await load_options(connection, request.tenant_id)
        ranking = ranking or await load_retrieval_options(connection, request.tenant_id)
        prompt = prompt or await active_prompt(connection)
    scope = Scope(tenant_id=request.tenant_id, collections=tuple(options.collections), audience=request.audience)
    context = DraftContext(
        parts=parts, request=request, options=options, scope=scope, ranking=ranking, prompt=prompt,
        matters=await _matters(parts, request), deadline=time.monotonic() + MODELS_S,
        account=await _account(parts, request),
    )  # fmt: skip
    state: DraftState = await draft_graph().ainvoke({}, context=context)  # type: ignore[assignment]
    return _composed(context, state)


async def _matters(parts: Parts, request: DraftRequest) -> tuple[Matter, ...]:
    """What the customer's words ask. A ticket is a request: the first thing that it names is asked, however it is put."""
    whole = (Matter(text=request.content),)
    if not request.one_by_one:
        return whole
    first, *others = await matters_of(request.messages, parts.embedder.embed_query) or whole
    return (replace(first, asks=True), *others)


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
        query="\n".join(context.queries(state["told_by_file"])), retrieved=state["retrieved"], lessons=state["lessons"],
        classification=found, confidence=state["confidence"], answerability=round(state["answerability"], 4), answered=answered,
        escalation=_escalation(context, state, found, answered=answered),
        warnings=Warnings(
            corrections=corrections_near(state["lessons"]),
            withheld=state["left_out"],
            missing_knowledge=not answered,
            open_questions=_open_questions(request.content, state, language) if answered else (),
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


def _open_questions(content: str, state: DraftState, language: str) -> tuple[str, ...]:
    """Of a ticket that asks several things, those that the draft says it leaves open or whose words it has few of."""
    units = [unit.strip() for unit in split(content) if unit.rstrip().endswith("?")]
    questions = [unit for unit in units if not is_nudge(unit)]
    left = list(state["left_open"])
    if len(questions) < 2:
        return tuple(left[:QUESTIONS_AT_MOST])
    said = set(content_stems(state["body"], language))
    for question in questions:
        wanted = set(content_stems(question, language))
        named = any(question in text for text in left)
        if wanted and not named and len(wanted & said) < COVERED * len(wanted):
            left.append(question)
    return tuple(left[:QUESTIONS_AT_MOST])


def _model_name(context: DraftContext) -> str:
    model = context.parts.models.draft
    return EXTRACTIVE if isinstance(model, ExtractiveChat) else str(getattr(model, "model_name", "")) or model._llm_type
