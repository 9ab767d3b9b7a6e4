"""The OpenAI wire format: chunks of a stream, whole completions, errors, embeddings."""

import base64
import hashlib
import json
import re
import struct
from collections.abc import Iterator
from math import sqrt
from typing import Any

from tests.model_server.replies import Body, Reply

_ARGUMENT_PIECE = 7
_PIECE = re.compile(r"\S+\s*|\s+")
_DEFAULT_DIMENSIONS = 1536
_NAMED_DIMENSIONS = re.compile(r"-(\d{2,5})$")


def event(data: Any) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def deltas(reply: Reply) -> Iterator[Body]:
    """The content, word by word, then each tool call: its name first, its arguments in pieces."""
    for word in _PIECE.findall(reply.text):
        yield {"content": word}
    for index, (name, arguments) in enumerate(reply.tool_calls):
        function = {"name": name, "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]}
        for start in range(0, len(arguments), _ARGUMENT_PIECE):
            piece = {"arguments": arguments[start : start + _ARGUMENT_PIECE]}
            yield {"tool_calls": [{"index": index, "function": piece}]}


def chunk(body: Body, delta: Body, finish: str | None = None) -> Body:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {**_head(body, "chat.completion.chunk"), "choices": choices}


def usage_chunk(body: Body, reply: Reply) -> Body:
    return {**_head(body, "chat.completion.chunk"), "choices": [], "usage": usage(body, reply)}


def completion(body: Body, reply: Reply) -> Body:
    calls = [
        {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, (name, arguments) in enumerate(reply.tool_calls)
    ]
    message = {"role": "assistant", "content": reply.text, **({"tool_calls": calls} if calls else {})}
    choices = [{"index": 0, "message": message, "finish_reason": reply.finish}]
    return {**_head(body, "chat.completion"), "choices": choices, "usage": usage(body, reply)}


def usage(body: Body, reply: Reply) -> Body:
    """Words stand for tokens."""
    sent = len(json.dumps(body["messages"]).split())
    made = len(list(deltas(reply)))
    return {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made}


def error(status: int) -> Body:
    kind = "rate_limit_exceeded" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": "scripted failure", "type": kind, "param": None, "code": kind}}


def embeddings(body: Body) -> Body:
    """Hashed bags of words as unit vectors: equal texts are equal, texts that share words are near."""
    asked = body["input"]
    texts = [asked] if isinstance(asked, str) or (asked and isinstance(asked[0], int)) else asked
    named = _NAMED_DIMENSIONS.search(body["model"])
    dimensions = body.get("dimensions") or (int(named[1]) if named else _DEFAULT_DIMENSIONS)
    packed = body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(texts):
        vector = _hashed(str(text), dimensions)
        value = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() if packed else vector
        data.append({"object": "embedding", "index": index, "embedding": value})
    count = sum(len(str(text).split()) for text in texts)
    return {
        "object": "list",
        "model": body["model"],
        "data": data,
        "usage": {"prompt_tokens": count, "total_tokens": count},
    }


def _hashed(text: str, dimensions: int) -> list[float]:
    vector = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [text]:
        digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=9).digest()
        vector[int.from_bytes(digest[:8], "little") % dimensions] += 1.0 if digest[8] & 1 else -1.0
    norm = sqrt(sum(value * value for value in vector))
    return [value / norm for value in vector] if norm else [1.0, *vector[1:]]


def _head(body: Body, kind: str) -> Body:
    return {"id": "chatcmpl-stub", "object": kind, "created": 1767225600, "model": body.get("model", "stub")}
