"""The composition root: everything a process needs, opened in order and closed in reverse.

The API's lifespan, the command line, the evals and the tests all use `open_resources`; nobody builds a pool, an index
or a model elsewhere.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from agent.conversations import Conversations
from agent.drafts.desk import Desk
from agent.drafts.jobs import define_draft_jobs
from agent.drafts.lesson_vectors import RememberedVectors
from agent.graph import build_graph
from agent.handoffs import Handoffs
from agent.jobs.deliveries import Deliveries
from agent.jobs.registry import Jobs, define_jobs
from agent.jobs.whmcs import Syncs, define_sync_jobs
from agent.llm import ModelConfig, Models, build_models
from agent.parts import Parts
from agent.replays.jobs import Replays, define_replay_jobs
from agent.settings import Settings
from agent.state import Judges
from agent.turns.running import Turns
from agent.urls import Urls, open_urls
from kbs.embedders import open_embedder
from kbs.embeddings import Embedder
from kbs.indexes.opening import open_index
from kbs.reindex import check_embedder
from kbs.retrieval import Retriever
from memory.cancelling import end
from memory.checkpoints import open_checkpointer
from memory.database import open_database
from memory.encryption import Cipher
from memory.errors import Misconfigured
from memory.files import Files
from memory.jobs import open_jobs
from memory.local_cache import LocalCache
from memory.streams import Streams
from tools.attachments.storing import Limits
from tools.classification import build_prototypes, detect_language
from tools.guardrails import load_rules
from tools.intents import load_packs
from tools.outbound import Outbound
from tools.whmcs.account import Accounts
from tools.whmcs.replying import WhmcsChannel

if TYPE_CHECKING:
    from memory.redis import Redis

SECRET_SECONDS = 30.0
"""How long a tenant's identity secret is kept in memory."""


@dataclass(kw_only=True)
class Resources(Parts):
    """What a process has open: the parts, and who works with them."""

    settings: Settings
    urls: Urls
    cipher: Cipher
    outbound: Outbound
    jobs: Jobs = field(init=False)
    turns: Turns = field(init=False)
    conversations: Conversations = field(init=False)
    handoffs: Handoffs = field(init=False)
    syncs: Syncs = field(init=False)
    desk: Desk = field(init=False)
    replays: Replays = field(init=False)
    _secrets: dict[UUID, tuple[float, str | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.turns = Turns(self)
        self.conversations = Conversations(self, self.turns)
        self.handoffs = Handoffs(self, self.turns)
        self.syncs = Syncs(self.database, self.cipher, self.outbound)
        self.channels["whmcs"] = WhmcsChannel(database=self.database, cipher=self.cipher, outbound=self.outbound)
        self.accounts = Accounts(database=self.database, cipher=self.cipher, outbound=self.outbound)

    @property
    def attachment_limits(self) -> Limits:
        given = self.settings.attachments
        return Limits(most_bytes=given.max_bytes, most_files=given.max_files)

    async def identity_secret(self, tenant_id: UUID) -> str | None:
        """The secret under which a tenant's site signs identities, decrypted."""
        until, secret = self._secrets.get(tenant_id, (0.0, None))
        if time.monotonic() < until:
            return secret
        async with self.database.connection(tenant_id) as connection:
            row = await (
                await connection.execute(
                    "select identity_secret from tenant_settings where tenant_id = %s", (tenant_id,)
                )
            ).fetchone()
        secret = self.cipher.decrypt(row["identity_secret"]) if row and row["identity_secret"] else None
        self._secrets[tenant_id] = (time.monotonic() + SECRET_SECONDS, secret)
        return secret

    def forget_tenant(self, tenant_id: UUID) -> None:
        """Read a tenant's settings anew after a change."""
        self._secrets.pop(tenant_id, None)


@asynccontextmanager
async def open_resources(settings: Settings, *, any_embedder: bool = False) -> AsyncIterator[Resources]:
    """Open everything. Raises Misconfigured with what to do where something found does not fit.

    `any_embedder` lets `reindex` in where the stored vectors are another model's.
    """
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(open_urls(settings))
        database = await stack.enter_async_context(open_database(urls.app, pool_size=settings.database.pool_size))
        redis = await stack.enter_async_context(_open_redis(settings.redis.url))
        models = settings.models
        embedder = await stack.enter_async_context(
            open_embedder(
                settings.knowledge.embedding_model, base_url=models.base_url, api_key=models.api_key,
                cache=redis,
            )
        )  # fmt: skip
        knowledge = database
        if urls.knowledge:
            knowledge = await stack.enter_async_context(
                open_database(urls.knowledge, pool_size=settings.database.pool_size)
            )
        index = await stack.enter_async_context(
            open_index(
                settings.knowledge.index, knowledge, embedder, name=settings.knowledge.index_name,
                chroma_url=settings.knowledge.chroma_url, folder=settings.app.data_dir / "chroma",
            )
        )  # fmt: skip
        if not any_embedder:
            await check_embedder(knowledge, embedder.id)
        await asyncio.to_thread(detect_language, "The model of languages is loaded now, not in the first turn.")
        checkpointer = open_checkpointer(database)
        resources = Resources(
            settings=settings,
            urls=urls,
            database=database,
            knowledge=knowledge,
            redis=redis,
            streams=Streams(database),
            files=Files(settings.app.data_dir.absolute() / "files"),
            cipher=Cipher(encryption_keys(settings)),
            outbound=Outbound(allowed=settings.http.reachable),
            embedder=embedder,
            index=index,
            retriever=Retriever(index, embedder, knowledge, cache=redis or LocalCache()),
            models=_models(settings, embedder),
            judges=Judges(rules=load_rules(None), prototypes=await build_prototypes(embedder, load_packs())),
            checkpointer=checkpointer,
            graph=build_graph(checkpointer),
            lesson_vectors=RememberedVectors(embedder),
            process=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}",
        )
        stack.push_async_callback(resources.models.aclose)
        resources.jobs = define_jobs(
            await stack.enter_async_context(open_jobs(database)), resources, knowledge_owner=urls.knowledge_owner
        )
        resources.turns.tidy = resources.jobs.tidy
        define_sync_jobs(resources.jobs.app, resources.syncs)
        resources.desk = Desk(resources, define_draft_jobs(resources.jobs.app, resources))
        resources.replays = define_replay_jobs(resources.jobs.app, resources)
        stack.push_async_callback(resources.syncs.aclose)
        yield resources


@asynccontextmanager
async def attending(resources: Resources, *, delivering: bool = True) -> AsyncIterator[None]:
    """The standing tasks of a process that answers: hearing of events elsewhere, taking up lapsed turns, and webhooks
    where it works."""
    tasks = [
        asyncio.create_task(resources.streams.listen(), name="listen"),
        asyncio.create_task(resources.turns.watch_for_lapsed(), name="lapsed"),
        asyncio.create_task(resources.handoffs.watch_for_neglected(), name="neglected"),
    ]
    if delivering:
        deliveries = Deliveries(resources.database, resources.cipher, resources.outbound)
        tasks.append(asyncio.create_task(deliveries.watch(), name="deliveries"))
    if resources.settings.redis.url:
        from memory.live import LiveWire  # with the client, as above

        wire = LiveWire(resources.settings.redis.url, resources.streams, resources.process)
        tasks.append(asyncio.create_task(wire.run(), name="live"))
    try:
        yield
    finally:
        await end(*tasks)


@asynccontextmanager
async def _open_redis(url: str | None) -> "AsyncIterator[Redis | None]":
    if not url:
        yield None
        return
    from memory.redis import open_redis  # the client takes 0.2 s of a start

    async with open_redis(url) as redis:
        yield redis


def _models(settings: Settings, embedder: Embedder) -> Models:
    chosen = settings.models
    config = ModelConfig(
        chat_model=chosen.answer, fast_model=chosen.fast, draft_model=chosen.draft_model, judge_model=chosen.judge_model,
        base_url=chosen.base_url, api_key=chosen.api_key,
    )  # fmt: skip

    async def similarity(question: str, sentences: list[str]) -> list[float]:
        vectors = await embedder.embed_texts([question, *sentences])
        return [float(score) for score in vectors[1:] @ vectors[0]]

    return build_models(
        config, sentence_scorer=similarity if "extractive" in (chosen.answer, chosen.draft_model) else None
    )


def secret_key(settings: Settings) -> str:
    """The key that signs tokens; embedded mode makes its own once."""
    if settings.security.secret_key:
        return settings.security.secret_key.get_secret_value()
    return _own(settings, "secret_key", lambda: secrets.token_urlsafe(48))


def encryption_keys(settings: Settings) -> list[str]:
    """The keys of stored secrets, newest first; embedded mode makes its own once."""
    given = settings.security.encryption_keys
    if given:
        return [key.strip() for key in given.get_secret_value().split(",") if key.strip()]
    return [_own(settings, "encryption_key", Cipher.new_key)]


def _own(settings: Settings, name: str, make: Any) -> str:
    if not settings.embedded:
        raise Misconfigured(f"{name.upper()} is required with DATABASE_URL")
    path: Path = settings.app.data_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(make())
    with suppress(FileExistsError):
        os.link(draft, path)  # whole or not at all: another process may be reading
    draft.unlink()
    return path.read_text().strip()
