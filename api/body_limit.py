"""How large a body may be: JSON and plain forms stay small, only a multipart form where files are taken may be more.

A length that is declared is refused at once; what comes without one is counted as it comes.
"""

import re

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.settings import Settings
from api import PREFIX
from api.errors import too_large
from tools.articles.uploading import MOST_BYTES

MULTIPART = "multipart/form-data"
_ONE_FILE = re.compile(rf"{PREFIX}/attachments")
_WITH_FILES = re.compile(rf"{PREFIX}/(?:chat/sessions/[^/]+/messages|tickets(?:/[^/]+/(?:reply|notes))?)")
_ARTICLES = re.compile(rf"{PREFIX}/kb/articles/upload")
_AROUND_A_FILE = 65_536


class BodyLimit:
    """Counts each request's body, as plain ASGI inside of everything that answers errors."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.most = settings.http.max_body_bytes
        self.most_of_one = settings.attachments.max_bytes + _AROUND_A_FILE
        self.most_of_message = settings.attachments.max_bytes * settings.attachments.max_files + self.most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, seen = Headers(scope=scope), 0
        most = self._most(scope, headers)
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            await (await too_large(Request(scope)))(scope, receive, send)
            return

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise HTTPException(413)
            return message

        await self.app(scope, counted, send)

    def _most(self, scope: Scope, headers: Headers) -> int:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] != "POST" or kind != MULTIPART:
            return self.most
        if _ONE_FILE.fullmatch(scope["path"]):
            return max(self.most, self.most_of_one)
        if _ARTICLES.fullmatch(scope["path"]):
            return MOST_BYTES + self.most
        return self.most_of_message if _WITH_FILES.fullmatch(scope["path"]) else self.most
