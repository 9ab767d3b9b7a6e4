"""A hostile client: whatever it sends, the answer is a declared 4xx problem document that repeats nothing, and soon.

Bodies and parameters are taken from the OpenAPI document, so a new route is attacked without a line here.
"""

import asyncio
import base64
import gzip
import itertools
import string
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from api.errors import MEDIA_TYPE, Problem
from memory.models import new_id
from memory.tenancy import Role
from tests.product import Product, Visitor

CANARY = "kanarie7f3a"
LIMIT = 1_048_576
SLOW_S = 2.0
JSON = {"Content-Type": "application/json"}
FORM = "multipart/form-data; boundary=B"


@dataclass(frozen=True)
class Operation:
    """A route as the OpenAPI document declares it."""

    method: str
    path: str
    declared: dict[str, Any]
    document: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def url(self) -> str:
        """With ids that no object has: the input is refused before anything is looked for."""
        return self.path.format(**{parameter["name"]: new_id() for parameter in self.parameters("path")})

    def parameters(self, place: str) -> list[dict[str, Any]]:
        return [parameter for parameter in self.declared.get("parameters", []) if parameter["in"] == place]

    @property
    def takes(self) -> set[str]:
        return set(self.declared.get("requestBody", {}).get("content", {}))

    @property
    def needs_a_body(self) -> bool:
        return bool(self.declared["requestBody"].get("required"))

    def properties(self) -> dict[str, dict[str, Any]]:
        """Each field of the JSON body with the schema of its value, null aside."""
        schema = self._plain(self.declared["requestBody"]["content"]["application/json"]["schema"])
        return {name: self._plain(field) for name, field in schema["properties"].items()}

    def _plain(self, schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in schema:
            return self._plain(self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
        kinds = [self._plain(kind) for kind in schema.get("anyOf", [])]
        values = [kind for kind in kinds if kind.get("type") != "null"]
        return {**values[0], "nullable": len(values) < len(kinds)} if values else schema


def operations(product: Product) -> list[Operation]:
    document = product.app.openapi()
    return [
        Operation(method.upper(), path, declared, document)
        for path, found in document["paths"].items()
        for method, declared in found.items()
    ]


@dataclass
class Attacker:
    """An admin who also sends the widget key: no route refuses this caller before it has read the input."""

    product: Product
    headers: dict[str, str]
    visitor: Visitor
    version: int
    """That of the tenant's settings before the attack."""

    async def send(self, method: str, url: str, *, content: Any = None, **headers: str) -> httpx.Response:
        return await self.product.http.request(method, url, content=content, headers={**self.headers, **headers})

    async def flaws(self, operation: Operation, *, content: Any = None, url: str = "", **headers: str) -> list[str]:
        """What is wrong with the answer to a bad request; nothing, if all is well."""
        started = time.perf_counter()
        answer = await self.send(operation.method, url or operation.url, content=content, **headers)
        found = flaws_of(answer, time.perf_counter() - started)
        if str(answer.status_code) not in operation.declared["responses"]:
            found.append(f"{answer.status_code} is not declared")
        return found


def flaws_of(answer: httpx.Response, seconds: float = 0.0) -> list[str]:
    found = []
    if not 400 <= answer.status_code < 500:
        found.append(f"status {answer.status_code}: {answer.text[:200]}")
    elif answer.headers["content-type"] != MEDIA_TYPE:
        found.append(f"{answer.status_code} as {answer.headers['content-type']}")
    elif answer.request.method != "HEAD":
        problem = Problem.model_validate_json(answer.content)
        if problem.status != answer.status_code or problem.request_id != answer.headers["x-request-id"]:
            found.append(f"a problem about something else: {answer.text[:200]}")
    if CANARY in answer.text.lower() or CANARY in str(answer.headers).lower():
        found.append(f"echoes: {answer.text[:200]}")
    if seconds > SLOW_S:
        found.append(f"took {seconds:.1f} s")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def attacker(product: Product) -> Attacker:
    tenant = await product.tenant()
    admin = await product.staff(tenant, Role.ADMIN)
    version = (await product.http.get("/api/v1/settings", headers=admin)).json()["version"]
    headers = {**admin, "X-Widget-Key": tenant.widget_key}
    return Attacker(product, headers, await product.visitor(tenant), version)


def many_keys() -> bytes:
    names = itertools.product(string.ascii_letters + string.digits, repeat=4)
    return b"{" + b",".join(b'"%s":1' % "".join(name).encode() for name in itertools.islice(names, 100_000)) + b"}"


def canaries(size: int) -> bytes:
    return (CANARY.encode() * (size // len(CANARY) + 1))[:size]


BODIES: dict[str, bytes] = {
    "one brace": b"{",
    "no JSON": canaries(100),
    "a string": f'"{CANARY}"'.encode(),
    "a number": b"1234567",
    "a list": f'["{CANARY}"]'.encode(),
    "a number of 5,000 digits": b"9" * 5000,
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "an unknown field": f'{{"{CANARY}": "{CANARY}"}}'.encode(),
    "an unknown field twice": f'{{"{CANARY}": 1, "{CANARY}": "{CANARY}"}}'.encode(),
    "a lone surrogate as name": f'{{"\\ud800{CANARY}": 1}}'.encode(),
    "NUL as name": f'{{"\\u0000{CANARY}": 1}}'.encode(),
    "somebody's tenant": f'{{"tenant_id": "{CANARY}"}}'.encode(),
    "a prototype": f'{{"__proto__": {{"{CANARY}": 1}}}}'.encode(),
    "100,000 names": many_keys(),
    "lists 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "objects 100,000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "never closed": b'{"message":' + b"[" * 500_000,
    "bytes that are no UTF-8": b'{"a": "\xff\xfe' + canaries(20) + b'"}',
    "gzip": gzip.compress(canaries(10_000)),
    "1 MB": b'"' + canaries(LIMIT - 2) + b'"',
    "one byte too many": b'"' + canaries(LIMIT - 1) + b'"',
}


class TestBodies:
    @pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
    async def test_what_fits_no_route_is_refused_by_every_route(self, attacker: Attacker, body: bytes) -> None:
        deviations = {}
        for operation in operations(attacker.product):
            if operation.takes and (found := await attacker.flaws(operation, content=body, **JSON)):
                deviations[operation.name] = found
        assert deviations == {}

    async def test_a_body_of_unknown_length_is_counted_as_it_comes(self, attacker: Attacker) -> None:
        async def endless() -> AsyncIterator[bytes]:
            for _ in range(LIMIT // 65_536 + 1):
                yield canaries(65_536)

        for operation in operations(attacker.product):
            if "application/json" in operation.takes:
                answer = await attacker.send(operation.method, operation.url, content=endless(), **JSON)
                assert (answer.status_code, flaws_of(answer)) == (413, []), operation.name

    async def test_one_byte_too_many_is_said_to_be_too_large(self, attacker: Attacker) -> None:
        for operation in operations(attacker.product):
            for more in ({}, {"Idempotency-Key": str(new_id())}):
                answer = await attacker.send(operation.method, operation.url, content=b"x" * (LIMIT + 1), **more)
                assert (answer.status_code, flaws_of(answer)) == (413, []), operation.name

    async def test_an_empty_body_is_refused_where_one_is_needed(self, attacker: Attacker) -> None:
        deviations = {}
        for operation in operations(attacker.product):
            if operation.takes and operation.needs_a_body:
                for content in (b"", b"null", b" "):
                    if found := await attacker.flaws(operation, content=content, **JSON):
                        deviations[operation.name, content] = found
        assert deviations == {}

    @pytest.mark.parametrize(
        "kind",
        ["", "text/plain", "application/xml", "application/octet-stream", "text/html; charset=" + CANARY,
         "application/json\\", "application/jsonx", "multipart/form-data", "multipart/form-data; boundary=",
         "multipart/form-data; boundary=" + "B" * 5000, "application/x-www-form-urlencoded", CANARY + "/" + CANARY],
    )  # fmt: skip
    async def test_another_media_type_is_refused(self, attacker: Attacker, kind: str) -> None:
        deviations = {}
        for operation in operations(attacker.product):
            if operation.takes and (
                found := await attacker.flaws(operation, content=canaries(50), **{"Content-Type": kind})
            ):
                deviations[operation.name] = found
        assert deviations == {}

    async def test_a_compressed_body_is_not_unpacked(self, attacker: Attacker) -> None:
        bomb = gzip.compress(b'{"query": "' + b"x" * 50_000_000 + b'"}')
        for operation in operations(attacker.product):
            if operation.takes:
                assert await attacker.flaws(operation, content=bomb, **JSON, **{"Content-Encoding": "gzip"}) == []


def bad_values(schema: dict[str, Any]) -> Iterator[str]:
    """JSON that a field of this schema must refuse."""
    text = f'"{CANARY}"'
    yield from ("9" * 5000, "NaN", "1e400", f"[[{text}]]", "[" * 2000 + "]" * 2000)
    free = schema.get("type") == "object"  # its names are the caller's own
    yield f'{{"{CANARY} {CANARY}": {text}}}' if free else f'{{"{CANARY}": {text}}}'
    yield from (f'"{CANARY}\\ud800"', f'"\\udfff{CANARY}"', f'"\\u0000{CANARY}"', f'"{CANARY}\\u001b[2J"')
    if not schema.get("nullable"):
        yield "null"
    if schema.get("type") == "string":
        yield from ("1", "true", "1.5", str(2**70))
        if "maxLength" in schema:
            yield f'"{CANARY}{"x" * schema["maxLength"]}"'
            yield '"' + "\u0315\u0300" * 200_000 + '"'  # quadratic to normalise
        if schema.get("minLength"):
            yield '""'
        if "enum" in schema or schema.get("format", "password") != "password":
            yield text
    elif schema.get("type") == "array":
        yield from (text, "1", f"[{text}, 1]", "[" + ",".join(['"A"'] * 100_000) + "]", "[null]", f'[{{"a": {text}}}]')
    else:
        yield from (text, '"1"', f"[{text}]", str(-(2**70)), "1e300")
        yield "0" if schema.get("type") == "boolean" else "true"


class TestFields:
    async def test_every_field_of_every_body_refuses_what_is_not_of_its_kind(self, attacker: Attacker) -> None:
        deviations, tried = {}, 0
        for operation in operations(attacker.product):
            if "application/json" not in operation.takes:
                continue
            for name, schema in operation.properties().items():
                for value in bad_values(schema):
                    tried += 1
                    content = f'{{"{name}": {value}}}'.encode("utf-8", "surrogatepass")
                    if found := await attacker.flaws(operation, content=content, **JSON):
                        deviations[operation.name, name, value[:60]] = found
        assert deviations == {}
        assert tried > 300

    async def test_the_field_is_named_and_its_value_is_not(self, attacker: Attacker) -> None:
        answer = await attacker.send("PATCH", "/api/v1/settings", content=f'{{"greeting": ["{CANARY}"]}}', **JSON)
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/body/greeting"]

    async def test_a_name_that_the_client_made_up_is_not_repeated(self, attacker: Attacker) -> None:
        answer = await attacker.send("PATCH", "/api/v1/settings", content=f'{{"{CANARY}": 1}}', **JSON)
        assert answer.json()["errors"] == [{"pointer": "/body", "detail": "Extra inputs are not permitted"}]

    async def test_nothing_of_it_was_applied(self, attacker: Attacker) -> None:
        found = (await attacker.send("GET", "/api/v1/settings")).text
        assert CANARY not in found
        assert orjson.loads(found)["version"] == attacker.version


class TestForms:
    @pytest.mark.parametrize(
        ("kind", "body"),
        {
            "no parts": (FORM, b""),
            "no end": (FORM, b"--B\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\n" + canaries(50)),
            "no name": (FORM, b"--B\r\nContent-Disposition: form-data\r\n\r\n" + canaries(50) + b"\r\n--B--\r\n"),
            "no message": (FORM, b"--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--B--\r\n"),
            "a file": (FORM, b"--B\r\nContent-Disposition: form-data; name=\"message\"; filename=\"../../" + canaries(11)
                       + b"\"\r\nContent-Type: text/plain\r\n\r\n" + canaries(50) + b"\r\n--B--\r\n"),
            "1,000 parts": (FORM, b"".join(b"--B\r\nContent-Disposition: form-data; name=\"a%d\"\r\n\r\nb\r\n" % number
                                           for number in range(1000)) + b"--B--\r\n"),
            "a codec that fails": ("multipart/form-data; boundary=B; charset=undefined",
                                   b"--B\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nhi\r\n--B--\r\n"),
            "a codec that is slow": ("multipart/form-data; boundary=B; charset=punycode",
                                     b"--B\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\n" + b"a" * 500_000
                                     + b"-" + b"9" * 500_000 + b"\r\n--B--\r\n"),
            "a NUL": (FORM, b"--B\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\n\0x\r\n--B--\r\n"),
            "an unknown field": ("application/x-www-form-urlencoded", b"message=hi&" + canaries(11) + b"=1"),
            "an escaped NUL": ("application/x-www-form-urlencoded", b"message=%00" + canaries(11)),
            "1,000 fields": ("application/x-www-form-urlencoded", b"&".join(b"a%d=b" % number for number in range(1000))),
            "a blank message": ("application/x-www-form-urlencoded", b"message=+%0a"),
            "no field": ("application/x-www-form-urlencoded", b"&&&==&"),
        }.values(),
        ids=str,
    )  # fmt: skip
    async def test_a_form_that_does_not_fit_is_refused(self, attacker: Attacker, kind: str, body: bytes) -> None:
        deviations = {}
        for operation in operations(attacker.product):
            if (
                operation.takes
                and (body or operation.needs_a_body)
                and (found := await attacker.flaws(operation, content=body, **{"Content-Type": kind}))
            ):
                deviations[operation.name] = found
        assert deviations == {}


IDS = ("no-uuid-" + CANARY, "%00", "%0d%0aX-Injected:%20" + CANARY, "%ed%a0%80", "%2e%2e%2f%2e%2e", "0", "-1", "9" * 5000,
       "{" + CANARY + "}", "%27%20or%201=1--", "x" * 60_000)  # fmt: skip
NUMBERS = ("-1", "2147483648", "9" * 5000, "1.5", "1e3", "0x10", "%00", CANARY, "", "NaN", "%F0%9F%92%A5")


class TestPlaces:
    async def test_ids_in_paths(self, attacker: Attacker) -> None:
        deviations = {}
        for operation in operations(attacker.product):
            names = [found["name"] for found in operation.parameters("path")]
            for place, bad in itertools.product(names, IDS):
                url = operation.path.format(**{name: bad if name == place else new_id() for name in names})
                if found := await attacker.flaws(operation, url=url, content=b"{}", **JSON):
                    deviations[operation.name, place, bad[:30]] = found
        assert deviations == {}

    async def test_query_parameters(self, attacker: Attacker) -> None:
        deviations, tried = {}, 0
        visible = operations(attacker.product)
        for operation in visible:
            for parameter in operation.parameters("query"):
                schema = operation._plain(parameter["schema"])
                schema = operation._plain(schema.get("items", schema))
                text = IDS[:9] if schema.get("format") == "uuid" else ("x" * 300, "%00")
                bad_ones = {"integer": NUMBERS, "string": text, "boolean": ("2", CANARY, "", "%00")}
                for bad in bad_ones[schema["type"]]:
                    tried += 1
                    if found := await attacker.flaws(operation, url=f"{operation.url}?{parameter['name']}={bad}"):
                        deviations[operation.name, parameter["name"], bad[:30]] = found
        assert deviations == {}
        assert tried > 50

    async def test_objects_that_are_not_there(self, attacker: Attacker) -> None:
        for operation in operations(attacker.product):
            if operation.parameters("path") and not operation.takes:
                answer = await attacker.send(operation.method, operation.url)
                assert (answer.status_code, flaws_of(answer)) == (404, []), operation.name

    @pytest.mark.parametrize(
        "path", ["/nothing/" + CANARY, "/api/v1/" + CANARY, "/api/v2/users", "//api/v1/users", "/api/v1/users/../../etc",
                 "/api/v1/%2e%2e/" + CANARY, "/%00", "/api/v1/\\..\\" + CANARY, "/api/v1/users;" + CANARY, "/.env",
                 "/api/v1/" + CANARY * 5000, "/%ff%fe", "/widget/%00"],
    )  # fmt: skip
    async def test_paths_that_lead_nowhere(self, attacker: Attacker, path: str) -> None:
        status, headers, body = await raw(attacker.product, f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode())
        assert (status, headers["content-type"]) == (404, MEDIA_TYPE)
        assert CANARY not in body
        assert CANARY not in str(headers)

    async def test_a_method_that_a_path_does_not_take_is_answered_with_those_that_it_does(
        self, attacker: Attacker
    ) -> None:
        methods: dict[str, set[str]] = {}
        for operation in operations(attacker.product):
            methods.setdefault(operation.path, set()).add(operation.method)
        for path, taken in methods.items():
            url = path.replace("{", "").replace("}", "")
            for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} - taken:
                answer = await attacker.send(method, url)
                assert (answer.status_code, flaws_of(answer)) == (405, []), (method, path)
                assert set(answer.headers["allow"].split(", ")) == taken, (method, path)


def bearer(header: bytes, payload: bytes = b"{}") -> bytes:
    parts = (base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload, b"x" * 32))
    return b"Bearer " + b".".join(parts)


AUTHORIZATIONS: dict[str, bytes] = {
    "another scheme": b"Basic " + base64.b64encode(b"kanarie7f3a:kanarie7f3a"),
    "no scheme": CANARY.encode(),
    "no token": b"Bearer",
    "two tokens": b"Bearer a.b.c a.b.c",
    "no JWT": b"Bearer " + canaries(40),
    "8 KB": b"Bearer " + canaries(8192),
    "8 KB of dots": b"Bearer " + b"." * 8192,
    "bytes": b"Bearer \xff\xfe\x80.\xff.\xff",
    "an API key that is none": b"Bearer hk_" + canaries(40),
    "an API key of bytes": b"Bearer hk_\xff\xfe",
    "alg none": bearer(b'{"alg":"none","kid":"access"}'),
    "alg missing": bearer(b'{"kid":"access"}'),
    "kid a list": bearer(b'{"alg":"HS256","kid":["access"]}'),
    "kid a path": bearer(b'{"alg":"HS256","kid":"../../dev/null"}'),
    "a header 3,000 deep": bearer(b"[" * 3000),
    "a payload 2,900 deep": bearer(b'{"alg":"HS256","kid":"access"}', b"[" * 2900),
    "a number of 2,900 digits": bearer(b'{"alg":"HS256","kid":' + b"9" * 2900 + b"}"),
    "no JSON": bearer(canaries(30)),
    "no UTF-8": bearer(b'{"alg":"HS256","kid":"\xff"}'),
}
KEYS: dict[str, bytes] = {
    "empty": b"", "quotes": b'""', "256 characters": canaries(256), "4 KB": canaries(4096),
    "not ASCII": "kanarie7f3ä".encode(), "bytes": b"\xff\xfe", "a tab": b"a\tb",
}  # fmt: skip


class TestHeaders:
    @pytest.mark.parametrize("value", AUTHORIZATIONS.values(), ids=AUTHORIZATIONS)
    async def test_a_credential_that_is_none(self, attacker: Attacker, value: bytes) -> None:
        widget = {"X-Widget-Key": attacker.headers["X-Widget-Key"]}
        for method, url, more in (
            ("GET", "/api/v1/auth/me", {}),
            ("POST", "/api/v1/chat/sessions", {}),
            ("POST", "/api/v1/tickets", {"Idempotency-Key": "k"}),
        ):
            answer = await attacker.product.http.request(
                method, url, json={}, headers=[(b"Authorization", value), *headers_of({**widget, **more})]
            )
            assert (answer.status_code, flaws_of(answer)) == (401, [])
            assert answer.headers["www-authenticate"] == "Bearer"

    @pytest.mark.parametrize("value", [b"", CANARY.encode(), canaries(200), b"\xff\xfe", b"' or 1=1 --"])
    async def test_a_widget_key_that_is_none(self, attacker: Attacker, value: bytes) -> None:
        for url in ("/api/v1/chat/sessions", "/api/v1/auth/register"):
            answer = await attacker.product.http.post(
                url, json={} if url.endswith("sessions") else {"email": "a@example.com", "password": "long enough"},
                headers=[(b"X-Widget-Key", value)],
            )  # fmt: skip
            assert (answer.status_code, flaws_of(answer)) == (401, [])

    @pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
    async def test_an_idempotency_key_that_cannot_be_kept(self, attacker: Attacker, key: bytes) -> None:
        for operation in operations(attacker.product):
            if any(found["name"].lower() == "idempotency-key" for found in operation.parameters("header")):
                answer = await attacker.product.http.post(
                    operation.url, json={"message": "hi"},
                    headers=[(b"Idempotency-Key", key), *headers_of(attacker.headers)],
                )  # fmt: skip
                assert (answer.status_code, flaws_of(answer)) == (422, []), operation.name

    @pytest.mark.parametrize(
        ("last_event_id", "first"),
        [("0", "message.created"), ("-1", "resync"), (CANARY, "resync"), ("9" * 40, "resync"), ("1.2.3", "resync"),
         ("1e3", "resync"), ("2147483648", "resync"), ("NaN", "resync"), ("1.-1", "resync")],
    )  # fmt: skip
    async def test_a_cursor_that_means_nothing_is_told_to_read_the_history(
        self, attacker: Attacker, last_event_id: str, first: str
    ) -> None:
        async with attacker.visitor.follow(last_event_id) as events, asyncio.timeout(SLOW_S):
            event = await anext(events)
        assert (event.type, event.id) == (first, "1")
        assert CANARY not in str(event)

    async def test_a_cursor_that_is_too_long_is_refused(self, attacker: Attacker) -> None:
        headers = {**attacker.visitor.headers, "Last-Event-ID": CANARY * 10}
        assert flaws_of(await attacker.product.http.get(f"{attacker.visitor.url}/events", headers=headers)) == []

    @pytest.mark.parametrize(
        "headers",
        [{"Accept": ""}, {"Accept": "text/html"}, {"Accept": "*/*;q=" + "9" * 5000}, {"Accept": ",;,;" * 1000},
         {"Prefer": "return=" + CANARY}, {"Prefer": '"' * 2000}, {"If-Busy": CANARY * 100}, {"Range": "bytes=0-,0-"},
         {"Accept-Encoding": "*;q=0"}, {"If-None-Match": "*"}, {"Expect": CANARY}, {"Cookie": "a=" + CANARY * 200},
         {"X-HTTP-Method-Override": "DELETE"}, {"X-Forwarded-Host": CANARY}, {"X-Original-URL": "/api/v1/users"}],
    )  # fmt: skip
    async def test_headers_that_ask_for_nothing_we_know_change_nothing(
        self, attacker: Attacker, headers: dict[str, str]
    ) -> None:
        answer = await attacker.product.http.post(
            f"{attacker.visitor.url}/messages", json={"message": "thanks"},
            headers={**attacker.visitor.headers, **headers},
        )  # fmt: skip
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert CANARY not in str(answer.headers) + answer.text

    @pytest.mark.parametrize(
        "lines",
        [b"Content-Length: -1\r\n", b"Content-Length: " + b"9" * 5000 + b"\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n",
         b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"X-Nul: a\0kanarie7f3a\r\n", b"no colon kanarie7f3a\r\n",
         b"Transfer-Encoding: kanarie7f3a\r\n"],
        ids=lambda lines: lines.decode()[:30],
    )  # fmt: skip
    async def test_what_is_not_http_is_refused_by_the_server(self, attacker: Attacker, lines: bytes) -> None:
        """Here uvicorn answers, before there is a request."""
        status, headers, body = await raw(attacker.product, b"POST /api/v1/tickets HTTP/1.1\r\nHost: x\r\n" + lines)
        assert 400 <= status < 500
        assert CANARY not in body + str(headers)

    async def test_a_thousand_headers_are_borne(self, attacker: Attacker) -> None:
        lines = b"".join(b"X-H%d: %s\r\n" % (number, canaries(40)) for number in range(1000))
        status, _, body = await raw(attacker.product, b"GET /livez HTTP/1.1\r\nHost: x\r\n" + lines)
        assert status in (200, 400, 431)
        assert CANARY not in body

    async def test_a_made_up_method_makes_no_metric(self, attacker: Attacker) -> None:
        for method in ("MKCOL", "PURGE", "SOURCE"):
            await attacker.send(method, "/api/v1/users")
        found = (await attacker.product.http.get("/metrics")).text
        assert 'method="other"' in found
        assert "PURGE" not in found


def headers_of(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def raw(product: Product, head: bytes) -> tuple[int, dict[str, str], str]:
    """Send bytes as they are; the answer's status, headers and body."""
    reader, writer = await asyncio.open_connection(product.http.base_url.host, product.http.base_url.port)
    writer.write(head + b"Connection: close\r\n\r\n")
    async with asyncio.timeout(SLOW_S):
        answer = (await reader.read()).decode()
    writer.close()
    top, _, body = answer.partition("\r\n\r\n")
    status, *lines = top.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split()[1]), headers, body
