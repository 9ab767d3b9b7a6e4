"""`Idempotency-Key` for every POST whose answer is a document: the first request runs, the others get its answer."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from agent.resources import Resources
from api.dependencies import authenticate, limiter_of, resources_of
from api.errors import as_problem
from api.forms import raw_of
from memory import idempotency
from memory.errors import Conflict, Invalid, NotFound, Unavailable

HEADER = "Idempotency-Key"
LONGEST = 255
WAIT_S = 30.0
POLL_S = 0.05
KEPT_HEADERS = ("Content-Type", "ETag", "Location")
SCHEMA = {"type": "string", "pattern": "^[!#-~]{1,255}$"}
DECLARED = {
    "name": HEADER, "in": "header", "required": False, "schema": SCHEMA,
    "description": "the same key with the same body happens once in 24 hours, and answers the same",
}  # fmt: skip


def key_of(request: Request) -> str | None:
    """The header's value, quoted or bare. Raises Invalid."""
    given = request.headers.get(HEADER)
    if given is None:
        return None
    key = given.strip().strip('"')
    if not key or len(key) > LONGEST or not key.isascii() or not key.isprintable():
        raise Invalid(f"{HEADER} must be 1 to {LONGEST} printable characters")
    return key


class IdempotentRoute(APIRoute):
    """A route whose POSTs happen once per key and caller; without a key, or a caller, nothing changes."""

    most_files: int | None = None
    """That a form may have; as many as a message, unless a kind of route says otherwise."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if "POST" in options["methods"]:
            extra = options.get("openapi_extra") or {}
            options["openapi_extra"] = {**extra, "parameters": [DECLARED]}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def once(request: Request) -> Response:
            given = key_of(request) if request.method == "POST" else None
            if given is None:
                return await handle(request)
            resources = resources_of(request)
            principal = await authenticate(request, resources, request.headers.get("x-widget-key"))
            if principal is None:
                return await handle(request)
            per_minute = resources.settings.http.requests_of(principal)
            await limiter_of(request).check("keyed", principal.key, per_minute)  # a replay does not reach the route
            if principal.role.is_staff:  # a colleague's first session or ticket makes them a customer: the same caller
                principal = replace(principal, customer_id=None)
            route = f"{request.method} {request.url.path}"
            raw = await raw_of(request, self.most_files or resources.attachment_limits.most_files)
            try:
                return await _once(request, idempotency.Key.of(principal, route, given, raw), handle)
            finally:
                await request.close()  # a form whose answer was there already

        return once


async def _once(
    request: Request, key: idempotency.Key, handle: Callable[..., Coroutine[Any, Any, Response]]
) -> Response:
    resources = resources_of(request)
    database = resources.database
    until = time.monotonic() + WAIT_S
    while True:
        async with database.connection(key.tenant_id) as connection:
            earlier = await idempotency.begin(connection, key)
        if earlier is None:
            break
        if earlier.status_code is not None:
            body = resources.cipher.decrypt(earlier.body["sealed"])
            headers = {"Content-Type": "application/json", **earlier.body.get("headers", {})}
            return Response(body, earlier.status_code, {**headers, "Idempotency-Replayed": "true"})
        if time.monotonic() > until:
            raise Unavailable("the first request under this key is still running", retry_after=2)
        await asyncio.sleep(POLL_S)
    return await _run(resources, key, request, handle)


async def _run(
    resources: Resources, key: idempotency.Key, request: Request, handle: Callable[..., Coroutine[Any, Any, Response]]
) -> Response:
    """Run the request and keep its answer, encrypted: that of a new API key holds its secret.

    What the state did not allow is an answer, too, and not tried again under the same key when the state has changed. Who
    is refused at the door, or told to come back, has no answer yet.
    """
    database = resources.database
    kept = False
    try:
        try:
            response = await handle(request)
        except (NotFound, Conflict) as error:
            if error.retry_after is not None:
                raise
            response = await as_problem(request, error)
        if response.status_code < 500:
            async with database.connection(key.tenant_id) as connection:
                body = {
                    "sealed": resources.cipher.encrypt(bytes(response.body).decode()),
                    "headers": {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers},
                }
                await idempotency.finish(connection, key, status_code=response.status_code, body=body)
            kept = True
        return response
    finally:
        if not kept:  # an error is not an answer to repeat
            async with database.connection(key.tenant_id) as connection:
                await idempotency.forget(connection, key)
