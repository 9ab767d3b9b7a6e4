"""The product as the evals open it: an embedded database of its own, and tenants that nobody else uses.

Whatever the environment says, the configured database is never touched. What is embedded stays in the evals' own
folder, so that a second run starts at once; another embedding model or index has a folder of its own there.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from agent.attending import attending
from agent.llm.models import EXTRACTIVE
from agent.resources import Resources, open_resources
from agent.seeding import prompt_parts, seed_all
from agent.settings import DatabaseSettings, ModelSettings, RedisSettings, SecuritySettings, Settings
from evals.public import Public
from evals.variants import Variant
from kbs.articles.ingest import Progress, ingest_folder
from kbs.index import Scope
from kbs.passages import Source
from kbs.search.cache import Retrieved
from kbs.search.retrieval import Mode, RetrievalOptions, Retriever
from memory.database import Database, open_owner
from memory.errors import Conflict, Misconfigured
from memory.models import Tenant
from tools.identity import provisioning

COLLECTIONS = ("hosting", "cyber-training")


@dataclass(kw_only=True)
class World:
    """One opened product, measured as one variant."""

    resources: Resources
    retriever: Retriever
    """Searches as it is told; that of the resources always as the variant says. Neither remembers."""
    owner: Database
    variant: Variant
    public: Public
    live: bool = False
    _tenants: dict[str, Tenant] = field(default_factory=dict)

    async def tenant(self, name: str, **options: Any) -> Tenant:
        """A tenant of the evals by its name, made when it is missing, with these settings and the variant's."""
        if name not in self._tenants:
            slug = f"evals-{name}"
            try:
                found = await provisioning.add_tenant(self.owner, slug, name)
            except Conflict:
                found = await provisioning.find_tenant(self.owner, slug)
            async with self.owner.connection(found.id) as connection:
                await connection.execute(SET_OPTIONS, (Jsonb({**options, **self.variant.tenant}), found.id))
            await self._prompt(found.id)
            self._tenants[name] = found
        return self._tenants[name]

    async def own_scope(self, audience: frozenset[str] = frozenset()) -> Scope:
        """The knowledge that ships with the product, as a caller of that audience sees it."""
        tenant = await self.tenant("own")
        return Scope(tenant_id=tenant.id, collections=COLLECTIONS, audience=audience)

    async def public_scope(self, name: str, progress: Progress | None = None) -> Scope:
        """A public corpus as a tenant's own articles, indexed when it is not yet."""
        documents = self.public.corpus(name)
        return await self.articles_of(f"set-{name.replace('_', '-')}", documents, progress)

    async def articles_of(
        self, name: str, documents: Iterable[Mapping[str, str]], progress: Progress | None = None
    ) -> Scope:
        """A tenant with these articles and no others: `id`, `title`, `text`."""
        tenant = await self.tenant(name, collections=[])
        with TemporaryDirectory() as folder:
            await asyncio.to_thread(_write_corpus, Path(folder, "corpus.jsonl"), documents)
            await ingest_folder(
                self.resources.knowledge, self.resources.index, self.resources.embedder, Path(folder),
                tenant_id=tenant.id, collection="corpus", progress=progress,
            )  # fmt: skip
        return Scope(tenant_id=tenant.id, audience=None, sources=frozenset({Source.TENANT_KB}))

    async def _prompt(self, tenant_id: UUID) -> None:
        """Make the variant's prompt the tenant's active one; without one the global default is."""
        async with self.owner.connection(tenant_id) as connection:
            await connection.execute(NO_PROMPT, (tenant_id,))
            if self.variant.prompt is not None:
                parts = {**prompt_parts(), **self.variant.prompt}
                await connection.execute(
                    ADD_PROMPT,
                    {**{name: parts[name] for name in ("system_prompt", "context_template", "task_template")},
                     "tenant": tenant_id, "name": "evals"},
                )  # fmt: skip


def _write_corpus(path: Path, documents: Iterable[Mapping[str, str]]) -> None:
    path.write_bytes(b"\n".join(orjson.dumps(document) for document in documents))


class VariantRetriever(Retriever):
    """Searches as the variant says, whatever the tenant's own ranking is, and remembers nothing."""

    def __init__(self, variant: Variant, *parts: Any) -> None:
        super().__init__(*parts)
        self._variant = variant

    async def search(self, query: str, scope: Scope, options: RetrievalOptions, *, mode: Mode = "hybrid",
                     k: int | None = None, vector: Any = None) -> Retrieved:  # fmt: skip
        return await super().search(query, scope, self._variant.options, mode=self._variant.mode, k=k, vector=vector)


@asynccontextmanager
async def open_world(
    settings: Settings, variant: Variant, public: Public, *, live: bool = False
) -> AsyncIterator[World]:
    """The product with the variant's settings, seeded."""
    settings = with_variables(settings, variant.settings)
    async with open_resources(settings) as resources, open_owner(resources.urls.owner) as owner:
        await seed_all(resources)
        parts = (resources.index, resources.embedder, resources.knowledge)
        resources.retriever = VariantRetriever(variant, *parts)
        try:
            async with attending(resources, delivering=False):
                yield World(
                    resources=resources,
                    retriever=Retriever(*parts),
                    owner=owner,
                    variant=variant,
                    public=public,
                    live=live,
                )
        finally:
            await resources.turns.drain(5)


def own_settings(folder: Path, *, live: bool, env_file: str | None = ".env") -> Settings:
    """Settings for evaluating: an embedded database in `folder`; models only where they are asked for."""
    loaded = Settings.load(env_file)
    return replace(
        loaded,
        app=loaded.app.model_copy(update={"data_dir": folder}),
        database=DatabaseSettings.model_construct(url=None, owner_url=None, vector_url=None, pool_size=8),
        redis=RedisSettings.model_construct(url=None),
        security=SecuritySettings.model_construct(secret_key=None, encryption_keys=None),
        models=loaded.models if live else ModelSettings.model_construct(),
        knowledge=loaded.knowledge if live else loaded.knowledge.model_copy(
            update={"embedding_model": "minilm", "index": "pgvector", "chroma_url": None}
        ),
    )  # fmt: skip


def check_live(settings: Settings, variants: Sequence[Variant], *, live: bool) -> None:
    """Raises Misconfigured where a model is wanted that nobody would be asked for."""
    for variant in variants:
        if variant.models and not live:
            raise Misconfigured(f"version {variant.name!r} names a model ({', '.join(variant.models)}): give --live")
    chosen = [with_variables(settings, variant.settings) for variant in variants]
    if live and not any(each.models.answer != EXTRACTIVE or each.models.fast for each in chosen):
        raise Misconfigured("--live wants a model: set OPENAI_API_KEY, or OPENAI_BASE_URL and CHAT_MODEL")


def with_variables(settings: Settings, variables: dict[str, str]) -> Settings:
    """The settings with some of a variant's: models and index. Vectors of two models, or in two indexes, are kept apart."""
    names = {"CHAT_MODEL": "chat_model", "FAST_MODEL": "fast_model"}
    models = {names[name]: value for name, value in variables.items() if name in names}
    kb = {"EMBEDDING_MODEL": "embedding_model", "KNOWLEDGE_INDEX": "index"}
    knowledge = {kb[name]: value for name, value in variables.items() if name in kb}
    found = settings.knowledge.model_copy(update=knowledge)
    usual = (found.embedding_model, found.index) == ("minilm", "pgvector")
    name = re.sub(r"[^a-z0-9]+", "-", f"{found.index}-{found.embedding_model}".lower())
    folder = settings.app.data_dir if usual else settings.app.data_dir / name
    return replace(
        settings, app=settings.app.model_copy(update={"data_dir": folder}), knowledge=found,
        models=settings.models.model_copy(update=models),
    )  # fmt: skip


SET_OPTIONS = "update tenant_settings set options = %s where tenant_id = %s"
NO_PROMPT = "delete from prompt_versions where tenant_id = %s"
ADD_PROMPT = """
insert into prompt_versions (id, tenant_id, name, version, is_active, system_prompt, context_template, task_template)
values (gen_random_uuid(), %(tenant)s, %(name)s, 1, true, %(system_prompt)s, %(context_template)s, %(task_template)s)
"""
