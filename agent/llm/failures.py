"""Why a model gave no answer, whatever library said so first.

ModelUnavailable(kind)      no answer, and nothing of one was given out
  connection                refused, reset or closed before the first text
  timeout                   nothing came within the chunk timeout or the deadline
  rate_limited              429 twice, or with a Retry-After that does not fit into the deadline
  server_error              5xx, or an error object in the stream
  rejected                  any other 4xx: configuration or request, never retried
  malformed                 the stream is not JSON, or a structured result does not fit its schema
  incomplete                `complete` only: the answer was cut off
  circuit_open              the provider has just failed repeatedly, no request was made
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Literal

from langchain_core.language_models import BaseChatModel

from agent.llm.breaker import Attempt, Breaker, CircuitOpen
from memory import errors

Unavailable = Literal[
    "connection", "timeout", "rate_limited", "server_error", "rejected", "malformed", "incomplete", "circuit_open"
]
_CLIENT_LIBRARIES = ("openai", "httpx2", "aiohttp")


class ModelUnavailable(errors.Unavailable):
    """The model gave no answer."""

    def __init__(self, kind: Unavailable, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(kind if status is None else f"{kind} ({status})", retry_after=retry_after_s)
        self.kind: Unavailable = kind
        self.status = status
        self.retry_after_s = retry_after_s


def provider_of(model: BaseChatModel) -> str | None:
    return getattr(model, "openai_api_base", None)


@contextmanager
def attempt_at(model: BaseChatModel, deadline: float) -> Iterator[Attempt]:
    """One request under the breaker that the model carries; a model in this process needs none.

    A caller whose own deadline (loop time) passes first has learned nothing about the provider.
    """
    breaker: Breaker = getattr(model, "breaker", None) or Breaker()
    try:
        with breaker.attempt() as attempt:
            try:
                yield attempt
            except ModelUnavailable as failure:
                impatient = failure.kind == "timeout" and asyncio.get_running_loop().time() >= deadline
                attempt.succeeded = None if impatient or failure.kind == "rejected" else False
                raise
    except CircuitOpen:
        raise ModelUnavailable("circuit_open") from None


@contextmanager
def provider_errors() -> Iterator[None]:
    """Turns what a client library raises into `ModelUnavailable`; anything else is a defect and passes."""
    try:
        yield
    except ModelUnavailable:
        raise
    except Exception as error:
        if failure := _failure(error):
            raise failure from error
        raise


def _failure(error: Exception) -> ModelUnavailable | None:
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        kind: Unavailable = "rate_limited" if status == 429 else "server_error" if status >= 500 else "rejected"
        return ModelUnavailable(kind, status, _retry_after(error))
    if any(isinstance(cause, TimeoutError) for cause in _causes(error)):
        return ModelUnavailable("timeout")
    # Named by package, because importing them to name them would cost the built-in model half a second.
    if isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _CLIENT_LIBRARIES:
        return ModelUnavailable("connection")
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _retry_after(error: Exception) -> float | None:
    """Seconds that the provider asks to wait; it may also name a date."""
    value = getattr(getattr(error, "response", None), "headers", {}).get("retry-after")
    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(value).timestamp() - time.time()
    except ValueError:
        return None
