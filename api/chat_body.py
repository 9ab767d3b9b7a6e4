"""A message's body, as JSON or as a form; anything else is told what is taken."""

import hashlib
from typing import Any

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.multipart import parse_options_header
from starlette.exceptions import HTTPException

from api.schemas.chat import MessageIn


async def read_message(request: Request) -> tuple[str, bytes]:
    """The message's text, and what an idempotency key compares."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        fields: Any = _json(await request.body())
    elif kind in ("multipart/form-data", "application/x-www-form-urlencoded") and _is_utf8(request):
        async with request.form(max_files=0, max_fields=20) as form:
            fields = dict(form)
    else:
        raise HTTPException(415)
    try:
        text = MessageIn.model_validate(fields).message
    except ValidationError as error:
        raise RequestValidationError([{**found, "loc": ("body", *found["loc"])} for found in error.errors()]) from None
    return text, hashlib.sha256(text.encode()).digest()


def _is_utf8(request: Request) -> bool:
    """Python would decode a form by any codec the client names, some of which fail or take quadratic time."""
    _, options = parse_options_header(request.headers["content-type"])
    return options.get(b"charset", b"utf-8").lower() in (b"utf-8", b"utf8")


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RequestValidationError([{"type": "json_invalid", "loc": ("body",), "msg": "", "input": None}]) from None
