"""Every error as a problem document (RFC 9457), and the one table from error class to status.

A document never repeats what was sent: not the value, not the path, not an exception's text of a library.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from procrastinate.exceptions import ConnectorException
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.routing import Match

from memory import errors
from memory.reaching import UNREACHABLE

log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

STATUS: dict[type[errors.HelpdeskError], int] = {
    errors.NotFound: 404,
    errors.NotAllowed: 403,
    errors.NotAuthenticated: 401,
    errors.Invalid: 422,
    errors.FileTooLarge: 413,
    errors.FileNotTaken: 415,
    errors.Conflict: 409,
    errors.Unavailable: 503,
    errors.TooMany: 429,
}


class FieldError(BaseModel):
    pointer: str = Field(description="where in the request, as a JSON pointer")
    detail: str


class Problem(BaseModel):
    """An error on the wire."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str = Field(description="stable name of the error")
    request_id: str
    errors: list[FieldError] | None = None


_DESCRIPTIONS = {
    400: "the request can't be read", 401: "no credential, or one that does not hold", 403: "not for your role",
    404: "not found, or not yours", 405: "this method is not taken here", 409: "the state does not allow it",
    413: "the body is too large", 415: "this media type is not taken", 422: "the input is refused",
    429: "too many requests; see Retry-After", 500: "an error on our side", 503: "a part is away; see Retry-After",
}  # fmt: skip
_DECLARED: dict[int, dict[str, Any]] = {
    status: {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status, description in _DESCRIPTIONS.items()
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors a route may answer, for its OpenAPI declaration: by reference, since a model for each of the two
    thousand would cost every start half a second."""
    return {status: _DECLARED[status] for status in sorted({*statuses, 400, 413, 422, 429, 500, 503})}


def schemas() -> dict[str, Any]:
    """What `responses` refers to, for the components of the OpenAPI document."""
    _, found = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
    return dict(found["$defs"])


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str = "",
    *,
    fields: list[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    title = HTTPStatus(status).phrase
    document = Problem(
        title=title, status=status, detail=detail or title, code=code, errors=fields,
        request_id=getattr(request.state, "request_id", ""),
    )  # fmt: skip
    return JSONResponse(document.model_dump(exclude_none=True), status, dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    app.add_exception_handler(errors.HelpdeskError, as_problem)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ConnectorException, _queue)
    app.add_exception_handler(Exception, _unexpected)


async def too_large(request: Request) -> JSONResponse:
    """The answer to a body that is refused before it is read."""
    return await _http(request, HTTPException(413))


async def as_problem(request: Request, error: Exception) -> JSONResponse:
    """The answer to one of our own errors."""
    assert isinstance(error, errors.HelpdeskError)
    status = next((STATUS[cls] for cls in type(error).__mro__ if cls in STATUS), 500)
    if status == 500:
        log.error("internal error", code=error.code, detail=error.detail)
        return problem(request, 500, "internal_error", "something went wrong on our side")
    headers: dict[str, str] = {}
    if status in (429, 503) or error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after or 1)))
    if isinstance(error, errors.TooMany) and error.policy:
        name, per_minute = error.policy
        headers["RateLimit-Policy"] = f'"{name}";q={per_minute};w=60'
        headers["RateLimit"] = f'"{name}";r=0;t={headers["Retry-After"]}'
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(request, status, error.code, error.detail, headers=headers)


async def _validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    unreadable = any(entry["type"] == "json_invalid" for entry in found)
    fields = [FieldError(pointer=_pointer(entry), detail=_harmless(entry)) for entry in found[:20]]
    if unreadable:
        return problem(request, 400, "unreadable", "the body is not valid JSON")
    return problem(request, 422, "invalid", "the input does not fit; see errors", fields=fields)


def _pointer(entry: Mapping[str, Any]) -> str:
    """Positions and declared names only; what the client called its own keys is not repeated."""
    location = entry["loc"][:-1] if entry["type"] == "extra_forbidden" else entry["loc"]
    return "/" + "/".join(str(part)[:60] for part in location if isinstance(part, int) or str(part).isidentifier())


def _harmless(entry: Mapping[str, Any]) -> str:
    """Pydantic's message, unless it could quote the input."""
    quoting = {"value_error", "assertion_error", "uuid_parsing", "datetime_parsing", "enum", "literal_error"}
    if entry["type"] == "value_error":
        return str(entry.get("ctx", {}).get("error", "does not fit"))
    return "does not fit" if entry["type"] in quoting else str(entry["msg"])


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = error.status_code
    code = "content_too_large" if status == 413 else HTTPStatus(status).phrase.lower().replace(" ", "_")
    headers = {"Allow": ", ".join(_allowed(request))} if status == 405 else error.headers
    return problem(request, status, code, _DESCRIPTIONS.get(status, ""), headers=headers)


def _allowed(request: Request) -> list[str]:
    """Every method of the path: Starlette names only those of the first route that fits."""
    return [
        method
        for method in METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]


async def _queue(request: Request, error: Exception) -> JSONResponse:
    """A job could not be queued, and whoever wanted to did not say what becomes of it then."""
    if isinstance(error.__cause__, UNREACHABLE):
        log.warning("a job could not be queued", error=type(error.__cause__).__name__)
        return await as_problem(request, errors.Unavailable("the database is away", retry_after=2))
    return await _unexpected(request, error)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """Called outside of our middleware, which would have named the request."""
    request_id = getattr(request.state, "request_id", "")
    log.error("unhandled error", request_id=request_id, exc_info=error)
    return problem(
        request, 500, "internal_error", "something went wrong on our side", headers={"X-Request-ID": request_id}
    )
