"""The playground: the real pipeline on any words, every step to see, nothing stored and nothing done."""

from fastapi import APIRouter

from agent.playground import try_out
from api import PREFIX
from api.dependencies import Colleague, Limits, Res
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.schemas.playground import PlaygroundIn, PlaygroundOut

router = APIRouter(prefix=PREFIX, tags=["playground"], route_class=IdempotentRoute)


@router.post("/playground", responses=responses(401, 403, 404))
async def play(body: PlaygroundIn, principal: Colleague, resources: Res, limits: Limits) -> PlaygroundOut:
    """Answer a message, or draft a reply to a ticket, under your tenant's settings or any others."""
    await limits.check("playground", principal.key, resources.settings.http.messages_per_minute)
    return PlaygroundOut.model_validate(await try_out(resources, principal.tenant_id, body.trial))
