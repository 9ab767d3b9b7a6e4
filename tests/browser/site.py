"""A support team's own site: another origin, a strict policy, and the widget's one script tag."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<script src="/settings.js"></script><script src="{widget}/widget.js" defer></script></head>
<body><main><h1>A shop</h1><p>Words of the shop.</p><button id="before">A button of the shop</button></main></body></html>"""


@asynccontextmanager
async def site(widget: str, settings: dict[str, Any]) -> AsyncIterator[str]:
    """The address of the site; its policy allows one script source and one frame source besides its own script."""
    policy = f"default-src 'none'; script-src 'self' {widget}; frame-src {widget}; base-uri 'none'"
    script = (
        f"window.helpdeskSettings = {json.dumps(settings)}; window.heard = [];"
        "for (const name of ['ready', 'opened', 'closed', 'message', 'error'])"
        " addEventListener('helpdesk:' + name, (event) => window.heard.push([name, event.detail]));"
    )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1]
        kind, body = (
            ("text/javascript", script) if path == b"/settings.js" else ("text/html", PAGE.format(widget=widget))
        )
        content = body.encode()
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {len(content)}\r\n"
            f"Content-Security-Policy: {policy}\r\nConnection: close\r\n\r\n".encode()
            + content
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
