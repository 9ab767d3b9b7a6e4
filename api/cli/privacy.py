"""`helpdesk customer export` and `helpdesk customer erase`: what a person may ask of whoever keeps their data."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from agent.resources import Resources, open_resources
from agent.settings import Settings
from api.cli.opening import quiet_settings, run
from memory.database import open_owner
from memory.errors import Conflict
from memory.tenancy import Principal, Role
from tools.identity.provisioning import DEMO, find_tenant
from tools.privacy.belongings import find_customer
from tools.privacy.erasing import Stores, erase_customer
from tools.privacy.exporting import export_customer

app = typer.Typer()
customers = typer.Typer(help="A customer's data: all of it in one file, or all of it gone.", no_args_is_help=True)
app.add_typer(customers, name="customer")
Who = Annotated[str, typer.Argument(help="Their id, e-mail address, or id in your own system.")]
OfTenant = Annotated[str, typer.Option(help="Slug of the tenant.")]


@app.callback()
def part() -> None:
    """What a person may ask of whoever keeps their data."""


@customers.command("export")
def export(
    who: Who, tenant: OfTenant = DEMO,
    to: Annotated[Path | None, typer.Option(help="The archive; by default customer-ID.zip here.")] = None,
) -> None:  # fmt: skip
    """Write everything that is kept about a customer into one archive, without colleagues' internal notes."""
    rows, path = run(_export(quiet_settings(), who, tenant, to))
    typer.echo(f"{rows} rows written to {path}")


@customers.command("erase")
def erase(
    who: Who, tenant: OfTenant = DEMO,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:  # fmt: skip
    """Forget a customer: conversations, tickets, files, facts, and what was learned from their words."""
    if not yes:
        typer.confirm(f"Erase everything of {who} in {tenant}? This cannot be undone.", abort=True)
    typer.echo(f"{run(_erase(quiet_settings(), who, tenant))} rows erased")


async def _export(settings: Settings, who: str, tenant: str, to: Path | None) -> tuple[int, Path]:
    async with open_resources(settings) as resources:
        tenant_id = await _tenant(resources, tenant)
        customer = await _customer(resources, tenant_id, who)
        path = to or Path(f"customer-{customer}.zip")
        try:
            return await export_customer(resources.database, resources.files, tenant_id, customer, path), path
        except FileExistsError:
            raise Conflict(f"{path} exists already") from None


async def _erase(settings: Settings, who: str, tenant: str) -> int:
    async with open_resources(settings) as resources:
        tenant_id = await _tenant(resources, tenant)
        stores = Stores(
            database=resources.database, knowledge=resources.knowledge, index=resources.index, files=resources.files
        )
        by = Principal(tenant_id=tenant_id, role=Role.ADMIN)
        return await erase_customer(stores, by, await _customer(resources, tenant_id, who))


async def _tenant(resources: Resources, slug: str) -> UUID:
    async with open_owner(resources.urls.owner) as owner:
        return (await find_tenant(owner, slug)).id


async def _customer(resources: Resources, tenant_id: UUID, who: str) -> UUID:
    async with resources.database.connection(tenant_id) as connection:
        return await find_customer(connection, who)
