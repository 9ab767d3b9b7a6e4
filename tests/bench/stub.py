"""A fast stand-in for a model's endpoint: 200 ms to the first token, then one every 10 ms, 64 in all.

    python -m tests.bench.stub --port 8100

A question that brings passages is answered with sentences of theirs, each with its number, as a good model would; any
other with fixed words. `GET /log` tells per mark `(ref 1a2b3c4d)` of a question when its first token, its first whole
sentence and its last token left, by the machine's monotonic clock, and whether the fast model was asked. One timer per
stream and bytes made beforehand: the stub must cost little beside what it measures.
"""

import argparse
import asyncio
import itertools
import re
import time
from typing import Any, cast

import orjson

from tests.model_server.wire import embeddings

FIRST_S, EACH_S, TOKENS = 0.2, 0.01, 64
FAST_MODEL = "stub-fast"
STANDALONE = "How long does it take until a new password works for mail?"
"""What the fast model makes of any follow-up."""
MARK = re.compile(r"\(ref ([0-9a-f]{8})\)")
PASSAGE = re.compile(r'<passage n="(\d+)"[^>]*>\n(.*?)\n</passage>', re.DOTALL)
SENTENCE = re.compile(r"[A-Z][^.\n|#*`<>]{30,160}\.(?=\s|$)")
WITHOUT = "Open the control panel, choose the mailbox, type a new password twice, and save. It works at once. " * 2
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"data: [DONE]\n\n"

log: dict[str, dict[str, float]] = {}


def answer_to(messages: list[dict[str, Any]]) -> str:
    """Sentences of the passages in the last message, until there are enough words."""
    said: list[str] = []
    for number, text in PASSAGE.findall(str(messages[-1]["content"])):
        said += [f"{sentence} [{number}]" for sentence in SENTENCE.findall(text)[:2]]
        if sum(len(sentence) for sentence in said) > 280:
            break
    return " ".join(said) or WITHOUT


def pieces_of(text: str) -> list[str]:
    """The text in 64 pieces of about a word, whatever its length: every answer is the same work to read."""
    ends = [len(text) * number // TOKENS for number in range(TOKENS + 1)]
    return [text[begin:end] for begin, end in itertools.pairwise(ends)]


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    body = {
        "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "stub",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }  # fmt: skip
    return framed(b"data: " + orjson.dumps(body) + b"\n\n")


def framed(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


class Stub(asyncio.Protocol):
    """One connection, kept alive; one request at a time."""

    def __init__(self) -> None:
        self.buffer = b""
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.timer:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        wanted = int(length[1]) if length else 0
        if len(rest) < wanted:
            return
        self.buffer = rest[wanted:]
        path = head.split(b" ", 2)[1]
        if path.endswith(b"/chat/completions"):
            self.chat(orjson.loads(rest[:wanted]))
        elif path.endswith(b"/embeddings"):
            self.reply(embed(orjson.loads(rest[:wanted])))
        else:
            self.reply(orjson.dumps(log))

    def reply(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)

    def chat(self, body: dict[str, Any]) -> None:
        if not body.get("stream"):
            message = {"role": "assistant", "content": "{}"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            answer = {
                "id": "c", "object": "chat.completion", "created": 1, "model": "stub", "choices": [choice],
                "usage": usage,
            }  # fmt: skip
            self.reply(orjson.dumps(answer))
            return
        marks = MARK.findall(str(body["messages"][-1]["content"]))
        if body["model"] == FAST_MODEL:
            log.setdefault(marks[-1] if marks else "", {})["fast"] = 1.0
            self.send([f"{word} " for word in STANDALONE.split()], {}, len(STANDALONE))
            return
        text = answer_to(body["messages"])
        first = re.search(r"\.(?: \[\d+\])?(?= |$)", text)
        times = log.setdefault(marks[-1] if marks else "", {})
        times["asked"] = time.monotonic()
        self.send(pieces_of(text), times, first.end() if first else len(text))

    def send(self, pieces: list[str], times: dict[str, float], sentence: int) -> None:
        """Piece after piece, each at its own time, however late the one before was; `times` learns when."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        self.transport.write(HEAD + chunk({"role": "assistant", "content": ""}))

        def step(number: int, said: int) -> None:
            if number == len(pieces):
                times["last"] = time.monotonic()
                self.transport.write(chunk({}, "stop") + framed(END) + b"0\r\n\r\n")
                return
            self.transport.write(chunk({"content": pieces[number]}))
            said += len(pieces[number])
            now = time.monotonic()
            times.setdefault("first", now)
            if said >= sentence:
                times.setdefault("sentence", now)
            self.timer = loop.call_at(begin + FIRST_S + EACH_S * (number + 1), step, number + 1, said)

        self.timer = loop.call_at(begin + FIRST_S, step, 0, 0)


def embed(body: dict[str, Any]) -> bytes:
    return orjson.dumps(embeddings(body))


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", port, backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8100)
    uvloop.run(main(parser.parse_args().port))
