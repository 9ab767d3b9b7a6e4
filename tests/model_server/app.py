"""The aiohttp application: routes, the script, what was received, and the faults as they happen on a socket."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.model_server import wire
from tests.model_server.replies import Body, Reply, Step, Timing, reply_for

# Long enough for the reader to take what was sent before a reset throws the rest away.
_BEFORE_RESET_S = 0.02


@dataclass(slots=True, kw_only=True)
class Recorded:
    """One request as it arrived, and how it ended."""

    path: str
    headers: Mapping[str, str]
    body: Body
    chunks_sent: int = 0
    left_early: bool = False
    """The client closed the connection before the answer was complete."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class ModelServer:
    """The running server: `base_url`, `requests`, `script(...)`."""

    def __init__(self, timing: Timing | None = None) -> None:
        self.base_url = ""
        self.timing = timing or Timing()
        self.requests: list[Recorded] = []
        self.arrived = asyncio.Event()
        """Set by the first request."""
        self.usual: Step | None = None
        """What chat requests get that no script foresees; without it, the default."""
        self._steps: deque[Step] = deque()
        self._peers: set[object] = set()

    def script(self, *steps: Step) -> None:
        """Steps for the next chat requests, one each; they replace what was left of an earlier script."""
        self._steps = deque(steps)

    @property
    def chats(self) -> list[Recorded]:
        return [request for request in self.requests if request.path.endswith("/chat/completions")]

    @property
    def connections(self) -> int:
        """How many TCP connections were used; fewer than requests where they are reused."""
        return len(self._peers)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=32 * 2**20)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_get("/v1/models", self._models)
        return app

    async def _models(self, request: web.Request) -> web.Response:
        model = {"id": "stub", "object": "model", "created": 1767225600, "owned_by": "tests"}
        return web.json_response({"object": "list", "data": [model]})

    async def _embeddings(self, request: web.Request) -> web.Response:
        recorded = await self._record(request)
        recorded.ended.set()
        return web.json_response(wire.embeddings(recorded.body))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        recorded = await self._record(request)
        step = self._steps.popleft() if self._steps else self.usual
        reply = reply_for(step, recorded.body, self.timing)
        try:
            return await _answer(request, recorded, reply)
        except (ConnectionError, asyncio.CancelledError):
            recorded.left_early = True
            raise
        finally:
            recorded.ended.set()

    async def _record(self, request: web.Request) -> Recorded:
        if request.transport:
            self._peers.add(request.transport.get_extra_info("peername"))
        recorded = Recorded(path=request.path, headers=dict(request.headers), body=await request.json())
        self.requests.append(recorded)
        self.arrived.set()
        return recorded


@asynccontextmanager
async def model_server(timing: Timing | None = None, port: int = 0) -> AsyncIterator[ModelServer]:
    server = ModelServer(timing)
    runner = web.AppRunner(server.application(), handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        server.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield server
    finally:
        await runner.cleanup()


async def _answer(request: web.Request, recorded: Recorded, reply: Reply) -> web.StreamResponse:
    if reply.fault == "refuse":
        return await _reset(request)
    if reply.fault == "silence" and reply.after == 0:
        await asyncio.Event().wait()
    if reply.status >= 400:
        return web.json_response(wire.error(reply.status), status=reply.status, headers=dict(reply.headers))
    if not recorded.body.get("stream"):
        return web.json_response(wire.completion(recorded.body, reply))
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    if reply == Reply(finish=None, timing=reply.timing):
        return response
    await _stream(request, response, recorded, reply)
    return response


async def _stream(request: web.Request, response: web.StreamResponse, recorded: Recorded, reply: Reply) -> None:
    body, timing = recorded.body, reply.timing or Timing()

    async def send(data: Any) -> None:
        await response.write(wire.event(data))

    await send(wire.chunk(body, {"role": "assistant", "content": ""}))
    await asyncio.sleep(timing.first_token_s)
    for count, delta in enumerate(wire.deltas(reply)):
        if count == reply.after and reply.fault:
            await _strike(request, response, reply)
            return
        if count and timing.token_s:
            await asyncio.sleep(timing.token_s)
        await send(wire.chunk(body, delta))
        recorded.chunks_sent += 1
    if reply.fault:
        await _strike(request, response, reply)
        return
    if reply.finish is not None:
        await send(wire.chunk(body, {}, reply.finish))
        if (body.get("stream_options") or {}).get("include_usage"):
            await send(wire.usage_chunk(body, reply))
        await response.write(b"data: [DONE]\n\n")


async def _strike(request: web.Request, response: web.StreamResponse, reply: Reply) -> None:
    match reply.fault:
        case "silence":
            await asyncio.Event().wait()
        case "cut":
            await _reset(request)
        case "broken_json":
            await response.write(b'data: {"choices": [{"delta": {"content": "br\n\n')
        case "error_event":
            await response.write(wire.event(wire.error(500)))


async def _reset(request: web.Request) -> web.Response:
    """Closes the connection with RST."""
    await asyncio.sleep(_BEFORE_RESET_S)
    if transport := request.transport:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()
