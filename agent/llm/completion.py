"""A whole answer at once, as text or as a validated object: for the short calls beside the conversation."""

import json
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, TypeVar, cast, overload

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.utils.function_calling import convert_to_openai_function
from pydantic import BaseModel, ValidationError

from agent.llm.answer import Text
from agent.llm.failures import ModelUnavailable, provider_of
from agent.llm.streaming import stream_model

Result = TypeVar("Result", bound=BaseModel)
# Providers and models that answered only when the schema was written into the prompt.
_without_json_schema: set[tuple[str | None, str]] = set()


@overload
async def complete(
    model: BaseChatModel, messages: Sequence[BaseMessage], *, deadline_s: float, schema: None = None
) -> str: ...
@overload
async def complete(
    model: BaseChatModel, messages: Sequence[BaseMessage], *, deadline_s: float, schema: type[Result]
) -> Result: ...
async def complete(
    model: BaseChatModel, messages: Sequence[BaseMessage], *, deadline_s: float, schema: type[Result] | None = None
) -> str | Result:
    """The whole answer as text, or as `schema`; raises `ModelUnavailable` where it is not whole or does not fit.

    The provider's json_schema mode is tried first; one that lacks it gets the schema as words, from then on at once.
    """
    if schema is None:
        return await _whole(model, messages, deadline_s)
    deadline = time.monotonic() + deadline_s
    key = (provider_of(model), getattr(model, "model_name", ""))
    if key not in _without_json_schema:
        wanted = {"name": schema.__name__, "schema": _json_schema(schema), "strict": True}
        try:
            text = await _whole(model, messages, deadline_s, {"type": "json_schema", "json_schema": wanted})
            return _validated(schema, text)
        except ModelUnavailable as failure:
            if failure.kind not in ("rejected", "malformed"):
                raise
    text = await _whole(model, _asking_for(schema, messages), deadline - time.monotonic())
    result = _validated(schema, text[text.find("{") : text.rfind("}") + 1])
    _without_json_schema.add(key)
    return result


async def _whole(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    deadline_s: float,
    response_format: dict[str, Any] | None = None,
) -> str:
    text = ""
    answer = stream_model(model, messages, deadline_s=deadline_s, response_format=response_format)
    async with aclosing(answer):
        async for part in answer:
            if isinstance(part, Text):
                text += part.text
            elif part.finish != "stop":
                raise ModelUnavailable("incomplete")
    return text


def _json_schema(schema: type[BaseModel]) -> dict[str, Any]:
    return cast(dict[str, Any], convert_to_openai_function(schema, strict=True)["parameters"])


def _asking_for(schema: type[BaseModel], messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    wish = f"Reply with one JSON object and nothing else. It must fit this schema:\n{json.dumps(_json_schema(schema))}"
    *before, last = messages
    if last.type == "human":
        return [*before, HumanMessage(f"{last.text}\n\n{wish}")]
    return [*messages, HumanMessage(wish)]


def _validated(schema: type[Result], text: str) -> Result:
    try:
        return schema.model_validate_json(text)
    except ValidationError:
        # The cause would carry the model's words into logs.
        raise ModelUnavailable("malformed") from None
