"""Which sites' pages may call the API: those in CORS_ORIGINS, and those that a tenant names for itself. By default none.

A preflight carries no credential and so no tenant: it is answered for any origin that some active tenant allows. What
a page may then do still depends on its token.
"""

import time
from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from memory.database import Database
from memory.errors import HelpdeskError

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = (
    "Authorization", "Content-Type", "Idempotency-Key", "If-Busy", "If-Match", "If-None-Match", "Last-Event-ID", "Prefer",
    "X-Widget-Key", "X-Request-ID",
)  # fmt: skip
ANSWER_HEADERS = (
    "ETag", "Idempotency-Replayed", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID",
)  # fmt: skip
REMEMBER_S = 30.0
MOST_ORIGINS = 2_000


class TenantCors(CORSMiddleware):
    """Starlette's middleware, asking the database about origins that the settings do not name."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        super().__init__(
            app, allow_origins=origins, allow_methods=METHODS, allow_headers=REQUEST_HEADERS,
            expose_headers=ANSWER_HEADERS, max_age=600,
        )  # fmt: skip
        self._known: dict[str, tuple[float, bool]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            origin = next((value for name, value in scope["headers"] if name == b"origin"), b"").decode("latin-1")
            if origin and not super().is_allowed_origin(origin):
                await self._look_up(scope["app"].state.resources.database, origin)
        await super().__call__(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        return super().is_allowed_origin(origin) or self._known.get(origin, (0.0, False))[1]

    async def _look_up(self, database: Database, origin: str) -> None:
        until, _ = self._known.get(origin, (0.0, False))
        if time.monotonic() < until or len(origin) > 255:
            return
        if len(self._known) >= MOST_ORIGINS:
            self._known.clear()
        try:
            async with database.lookup() as connection:
                row = await (await connection.execute("select origin_is_allowed(%s) as allowed", (origin,))).fetchone()
        except HelpdeskError:
            return
        self._known[origin] = (time.monotonic() + REMEMBER_S, bool(row and row["allowed"]))
