"""`helpdesk ingest` and `helpdesk reindex`: feeding the knowledge base and making its index anew."""

import asyncio
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from procrastinate.jobs import Status
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from agent.jobs.registry import INGEST
from agent.resources import Resources, open_resources
from agent.settings import Settings
from agent.urls import open_urls
from api.cli.opening import in_words, installation, quiet_settings, run
from kbs.articles.ingest import Report, ingest_folder
from kbs.articles.reindex import reindex as reindex_all
from kbs.index import Postgres
from kbs.indexes.chroma_store import IndexHeld
from kbs.indexes.tuning import tune_index
from memory.database import open_database, open_owner
from memory.errors import Unavailable
from memory.jobs import open_jobs
from memory.models import GLOBAL_TENANT
from tools.identity.provisioning import DEMO, find_tenant, list_tenants, mirror_tenants, seed_demo

console = Console()

app = typer.Typer()


@app.command()
def ingest(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Markdown files, in any depth.")],
    tenant: Annotated[str, typer.Option(help="Slug of the tenant whose knowledge it is.")] = DEMO,
    collection: Annotated[str, typer.Option(help="Name of the collection; by default the folder's.")] = "",
    global_collection: Annotated[
        str, typer.Option("--global", help="Write this global collection instead, which tenants enable by name.")
    ] = "",
) -> None:
    """Make a collection what the folder holds: only what changed is embedded again, what vanished is withdrawn."""
    settings, name = quiet_settings(), collection or folder.resolve().name.lower()
    try:
        report = run(_ingest(settings, folder, tenant, name, global_collection))
    except IndexHeld:
        run(
            _hand_over(settings, folder.resolve(), tenant, global_collection or name, is_global=bool(global_collection))
        )
        console.print("done by the server that holds the index")
        return
    console.print(in_words(report))
    for conflict in report.conflicts:
        console.print(f"  [yellow]to decide[/yellow] {conflict.detail}", highlight=False)
    for bad in report.failed:
        console.print(f"  [red]not taken[/red] {bad.detail}", highlight=False)
    if report.failed:
        raise typer.Exit(1)


async def _ingest(settings: Settings, folder: Path, tenant: str, collection: str, global_collection: str) -> Report:
    async with open_resources(settings) as resources:
        urls = resources.urls
        if global_collection:
            async with open_owner(urls.knowledge_owner) as knowledge:
                report = await _with_progress(resources, knowledge, folder, GLOBAL_TENANT, global_collection)
        else:
            tenant_id = await _tenant(resources, tenant)
            report = await _with_progress(resources, resources.knowledge, folder, tenant_id, collection)
        await _tune(settings, resources)
        return report


async def _hand_over(settings: Settings, folder: Path, tenant: str, collection: str, *, is_global: bool) -> None:
    """Have the ingest done by the process that holds the index, and wait for its end."""
    async with installation(settings) as owner, open_urls(settings) as urls, open_database(urls.app) as database:
        tenant_id = GLOBAL_TENANT if is_global else (await find_tenant(owner, tenant)).id
        async with open_jobs(database) as jobs:
            task = jobs.configure_task(INGEST, queue="agent", allow_unknown=True)
            job = await task.defer_async(folder=str(folder), tenant_id=str(tenant_id), collection=collection)
            with console.status("handed to the server that holds the index"):
                while (status := await jobs.job_manager.get_job_status_async(job)) in (Status.TODO, Status.DOING):
                    await asyncio.sleep(0.2)
    if status is not Status.SUCCEEDED:
        raise Unavailable("the server that holds the index could not ingest the folder; its log says why")


async def _tenant(resources: Resources, slug: str) -> UUID:
    """The tenant's id, known to the database of the knowledge base too."""
    async with open_owner(resources.urls.owner) as owner, open_owner(resources.urls.knowledge_owner) as knowledge:
        if resources.settings.embedded:
            await seed_demo(owner)
        await mirror_tenants(owner, knowledge)
        return (await find_tenant(owner, slug)).id


async def _tune(settings: Settings, resources: Resources) -> None:
    """A tenant that has grown large gets an index of its own."""
    if settings.knowledge.index == "pgvector" and resources.urls.knowledge_owner:
        await asyncio.to_thread(tune_index, resources.urls.knowledge_owner)


async def _with_progress(
    resources: Resources, database: Postgres, folder: Path, tenant_id: UUID, collection: str
) -> Report:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(collection, total=None)
        return await ingest_folder(
            database, resources.index, resources.embedder, folder, tenant_id=tenant_id, collection=collection,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip


@app.command()
def reindex(
    tenant: Annotated[
        str, typer.Option(help="Only this tenant's; by default the global knowledge and everyone's.")
    ] = "",
) -> None:
    """Make the index anew from the articles, after the embedding model has changed or an index was lost."""
    run(_reindex(quiet_settings(), tenant))


async def _reindex(settings: Settings, only: str) -> None:
    async with (
        open_resources(settings, any_embedder=True) as resources,
        open_owner(resources.urls.owner) as owner,
        open_owner(resources.urls.knowledge_owner) as knowledge,
    ):
        await mirror_tenants(owner, knowledge)
        tenants = {GLOBAL_TENANT: "global", **{tenant.id: tenant.slug for tenant in await list_tenants(owner)}}
        if only:
            tenants = {(await find_tenant(owner, only)).id: only}
        with Progress(console=console) as bar:
            for tenant_id, name in tenants.items():
                task = bar.add_task(name, total=None)

                def show(done: int, total: int, task: TaskID = task) -> None:
                    bar.update(task, completed=done, total=total)

                passages = await reindex_all(
                    knowledge,
                    resources.index,
                    resources.embedder,
                    tenant_id=tenant_id,
                    progress=show,
                    lessons=owner,
                )
                bar.update(task, description=f"{name}: {passages} passages")
        await _tune(settings, resources)
