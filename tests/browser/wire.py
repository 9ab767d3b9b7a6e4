"""The network between the browser and the product: a plain TCP relay that a test can cut, refuse, slow down and mend."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Wire:
    """Relays connections to `target`; while `down`, new ones are closed at once."""

    target: int
    port: int = 0
    down: bool = False
    delay_s: float = 0
    """That every piece of an answer waits."""
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Break every connection that is open now."""
        for writer in list(self._open):
            with suppress(Exception):
                writer.transport.abort()
        self._open.clear()

    def fail(self) -> None:
        """No network until `mend`."""
        self.down = True
        self.cut()

    def mend(self) -> None:
        self.down = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.down:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        try:
            with suppress(asyncio.CancelledError):  # when the loop ends, nobody waits to hear of it
                await asyncio.gather(_pump(reader, back), _pump(there, writer, lambda: self.delay_s))
        finally:
            self._open -= {writer, back}


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: Callable[[], float] = lambda: 0
) -> None:
    with suppress(ConnectionError, OSError, asyncio.CancelledError):
        while data := await reader.read(65536):
            if waiting := delay_s():
                await asyncio.sleep(waiting)
            writer.write(data)
            await writer.drain()
    with suppress(Exception):
        writer.close()


@asynccontextmanager
async def wire_to(target: int) -> AsyncIterator[Wire]:
    wire = Wire(target)
    server = await asyncio.start_server(wire._serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        wire.fail()
        server.close()
