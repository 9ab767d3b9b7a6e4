"""The widget's files: the loader that sites include, the page in its frame, and a page to try it on.

The page may be framed only by the tenant's own sites; its policy lets nothing in but our own files. Assets carry a
version that is the digest of them all, so that they can be kept for ever and a release is seen at once.
"""

import html
import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import HTMLResponse

from api.assets import SHORTLY, Assets, files_in
from api.dependencies import Limits, Res, network_of
from memory.errors import NotAuthenticated, NotFound
from tools.identity import principals
from tools.identity.provisioning import DEMO
from tools.tenants import load_options, name_of

router = APIRouter(include_in_schema=False)
STATIC = files("api.widget").joinpath("static")
LOCALES = ("en", "de", "fr", "es", "ar")
QUESTIONS = (
    "How do I reset my mailbox password?",
    "How do I install a free SSL certificate?",
    "Why does my lab machine not start?",
)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
)
DEMO_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def _files() -> dict[str, Traversable]:
    return {**files_in(STATIC), **{f"locales/{name}.json": STATIC / "locales" / f"{name}.json" for name in LOCALES}}


ASSETS = Assets(_files)


@router.get("/widget.js")
async def loader(if_none_match: Annotated[str, Header()] = "") -> Response:
    headers = {
        "ETag": f'"{ASSETS.version}"', "Cache-Control": SHORTLY, "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }  # fmt: skip
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(ASSETS.read("widget.js"), media_type="text/javascript", headers=headers)


@router.get("/widget/assets/{digest}/{name:path}")
async def file(digest: str, name: str) -> Response:
    return ASSETS.answer(digest, name)


@router.get("/widget/{widget_key}")
async def page(
    widget_key: Annotated[str, Path(max_length=200)], request: Request, resources: Res, limits: Limits
) -> HTMLResponse:
    """The chat of the tenant whose public key this is."""
    settings = resources.settings
    await limits.check("anonymous", network_of(request), settings.http.requests_per_minute)
    try:
        tenant_id = await principals.tenant_of_widget_key(resources.database, widget_key)
    except NotAuthenticated as error:
        raise NotFound("no such widget") from error
    config, origins = await _config(resources, tenant_id, widget_key)
    ancestors = "*" if "*" in origins else " ".join(["'self'", *origins])
    return HTMLResponse(
        ASSETS.filled("page.html", config=html.escape(json.dumps(config, ensure_ascii=False), quote=True)),
        headers={"Content-Security-Policy": POLICY.format(ancestors=ancestors), "Cache-Control": "no-store"},
    )


async def _config(resources: Res, tenant_id: UUID, widget_key: str) -> tuple[dict[str, object], list[str]]:
    """What the page is told, and who may frame it."""
    settings = resources.settings
    async with resources.database.connection(tenant_id) as connection:
        options = await load_options(connection, tenant_id)
        name = await name_of(connection, tenant_id)
    anywhere = settings.app.debug or settings.embedded
    origins = ["*"] if anywhere else [*settings.http.origins, *options.allowed_origins]
    return {
        "widgetKey": widget_key,
        "name": name,
        "greeting": options.greeting,
        "allowedOrigins": origins,
        "linkHosts": options.link_hosts,
        "locales": LOCALES,
        "questions": QUESTIONS if widget_key == DEMO else [],
        "attachments": {"count": settings.attachments.max_files, "bytes": settings.attachments.max_bytes},
    }, origins


async def demo(request: Request) -> HTMLResponse:
    """A plain page with the widget on it, for who has just started the product."""
    base = str(request.base_url).rstrip("/")
    snippet = (
        f'<script>\n  window.helpdeskSettings = {{ websiteToken: "{DEMO}" }};\n</script>\n'
        f'<script src="{base}/widget.js" async></script>'
    )
    questions = "".join(f"<li>{html.escape(question)}</li>" for question in QUESTIONS)
    return HTMLResponse(
        ASSETS.filled("demo.html", snippet=html.escape(snippet), questions=questions),
        headers={"Content-Security-Policy": DEMO_POLICY, "Cache-Control": "no-store"},
    )
