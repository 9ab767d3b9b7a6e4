"""The staff console's files. The page holds nothing of any tenant: whoever opens it signs in and asks the API.

Its policy lets nothing in but our own files, and nobody may frame it: what runs here acts as a colleague. What it has in
common with the widget (nodes, Markdown, streams) is the widget's own file, served below its address too.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.assets import Assets, files_in
from api.routes import widget

router = APIRouter(include_in_schema=False)
STATIC = files("api.console").joinpath("static")
SHARED = ("api.js", "conversation.js", "dom.js", "links.js", "markdown.js", "stream.js")
"""Of the widget: `shared/` names them."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _files() -> dict[str, Traversable]:
    return {**files_in(STATIC), **{f"shared/{name}": widget.STATIC / name for name in SHARED}}


ASSETS = Assets(_files)


@router.get("/console")
async def page() -> HTMLResponse:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(ASSETS.filled("page.html"), headers=headers)


@router.get("/console/")
async def page_with_a_slash() -> RedirectResponse:
    return RedirectResponse("/console", 308)


@router.get("/console/assets/{digest}/{name:path}")
async def file(digest: str, name: str) -> Response:
    return ASSETS.answer(digest, name)
