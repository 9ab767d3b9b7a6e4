"""Streams of the two kinds of model as one: ChatOpenAI below LangChain, any other chat model through it."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import orjson
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from agent.llm.answer import Delta
from agent.llm.failures import ModelUnavailable, provider_errors
from agent.llm.models import OPENAI_URL

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

Tool = BaseTool | dict[str, Any]
"""A tool, or its schema in the OpenAI format."""
Item = TypeVar("Item")
_DRAIN_S = 0.25
_LOOK_S = 0.25
_FEW = 8
"""Answers at once that are read token by token."""
_PIECE_S, _LONGEST_PIECE_S = 0.001, 0.05
"""For each answer that is open, and at most."""
_BEAT_S = 0.01
"""Answers that are read in pieces go on at the same moments: one after the other, the same step of each finds its code near
the processor, and what it asks of the database is one message. At 20 ms another tenant beside them waits too long."""
_BEGINNING, _HURRIED, _STILL_QUICK = 24, 0.25, 64
"""Tokens, about the first sentence: somebody waits for it, so it is read at this part of the pause, unless there are so many
answers that they wait for the processor anyway."""


@dataclass(slots=True)
class _Pace:
    """How the answers of this process are read: a few of them token by token, as they come; many in pieces, since a tenth
    of a turn's work is to take in each token by itself."""

    open: int = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    async def rest(self, read: int) -> None:
        """After so many tokens of an answer."""
        if self.open > _FEW:
            part = _HURRIED if read < _BEGINNING and self.open <= _STILL_QUICK else 1.0
            now = asyncio.get_running_loop().time()
            until = now + part * min(self.open * _PIECE_S, _LONGEST_PIECE_S)
            await asyncio.sleep(max(round(until / _BEAT_S), math.floor(now / _BEAT_S) + 1) * _BEAT_S - now)


_pace = _Pace()
_DONE = b"[DONE]"


def deltas_of(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    tools: Sequence[Tool],
    options: dict[str, Any],
    deadline: float,
) -> AsyncGenerator[Delta, None]:
    if hasattr(model, "root_async_client"):
        return _openai_deltas(cast("ChatOpenAI", model), messages, tools, options, deadline)
    return _langchain_deltas(model, messages, tools, options, deadline)


async def _langchain_deltas(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    tools: Sequence[Tool],
    options: dict[str, Any],
    deadline: float,
) -> AsyncGenerator[Delta, None]:
    runnable = model.bind_tools(tools) if tools else model
    with provider_errors():
        stream = cast(AsyncGenerator[AIMessageChunk, None], runnable.astream(list(messages), **options))
        async with aclosing(stream), aclosing(_in_time(stream, deadline)) as chunks:
            async for chunk in chunks:
                usage = chunk.usage_metadata
                calls = [
                    (piece["index"] or 0, piece["id"] or "", piece["name"] or "", piece["args"] or "")
                    for piece in getattr(chunk, "tool_call_chunks", ())
                ]
                finish = chunk.response_metadata.get("finish_reason")
                yield Delta(
                    chunk.text, calls, finish, (usage["input_tokens"], usage["output_tokens"]) if usage else None
                )


async def _openai_deltas(
    model: "ChatOpenAI",
    messages: Sequence[BaseMessage],
    tools: Sequence[Tool],
    options: dict[str, Any],
    deadline: float,
) -> AsyncGenerator[Delta, None]:
    import httpx2  # with the SDK, which only a model elsewhere needs

    payload = _payload(model, messages, tools, options)
    pause_s = model.stream_chunk_timeout
    # Not through `chat.completions.create`: it walks the whole conversation to see whether a key wants another name.
    post = model.root_async_client.post
    with provider_errors():
        async with AsyncExitStack() as stack:
            async with asyncio.timeout_at(_limit(deadline, pause_s)):
                response = await post(
                    "/chat/completions", content=orjson.dumps(payload), cast_to=httpx2.Response, stream=True,
                    options={"headers": {"Accept-Encoding": "identity"}},
                )  # fmt: skip
            stack.push_async_callback(response.aclose)
            body = await stack.enter_async_context(aclosing(response.aiter_raw()))
            pieces = await stack.enter_async_context(aclosing(_pieces(body, deadline, pause_s)))
            stack.enter_context(_pace.one_more())
            async for lines in pieces:
                for delta in _merged(lines):
                    yield delta


def _payload(
    model: "ChatOpenAI", messages: Sequence[BaseMessage], tools: Sequence[Tool], options: dict[str, Any]
) -> dict[str, Any]:
    payload = model._get_request_payload(list(messages), **options)
    payload |= {"stream": True, "stream_options": {"include_usage": True}}
    if tools:
        payload["tools"] = [convert_to_openai_tool(tool) for tool in tools]
    if model.openai_api_base != OPENAI_URL and "max_completion_tokens" in payload:
        # The older name is the one that every compatible server knows.
        payload["max_tokens"] = payload.pop("max_completion_tokens")
    return payload


async def _pieces(
    body: AsyncIterator[bytes], deadline: float, pause_s: float | None
) -> AsyncGenerator[list[bytes], None]:
    """The data of the events, as many as came together. Reads past [DONE] to the end, so that the connection can be used
    again."""
    rest, read = b"", 0
    async with aclosing(_in_time(body, deadline, pause_s)) as pieces:
        async for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            found = [line[5:].strip() for line in lines if line.startswith(b"data:")]
            if _DONE in found:
                yield found[: found.index(_DONE)]
                await _drain(pieces)
                return
            if found:
                yield found
                read += len(found)
                await _pace.rest(read)
    if rest.startswith(b"data:") and rest[5:].strip() != _DONE:
        yield [rest[5:]]


async def _drain(body: AsyncIterator[bytes]) -> None:
    with suppress(Exception):
        async with asyncio.timeout(_DRAIN_S):
            async for _ in body:
                pass


def _merged(lines: Sequence[bytes]) -> Iterator[Delta]:
    """What the events add, their texts put together. What came before a broken one is given out."""
    text = ""
    for line in lines:
        try:
            delta = _parse(line)
        except ModelUnavailable:
            if text:
                yield Delta(text)
            raise
        text += delta.text
        if delta.calls or delta.finish or delta.usage:
            yield delta._replace(text=text)
            text = ""
    if text:
        yield Delta(text)


def _parse(data: bytes) -> Delta:
    """One chunk of the OpenAI format; providers leave out whatever they like, except that it is an object."""
    try:
        chunk = orjson.loads(data)
        if chunk.get("error"):
            raise ModelUnavailable("server_error")
        usage = chunk.get("usage")
        tokens = (usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0) if usage else None
        choice = (chunk.get("choices") or [{}])[0]
        delta = choice.get("delta") or {}
        calls = [_call_piece(place, piece) for place, piece in enumerate(delta.get("tool_calls") or ())]
        return Delta(delta.get("content") or "", calls, choice.get("finish_reason"), tokens)
    except (ValueError, TypeError, AttributeError, LookupError):
        raise ModelUnavailable("malformed") from None


def _call_piece(place: int, piece: dict[str, Any]) -> tuple[int, str, str, str]:
    function = piece.get("function") or {}
    index = piece.get("index")
    name, arguments = function.get("name") or "", function.get("arguments") or ""
    return (place if index is None else index, piece.get("id") or "", name, arguments)


async def _in_time(
    stream: AsyncIterator[Item], deadline: float, pause_s: float | None = None
) -> AsyncGenerator[Item, None]:
    """The items, each within `pause_s` and all before the deadline; time spent by the reader counts for the deadline
    only."""
    async with asyncio.timeout(None) as clock:
        watch = _Watch(clock)
        try:
            while True:
                watch.until = _limit(deadline, pause_s)
                item = await anext(stream)
                watch.until = math.inf
                if clock.when() is not None:
                    await asyncio.sleep(1)  # its cancel is on the way
                yield item
        except StopAsyncIteration:
            return
        finally:
            watch.end()


class _Watch:
    """Looks now and then whether it is later than `until`: one timer for each item would cost more than to read it.

    A closure that sets its own timer would lead back to itself, and keep the turn's task with all its messages until the
    collector comes by; here nothing does once it has ended.
    """

    __slots__ = ("_clock", "_timer", "until")

    def __init__(self, clock: asyncio.Timeout) -> None:
        self.until = math.inf
        self._clock = clock
        self._look()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        if self.until <= loop.time():
            self._clock.reschedule(self.until)
        else:
            self._timer: asyncio.Handle = loop.call_at(min(self.until, loop.time() + _LOOK_S), self._look)

    def end(self) -> None:
        self._timer.cancel()


def _limit(deadline: float, pause_s: float | None) -> float:
    return deadline if pause_s is None else min(deadline, asyncio.get_running_loop().time() + pause_s)
