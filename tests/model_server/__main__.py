"""The server as a process: `python -m tests.model_server --port 8099 --first-token-ms 200 --token-ms 10 --tokens 64`."""

import argparse
import asyncio

from tests.model_server.app import model_server
from tests.model_server.replies import Timing


async def serve(port: int, timing: Timing) -> None:
    async with model_server(timing, port) as server:
        print(server.base_url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.model_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--first-token-ms", type=float, default=0)
    parser.add_argument("--token-ms", type=float, default=0)
    parser.add_argument("--tokens", type=int, default=None)
    asked = parser.parse_args()
    timing = Timing(first_token_s=asked.first_token_ms / 1e3, token_s=asked.token_ms / 1e3, tokens=asked.tokens)
    try:
        asyncio.run(serve(asked.port, timing))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
