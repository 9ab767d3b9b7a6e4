"""The composition root: everything a process needs, opened in order and closed in reverse.

The API's lifespan, the command line, the evals and the tests all use `open_resources`; nobody builds a pool, an index
or a model elsewhere.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING

from procrastinate import App

from agent.conversations import Conversations
from agent.drafts.desk import Desk
from agent.drafts.jobs import define_draft_jobs
from agent.drafts.lesson_vectors import RememberedVectors
from agent.graph import build_graph
from agent.handoffs import Handoffs
from agent.identity_secrets import IdentitySecrets
from agent.jobs.registry import Jobs, define_jobs
from agent.jobs.whmcs import Syncs, define_sync_jobs
from agent.keys import encryption_keys
from agent.llm import ModelConfig, Models, build_models
from agent.parts import Parts
from agent.replays.jobs import Replays, define_replay_jobs
from agent.settings import Settings
from agent.state import Judges
from agent.turns.running import Turns
from agent.urls import Urls, open_urls
from kbs.articles.reindex import check_embedder
from kbs.embedding.embedder import Embedder
from kbs.embedding.opening import open_embedder
from kbs.indexes.opening import open_index
from kbs.search.retrieval import Retriever
from memory.checkpoints import open_checkpointer
from memory.database import open_database
from memory.encryption import Cipher
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
    identity_secrets: IdentitySecrets = field(init=False)
    queue: InitVar[App]
    """Where jobs wait."""

    def __post_init__(self, queue: App) -> None:
        self.jobs = define_jobs(queue, self, knowledge_owner=self.urls.knowledge_owner)
        self.turns = Turns(self)
        self.turns.tidy = self.jobs.tidy
        self.conversations = Conversations(self, self.turns)
        self.handoffs = Handoffs(self, self.turns)
        self.syncs = Syncs(self.database, self.cipher, self.outbound)
        define_sync_jobs(queue, self.syncs)
        self.channels["whmcs"] = WhmcsChannel(database=self.database, cipher=self.cipher, outbound=self.outbound)
        self.accounts = Accounts(database=self.database, cipher=self.cipher, outbound=self.outbound)
        self.desk = Desk(self, define_draft_jobs(queue, self))
        self.replays = define_replay_jobs(queue, self)
        self.identity_secrets = IdentitySecrets(self.database, self.cipher)

    @property
    def attachment_limits(self) -> Limits:
        given = self.settings.attachments
        return Limits(most_bytes=given.max_bytes, most_files=given.max_files)


@asynccontextmanager
async def open_resources(settings: Settings, *, any_embedder: bool = False) -> AsyncIterator[Resources]:
    """Open everything. Raises Misconfigured with what to do where something found does not fit.

    `any_embedder` lets `reindex` in where the stored vectors are another model's.
    """
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(open_urls(settings))
        database = await stack.enter_async_context(open_database(urls.app, pool_size=settings.database.pool_size))
        redis = await stack.enter_async_context(_open_redis(settings.redis.url))
        embedder = await stack.enter_async_context(
            open_embedder(
                settings.knowledge.embedding_model, base_url=settings.models.base_url,
                api_key=settings.models.api_key, cache=redis,
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
        models = _models(settings, embedder)
        stack.push_async_callback(models.aclose)
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
            models=models,
            judges=Judges(rules=load_rules(None), prototypes=await build_prototypes(embedder, load_packs())),
            graph=build_graph(open_checkpointer(database)),
            lesson_vectors=RememberedVectors(embedder),
            process=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}",
            queue=await stack.enter_async_context(open_jobs(database)),
        )
        stack.push_async_callback(resources.syncs.aclose)
        yield resources


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
