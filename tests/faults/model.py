"""The model of the fault runs: it makes one tool call, then answers from the passages, and fails as the question says.

A question names its case, `(case cut 3f2a)`; the hexadecimal number decides at which moment the fault strikes, so that a
run can be told again. Every request is looked at as a provider would: a history that it would refuse is noted.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.prompting import parse_passage_text
from agent.sentences import Kind, kind_of, split
from tests.model_server import ModelServer, Reply, Timing
from tests.model_server.replies import Body

CASE = re.compile(r"\(case ([a-z_]+) ([0-9a-f]+)\)")
SENTENCES = 4
"""Of an answer; at `TYPING` it takes about a second, in which other things may happen."""
NOTHING = "I don't have an answer to that in the knowledge base."
TYPING = Timing(first_token_s=0.15, token_s=0.02)
AT_ONCE = Timing()
SLOW = Timing(first_token_s=2.5, token_s=0.02)
"""For two calls in a turn: longer than it takes the others to look for lapsed leases."""
TOOL = ("open_ticket", {"subject": "A mailbox password", "content": "The customer can't get into the mailbox."})
HALF_ARGUMENTS = '{"subject": "A mailbox password", "content": "The customer can'
INVENTED = "A reset costs 499 dollars and takes 12 days. [1]"


@dataclass
class Model:
    """The behaviour, and what it has seen."""

    server: ModelServer
    refusable: list[str] = field(default_factory=list)
    """Histories that a provider would have refused."""
    asked: int = 0

    def install(self) -> None:
        self.server.usual = self._answer

    def _answer(self, body: Body) -> str | Reply:
        self.asked += 1
        messages = body["messages"]
        if wrong := refused_because(messages):
            self.refusable.append(wrong)
        self.server.requests.clear()  # a long run would keep every prompt
        question = _text(next(message for message in reversed(messages) if message["role"] == "user"))
        found = CASE.findall(question)
        case, number = found[-1] if found else ("", "0")
        return reply_in(case, int(number, 16), body, called=messages[-1]["role"] == "tool")


def reply_in(case: str, number: int, body: Body, *, called: bool) -> Reply:
    """The reply to one request of a turn; a fault strikes before the tool call or after it, as `number` says."""
    if case == "truncated_arguments":
        return Reply.truncated_call("open_ticket", HALF_ARGUMENTS, finish=("tool_calls", "length", None)[number % 3])
    fails = FAILING.get(case)
    if (fails and called == bool(number % 2)) or (fails and case in AFTER_THE_TOOL and called):
        return fails(body, number)
    timing = {"quick": AT_ONCE, "slow": SLOW}.get(case, TYPING)
    if case == "inventing":
        return Reply(text=INVENTED, timing=AT_ONCE)
    if not called and case != "quick":
        thinking = SLOW if case == "slow" else Timing(first_token_s=1.0 if case == "pausing" else 0.1)
        return replace(Reply.calls(TOOL), timing=thinking)
    return Reply(text=quoted(body), timing=timing)


def quoted(body: Body) -> str:
    """Sentences of the passages that were sent, each with its citation."""
    asked = next(message for message in reversed(body["messages"]) if message["role"] == "user")
    found = [
        f"{' '.join(unit.split())} [{passage.number}]"
        for passage in parse_passage_text(_text(asked))
        for unit in split(passage.text)
        if kind_of(unit) is Kind.TEXT
    ]
    return " ".join(found[:SENTENCES]) or NOTHING


def _cut_after(body: Body, number: int) -> int:
    return number // 2 % len(quoted(body).split())


FAILING: dict[str, Callable[[Body, int], Reply]] = {
    "rate_limited": lambda body, number: Reply.rate_limited(45),
    "server_error": lambda body, number: Reply.error(500),
    "refused": lambda body, number: Reply.refuse(),
    "silence": lambda body, number: Reply.silence(quoted(body), after=number // 2 % 3 * 10),
    "cut": lambda body, number: Reply.cut(quoted(body), after=_cut_after(body, number)),
    "no_finish": lambda body, number: Reply.no_finish(quoted(body)),
    "length": lambda body, number: Reply.length(quoted(body)),
    "broken_json": lambda body, number: Reply.broken_json(quoted(body), after=_cut_after(body, number)),
    "empty": lambda body, number: Reply.empty(),
}
AFTER_THE_TOOL = frozenset({"cut", "no_finish", "length", "broken_json"})
"""These strike in the words of an answer, wherever in the turn the number puts the other half."""


def refused_because(messages: Sequence[dict[str, Any]]) -> str | None:
    """Why a provider would answer 400 to this history; None where it would not."""
    roles = [message["role"] for message in messages]
    if roles[:1] != ["system"] or roles[-1] not in ("user", "tool") or "system" in roles[1:]:
        return f"roles {roles}"
    waiting: list[str] = []
    before = "system"
    for message in messages[1:]:
        role = message["role"]
        if role == "tool":
            if message["tool_call_id"] not in waiting:
                return "a tool's result that nobody asked for"
            waiting.remove(message["tool_call_id"])
        elif waiting:
            return "a tool call without its result"
        elif role == before == "user":
            return "two messages of the customer in a row"
        waiting += [call["id"] for call in message.get("tool_calls") or ()]
        before = role
    return "a tool call without its result" if waiting else None


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
