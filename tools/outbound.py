"""Calls to addresses that tenants give us: an HTTPS client that reaches public hosts only, and only the host it checked.

parse     printable ASCII, https, no user in it, port 443 or 8443, a public name or a usual address
resolve   once; every address of the name must be public, or none is used
connect   to exactly such an address, with the name given in Host and SNI and its certificate checked
read      no redirect, no proxy of the environment, no cookies, a limit on the bytes, one limit on the time of it all

A name that answers differently the next time changes nothing: what was checked is what is connected to. `allowed` names
hosts as `host:port` that the operator lets through wherever they are, by http too.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpcore
import httpx

from memory.errors import Invalid, Unavailable
from tools.addresses import Address, is_public, is_public_name, literal

PORTS = frozenset({443, 8443})
LONGEST_URL = 2000
TIMEOUT_S = 10.0
CONNECT_S = 4.0
"""For one address: the next one shall have its turn within the whole."""
ADDRESSES = 4
Resolve = Callable[[str, int], Awaitable[Iterable[str]]]


class Refused(Invalid):
    """An address that is not for us to call; the detail says why, in words for whoever gave it."""

    code = "address_refused"


class NoAnswer(Unavailable):
    """No answer could be had; the detail says what happened, without a word of the other side."""

    code = "no_answer"


class NotConnected(NoAnswer):
    """There was no connection, so nothing was asked."""

    code = "not_connected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL as it was understood; nothing else is made of it later."""

    scheme: str
    host: str
    port: int
    path: str
    exempt: bool = False
    """The operator allows it wherever it is."""

    @property
    def netloc(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _DEFAULT_PORT[self.scheme] else f"{name}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes = b""


class _Resolver:
    """The system's resolver on threads of its own: a name server that is down holds up nobody else's work."""

    def __init__(self, threads: int = 8) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> list[str]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were checked, whatever host it is asked for."""

    def __init__(self, addresses: list[Address]) -> None:
        self._addresses = addresses
        self._network = httpcore.AnyIOBackend()
        self._opened: list[httpcore.AsyncNetworkStream] = []

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        for last, address in enumerate(self._addresses, 1 - len(self._addresses)):
            try:
                stream = await self._network.connect_tcp(str(address), port, CONNECT_S)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if last == 0:
                    raise
            else:
                self._opened.append(stream)
                return stream
        raise httpcore.ConnectError("no address")

    async def aclose(self) -> None:
        """Close what a handshake that was broken off would leave open."""
        for stream in self._opened:
            await stream.aclose()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """The client; one for a process."""

    allowed: frozenset[str] = frozenset()
    resolve: Resolve = field(default_factory=_Resolver)
    certificates: ssl.SSLContext = field(default_factory=lambda: httpx.create_ssl_context(trust_env=False))

    def check(self, url: str) -> Target:
        """The parts of a URL that may be called, as far as it can be seen without asking anybody. Raises Refused."""
        if len(url) > LONGEST_URL or not all("!" <= character <= "~" for character in url) or "\\" in url:
            raise Refused(f"write the address in at most {LONGEST_URL} plain characters, international names as xn--")
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            raise Refused("this is not an address that can be read") from None
        if "@" in parts.netloc:
            raise Refused("leave user and password out of the address")
        if parts.scheme not in _DEFAULT_PORT or not host:
            raise Refused("give an address that begins with https://")
        port = _DEFAULT_PORT[parts.scheme] if port is None else port
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        target = Target(scheme=parts.scheme, host=host, port=port, path=path, exempt=f"{host}:{port}" in self.allowed)
        if not target.exempt:
            _check_public(target)
        return target

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float = TIMEOUT_S,
        most_bytes: int = 0,
    ) -> Answer:
        """One request, checked anew. A body of more than `most_bytes` is an error; with 0 none is read.

        Raises Refused before anything was connected to, NoAnswer otherwise; NotConnected where nothing was sent.
        """
        target = self.check(url)
        try:
            async with asyncio.timeout(timeout_s), self._send(target, method, headers or {}, body) as response:
                return await _read(response, most_bytes)
        except TimeoutError:
            raise NoAnswer(f"no answer within {timeout_s:g} s") from None
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise NotConnected(_in_words(error)) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise NoAnswer(_in_words(error)) from None
        except (ssl.SSLError, OSError) as error:
            raise NoAnswer(_of_socket(error)) from None

    @asynccontextmanager
    async def _send(
        self, target: Target, method: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[httpcore.Response]:
        url = httpcore.URL(
            scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
        )
        network = _Pinned(await self._addresses(target))
        given = {"Host": target.netloc, "User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Connection": "close"}
        async with (
            aclosing(network),
            httpcore.AsyncConnectionPool(ssl_context=self.certificates, network_backend=network) as pool,
            pool.stream(method, url, headers=[*{**given, **headers}.items()], content=body or None) as response,
        ):
            yield response

    async def _addresses(self, target: Target) -> list[Address]:
        """Where the target is, each address checked. Raises Refused."""
        written = literal(target.host)
        if written is None:
            try:
                found = [ipaddress.ip_address(address) for address in await self.resolve(target.host, target.port)]
            except (OSError, UnicodeError):
                raise NotConnected("its name does not resolve") from None
        else:
            found = [written]
        if not found:
            raise NotConnected("its name does not resolve")
        if not target.exempt and not all(map(is_public, found)):
            raise Refused("its name resolves to an address that is not public")
        return found[:ADDRESSES]


def _check_public(target: Target) -> None:
    if target.scheme != "https":
        raise Refused("give an address that begins with https://")
    if target.port not in PORTS:
        raise Refused(f"only the ports {' and '.join(map(str, sorted(PORTS)))} are called")
    try:
        address = literal(target.host)
    except ValueError:
        raise Refused("this is not a host that can be read: an address is written in its usual form") from None
    if not (is_public_name(target.host) if address is None else is_public(address)):
        raise Refused("give a host on the public internet")


async def _read(response: httpcore.Response, most_bytes: int) -> Answer:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    body = bytearray()
    if most_bytes:
        async for chunk in response.aiter_stream():
            body += chunk
            if len(body) > most_bytes:
                raise NoAnswer(f"it answered with more than {most_bytes} bytes")
    return Answer(status=response.status, headers=headers, body=bytes(body))


def _in_words(error: Exception) -> str:
    """What the operating system or TLS said, deep within, is the most exact."""
    told: OSError | None = None
    cause: BaseException | None = error
    while cause is not None:
        told = cause if isinstance(cause, OSError) else told
        cause = cause.__cause__ or cause.__context__
    if told is not None:
        return _of_socket(told)
    match error:
        case httpcore.ConnectTimeout():
            return "no connection in time"
        case httpcore.ConnectError():
            return "no connection could be made"
        case httpcore.ProtocolError():
            return "what it answered is not HTTP, or it broke off"
        case _:
            return "the connection broke off"


def _of_socket(error: OSError) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return "its certificate is not valid for this host"
        case ssl.SSLError():
            return "no secure connection could be agreed on"
        case ConnectionRefusedError():
            return "the connection was refused"
        case ConnectionResetError() | BrokenPipeError():
            return "the connection broke off"
        case TimeoutError():
            return "no connection in time"
        case _:
            return "no connection could be made"


_DEFAULT_PORT = {"https": 443, "http": 80}
USER_AGENT = "helpdesk/1"
