"""The whole product on a real socket, with a client that speaks to it as the world does."""

import asyncio
import atexit
import json
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import httpx
import uvicorn
from fastapi import FastAPI

from agent.attending import attending
from agent.resources import Resources, open_resources
from agent.settings import Settings
from api.app import create_app
from api.cli.serving import KEEP_ALIVE_S
from api.logging import configure
from memory import chats
from memory.database import Database
from memory.embedded import EmbeddedUrls
from memory.encryption import Cipher
from memory.events import journal
from memory.models import Tenant, User
from memory.tenancy import Principal, Role
from tests.model_server import ModelServer
from tools.identity import provisioning

PASSWORD = "correct horse battery"
DATA_DIR = tempfile.mkdtemp(prefix="helpdesk-files-")
atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)
SECRET = "test-secret-key-of-sufficient-length-0123456789"


def settings_for(urls: EmbeddedUrls, **overrides: Any) -> Settings:
    values = {
        "DATABASE_URL": urls.app, "DATABASE_OWNER_URL": urls.owner, "SECRET_KEY": SECRET, "PORT": 0, "DEBUG": True,
        "ENCRYPTION_KEYS": Cipher.new_key(), "DATA_DIR": DATA_DIR, "REQUESTS_PER_MINUTE": 100_000,
        "MESSAGES_PER_MINUTE": 100_000, "TOKEN_PRICE_INPUT": 2, "TOKEN_PRICE_OUTPUT": 10,
    }  # fmt: skip
    return Settings.load(None, **{**values, **overrides})


@dataclass(frozen=True)
class Event:
    """One server-sent event as a client reads it."""

    type: str
    data: dict[str, Any]
    id: str | None


@dataclass
class Visitor:
    """A customer's client: opens a session, says things, follows the stream."""

    http: httpx.AsyncClient
    session_id: str
    headers: dict[str, str]
    greeting: str = ""
    events: list[Event] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"/api/v1/chat/sessions/{self.session_id}"

    async def ask(self, text: str, **headers: str) -> dict[str, Any]:
        """Say something and wait for the answer."""
        answer = await self.http.post(
            f"{self.url}/messages", json={"message": text}, headers={**self.headers, **headers}
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def stream(self, text: str, **headers: str) -> list[Event]:
        """Say something and read the stream to its end."""
        async with self.http.stream(
            "POST", f"{self.url}/messages", json={"message": text},
            headers={**self.headers, "Accept": "text/event-stream", **headers},
        ) as answer:  # fmt: skip
            assert answer.status_code == 200, await answer.aread()
            return [event async for event in read_events(answer)]

    @asynccontextmanager
    async def follow(self, last_event_id: str | None = None) -> AsyncIterator[AsyncIterator[Event]]:
        headers = {**self.headers, **({"Last-Event-ID": last_event_id} if last_event_id else {})}
        async with self.http.stream("GET", f"{self.url}/events", headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            yield read_events(answer)

    async def history(self) -> list[dict[str, Any]]:
        answer = await self.http.get(f"{self.url}/messages", headers=self.headers)
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


async def read_events(answer: httpx.Response) -> AsyncIterator[Event]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line:
            if "data" in fields:
                yield Event(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id"))
            fields = {}
        else:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")


@dataclass
class Product:
    """A running server and what a test may do with it."""

    app: FastAPI
    resources: Resources
    owner: Database
    http: httpx.AsyncClient

    async def tenant(self, **options: Any) -> Tenant:
        """A new tenant; `options` are its settings."""
        tenant = await provisioning.add_tenant(self.owner, f"t-{secrets.token_hex(6)}", "Test")
        if options:
            async with self.owner.connection(tenant.id) as connection:
                await connection.execute(
                    "update tenant_settings set options = %s where tenant_id = %s", (json.dumps(options), tenant.id)
                )
        return tenant

    async def visitor(self, tenant: Tenant, token: str | None = None, user_id: str | None = None) -> Visitor:
        headers = {"Authorization": f"Bearer {token}"} if token else {"X-Widget-Key": tenant.widget_key}
        answer = await self.http.post(
            "/api/v1/chat/sessions", headers=headers, json={"user_id": user_id} if user_id else None
        )
        assert answer.status_code == 201, answer.text
        opened = answer.json()
        bearer = token or opened["visitor_token"]
        return Visitor(self.http, opened["session_id"], {"Authorization": f"Bearer {bearer}"}, opened["message"])

    async def staff(self, tenant: Tenant, role: Role) -> dict[str, str]:
        """Headers of a new colleague, without the price of a password: hashing one takes longer than most tests."""
        user = User(email=f"{secrets.token_hex(6)}@example.com", role=role, password_hash="-")
        async with self.owner.transaction(tenant.id) as session:
            session.add(user)
        token = self.app.state.tokens.issue("access", tenant_id=tenant.id, subject=user.id, epoch=0)
        return {"Authorization": f"Bearer {token}"}

    async def sign_in(self, email: str, *, password: str = PASSWORD, **headers: str) -> dict[str, str]:
        body = {"email": email, "password": password}
        answer = await self.http.post("/api/v1/auth/login", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def set_audience(self, tenant: Tenant, visitor: Visitor, *audience: str) -> None:
        async with self.owner.connection(tenant.id) as connection:
            await connection.execute(
                "update customers set audience = %s where id = (select customer_id from chat_sessions where id = %s)",
                (list(audience), UUID(visitor.session_id)),
            )

    async def rows(self, tenant: Tenant, query: str, *values: Any) -> list[dict[str, Any]]:
        async with self.resources.database.connection(tenant.id) as connection:
            return await (await connection.execute(query, values)).fetchall()


async def asked_together(
    product: Product, tenant: Tenant, *texts: str, visitor: Visitor | None = None
) -> dict[str, Any]:
    """The answer to messages that came while the one before them was answered."""
    visitor = visitor or await product.visitor(tenant)
    turns, session_id = product.resources.turns, UUID(visitor.session_id)
    async with journal(product.resources.database, product.resources.streams, tenant.id) as entry:
        session = await chats.get_session(entry.connection, session_id, lock=True)
        who = Principal(tenant_id=tenant.id, role=Role.CUSTOMER, customer_id=session.customer_id)
        first = await turns.accept(entry, who, session, "hi")
    for text in texts[:-1]:
        told = await visitor.http.post(
            f"{visitor.url}/messages", json={"message": text}, headers={**visitor.headers, "Prefer": "respond-async"}
        )
        assert told.status_code == 202, told.text
    last = asyncio.create_task(visitor.ask(texts[-1]))
    while not await product.rows(
        tenant, "select 1 from chat_messages where session_id = %s and content = %s", session_id, texts[-1]
    ):
        await asyncio.sleep(0.01)
    turns.start(first.lease)
    answer = await last
    said = await visitor.history()
    assert {each["turn_id"] for each in said if each["content"] in texts} == {answer["turn_id"]}
    return answer


class Call(Protocol):
    """`await call(product, "PATCH", "/path", headers, name="x")`: what the API answers, which must have this status."""

    async def __call__(
        self, product: Product, method: str, path: str, who: dict[str, str], wanted: int = 200, /, **body: Any
    ) -> Any: ...


def calls_to(url: str) -> Call:
    """Calls to the paths under `url`."""

    async def call(
        product: Product, method: str, path: str, who: dict[str, str], wanted: int = 200, /, **body: Any
    ) -> Any:
        answer = await product.http.request(method, f"{url}{path}", headers=who, json=body or None)
        assert answer.status_code == wanted, answer.text
        return answer.json() if answer.content else None

    return call


def with_models_of(provider: ModelServer) -> dict[str, str]:
    """Settings that have this provider's models write."""
    return {
        "CHAT_MODEL": "stub", "FAST_MODEL": "stub-fast", "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_API_KEY": "sk-test",
    }  # fmt: skip


def shared_settings(product: Product, **changed: Any) -> Settings:
    """Settings of another process on the same database."""
    urls = product.resources.urls
    return settings_for(EmbeddedUrls(app=urls.app, owner=urls.owner or "", superuser=""), **changed)


@asynccontextmanager
async def beside(product: Product, **changed: Any) -> AsyncIterator[Product]:
    """The product once more, on the same database under other settings."""
    async with running(shared_settings(product, **changed)) as started:
        yield started


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Product]:
    """Start the product in this process on a free port, and stop it as SIGTERM would."""
    configure("INFO", json=True)
    assert settings.database.owner_url
    owner = Database(settings.database.owner_url, pool_size=4)
    await owner.pool.open()
    async with open_resources(settings) as resources, attending(resources):
        app = create_app(settings, resources)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                port=0,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=5,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
            )
        )
        serving = asyncio.create_task(server._serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=40) as http:
            yield Product(app, resources, owner, http)
        server.should_exit = True
        await serving
        await resources.turns.drain(5)
    await owner.pool.close()
    await owner.engine.dispose()
