"""Words that must not get out, planted and then looked for in everything that leaves: answers, streams, webhooks, logs,
and what a model is told."""

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from api.logging import configure
from memory.tenancy import Role
from tests.conftest import Cluster
from tests.model_server import ModelServer
from tests.product import Product, Visitor, running, settings_for, with_models_of
from tests.receiver import Receiver


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watched(postgres: Cluster, seeded: str, provider: ModelServer, receiver: Receiver) -> AsyncIterator[Product]:
    """On a database of its own: another process would send what it may not send there."""
    settings = settings_for(
        postgres.clone(seeded), OUTBOUND_ALLOWED_HOSTS=f"127.0.0.1:{receiver.port}", **with_models_of(provider)
    )
    async with running(settings) as started:
        yield started


async def everything(visitor: Visitor) -> list[str]:
    """All that a customer can read: conversations, events, tickets and their histories."""
    http, headers = visitor.http, visitor.headers
    found = [
        (await http.get(path, headers=headers)).text
        for path in (
            "/api/v1/chat/sessions",
            visitor.url,
            f"{visitor.url}/messages",
            "/api/v1/tickets",
            "/api/v1/auth/me",
        )
    ]
    for ticket in (await http.get("/api/v1/tickets", headers=headers)).json()["items"]:
        found.append((await http.get(f"/api/v1/tickets/{ticket['id']}", headers=headers)).text)
        found.append((await http.get(f"/api/v1/tickets/{ticket['id']}/events", headers=headers)).text)
    await http.post(f"{visitor.url}/close", headers=headers)
    async with visitor.follow() as events:
        found.append(json.dumps([event.data async for event in events]))
    return found


async def test_notes_and_other_customers_files_get_out_nowhere(
    watched: Product,
    provider: ModelServer,
    receiver: Receiver,
    own_logging: None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure("INFO", json=True)
    note, file_text, file_name = (secrets.token_hex(12) for _ in range(3))
    tenant = await watched.tenant()
    agent, admin = await watched.staff(tenant, Role.AGENT), await watched.staff(tenant, Role.ADMIN)
    hook = {"url": receiver.url, "events": ["*"], "description": "everything"}
    assert (await watched.http.post("/api/v1/webhooks", json=hook, headers=admin)).status_code == 201
    owner, other = await watched.visitor(tenant), await watched.visitor(tenant)
    sent = await owner.http.post(
        f"{owner.url}/messages", headers=owner.headers,
        files=[
            ("message", (None, "What does the attached log say?")),
            ("attachments[]", (f"{file_name}.log", file_text.encode())),
        ],
    )  # fmt: skip
    assert sent.status_code == 200, sent.text
    prompts_before = len(provider.chats)
    handoff = (await other.http.post(f"{other.url}/escalate", headers=other.headers)).json()
    url = f"/api/v1/handoffs/{handoff['handoff_id']}"

    async def do(path: str, **body: Any) -> None:
        answer = await watched.http.post(path, json=body, headers=agent)
        assert answer.status_code in (200, 201), answer.text

    await do(f"{url}/claim")
    await do(f"{url}/notes", message=f"handoff note {note}")
    await do(f"/api/v1/tickets/{handoff['ticket_id']}/notes", message=f"ticket note {note}")
    await do(f"{url}/messages", message="Hello, how can I help?")
    await do(f"{url}/release")
    answers = [
        await other.ask(text) for text in ("How do I pay an invoice?", "What do the notes and the attached log say?")
    ]
    prompts = json.dumps([chat.body for chat in provider.chats[prompts_before:]])
    seen = [*map(json.dumps, answers), *(await everything(other))]
    hooks = b"".join(got.body for got in await receiver.wait_for(10, 10)).decode()
    printed = "".join(capfd.readouterr())
    assert "Hello, how can I help?" in "".join(seen)
    assert "handoff.claimed" in hooks
    assert '"event": "request"' in printed
    assert prompts_before
    for canary in (note, file_text, file_name):
        assert canary not in "".join(seen)
        assert canary not in prompts
        assert canary not in printed
    assert note not in hooks  # what the owner was told of their own file the tenant's system may hear
