"""The HTTP application: lifespan, middleware, routes. Everything it does is done below it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from agent import metrics
from agent.attending import attending
from agent.keys import secret_key
from agent.resources import Resources, open_resources
from agent.settings import Settings
from api import docs, errors
from api.body_limit import BodyLimit
from api.cors import TenantCors
from api.early_refusal import EarlyRefusal
from api.event_stream import GRACE_S, OpenStreams
from api.limits import Limiter
from api.middleware import RequestContext
from api.routes import (
    admin,
    analytics,
    attachments,
    audit,
    auth,
    chat,
    console,
    corrections,
    examples,
    feedback,
    gaps,
    handoffs,
    health,
    kb,
    kb_work,
    playground,
    prompts,
    replays,
    replies,
    search,
    tickets,
    webhooks,
    weights,
    whmcs,
    widget,
)
from api.tokens import Tokens

VERSION = "0.1.0"


def create_app(settings: Settings, resources: Resources | None = None) -> FastAPI:
    """The application; with `resources` given they are used as they are and left open."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if resources is not None:
            _attach(app, settings, resources)
            yield
            return
        async with open_resources(settings) as opened:
            _attach(app, settings, opened)
            async with attending(opened):
                yield
                app.state.closing = True
                await opened.turns.drain(GRACE_S)

    with_docs = settings.app.debug or settings.embedded
    app = docs.Documented(
        title="Helpdesk",
        version=VERSION,
        description="A support agent that answers from your knowledge base, cites it, and hands over to people.",
        lifespan=lifespan,
        docs_url=None,
        redirect_slashes=False,  # a redirect would repeat the Host header of whoever asked
        redoc_url=None,
        openapi_url="/openapi.json" if with_docs else None,
    )
    errors.install(app)
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(EarlyRefusal)
    if with_docs:
        docs.install(app)
    app.add_middleware(TenantCors, origins=settings.http.origins)
    app.add_middleware(RequestContext)
    for router in (
        chat.router,
        chat.once,
        analytics.router,
        attachments.router,
        auth.router,
        admin.router,
        feedback.router,
        handoffs.router,
        playground.router,
        prompts.router,
        replays.router,
        kb_work.uploads,
        kb_work.router,
        kb.router,
        gaps.router,
        search.router,
        replies.router,
        examples.router,
        corrections.router,
        tickets.router,
        webhooks.router,
        webhooks.kinds,
        weights.router,
        whmcs.router,
        audit.router,
        health.router,
        console.router,
        widget.router,
    ):
        app.router.routes.extend(router.routes)  # `include_router` would work out every route again, at half a second
    return app


def _attach(app: FastAPI, settings: Settings, resources: Resources) -> None:
    app.state.resources = resources
    database = resources.database
    metrics.watch_pool(database.connections_in_use, 2 * settings.database.pool_size)
    app.state.closing = False
    app.state.streams = OpenStreams()
    app.state.limiter = Limiter(resources.redis)
    app.state.tokens = Tokens(
        secret_key(settings), algorithm=settings.security.jwt_algorithm,
        access_minutes=settings.security.access_token_minutes,
    )  # fmt: skip
