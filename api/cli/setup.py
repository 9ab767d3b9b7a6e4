"""Setting up: `migrate`, `seed`, `tenant`, `user`. Each is safe to repeat."""

import sys
from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from agent.settings import Settings
from agent.urls import Urls, open_urls
from api.cli.opening import as_owner, in_words, quiet_settings, run
from memory.errors import Invalid, Misconfigured
from memory.migrate import migrate as migrate_database
from memory.tenancy import Role
from tools.identity import provisioning

app = typer.Typer()
tenants = typer.Typer(help="Tenants of this installation.", no_args_is_help=True)
users = typer.Typer(help="Users from the command line, for the first admin.", no_args_is_help=True)
app.add_typer(tenants, name="tenant")
app.add_typer(users, name="user")
MIN_PASSWORD = 10


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    settings = quiet_settings()
    run(_migrate(settings))


async def _migrate(settings: Settings) -> None:
    if settings.embedded:
        async with open_urls(settings):
            typer.echo("the embedded database is up to date")
        return
    assert settings.database.url is not None  # not embedded
    if settings.database.owner_url is None:
        raise Misconfigured("this command needs DATABASE_OWNER_URL")
    role = urlsplit(settings.database.url).username
    if not role or role == urlsplit(settings.database.owner_url).username:
        raise Misconfigured("DATABASE_URL must name a role of its own, other than the owner's")
    urls = Urls(app=settings.database.url, owner=settings.database.owner_url, knowledge=settings.database.vector_url)
    changed = [migrate_database(owner, role) for owner in dict.fromkeys((urls.owner, urls.knowledge_owner)) if owner]
    typer.echo("migrated" if any(changed) else "up to date")


@app.command()
def seed() -> None:
    """The default prompt, the global knowledge base, and in embedded mode the demo tenant."""
    run(_seed(quiet_settings()))


async def _seed(settings: Settings) -> None:
    from agent.resources import open_resources  # these load the whole agent, which the other commands do not need
    from agent.seeding import seed_all

    async with open_resources(settings) as resources:
        for collection, report in (await seed_all(resources)).items():
            typer.echo(f"{collection}: {in_words(report)}")


@tenants.command("add")
def add_tenant(
    slug: str,
    name: Annotated[str, typer.Option(help="Shown to people.")] = "",
    widget_key: Annotated[str, typer.Option(help="Public key of its widget; by default a new one.")] = "",
) -> None:
    """Add a tenant and print its public widget key."""
    if not slug.isascii() or not slug.replace("-", "").isalnum() or len(slug) > 60:
        raise Invalid("a slug is made of letters, digits and hyphens")
    tenant = run(
        as_owner(
            lambda owner: provisioning.add_tenant(owner, slug.lower(), name or slug, widget_key=widget_key or None)
        )
    )
    typer.echo(f"tenant {tenant.slug} added; its widget key is {tenant.widget_key}")


@tenants.command("list")
def list_tenants() -> None:
    """All tenants with their state and widget key."""
    table = Table("slug", "name", "status", "widget key")
    for tenant in run(as_owner(provisioning.list_tenants)):
        table.add_row(tenant.slug, tenant.name, tenant.status, tenant.widget_key)
    Console().print(table)


@tenants.command("suspend")
def suspend_tenant(slug: str, lift: Annotated[bool, typer.Option("--lift", help="Let it in again.")] = False) -> None:
    """Refuse every credential of a tenant from now on."""
    status = "active" if lift else "suspended"
    tenant = run(as_owner(lambda owner: provisioning.set_tenant_status(owner, slug, status)))
    typer.echo(f"tenant {tenant.slug} is {tenant.status}")


@users.command("add")
def add_user(
    email: str,
    role: Annotated[str, typer.Option(help="admin, agent or customer")] = "agent",
    tenant: Annotated[str, typer.Option(help="Slug of the tenant.")] = provisioning.DEMO,
    name: Annotated[str, typer.Option(help="Shown to people.")] = "",
) -> None:
    """Add a user; asks for the password, or reads it from standard input."""
    known: dict[str, Literal["admin", "agent", "customer"]] = {
        "admin": "admin", "agent": "agent", "support_agent": "agent", "customer": "customer",
    }  # fmt: skip
    if role not in known:
        raise Invalid("a role is admin, agent or customer")
    if email.count("@") != 1 or len(email) > 320:
        raise Invalid("this is not an e-mail address")
    password = _password()
    run(
        as_owner(
            lambda owner: provisioning.add_first_user(
                owner, tenant, email=email, password=password, role=Role(known[role]), name=name
            )
        )
    )
    typer.echo(f"{known[role]} {email} added to {tenant}")


@users.command("password")
def set_password(
    email: str, tenant: Annotated[str, typer.Option(help="Slug of the tenant.")] = provisioning.DEMO
) -> None:  # fmt: skip
    """Give a user another password, and end what they are signed in to; asks for it, or reads it from standard input."""
    password = _password()
    run(as_owner(lambda owner: provisioning.set_password(owner, tenant, email=email, password=password)))
    typer.echo(f"{email} has a new password")


def _password() -> str:
    if sys.stdin.isatty():
        password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    if len(password) < MIN_PASSWORD:
        raise Invalid(f"a password has at least {MIN_PASSWORD} characters")
    return password
