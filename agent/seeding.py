"""What every installation starts with: the default prompt and a library of others, the global knowledge base, and where
it is embedded a tenant."""

import asyncio
from dataclasses import asdict

from agent.prompting import DEFAULT_PROMPT
from agent.resources import Resources
from kbs.articles.global_content import global_collections, open_global_content
from kbs.articles.ingest import Report, ingest_folder
from kbs.indexes.tuning import tune_index
from memory.database import open_owner
from memory.models import GLOBAL_TENANT
from tools.identity import provisioning
from tools.prompts.library import templates


async def seed_all(resources: Resources) -> dict[str, Report]:
    """Write what is missing or has changed, as the owner; quick when it is all there. Reports by collection."""
    reports = {}
    urls = resources.urls
    async with open_owner(urls.owner) as owner, open_owner(urls.knowledge_owner) as knowledge:
        await provisioning.seed_prompt(owner, prompt_parts())
        for name, description, texts in templates():
            parts = {"name": name, "description": description, **asdict(texts)}
            await provisioning.seed_prompt(owner, parts, default=False)
        if resources.settings.embedded:
            await provisioning.seed_demo(owner)
        await provisioning.mirror_tenants(owner, knowledge)
        for collection in global_collections():
            with open_global_content(collection) as folder:
                reports[collection] = await ingest_folder(
                    knowledge,
                    resources.index,
                    resources.embedder,
                    folder,
                    tenant_id=GLOBAL_TENANT,
                    collection=collection,
                )
    if urls.knowledge_owner and any(report.added or report.changed for report in reports.values()):
        await asyncio.to_thread(tune_index, urls.knowledge_owner)
    return reports


def prompt_parts() -> dict[str, str]:
    """The default prompt as its row holds it."""
    parts = asdict(DEFAULT_PROMPT)
    parts.pop("version_id")
    return {**parts, "description": "Answers where a tenant has chosen no prompt of its own."}
