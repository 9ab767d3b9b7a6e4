"""The widget's files: the loader that sites include, the page in its frame, and a page to try it on.

The page may be framed only by the tenant's own sites; its policy lets nothing in but our own files. Assets carry a
version that is the digest of them all, so that they can be kept for ever and a release is seen at once.
"""

import hashlib
import html
import json
from functools import cache
from importlib.resources import files
from mimetypes import guess_type
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import HTMLResponse

from api.dependencies import Limits, Res, address_of
from memory.errors import NotAuthenticated, NotFound
from tools import principals
from tools.provisioning import DEMO
from tools.tenants import load_options

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
SHORTLY = "public, max-age=300"
FOR_EVER = "public, max-age=31536000, immutable"


@cache
def asset(name: str) -> bytes:
    """One file of the widget. Raises NotFound for anything that is none of them."""
    if name not in names():
        raise NotFound("no such file")
    return STATIC.joinpath(*name.split("/")).read_bytes()


@cache
def names() -> frozenset[str]:
    locales = {f"locales/{language}.json" for language in LOCALES}
    return frozenset({entry.name for entry in STATIC.iterdir() if entry.is_file()} | locales)


@cache
def version() -> str:
    """Changes with any of the files."""
    digest = hashlib.sha256()
    for name in sorted(names()):
        digest.update(asset(name))
    return digest.hexdigest()[:12]


@router.get("/widget.js")
async def loader(if_none_match: Annotated[str, Header()] = "") -> Response:
    headers = {
        "ETag": f'"{version()}"', "Cache-Control": SHORTLY, "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }  # fmt: skip
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(asset("widget.js"), media_type="text/javascript", headers=headers)


@router.get("/widget/assets/{digest}/{name:path}")
async def file(digest: str, name: str) -> Response:
    """`digest` only keeps caches apart: a page of an older release gets the newer file, and reloads later."""
    media_type = guess_type(name)[0] or "application/octet-stream"
    headers = {"Cache-Control": FOR_EVER if digest == version() else "no-store"}
    return Response(asset(name), media_type=media_type, headers=headers)


@router.get("/widget/{widget_key}")
async def page(
    widget_key: Annotated[str, Path(max_length=200)], request: Request, resources: Res, limits: Limits
) -> HTMLResponse:
    """The chat of the tenant whose public key this is."""
    settings = resources.settings
    await limits.check("anonymous", address_of(request), settings.http.requests_per_minute)
    try:
        tenant_id = await principals.tenant_of_widget_key(resources.database, widget_key)
    except NotAuthenticated as error:
        raise NotFound("no such widget") from error
    config, origins = await _config(resources, tenant_id, widget_key)
    ancestors = "*" if "*" in origins else " ".join(["'self'", *origins])
    return HTMLResponse(
        _filled("page.html", config=html.escape(json.dumps(config, ensure_ascii=False), quote=True)),
        headers={"Content-Security-Policy": POLICY.format(ancestors=ancestors), "Cache-Control": "no-store"},
    )


async def _config(resources: Res, tenant_id: UUID, widget_key: str) -> tuple[dict[str, object], list[str]]:
    """What the page is told, and who may frame it."""
    settings = resources.settings
    async with resources.database.connection(tenant_id) as connection:
        options = await load_options(connection, tenant_id)
        row = await (await connection.execute("select name from tenants where id = %s", (tenant_id,))).fetchone()
    anywhere = settings.app.debug or settings.embedded
    origins = ["*"] if anywhere else [*settings.http.origins, *options.allowed_origins]
    return {
        "widgetKey": widget_key,
        "name": row["name"] if row else "Support",
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
        _filled("demo.html", snippet=html.escape(snippet), questions=questions),
        headers={"Content-Security-Policy": DEMO_POLICY, "Cache-Control": "no-store"},
    )


def _filled(name: str, **values: str) -> str:
    text = asset(name).decode().replace("{version}", version())
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", value)
    return text
