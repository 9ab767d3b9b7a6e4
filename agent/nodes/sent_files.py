"""What a turn learns from the files of its session."""

from agent import metrics
from agent.grounding.words import content_stems
from agent.state import GraphContext
from tools.attachments import reading
from tools.attachments.asking import is_about_file, without_reference
from tools.guardrails.log import record_verdict

NONE = reading.Reading()


async def read_files(context: GraphContext) -> reading.Reading:
    """What this session's files say about the question, without what gives the model orders."""
    if not context.attachments:
        return NONE
    attachments = await reading.read(
        context.turn.database, context.files, context.turn.principal.tenant_id, context.attachments
    )
    found = await reading.passages_for(
        context.question, attachments, fresh=context.asked, embedder=context.embedder, rules=context.judges.rules
    )
    for verdict in found.refused:
        await record_verdict(context.turn, verdict)
        if context.turn.rehearsal is None:
            metrics.guardrail_events_total.labels(verdict.action, verdict.category).inc()
    return found


def asks_only_what_files_say(context: GraphContext) -> bool:
    """Whether nothing but a file could answer: `what does the attached letter say?`"""
    names = [attachment.name for attachment in context.attachments]
    matter = without_reference(context.question, names)
    return bool(names) and is_about_file(context.question, names) and not content_stems(matter, "en")
