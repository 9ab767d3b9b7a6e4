"""The connections to a model's endpoint, of the embedder and of the chat models.

Imports the OpenAI library, which takes a third of a second: only for who has such an endpoint.
"""

import ssl
from functools import cache

import httpx2
import openai


def open_client(timeout: httpx2.Timeout) -> httpx2.AsyncClient:
    """aiohttp below the library's client: a request costs half of what it does on the default transport."""
    return openai.DefaultAioHttpClient(timeout=timeout, verify=certificates())


@cache
def certificates() -> ssl.SSLContext:
    """Whom this process trusts. One for all clients: to read the file of authorities takes 30 ms each time."""
    return httpx2.create_ssl_context()
