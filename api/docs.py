"""The API's documentation as a page that needs no network: its script and style come from a package, not a CDN."""

from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from api import errors
from api.routes import widget

ASSETS = "/docs/assets"
POLICY = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


class Documented(FastAPI):
    """An application whose document also defines the problems that its routes refer to."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            super().openapi()["components"]["schemas"] |= errors.schemas()
        assert self.openapi_schema is not None
        return self.openapi_schema


def install(app: FastAPI) -> None:
    """Serve the page at `/docs`, and one to try the widget on at `/`."""
    app.mount(ASSETS, StaticFiles(directory=str(files("swagger_ui").joinpath("static"))), name="docs-assets")

    app.get("/", include_in_schema=False)(widget.demo)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url=app.openapi_url or "", title=app.title, swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css", swagger_favicon_url=f"{ASSETS}/favicon-32x32.png",
        )  # fmt: skip
        page.headers["Content-Security-Policy"] = POLICY
        return page
