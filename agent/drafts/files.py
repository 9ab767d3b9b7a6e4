"""What a draft learns from the files of its ticket: passages to draw on, and what to search for where a ticket says no more
than `see the attached log`."""

from agent.drafts.shapes import DraftRequest
from agent.grounding.words import content_stems
from agent.parts import Parts
from tools.attachments import reading
from tools.attachments.asking import is_about_file, without_reference

FEW = 3
"""Words with a meaning of their own, up to which a ticket that points at a file leaves the matter to it."""
SEARCHED = 400
"""Characters of a file that are searched for."""
UNREAD = (
    "A file came with this ticket that cannot be read here, such as a picture. Do not write as if its content were known; "
    "if the reply depends on it, say that a colleague will look at it."
)
NONE = reading.Reading()


async def read_files(parts: Parts, request: DraftRequest) -> reading.Reading:
    """What the files say about the ticket, without what gives the model orders."""
    files = await reading.read(parts.database, parts.files, request.tenant_id, request.files)
    return await reading.passages_for(
        request.asked, files, fresh=request.fresh, embedder=parts.embedder, rules=parts.judges.rules
    )


def told_by_file(request: DraftRequest, found: reading.Reading) -> str:
    """What stands in for the customer's words where these hardly do more than point at a file; else nothing."""
    names = [file.name for file in request.files]
    if not found.passages or not is_about_file(request.content, names):
        return ""
    own = content_stems(without_reference(request.content, names), request.language or "en")
    return found.passages[0].text[:SEARCHED] if len(own) <= FEW else ""


def with_file(words: str, told: str) -> str:
    return f"{words}\n\n{told}" if told else words
