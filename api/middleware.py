"""Around every request, as plain ASGI so that a stream costs nothing more per event: id, log line, metrics, headers."""

import re
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent import metrics
from memory.models import new_id

log = structlog.get_logger()
_REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{8,64}$")
_SECURITY = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
_UNFRAMED = [*_SECURITY, (b"x-frame-options", b"DENY")]
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestContext:
    """Gives each request an id, logs it once when it ends, and counts it; a stream's time is that to its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        request_id = given.decode() if _REQUEST_ID.match(given) else str(new_id())
        scope.setdefault("state", {})["request_id"] = request_id
        started, status, answered = time.perf_counter(), 500, 0.0

        async def answer(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter() - started
                framed = any(name == b"content-security-policy" and b"frame-ancestors" in value
                             for name, value in message["headers"])  # fmt: skip
                message["headers"] = [
                    *message["headers"], (b"x-request-id", request_id.encode()), *(_SECURITY if framed else _UNFRAMED),
                ]  # fmt: skip
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, answer)
            finally:
                self._note(scope, status, answered or time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"  # a client must not invent labels
        metrics.http_requests_total.labels(method, route, str(status)).inc()
        metrics.http_request_duration_seconds.labels(method, route).observe(seconds)
        if scope["path"] not in _QUIET:
            log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))
