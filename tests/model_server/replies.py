"""What the server can be told to answer: texts, tool calls, JSON, and every way in which a provider fails."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any, Literal, Self

from agent.prompting import parse_passage_text
from agent.sentences import Kind, kind_of, split

Body = dict[str, Any]
Fault = Literal["refuse", "silence", "cut", "broken_json", "error_event"]
_NOTHING_FOUND = "I could not find an answer to this in the knowledge base."


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How fast tokens come; `tokens` stretches or cuts the default answer to that many."""

    first_token_s: float = 0.0
    token_s: float = 0.0
    tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of the provider. A fault strikes after `after` content or argument chunks."""

    text: str = ""
    tool_calls: tuple[tuple[str, str], ...] = ()
    """Name and raw argument text of each call."""
    finish: str | None = "stop"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    fault: Fault | None = None
    after: int = 0
    timing: Timing | None = None

    @classmethod
    def calls(cls, *calls: tuple[str, Body], text: str = "") -> Self:
        raw = tuple((name, json.dumps(arguments)) for name, arguments in calls)
        return cls(text=text, tool_calls=raw, finish="tool_calls")

    @classmethod
    def truncated_call(cls, name: str, raw_arguments: str, finish: str | None = "tool_calls") -> Self:
        return cls(tool_calls=((name, raw_arguments),), finish=finish)

    @classmethod
    def rate_limited(cls, retry_after_s: float) -> Self:
        return cls(status=429, headers=(("Retry-After", f"{retry_after_s:g}"),))

    @classmethod
    def error(cls, status: int = 500) -> Self:
        return cls(status=status)

    @classmethod
    def refuse(cls) -> Self:
        """The connection is reset before any answer."""
        return cls(fault="refuse")

    @classmethod
    def silence(cls, text: str = "", after: int = 0) -> Self:
        """Nothing more comes and the connection stays open; `after=0` holds back even the headers."""
        return cls(text=text, fault="silence", after=after)

    @classmethod
    def cut(cls, text: str, after: int) -> Self:
        return cls(text=text, fault="cut", after=after)

    @classmethod
    def broken_json(cls, text: str, after: int) -> Self:
        return cls(text=text, fault="broken_json", after=after)

    @classmethod
    def error_event(cls, text: str, after: int) -> Self:
        """The stream carries an error object in the middle, as gateways send it."""
        return cls(text=text, fault="error_event", after=after)

    @classmethod
    def no_finish(cls, text: str) -> Self:
        return cls(text=text, finish=None)

    @classmethod
    def length(cls, text: str) -> Self:
        return cls(text=text, finish="length")

    @classmethod
    def empty(cls) -> Self:
        """200 and an end, with no chunk between."""
        return cls(finish=None)


Step = str | Reply | Callable[[Body], "str | Reply"]


def reply_for(step: Step | None, body: Body, timing: Timing) -> Reply:
    """The reply that a step means for this request; without a step, the grounded or schema-shaped default."""
    answer = step(body) if callable(step) else step
    if answer is None:
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
        answer = json.dumps(minimal_json(schema, schema)) if schema else grounded_answer(body, timing.tokens)
    reply = Reply(text=answer) if isinstance(answer, str) else answer
    return reply if reply.timing else replace(reply, timing=timing)


def grounded_answer(body: Body, tokens: int | None = None) -> str:
    """Sentences copied from the first passage of the last message, each cited."""
    last = next((_content(m) for m in reversed(body["messages"]) if m["role"] == "user"), "")
    passages = parse_passage_text(last)
    best = next(iter(passages), None)
    units = [unit.strip() for unit in split(best.text) if kind_of(unit) in (Kind.TEXT, Kind.ITEM)] if best else []
    cited = [f"{' '.join(unit.split())} [{best.number}]" for unit in units if best] or [_NOTHING_FOUND]
    if tokens is None:
        return " ".join(cited[:3])
    return " ".join(islice(cycle(" ".join(cited).split(" ")), tokens))


def minimal_json(schema: Any, root: Any) -> Any:
    """The smallest value that a JSON schema admits, for the schemas that pydantic writes."""
    if "$ref" in schema:
        return minimal_json(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if options := schema.get("anyOf"):
        return minimal_json(options[0], root)
    match schema.get("type"):
        case "object":
            return {name: minimal_json(part, root) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [minimal_json(schema["items"], root)] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "null":
            return None
        case _:
            return "x" * schema.get("minLength", 0)


def _content(message: Body) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
