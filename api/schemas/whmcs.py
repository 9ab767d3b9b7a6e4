"""Bodies of WHMCS: the connection with credentials that are only written, synchronisations, clients and invoices."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, StrictBool, StringConstraints, model_validator

from api.schemas.common import Body, Out, Time
from api.schemas.tickets import StaffTicketOut, Version
from tools.whmcs.connections import SECRETS
from tools.whmcs.options import LONGEST_URL, WhmcsOptions

Url = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_URL, pattern=r"^[!-~]+$"),
    Field(description="of the installation, https, as `https://billing.example.com/whmcs`"),
]  # fmt: skip
Credential = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[!-~]+$")]


class ConfigIn(Body):
    """The connection as it shall be. A credential that is left out stays as it is; a new host wants them all."""

    url: Url
    identifier: Credential | None = Field(default=None, description="made under API Credentials; never answered")
    secret: Credential | None = Field(default=None, description="that goes with it; never answered")
    access_key: Credential | None = Field(
        default=None, description="lets us in from any address; null takes it away; never answered"
    )
    options: WhmcsOptions = WhmcsOptions()
    same_installation: StrictBool | None = Field(
        default=None, description="with a new host: whether it is the same WHMCS, whose tickets go on"
    )
    version: Version | None = None

    @model_validator(mode="after")
    def _no_empty_values(self) -> Self:
        if any(getattr(self, name) is None for name in {"identifier", "secret"} & self.model_fields_set):
            raise ValueError("null is not a value of this field")
        return self

    def credentials(self) -> dict[str, str | None]:
        return {name: getattr(self, name) for name in SECRETS if name in self.model_fields_set}


class CredentialOut(Out):
    set: bool
    ends_with: str | None = Field(description="its last four characters, of a long one")


class ConfigOut(Out):
    url: str
    options: WhmcsOptions
    identifier: CredentialOut
    secret: CredentialOut
    access_key: CredentialOut
    version: int
    created_at: Time
    updated_at: Time
    synced_at: Time | None = Field(description="the end of the last synchronisation that succeeded")
    next_sync_at: Time | None = Field(
        description="null: not scheduled, or stopped because WHMCS refused again and again"
    )
    failures: int = Field(description="synchronisations in a row that failed")
    failing_since: Time | None
    error_code: str | None
    error: str | None = Field(description="why the last one failed, and what to do")


class DepartmentOut(Out):
    id: int
    name: str


class StatusOut(Out):
    title: str
    ours: str | None = Field(description="what it is here; null where nothing maps it")


class TestOut(Out):
    """What a call of WHMCS came to, and what there is to choose from."""

    ok: bool
    code: str | None
    error: str | None
    active_tickets: int | None
    departments: list[DepartmentOut]
    statuses: list[StatusOut]


class ProblemOut(Out):
    external_id: str = Field(description="of the ticket in WHMCS")
    error: str


class SyncOut(Out):
    id: UUID
    state: Literal["running", "succeeded", "failed"]
    count: int = Field(description="tickets that are new here or were changed")
    opened: int
    changed: int
    failed: int = Field(description="tickets that could not be taken over; the next synchronisation tries again")
    listed: int = Field(description="tickets in WHMCS's list")
    problems: list[ProblemOut] = Field(description="the first 100")
    unmapped_statuses: list[str] = Field(description="statuses of WHMCS that `options.statuses` should map")
    error_code: str | None
    error: str
    created_at: Time
    ended_at: Time | None

    @classmethod
    def fields_of(cls, row: dict[str, Any]) -> dict[str, Any]:
        report = row["report"]
        return {
            **row, "count": row["opened"] + row["changed"], "problems": report.get("problems", []),
            "unmapped_statuses": report.get("statuses", []),
        }  # fmt: skip

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        return cls.model_validate(cls.fields_of(row))


class SyncDetail(SyncOut):
    tickets: list[StaffTicketOut] = Field(description="the first 100; all are in `GET whmcs/tickets`")


class ClientOut(Out):
    """A client as WHMCS knows them; what opens an account or a card is never asked for."""

    id: int
    firstname: str
    lastname: str
    companyname: str
    email: str
    status: str
    city: str
    country: str
    language: str
    currency_code: str
    credit: Decimal
    datecreated: str
    stats: dict[str, str]


class InvoiceOut(Out):
    id: int
    invoicenum: str
    date: str
    duedate: str
    datepaid: str
    total: Decimal
    currencycode: str
    status: str
    paymentmethod: str
