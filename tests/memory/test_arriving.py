"""Answers whose connection is reset in their middle, on the event loops that the product runs on."""

import asyncio
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest
import uvloop
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from memory.connection import Connection
from memory.embedded import EmbeddedUrls
from memory.pipeline import statement

LONG = statement("select repeat('x', 100) as text from generate_series(1, 1000)")
RESET = struct.pack("ii", 1, 0)
"""How a socket lingers whose closing is a reset."""
UNTIL_SENT_S, UNTIL_RESET_S = 0.05, 0.2


@dataclass
class Relay:
    """Between one client and a server's Unix socket, in a thread: it goes on while the client's loop does not."""

    target: str
    listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    letters: int | None = None
    """Of the next answer, before the connection is reset."""

    @property
    def port(self) -> int:
        number: int = self.listening.getsockname()[1]
        return number

    def serve(self) -> None:
        client, _ = self.listening.accept()
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self.target)
            while True:
                for source in select.select([client, server], [], [])[0]:
                    if not (data := source.recv(65536)):
                        return
                    if source is client:
                        server.sendall(data)
                    elif self.letters is None:
                        client.sendall(data)
                    else:
                        time.sleep(UNTIL_SENT_S)
                        client.sendall(data[: self.letters])
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                        return


@contextmanager
def relay_to(url: str) -> Iterator[tuple[Relay, str]]:
    given = conninfo_to_dict(url)
    relay = Relay(f"{given['host']}/.s.PGSQL.5432")
    serving = threading.Thread(target=relay.serve)
    serving.start()
    with relay.listening:
        yield relay, f"postgresql://{given['user']}@127.0.0.1:{relay.port}/{given['dbname']}?sslmode=disable"
        serving.join(10)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("letters", [0, 7, 5000])
def test_who_waits_for_the_rest_hears_of_it(
    database_urls: EmbeddedUrls, new_loop: Callable[[], asyncio.AbstractEventLoop], letters: int
) -> None:
    """libuv tells of a socket with an error once, whatever there is to read before it."""

    async def ask(relay: Relay, url: str) -> None:
        async with await Connection.connect(url, autocommit=True, row_factory=dict_row) as connection:
            assert len((await connection.together((LONG, {})))[0]) == 1000
            relay.letters = letters
            asking = asyncio.create_task(connection.together((LONG, {})))
            await asyncio.sleep(UNTIL_SENT_S / 2)
            time.sleep(UNTIL_RESET_S)  # noqa: ASYNC251  # both come while the loop looks elsewhere
            async with asyncio.timeout(5):
                with pytest.raises(psycopg.OperationalError):
                    await asking

    with relay_to(database_urls.app) as (relay, url), asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(ask(relay, url))
