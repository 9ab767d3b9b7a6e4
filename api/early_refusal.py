"""Who was told to wait and does not is refused before anything is read or looked up: the answers of others wait for as
long as the refusals of a crowd take.
"""

import hashlib
from types import SimpleNamespace

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api import PREFIX
from api.errors import as_problem
from memory.errors import TooMany

ROUTE = SimpleNamespace(path=f"{PREFIX}/chat/sessions/{{session_id}}/messages")
"""As whose the request is counted."""


class EarlyRefusal:
    """In front of the routes, as plain ASGI; names who asks in which conversation as the request's `asker`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith("/messages"):
            asker = _asker(scope)
            try:
                scope["app"].state.limiter.refuse_early(asker)
            except TooMany as error:
                scope["route"] = ROUTE
                answer = await as_problem(Request(scope), error)
                await answer(scope, receive, send)
                return
            scope["state"]["asker"] = asker
        await self.app(scope, receive, send)


def _asker(scope: Scope) -> str:
    """By the credential that they show, which nobody has checked yet."""
    shown = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    return hashlib.sha256(shown + b":" + scope["path"].encode()).hexdigest()
