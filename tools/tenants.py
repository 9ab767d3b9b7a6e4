"""What a tenant decides for itself: one document, validated, versioned, and read at the start of each turn."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from memory import audit
from memory.database import Connection, Database
from memory.errors import Invalid
from memory.models import TenantSettings
from memory.tenancy import Principal
from tools.business_hours import BusinessHours
from tools.classification.own import MOST_INTENTS, OwnIntent
from tools.contacts import LONGEST, public_contact
from tools.numbers import whole
from tools.ticket_rules import RoutingRule, Sla

Origin = Annotated[str, StringConstraints(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$", max_length=200)]
Host = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+(:[0-9]{1,5})?$", max_length=200)]
Contact = Annotated[str, StringConstraints(min_length=4, max_length=LONGEST), AfterValidator(public_contact)]
Pack = Literal["hosting", "cyber-training"]


class TenantOptions(BaseModel):
    """The settings of one tenant; unknown names are refused, what is missing has its default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    greeting: str = Field(default="Hello! How can we help you today?", min_length=1, max_length=500)
    collections: list[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,60}$")]] = Field(
        default=["hosting", "cyber-training"], max_length=20, description="global collections that this tenant uses"
    )
    intent_packs: list[Pack] = Field(default=["hosting", "cyber-training"], max_length=10)
    intents: list[OwnIntent] = Field(
        default=[], max_length=MOST_INTENTS, description="intents of the tenant's own, taught by examples"
    )
    allowed_origins: list[Origin] = Field(default=[], max_length=50, description="sites that may call the API")
    link_hosts: list[Host] = Field(
        default=[],
        max_length=50,
        description="hosts that answers may link to, over https; other addresses are plain text",
    )
    public_contacts: list[Contact] = Field(
        default=[],
        max_length=200,
        description="of the team itself, and so not taken out of what is learned: mail addresses, domains at which every "
        "mailbox is the team's, IP addresses, numbers of phones and accounts",
    )
    registration: bool = Field(default=True, description="may customers make their own accounts")
    require_identity: bool = Field(default=False, description="refuse visitors without a signed identity")
    answerable_at: float = Field(
        default=0.38, ge=0, le=1,
        description="least answerability of an answer in a chat; from `clarify_at` up to it the customer is asked back",
    )  # fmt: skip
    clarify_at: float = Field(
        default=0.38, ge=0, le=1, description="below this answerability the answer, or the draft, is an honest no"
    )
    replay_before_activation: bool = Field(default=False, description="a prompt is activated only after a replay of it")
    people_available: bool = Field(default=True, description="false: say that nobody is there right now")
    business_hours: BusinessHours | None = Field(default=None, description="null: always open")
    sla: Sla = Field(default=Sla(), description="targets of tickets by priority; without any no clock runs")
    routing: list[RoutingRule] = Field(default=[], max_length=100, description="who gets a ticket; the first that fits")
    handoff_return_s: Annotated[int, BeforeValidator(whole)] = Field(
        default=600, ge=1, le=86_400, strict=True,
        description="seconds until a customer whom nobody answers is back in the queue",
    )  # fmt: skip
    auto_draft: bool = Field(
        default=False, description="write drafts for new tickets and new words of customers by itself"
    )


async def name_of(connection: Connection, tenant_id: UUID) -> str:
    """What the tenant is called."""
    row = await (await connection.execute("select name from tenants where id = %s", (tenant_id,))).fetchone()
    assert row is not None  # its own row is the tenant's to read
    name: str = row["name"]
    return name


async def active_tenants(database: Database) -> list[UUID]:
    """Whom work that nobody asked for is done for, tenant by tenant."""
    async with database.lookup() as connection:
        rows = await (await connection.execute("select * from active_tenants() as id")).fetchall()
    return [row["id"] for row in rows]


async def load_options(connection: Connection, tenant_id: UUID) -> TenantOptions:
    row = await (await connection.execute(OPTIONS, {"tenant": tenant_id})).fetchone()
    return options_of(row["options"] if row else None)


def options_of(stored: dict[str, Any] | None) -> TenantOptions:
    return TenantOptions.model_validate(stored or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettingsView:
    """What an admin sees of the settings."""

    options: TenantOptions
    version: int
    has_identity_secret: bool
    widget_key: str


async def read_settings(database: Database, tenant_id: UUID) -> TenantSettingsView:
    async with database.connection(tenant_id) as connection:
        row = await (await connection.execute(VIEW, (tenant_id,))).fetchone()
    assert row is not None  # a tenant of a valid credential exists
    return TenantSettingsView(
        options=options_of(row["options"]),
        version=row["version"] or 0,
        has_identity_secret=row["has_identity_secret"],
        widget_key=row["widget_key"],
    )


async def change_settings(
    database: Database, principal: Principal, changes: dict[str, Any], *, identity_secret: str | None, **who: Any
) -> TenantSettingsView:
    """Apply a partial change in one audited transaction; `identity_secret` comes encrypted. Raises Invalid for thresholds
    between which nothing lies."""
    async with database.transaction(principal.tenant_id) as session:
        row = await session.get(TenantSettings, principal.tenant_id, with_for_update=True)
        if row is None:
            row = TenantSettings(tenant_id=principal.tenant_id, version=0)
        row.options = {**row.options, **changes}
        options = TenantOptions.model_validate(row.options)
        if {"clarify_at", "answerable_at"} & changes.keys() and options.clarify_at > options.answerable_at:
            raise Invalid("clarify_at must not be above answerable_at")
        if identity_secret:
            row.identity_secret = identity_secret
        row.version += 1
        session.add(row)
        named = {**changes, **({"identity_secret": "changed"} if identity_secret else {})}
        audit.record(session, principal, "settings.changed", "tenant", principal.tenant_id, changes=named, **who)
    return await read_settings(database, principal.tenant_id)


OPTIONS = "select options from tenant_settings where tenant_id = %(tenant)s"
VIEW = """
select s.options, s.version, s.identity_secret is not null as has_identity_secret, t.widget_key
from tenants t left join tenant_settings s on s.tenant_id = t.id where t.id = %s
"""
