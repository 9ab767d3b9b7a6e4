"""Models are called through the real client against a provider on a socket, well and in every way that fails."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio
from langchain_core.language_models import BaseChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from pydantic import BaseModel

from agent.extractive import ExtractiveChat
from agent.llm import (
    Finished,
    ModelConfig,
    Models,
    ModelUnavailable,
    Text,
    ToolCall,
    build_models,
    complete,
    stream_model,
)
from agent.llm.breaker import FAILURES_TO_OPEN, OPEN_S, Breaker, CircuitOpen
from tests.machine import usual
from tests.model_server import ModelServer, Reply, Timing, model_server

ASKED: list[BaseMessage] = [SystemMessage("Be brief."), HumanMessage("How are you?")]


@tool
def open_ticket(subject: str, urgent: bool = False) -> str:
    """Open a ticket."""
    return "never run here"


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[ModelServer]:
    async with model_server() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def models(server: ModelServer) -> AsyncIterator[Models]:
    built = build_models(
        ModelConfig(chat_model="stub", fast_model="stub-fast", base_url=server.base_url, chunk_timeout_s=usual(0.3))
    )
    yield built
    await built.aclose()


async def ask(
    model: BaseChatModel, *, tools: Sequence[Any] = (), deadline_s: float = 30.0, messages: list[BaseMessage] = ASKED
) -> tuple[str, Finished]:
    parts = [part async for part in stream_model(model, messages, tools=tools, deadline_s=deadline_s)]
    *texts, end = parts
    assert isinstance(end, Finished)
    return "".join(part.text for part in texts if isinstance(part, Text)), end


class TestAnAnswer:
    async def test_it_streams_and_ends_with_what_the_provider_counted(
        self, server: ModelServer, models: Models
    ) -> None:
        server.script("I am well, thank you.")
        server.timing = Timing(token_s=0.02)
        parts = [part async for part in stream_model(models.answer, ASKED, deadline_s=3)]
        assert parts[:-1] == [Text(word) for word in ("I ", "am ", "well, ", "thank ", "you.")]
        assert parts[-1] == Finished(finish="stop", input_tokens=11, output_tokens=5)

    async def test_many_at_once_are_read_in_larger_pieces_and_whole(self, server: ModelServer, models: Models) -> None:
        words = [f"word{n} " for n in range(40)]
        server.timing = Timing(token_s=0.005)

        async def read() -> list[str]:
            parts = [part async for part in stream_model(models.answer, ASKED, deadline_s=10)]
            return [part.text for part in parts if isinstance(part, Text)]

        for count, most in ((1, 40), (24, 30)):
            server.script(*["".join(words)] * count)
            for pieces in await asyncio.gather(*(read() for _ in range(count))):
                assert "".join(pieces) == "".join(words)
                assert len(pieces) <= most

    async def test_the_request_is_what_was_configured(self, server: ModelServer, models: Models) -> None:
        await ask(models.answer, tools=[open_ticket])
        sent = server.chats[0]
        expected = {"model": "stub", "temperature": 0.3, "max_tokens": 1000, "stream": True}
        assert {name: sent.body[name] for name in expected} == expected
        assert sent.body["messages"][1] == {"role": "user", "content": "How are you?"}
        assert sent.body["tools"][0]["function"]["name"] == "open_ticket"
        assert sent.headers["Authorization"] == "Bearer none"

    async def test_tool_calls_come_whole(self, server: ModelServer, models: Models) -> None:
        server.script(
            Reply.calls(("open_ticket", {"subject": "Ünïcode"}), ("open_ticket", {"subject": "b"}), text="One moment.")
        )
        text, end = await ask(models.answer, tools=[open_ticket])
        assert (text, end.finish) == ("One moment.", "tool_calls")
        first = ToolCall("call_0", "open_ticket", {"subject": "Ünïcode"})
        assert end.tool_calls == (first, ToolCall("call_1", "open_ticket", {"subject": "b"}))

    async def test_a_provider_that_stops_with_tool_calls_has_called_tools(
        self, server: ModelServer, models: Models
    ) -> None:
        server.script(Reply(tool_calls=(("open_ticket", '{"subject": "a"}'),), finish="stop"))
        assert (await ask(models.answer))[1].finish == "tool_calls"

    async def test_connections_are_used_again(self, server: ModelServer, models: Models) -> None:
        for _ in range(4):
            await ask(models.answer)
        assert server.connections == 1

    async def test_the_stub_answers_from_the_passages_it_is_given(self, server: ModelServer, models: Models) -> None:
        shown = '<passage n="3" ref="r" title="T" section="" lang="en" match="0.50">\nIt rains. It pours.\n</passage>'
        text, _ = await ask(models.answer, messages=[HumanMessage(f"{shown}\nDoes it rain?")])
        assert text == "It rains. [3] It pours. [3]"

    async def test_a_model_outside_openai_streams_too(self) -> None:
        words = GenericFakeChatModel(
            messages=iter([AIMessage("Hello there", response_metadata={"finish_reason": "stop"})])
        )
        text, end = await ask(words)
        assert text == "Hello there"
        assert end.tool_calls == ()


class TestFailuresBeforeTheFirstText:
    @pytest.mark.parametrize(
        "fault",
        [
            Reply.error(500),
            Reply.error(503),
            Reply.rate_limited(0.05),
            Reply.refuse(),
            Reply.silence(),
            Reply.cut("a b", 0),
            Reply.broken_json("a", 0),
            Reply.error_event("a", 0),
        ],
        ids=lambda fault: f"{fault.fault or fault.status}",
    )
    async def test_it_is_tried_once_more(self, server: ModelServer, models: Models, fault: Reply) -> None:
        server.script(fault, "Here I am.")
        assert (await ask(models.answer))[0] == "Here I am."
        assert len(server.chats) == 2

    @pytest.mark.parametrize(
        ("fault", "kind", "requests"),
        [
            (Reply.error(500), "server_error", 2),
            (Reply.rate_limited(0.05), "rate_limited", 2),
            (Reply.refuse(), "connection", 2),
            (Reply.silence(), "timeout", 2),
            (Reply.broken_json("a", 0), "malformed", 2),
            (Reply.error(400), "rejected", 1),
            (Reply.error(401), "rejected", 1),
        ],
        ids=lambda value: getattr(value, "fault", None) or str(getattr(value, "status", value)),
    )
    async def test_twice_is_enough(
        self, server: ModelServer, models: Models, fault: Reply, kind: str, requests: int
    ) -> None:
        server.script(fault, fault, "never asked for")
        with pytest.raises(ModelUnavailable) as failure:
            await ask(models.answer)
        assert (failure.value.kind, len(server.chats)) == (kind, requests)

    async def test_nobody_waits_for_a_retry_after_beyond_the_deadline(
        self, server: ModelServer, models: Models
    ) -> None:
        server.script(Reply.rate_limited(45))
        started = time.monotonic()
        with pytest.raises(ModelUnavailable) as failure:
            await ask(models.answer)
        assert (failure.value.kind, failure.value.retry_after_s) == ("rate_limited", 45.0)
        assert time.monotonic() - started < usual(1)
        assert len(server.chats) == 1

    async def test_a_closed_port_is_a_connection_failure(self) -> None:
        built = build_models(ModelConfig(chat_model="stub", base_url="http://127.0.0.1:9/v1"))
        with pytest.raises(ModelUnavailable) as failure:
            await ask(built.answer)
        assert failure.value.kind == "connection"
        await built.aclose()

    async def test_the_deadline_bounds_everything(self, server: ModelServer, models: Models) -> None:
        server.script(Reply.silence(), Reply.silence())
        started = time.monotonic()
        with pytest.raises(ModelUnavailable):
            await ask(models.answer, deadline_s=0.15)
        assert time.monotonic() - started < usual(0.6)
        assert len(server.chats) == 1

    async def test_a_message_says_no_more_than_its_kind(self, server: ModelServer, models: Models) -> None:
        server.script(Reply.error(400))
        with pytest.raises(ModelUnavailable, match=r"^rejected \(400\)$"):
            await ask(models.answer)


class TestBreaksAfterTheFirstText:
    @pytest.mark.parametrize(
        "fault",
        [
            Reply.cut("Half an answer", 2),
            Reply.silence("Half an answer", 2),
            Reply.broken_json("Half an answer", 2),
            Reply.error_event("Half an answer", 2),
            Reply.no_finish("Half an "),
        ],
        ids=lambda fault: fault.fault or "no_finish",
    )
    async def test_what_came_is_kept_and_marked(self, server: ModelServer, models: Models, fault: Reply) -> None:
        server.script(fault, "never asked for")
        text, end = await ask(models.answer)
        assert (text, end.finish, end.tool_calls) == ("Half an ", "truncated", ())
        assert len(server.chats) == 1

    async def test_an_answer_that_is_too_long_says_so(self, server: ModelServer, models: Models) -> None:
        server.script(Reply.length("Half an "))
        assert (await ask(models.answer))[1].finish == "length"

    async def test_an_empty_answer_is_truncated(self, server: ModelServer, models: Models) -> None:
        server.script(Reply.empty())
        assert await ask(models.answer) == ("", Finished(finish="truncated"))

    async def test_the_deadline_ends_a_slow_answer(self, server: ModelServer, models: Models) -> None:
        server.script(Reply(text="word " * 100, timing=Timing(token_s=0.05)))
        started = time.monotonic()
        text, end = await ask(models.answer, deadline_s=0.3)
        assert time.monotonic() - started < usual(0.8)
        assert end.finish == "truncated"
        assert text.startswith("word word ")

    @pytest.mark.parametrize(
        "reply",
        [
            Reply.truncated_call("open_ticket", '{"subject": "a", "urgent": tr'),
            Reply.truncated_call("open_ticket", '{"subject": "a"'),
            Reply.truncated_call("open_ticket", ""),
            Reply.truncated_call("open_ticket", '["a"]'),
            Reply.truncated_call("open_ticket", '{"subject": NaN}'),
            Reply.truncated_call("", "{}"),
            Reply.truncated_call("open_ticket", '{"subject": "a"}', finish=None),
            Reply.truncated_call("open_ticket", '{"subject": "a"}', finish="content_filter"),
            Reply(finish="tool_calls"),
        ],
        ids=lambda reply: f"{reply.tool_calls}-{reply.finish}",
    )
    async def test_no_tool_call_is_made_from_parts(self, server: ModelServer, models: Models, reply: Reply) -> None:
        server.script(reply)
        _, end = await ask(models.answer, tools=[open_ticket])
        assert (end.finish, end.tool_calls) == ("truncated", ())

    async def test_one_broken_call_spoils_its_neighbours(self, server: ModelServer, models: Models) -> None:
        calls = (("open_ticket", '{"subject": "a"}'), ("open_ticket", '{"subject'))
        server.script(Reply(tool_calls=calls, finish="tool_calls"))
        assert (await ask(models.answer))[1].tool_calls == ()

    async def test_a_cut_off_answer_calls_no_tool(self, server: ModelServer, models: Models) -> None:
        server.script(Reply(tool_calls=(("open_ticket", '{"subject": "a"}'),), finish="length"))
        end = (await ask(models.answer))[1]
        assert (end.finish, end.tool_calls) == ("length", ())


class TestLeaving:
    async def test_a_reader_that_stops_ends_the_request(self, server: ModelServer, models: Models) -> None:
        server.script(Reply(text="word " * 200, timing=Timing(token_s=0.02)))
        async with aclosing(stream_model(models.answer, ASKED, deadline_s=5)) as parts:
            async for _ in parts:
                break
        await asyncio.wait_for(server.chats[0].ended.wait(), 1)
        assert server.chats[0].left_early
        assert server.chats[0].chunks_sent < 5

    async def test_a_cancelled_reader_ends_the_request(self, server: ModelServer, models: Models) -> None:
        server.script(Reply(text="word " * 200, timing=Timing(first_token_s=2)))
        reader = asyncio.create_task(ask(models.answer))
        await server.arrived.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await asyncio.wait_for(server.chats[0].ended.wait(), 1)
        assert server.chats[0].left_early


class Mood(BaseModel):
    mood: str
    strength: int = 0


class TestComplete:
    async def test_text(self, server: ModelServer, models: Models) -> None:
        server.script("A summary.")
        assert models.fast
        assert await complete(models.fast, ASKED, deadline_s=1) == "A summary."
        assert server.chats[0].body["model"] == "stub-fast"

    async def test_a_schema_goes_to_the_provider_and_comes_back_validated(
        self, server: ModelServer, models: Models
    ) -> None:
        server.script('{"mood": "calm", "strength": 3}')
        assert await complete(models.answer, ASKED, deadline_s=1, schema=Mood) == Mood(mood="calm", strength=3)
        wanted = server.chats[0].body["response_format"]["json_schema"]
        assert (wanted["name"], wanted["strict"]) == ("Mood", True)
        assert wanted["schema"]["additionalProperties"] is False

    async def test_the_stub_fits_any_schema(self, server: ModelServer, models: Models) -> None:
        assert await complete(models.answer, ASKED, deadline_s=1, schema=Mood) == Mood(mood="", strength=0)

    async def test_a_provider_without_json_schema_is_told_in_words_from_then_on(
        self, server: ModelServer, models: Models
    ) -> None:
        in_words = 'Sure:\n```json\n{"mood": "calm"}\n```'
        server.script(Reply.error(400), in_words, in_words)
        for _ in range(2):
            assert (await complete(models.answer, ASKED, deadline_s=1, schema=Mood)).mood == "calm"
        assert ["response_format" in chat.body for chat in server.chats] == [True, False, False]
        assert '"mood"' in server.chats[2].body["messages"][-1]["content"]

    async def test_what_does_not_fit_is_no_result(self, server: ModelServer, models: Models) -> None:
        server.script('{"strength": "very"}', "no json at all")
        with pytest.raises(ModelUnavailable) as failure:
            await complete(models.answer, ASKED, deadline_s=1, schema=Mood)
        assert failure.value.kind == "malformed"
        assert failure.value.__cause__ is None

    async def test_half_a_text_is_no_result(self, server: ModelServer, models: Models) -> None:
        server.script(Reply.length("Half"))
        with pytest.raises(ModelUnavailable, match="incomplete"):
            await complete(models.answer, ASKED, deadline_s=1)


class TestBreaker:
    async def test_a_failing_provider_is_left_alone(self, server: ModelServer, models: Models) -> None:
        server.script(*[Reply.error(500)] * 10)
        kinds = []
        for _ in range(4):
            with pytest.raises(ModelUnavailable) as failure:
                await ask(models.answer)
            kinds.append(failure.value.kind)
        assert kinds == ["server_error", "server_error", "circuit_open", "circuit_open"]
        assert len(server.chats) == FAILURES_TO_OPEN

    async def test_it_is_shared_by_the_roles_and_by_nobody_else(self, server: ModelServer, models: Models) -> None:
        server.script(*[Reply.error(500)] * FAILURES_TO_OPEN)
        for model in (models.answer, models.fast, models.draft):
            assert model
            with pytest.raises(ModelUnavailable):
                await ask(model)
        assert models.breaker.is_open
        others = build_models(ModelConfig(chat_model="stub", base_url=server.base_url))
        assert not others.breaker.is_open
        await others.aclose()

    async def test_a_short_deadline_says_nothing_about_the_provider(self, server: ModelServer, models: Models) -> None:
        server.script(*[Reply.silence()] * FAILURES_TO_OPEN, "Still here.")
        for _ in range(FAILURES_TO_OPEN):
            with pytest.raises(ModelUnavailable):
                await complete(models.answer, ASKED, deadline_s=0.05)
        assert (await ask(models.answer))[0] == "Still here."

    def test_one_probe_after_the_pause_decides(self) -> None:
        now = [0.0]
        breaker = Breaker(clock=lambda: now[0])

        def attempt(outcome: bool | None) -> None:
            with breaker.attempt() as tried:
                tried.succeeded = outcome

        for _ in range(FAILURES_TO_OPEN - 1):
            attempt(False)
        attempt(True)
        for _ in range(FAILURES_TO_OPEN):
            assert not breaker.is_open
            attempt(False)
        assert breaker.is_open
        with pytest.raises(CircuitOpen):
            attempt(True)
        now[0] += OPEN_S
        with breaker.attempt() as probe:
            with pytest.raises(CircuitOpen):
                attempt(True)
            probe.succeeded = False
        assert breaker.is_open
        now[0] += OPEN_S
        attempt(None)
        attempt(True)
        assert not breaker.is_open


class TestRoles:
    def test_without_configuration_everything_is_built_in(self) -> None:
        built = build_models(ModelConfig())
        assert isinstance(built.answer, ExtractiveChat)
        assert built.draft is built.answer
        assert (built.fast, built.judge) == (None, None)

    async def test_each_role_has_its_model_over_one_pool(self, server: ModelServer) -> None:
        built = build_models(
            ModelConfig(
                chat_model="a", fast_model="b", draft_model="extractive", judge_model="c", base_url=server.base_url
            )
        )
        real = [model for model in (built.answer, built.fast, built.judge) if isinstance(model, ChatOpenAI)]
        assert [model.model_name for model in real] == ["a", "b", "c"]
        assert len({id(model.http_async_client) for model in real}) == 1
        assert isinstance(built.draft, ExtractiveChat)
        await built.aclose()

    def test_the_key_is_not_shown(self) -> None:
        config = ModelConfig(chat_model="a", api_key="sk-secret")
        assert "sk-secret" not in repr(config)

    def test_the_built_in_model_imports_no_client_library(self) -> None:
        code = (
            "import sys; from agent.llm import ModelConfig, build_models; build_models(ModelConfig()); "
            "sys.exit(any(name in sys.modules for name in ('openai', 'langchain_openai', 'torch')))"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestTheServer:
    async def test_embeddings_are_unit_vectors_of_the_size_asked_for(self, server: ModelServer) -> None:
        async with AsyncOpenAI(base_url=server.base_url, api_key="none") as client:
            texts = ["reset my password", "reset my password", "invoice"]
            one, same, other = [
                entry.embedding for entry in (await client.embeddings.create(model="hashed-384", input=texts)).data
            ]
            longest = (await client.embeddings.create(model="any", input="x")).data[0].embedding
        assert (len(one), len(longest)) == (384, 1536)
        assert one == same
        assert sum(value * value for value in one) == pytest.approx(1, abs=1e-5)
        assert abs(sum(a * b for a, b in zip(one, other, strict=True))) < 0.5

    async def test_it_answers_without_streaming_too(self, server: ModelServer) -> None:
        server.script(Reply.calls(("open_ticket", {"subject": "a"})), lambda body: f"You sent {len(body['messages'])}.")
        async with AsyncOpenAI(base_url=server.base_url, api_key="none") as client:
            called, said = [
                (
                    await client.chat.completions.create(model="stub", messages=[{"role": "user", "content": "x"}])
                ).choices
                for _ in range(2)
            ]
            assert [model.id async for model in client.models.list()] == ["stub"]
        assert called[0].message.tool_calls
        assert said[0].message.content == "You sent 1."
