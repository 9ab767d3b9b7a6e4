"""Jobs on the knowledge base: uploads, indexing and rebuilds that people asked for, and the search for gaps."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from procrastinate import App

from agent.parts import Parts
from memory.jobs import RETRY
from tools.articles import upkeep
from tools.gaps.looking import AT_ONCE, look
from tools.tenants import active_tenants

MOST_LOOKS = 20
"""At one tenant's conversations in a row: 20,000 questions; the others wait meanwhile."""


@dataclass(frozen=True, slots=True)
class KnowledgeJobs:
    """The tasks of one process, by name."""

    work_on_knowledge: Any
    look_after_knowledge: Any

    async def begin(self, tenant_id: UUID, import_id: UUID) -> None:
        """Have a job done that was put down."""
        await self.work_on_knowledge.defer_async(tenant_id=str(tenant_id), import_id=str(import_id))


def define_knowledge_jobs(app: App, parts: Parts) -> KnowledgeJobs:
    """Register the tasks; called once, with the others."""

    @app.task(name="work_on_knowledge", queue="agent", retry=RETRY)
    async def work_on_knowledge(tenant_id: str, import_id: str) -> None:
        """An upload, an index or a rebuild; its row tells how far it is."""
        await upkeep.run(parts.shelf, UUID(tenant_id), UUID(import_id))

    @app.periodic(cron="*/5 * * * *")
    @app.task(name="look_after_knowledge", queue="agent", retry=RETRY)
    async def look_after_knowledge(timestamp: int) -> None:
        """Queue again what lost its process, and look through the conversations since the last time for gaps."""
        for tenant_id in await active_tenants(parts.database):
            for import_id in await upkeep.unfinished(parts.shelf, tenant_id):
                await work_on_knowledge.defer_async(tenant_id=str(tenant_id), import_id=str(import_id))
            for _ in range(MOST_LOOKS):
                if await look(parts.database, parts.embedder, tenant_id) < AT_ONCE:
                    break

    return KnowledgeJobs(work_on_knowledge, look_after_knowledge)
