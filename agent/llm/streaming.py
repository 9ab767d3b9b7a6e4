"""One answer of a model as a stream: bounded in time, tried again where that can help, never half a success."""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from agent.llm.answer import Finished, Gathered, Text
from agent.llm.failures import ModelUnavailable, attempt_at
from agent.llm.providers import Tool, deltas_of

_RETRY_PAUSE_S = 0.15
_FINAL = ("rejected", "circuit_open")


async def stream_model(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    *,
    tools: Sequence[Tool] = (),
    deadline_s: float,
    response_format: dict[str, Any] | None = None,
) -> AsyncGenerator[Text | Finished, None]:
    """The answer as it comes, then one `Finished`; raises `ModelUnavailable` only where no text was given out.

    A failure before the first text is tried once more if time remains; a break after it ends in `truncated`. Whoever
    stops early closes the generator (`contextlib.aclosing`), and with it the request.
    """
    now = asyncio.get_running_loop().time
    deadline = now() + deadline_s
    options: dict[str, Any] = {"response_format": response_format} if response_format else {}
    for last_try in (False, True):
        gathered = Gathered()
        try:
            with attempt_at(model, deadline) as attempt:
                async with aclosing(deltas_of(model, messages, tools, options, deadline)) as deltas:
                    async for delta in deltas:
                        if text := gathered.add(delta):
                            attempt.succeeded = True
                            yield Text(text)
                attempt.succeeded = True
            break
        except ModelUnavailable as failure:
            if gathered.has_text:
                gathered.finish = None
                break
            pause = failure.retry_after_s or _RETRY_PAUSE_S * random.uniform(1, 2)  # noqa: S311
            if last_try or failure.kind in _FINAL or now() + pause >= deadline:
                raise
        await asyncio.sleep(pause)
    yield gathered.finished()
