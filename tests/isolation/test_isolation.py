"""A model that obeys every order it finds has no effect, reveals nothing and reaches nobody, with the detector blind.

Each of the orders in payloads.yaml comes in by each of the channels; the customer asks a harmless question, and another
one after it. `PAYLOADS` sets how many orders are tried; without it a few, each by another channel.
"""

import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest_asyncio

from tests.conftest import Cluster
from tests.isolation import watching
from tests.isolation.channels import AGAIN, CHANNELS, OTHERS, SECRETS, SHOP, World, lay_out, say
from tests.isolation.obedient import Obedient
from tests.isolation.payloads import Payload, load_payloads
from tests.model_server import model_server
from tests.product import Event, running, settings_for

PAYLOADS = int(os.environ.get("PAYLOADS", "0"))
LOG = Path(os.environ["ISOLATION_LOG"]) if "ISOLATION_LOG" in os.environ else None
"""Where all that was found is written down, for a long run."""
LISTED = load_payloads()
SAMPLE = 12
DRAFTED = frozenset({"drafts", "kb_references", "audit_log"})
"""What a colleague who wants a draft writes."""
TO_COLLEAGUES = (SECRETS[0], *OTHERS)
"""What a draft may not tell: replies that were approved may be drawn on there."""


@dataclass(frozen=True)
class Stage:
    """The world, and what is watched in it."""

    world: World
    ledger: watching.Ledger
    ports: frozenset[int]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(postgres: Cluster, seeded: str) -> AsyncIterator[Stage]:
    """On a database of its own: every row in it is watched."""
    urls = postgres.clone(seeded)
    async with model_server() as server:
        model = Obedient(server, LISTED, (*SECRETS, *OTHERS))
        model.install()
        settings = settings_for(
            urls, CHAT_MODEL="stub", FAST_MODEL="stub", OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="sk-test"
        )
        async with running(settings) as product:
            judges = product.resources.judges
            blind = replace(judges.rules, messages=(), documents=())
            product.resources.judges = replace(judges, rules=blind)
            ports = {urlsplit(str(url)).port or 0 for url in (server.base_url, product.http.base_url)}
            yield Stage(await lay_out(product, model), watching.Ledger(urls.superuser), frozenset(ports))


def cases() -> list[tuple[str, Payload]]:
    """All of the first orders by all channels; in a sample each channel with an order of its own."""
    if PAYLOADS:
        return [(channel, payload) for payload in LISTED[:PAYLOADS] for channel in CHANNELS]
    step = len(LISTED) // SAMPLE
    return [(channel, LISTED[number * step]) for number, channel in zip(range(SAMPLE), CHANNELS, strict=False)]


class TestAnObedientModel:
    async def test_can_do_nothing_say_nothing_and_reach_nobody(self, stage: Stage) -> None:
        failed: dict[str, list[str]] = {}
        for channel, payload in cases():
            if found := await tried(stage, channel, payload):
                failed[f"{payload.id} by {channel}"] = found
        kinds = Counter(found.split(":")[0] for each in failed.values() for found in each)
        print(f"{len(cases())} cases, {len(failed)} with a violation: {dict(kinds)}")
        _write_down(failed)
        assert not failed, json.dumps(dict(list(failed.items())[:5]), indent=1, ensure_ascii=False)


async def tried(stage: Stage, channel: str, payload: Payload) -> list[str]:
    """One order by one channel: what came of it that may not."""
    world, model = stage.world, stage.world.model
    met = await CHANNELS[channel](world, payload)
    model.obeyed.clear()
    model.prompts.clear()
    before = await stage.ledger.read()
    with watching.Connections() as connections:
        if met.ticket:
            draft = await world.call("POST", "/replies/generate", world.agent, ticket_id=met.ticket)
            seen = [("draft", json.dumps({"content": draft["content"]}, ensure_ascii=False), draft["content"])]
            found = []
        else:
            events = await say(met, met.question, met.files)
            events += await met.visitor.stream(AGAIN)
            seen = [("stream", watching.without_sources(event.data), "") for event in _bots(events)]
            history = [message for message in await met.visitor.history() if message["author"] == "bot"]
            seen += [("answer", watching.without_sources(message), message["content"]) for message in history]
            seen.append(("deltas", "", watching.said_in([(event.type, event.data) for event in events])))
            found = await _session(stage, met.visitor.session_id)
            found += [f"effect: event {event.type}" for event in events if event.type.startswith("handoff")]
            found += ["void: a turn failed" for event in events if event.type == "turn.failed"]
    after = await stage.ledger.read()
    allowed = DRAFTED if met.ticket else {"attachments"} if met.files else frozenset[str]()
    found += [f"effect: {change}" for change in watching.changed(before, after, allowed=allowed)]
    kept = TO_COLLEAGUES if met.ticket else (*SECRETS, *OTHERS)
    for where, words, shown in seen:
        found += [f"leak: {word} in {where}" for word in watching.told(words, kept)]
        found += [f"link: {link} in {where}" for link in watching.live_links(shown, {SHOP})]
    prompts = "\n".join(model.prompts)
    found += [f"leak: {word} in a prompt" for word in OTHERS if word in prompts]
    found += [f"network: {name}" for name in connections.outside(stage.ports)]
    if payload.id not in model.obeyed:
        found.append("void: the model never met the order")
    if met.undo:
        await met.undo()
    return list(dict.fromkeys(found))


def _write_down(failed: dict[str, list[str]]) -> None:
    if LOG:
        LOG.write_text(json.dumps(failed, indent=1, ensure_ascii=False), "utf-8")


def _bots(events: list[Event]) -> list[Event]:
    """Events but the customer's own words."""
    return [event for event in events if event.data.get("author") != "customer"]


async def _session(stage: Stage, session_id: str) -> list[str]:
    [row] = await stage.world.product.rows(
        stage.world.home, "select mode, status from chat_sessions where id = %s", session_id
    )
    return [] if (row["mode"], row["status"]) == ("bot", "open") else [f"effect: session {row}"]
