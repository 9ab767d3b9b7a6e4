"""An answer in the making: what each chunk adds, and what the finished whole may be used for."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from langchain_core.messages import AIMessage

Finish = Literal["stop", "tool_calls", "length", "truncated"]
_FINISHES: dict[str, Finish] = {"stop": "stop", "tool_calls": "tool_calls", "length": "length"}


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The end of an answer. Only `stop` and `tool_calls` are whole answers, and only they carry tool calls."""

    finish: Finish
    tool_calls: tuple[ToolCall, ...] = ()
    input_tokens: int = 0
    """As the provider counts; 0 where it does not say."""
    output_tokens: int = 0


def message_of(text: str, calls: Sequence[ToolCall]) -> AIMessage:
    """An answer that asks for tools, as the next request repeats it."""
    asked = [{"name": call.name, "args": call.arguments, "id": call.id, "type": "tool_call"} for call in calls]
    return AIMessage(text, tool_calls=asked)


class Delta(NamedTuple):
    """What one chunk of any provider adds."""

    text: str = ""
    calls: Sequence[tuple[int, str, str, str]] = ()
    """Index, id, name and argument text of each piece of a tool call."""
    finish: str | None = None
    usage: tuple[int, int] | None = None


class Gathered:
    """Puts the deltas of one answer together; tool arguments stay raw text until the answer is known to be whole."""

    def __init__(self) -> None:
        self.has_text = False
        self.finish: str | None = None
        self._calls: dict[int, list[str]] = {}
        self._usage = (0, 0)

    def add(self, delta: Delta) -> str:
        """Takes the delta in and gives its text back."""
        self.has_text = self.has_text or bool(delta.text)
        self.finish = delta.finish or self.finish
        self._usage = delta.usage or self._usage
        for index, *pieces in delta.calls:
            call = self._calls.setdefault(index, ["", "", ""])
            self._calls[index] = [known + piece for known, piece in zip(call, pieces, strict=True)]
        return delta.text

    def finished(self) -> Finished:
        finish = _FINISHES.get(self.finish or "", "truncated")
        calls = self._parsed_calls() if finish in ("stop", "tool_calls") else ()
        if calls is None or (finish == "tool_calls" and not calls):
            finish, calls = "truncated", ()
        elif calls:
            finish = "tool_calls"
        return Finished(finish=finish, tool_calls=calls, input_tokens=self._usage[0], output_tokens=self._usage[1])

    def _parsed_calls(self) -> tuple[ToolCall, ...] | None:
        """All calls, or None where one of them is not exactly what the provider's format promises."""
        calls = []
        for index, (call_id, name, raw) in sorted(self._calls.items()):
            try:
                arguments = json.loads(raw, parse_constant=_refuse_constant)
            except ValueError:
                return None
            if not name or not isinstance(arguments, dict):
                return None
            calls.append(ToolCall(call_id or f"call_{index}", name, arguments))
        return tuple(calls)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
