"""Calls to addresses that tenants give: what is refused without a connection, and what a connection looks like."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.machine import usual
from tests.receiver import OK, Receiver, answer, receiving
from tools.addresses import is_public
from tools.outbound import NoAnswer, Outbound, Refused

LOOPBACK = (
    "https://127.0.0.1/", "https://127.0.0.1:8443/", "https://127.1/", "https://127.0.1/", "https://127.255.255.254/",
    "https://0/", "https://0.0.0.0/", "https://2130706433/", "https://017700000001/", "https://0177.0.0.1/",
    "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0x7f.1/", "https://127.0.0.01/", "https://127.0.0.1./",
    "https://[::1]/", "https://[::]/", "https://[0:0:0:0:0:0:0:1]/", "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/", "https://[64:ff9b::127.0.0.1]/", "https://[64:ff9b:1::7f00:1]/",
    "https://[2002:7f00:1::]/", "https://[2001:0:7f00:1::]/", "https://[::1%25lo]/", "https://[fe80::1%25eth0]/",
    "https://localhost/", "https://localhost./", "https://LOCALHOST/", "https://app.localhost/",
    "https://①②⑦.⓪.⓪.①/", "https://１２７.0.0.1/", "https://127。0。0。1/", "https://ⓛocalhost/",
)  # fmt: skip
INSIDE = (
    "https://10.0.0.1/", "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.1.1/", "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/", "https://2852039166/", "https://0xa9fea9fe/", "https://[::ffff:a9fe:a9fe]/",
    "https://[fd00:ec2::254]/", "https://100.100.100.200/", "https://168.63.129.16/", "https://192.0.0.192/",
    "https://metadata/", "https://metadata.google.internal/", "https://postgres/", "https://redis:8443/",
    "https://printer.local/", "https://router.lan/", "https://nas.home.arpa/", "https://[fc00::1]/", "https://[fe80::1]/",
    "https://[fec0::1]/", "https://224.0.0.1/", "https://[ff02::1]/", "https://255.255.255.255/", "https://240.0.0.1/",
    "https://192.0.2.1/", "https://198.18.0.1/", "https://203.0.113.9/", "https://[2001:db8::1]/", "https://[100::1]/",
)  # fmt: skip
FORMS = (
    "http://hooks.example.com/", "file:///etc/passwd", "gopher://127.0.0.1:70/_x", "ftp://hooks.example.com/", "dict://x.y/",
    "ws://hooks.example.com/", "javascript:alert(1)", "data:text/plain,x", "//hooks.example.com/", "hooks.example.com/x",
    "", "https://", "https:///x", "https:hooks.example.com", "https://user@hooks.example.com/",
    "https://user:pass@hooks.example.com/", "https://hooks.example.com@127.0.0.1/", "https://127.0.0.1#@hooks.example.com/",
    "https://127.0.0.1\\@hooks.example.com/", "https://hooks.example.com\\.127.0.0.1/", "https://hooks.example.com:22/",
    "https://hooks.example.com:5432/", "https://hooks.example.com:80/", "https://hooks.example.com:0/",
    "https://hooks.example.com:65536/", "https://hooks.example.com:-1/", "https://hooks.example.com:4 43/",
    "https://hooks.example.com:443:80/", "https://hooks.example.com:４４３/", "https://hooks.example.com./",
    "https://hooks..example.com/", "https://.example.com/", "https://-x.example.com/", "https://ex%61mple.com/",
    "https://127.0.0.1%2f.example.com/", "https://hooks.example.com/\r\nX: y", "https://hooks.example.com/ x",
    "https://hooks.example.com\t/", "\thttps://127.0.0.1/", "https://hooks.exa\nmple.com/", "https://[hooks.example.com]/",
    "https://[::1/", "https://::1/", "https://[::1]x/", "https://hooks.example.com/\x00", f"https://{'a.' * 130}com/",
    f"https://{'a' * 64}.com/", f"https://hooks.example.com/{'x' * 2000}", "https://пример.рф/",
)  # fmt: skip
NAMES_FOR_INSIDE = (
    ["127.0.0.1"], ["10.1.2.3"], ["169.254.169.254"], ["::1"], ["::ffff:10.0.0.1"], ["fe80::1%eth0"], ["fd00::1"],
    ["64:ff9b::a00:1"], ["0.0.0.0"], ["93.184.215.14", "127.0.0.1"], ["127.0.0.1", "93.184.215.14"],
    ["2606:4700::1", "::1"], ["93.184.215.14", "100.64.0.9"],
)  # fmt: skip


@dataclass
class Names:
    """A resolver that answers as it is told, in turn, and remembers who was asked for."""

    answers: list[list[str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if not self.answers:
            raise socket.gaierror("no such name")
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Every address that the process connects to by a socket or by the event loop."""
    seen: list[tuple[str, int]] = []
    original = asyncio.BaseEventLoop.create_connection

    async def create(self, factory, host=None, port=None, **options):  # type: ignore[no-untyped-def]
        seen.append((host, port))
        return await original(self, factory, host, port, **options)

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", create)
    return seen


def outbound(receiver: Receiver, names: Names | None = None) -> Outbound:
    return Outbound(allowed=frozenset({f"127.0.0.1:{receiver.port}"}), resolve=names or Names())


class TestTheGuard:
    async def test_the_table_is_long_enough(self) -> None:
        assert len({*LOOPBACK, *INSIDE, *FORMS}) >= 100

    @pytest.mark.parametrize("url", [*LOOPBACK, *INSIDE, *FORMS])
    async def test_refuses_before_it_asks_or_connects(
        self, receiver: Receiver, connected: list[tuple[str, int]], url: str
    ) -> None:
        names = Names([["127.0.0.1"]])
        with pytest.raises(Refused):
            await outbound(receiver, names).request("POST", url, body=b"x")
        assert (names.asked, connected, receiver.connections) == ([], [], 0)

    @pytest.mark.parametrize("addresses", NAMES_FOR_INSIDE, ids=str)
    async def test_a_public_name_with_an_address_inside_is_refused_as_a_whole(
        self, receiver: Receiver, connected: list[tuple[str, int]], addresses: list[str]
    ) -> None:
        names = Names([addresses])
        with pytest.raises(Refused, match="not public"):
            await outbound(receiver, names).request("POST", "https://127.0.0.1.nip.io/")
        assert (names.asked, connected, receiver.connections) == (["127.0.0.1.nip.io"], [], 0)

    async def test_a_name_that_changes_its_answer_is_asked_once_and_gets_what_was_checked(
        self, receiver: Receiver, connected: list[tuple[str, int]]
    ) -> None:
        names = Names([["240.0.0.1"], ["127.0.0.1"]])  # an answer that no test can reach, taken for public below
        client = outbound(receiver, names)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tools.outbound.is_public", lambda address: str(address) == "240.0.0.1")
            with pytest.raises(NoAnswer):
                await client.request("POST", "https://rebinding.example.com/", timeout_s=0.3)
        assert names.asked == ["rebinding.example.com"]
        assert connected == [("240.0.0.1", 443)]
        with pytest.raises(Refused):  # and the next attempt is checked anew
            await client.request("POST", "https://rebinding.example.com/")
        assert (names.asked, len(connected)) == (["rebinding.example.com"] * 2, 1)

    async def test_an_exempt_host_is_exempt_on_its_port_alone(self, receiver: Receiver) -> None:
        client = outbound(receiver)
        assert (await client.request("POST", receiver.url)).status == 200
        for url in (
            f"http://127.0.0.1:{receiver.port + 1}/",
            f"http://127.0.0.2:{receiver.port}/",
            "http://127.0.0.1/",
        ):
            with pytest.raises(Refused):
                await client.request("POST", url)
        assert receiver.connections == 1

    async def test_takes_what_is_public(self) -> None:
        client = Outbound(resolve=Names())
        for url in (
            "https://hooks.example.com/x?y=1", "https://Hooks.Example.COM:8443", "https://93.184.215.14/",
            "https://[2606:4700:4700::1111]/", "https://xn--e1afmkfd.xn--p1ai/", "https://a_b.example.com/",
        ):  # fmt: skip
            client.check(url)

    @pytest.mark.parametrize(
        "address", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1", "2a00:1450::1"]
    )
    async def test_knows_a_public_address(self, address: str) -> None:
        assert is_public(ipaddress.ip_address(address))

    async def test_is_no_laxer_than_the_standard_library(self) -> None:
        """Over both ends of every network that either knows."""
        for text in _edges():
            address = ipaddress.ip_address(text)
            if is_public(address):
                assert address.is_global
                named = (address.is_multicast, address.is_reserved, address.is_loopback, address.is_link_local)
                assert not any(named), text


def _edges() -> Iterator[str]:
    for first in range(256):
        for second in (0, 15, 16, 31, 32, 63, 64, 127, 128, 168, 254, 255):
            yield f"{first}.{second}.0.1"
            yield f"{first}.{second}.255.254"
    for group in range(0, 0x10000, 0x101):
        yield f"{group:x}::1"
        yield f"{group:x}:db8::1"


class TestAnswers:
    async def test_a_redirect_is_an_answer_and_is_not_followed(self, receiver: Receiver) -> None:
        receiver.reply = lambda got: answer(302, f"Location: http://127.0.0.1:{receiver.port}/inside")
        assert (await outbound(receiver).request("POST", receiver.url)).status == 302
        assert [got.path for got in receiver.got] == ["/hook"]

    async def test_no_proxy_of_the_environment_is_used(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with receiving() as proxy:
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            assert (await outbound(receiver).request("POST", receiver.url)).status == 200
            assert proxy.connections == 0

    async def test_what_is_sent(self, receiver: Receiver) -> None:
        await outbound(receiver).request("POST", f"{receiver.url}?a=b", headers={"X-One": "1"}, body=b"{}")
        [got] = receiver.got
        assert (got.path, got.body) == ("/hook?a=b", b"{}")
        assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
        assert got.headers["x-one"] == "1"
        assert not {"cookie", "authorization", "accept"} & set(got.headers)

    async def test_a_body_is_read_up_to_its_limit(self, receiver: Receiver) -> None:
        receiver.reply = lambda got: answer(200, body=b"x" * 1000)
        found = await outbound(receiver).request("GET", receiver.url, most_bytes=1000)
        assert found.body == b"x" * 1000
        with pytest.raises(NoAnswer, match="more than 999 bytes"):
            await outbound(receiver).request("GET", receiver.url, most_bytes=999)

    async def test_an_endless_body_that_nobody_asked_for_is_not_read(self, receiver: Receiver) -> None:
        receiver.reply = lambda got: b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n" + b"x" * 3_000_000
        started = asyncio.get_running_loop().time()
        assert (await outbound(receiver).request("POST", receiver.url)).body == b""
        assert asyncio.get_running_loop().time() - started < usual(1)

    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            (None, "broke off"),
            (b"", "broke off"),
            (b"HTTP/1.1 200", "broke off"),
            (b"SSH-2.0-OpenSSH_9.6\r\n", "not HTTP"),
            (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 300_000, "not HTTP"),
            (5.0, "no answer within 0.3 s"),
        ],
        ids=["reset", "closed", "half a line", "another protocol", "endless headers", "silence"],
    )
    async def test_what_goes_wrong_is_said_in_plain_words(
        self, receiver: Receiver, reply: bytes | float | None, words: str
    ) -> None:
        receiver.reply = lambda got: reply
        with pytest.raises(NoAnswer, match=words):
            await outbound(receiver).request("POST", receiver.url, timeout_s=0.3)

    async def test_one_limit_holds_for_all_of_a_slow_answer(self, receiver: Receiver) -> None:
        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while not writer.is_closing():
                writer.write(b"X: y\r\n")
                await asyncio.sleep(0.05)

        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = Outbound(allowed=frozenset({f"127.0.0.1:{port}"}))
        with pytest.raises(NoAnswer, match="no answer within"):
            await client.request("POST", f"http://127.0.0.1:{port}/", timeout_s=0.4)
        server.close()

    async def test_a_closed_port_and_a_name_without_address(self, receiver: Receiver) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        client = Outbound(allowed=frozenset({f"127.0.0.1:{port}"}), resolve=Names())
        with pytest.raises(NoAnswer, match="refused"):
            await client.request("POST", f"http://127.0.0.1:{port}/")
        with pytest.raises(NoAnswer, match="does not resolve"):
            await client.request("POST", "https://nobody.example.com/")

    async def test_a_name_server_that_is_silent_costs_the_limit_and_no_more(self, receiver: Receiver) -> None:
        async def silent(host: str, port: int) -> list[str]:
            await asyncio.sleep(30)
            return []

        with pytest.raises(NoAnswer, match=r"no answer within 0\.2 s"):
            await Outbound(resolve=silent).request("POST", "https://hooks.example.com/", timeout_s=0.2)

    async def test_the_next_address_is_tried_where_the_first_is_closed(self, receiver: Receiver) -> None:
        name = f"hooks.test:{receiver.port}"
        client = Outbound(allowed=frozenset({name}), resolve=Names([["127.0.0.9", "127.0.0.1"]]))
        assert (await client.request("POST", f"http://{name}/")).status == 200
        assert receiver.got[0].headers["host"] == name


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for hooks.acme.example, its key, and the authority that signed it."""
    folder = tmp_path_factory.mktemp("tls")
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])
    now = datetime.datetime.now(datetime.UTC)

    def certificate(subject: x509.Name, public: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> bytes:
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(extension, critical=True)
            .sign(root_key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM)

    (folder / "root.pem").write_bytes(certificate(issuer, root_key.public_key(), x509.BasicConstraints(True, None)))
    names = x509.SubjectAlternativeName([x509.DNSName("hooks.acme.example")])
    (folder / "cert.pem").write_bytes(certificate(x509.Name([]), key.public_key(), names))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


class TestSecureConnections:
    @pytest.fixture
    async def secure(self, authority: Path) -> AsyncIterator[tuple[Receiver, list[str | None]]]:
        """A receiver with a certificate, and the names that clients asked for in the handshake."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / "cert.pem", authority / "key.pem")
        asked: list[str | None] = []
        context.sni_callback = lambda connection, name, _: asked.append(name)
        async with receiving(context) as receiver:
            yield receiver, asked

    async def test_the_name_that_was_given_is_in_the_handshake_and_in_the_request(
        self, secure: tuple[Receiver, list[str | None]], authority: Path
    ) -> None:
        receiver, asked = secure
        name = f"hooks.acme.example:{receiver.port}"
        client = Outbound(
            allowed=frozenset({name}), resolve=Names([["127.0.0.1"]]),
            certificates=ssl.create_default_context(cafile=str(authority / "root.pem")),
        )  # fmt: skip
        assert (await client.request("POST", f"https://{name}/x")).status == 200
        assert (asked, receiver.got[0].headers["host"]) == (["hooks.acme.example"], name)

    async def test_a_certificate_for_another_name_or_of_nobody_known_is_not_taken(
        self, secure: tuple[Receiver, list[str | None]], authority: Path
    ) -> None:
        receiver, _ = secure
        other = f"other.acme.example:{receiver.port}"
        name = f"hooks.acme.example:{receiver.port}"
        trusting = ssl.create_default_context(cafile=str(authority / "root.pem"))
        for host, certificates in ((other, {"certificates": trusting}), (name, {})):
            client = Outbound(allowed=frozenset({host}), resolve=Names([["127.0.0.1"]]), **certificates)
            with pytest.raises(NoAnswer, match="certificate is not valid"):
                await client.request("POST", f"https://{host}/x")
        assert receiver.got == []

    async def test_a_port_that_speaks_no_tls(self, receiver: Receiver) -> None:
        name = f"hooks.test:{receiver.port}"
        client = Outbound(allowed=frozenset({name}), resolve=Names([["127.0.0.1"]]))
        receiver.reply = lambda got: OK
        with pytest.raises(NoAnswer):
            await client.request("POST", f"https://{name}/x", timeout_s=1)
