"""Answers of WHMCS as types, tolerant of how it really answers.

Numbers come as strings or numbers, nothing as "", null, [] or {}; a list of one may be the one itself; some answers are
flat with names like `client[email]`. What is not named here is not read: password hashes and card data stay out.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from tools.whmcs.words import clean, line

Answer = dict[str, Any]


def nested(answer: Mapping[str, Any]) -> Answer:
    """The same with `a[b][c]` as objects within objects."""
    found: Answer = {}
    for name, value in answer.items():
        first, *rest = str(name).replace("]", "").split("[")[:6]
        place = found
        for part in (first, *rest)[:-1]:
            inner = place.get(part)
            place[part] = place = inner if isinstance(inner, dict) else {}
        place[(first, *rest)[-1]] = value
    return found


def items_of(answer: Mapping[str, Any], plural: str, singular: str) -> Iterator[Answer]:
    """The elements of a list, in whichever of its shapes it came."""
    found = answer.get(plural)
    if isinstance(found, dict):
        found = found.get(singular, found)
    if isinstance(found, dict):
        found = list(found.values()) if found and all(isinstance(one, dict) for one in found.values()) else [found]
    if isinstance(found, list):
        yield from (one for one in found if isinstance(one, dict) and one)


def _number(value: Any) -> Any:
    if value in ("", None, False):
        return 0
    return int(value.strip()) if isinstance(value, str) and value.strip().lstrip("-").isdigit() else value


def _text(value: Any) -> Any:
    if value is None or isinstance(value, bool | list | dict):
        return ""
    return clean(str(value))


def _money(value: Any) -> Any:
    try:
        return Decimal(str(value).replace(",", "").strip() or "0")
    except InvalidOperation:
        return Decimal(0)


Number = Annotated[int, BeforeValidator(_number), Field(ge=0, lt=2**63)]
Text = Annotated[str, BeforeValidator(_text)]
Line = Annotated[str, BeforeValidator(lambda value: line(_text(value)))]
Money = Annotated[Decimal, BeforeValidator(_money)]


def time_of(written: str, zone: str) -> datetime | None:
    """A local time of the installation's zone as an instant; None for what is none, as 0000-00-00."""
    try:
        found = datetime.fromisoformat(written.strip())
    except ValueError:
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(zone))
    try:
        return min(found.astimezone(UTC), datetime.now(UTC))
    except (OverflowError, ValueError):
        return None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class Listed(_Answer):
    """A ticket in the list, without its words."""

    id: Annotated[int, BeforeValidator(_number), Field(gt=0, lt=2**63, validation_alias=AliasChoices("id", "ticketid"))]
    status: Line = ""
    lastreply: Text = ""
    deptid: Number = 0
    priority: Text = ""

    @property
    def mark(self) -> str:
        """Differs once anything has happened to the ticket that we take over."""
        return "|".join((self.lastreply[:30], self.status[:60], str(self.deptid), self.priority[:20]))


class File(_Answer):
    filename: Line = ""


class Reply(_Answer):
    """Words on a ticket; those that it was opened with have the id 0."""

    id: Number = Field(validation_alias=AliasChoices("replyid", "id"))
    name: Line = ""
    requestor_name: Line = ""
    date: Text = ""
    message: Text = ""
    admin: Line = ""
    """The name of the colleague who wrote it; empty for customers."""
    attachments: Annotated[tuple[File, ...], BeforeValidator(lambda value: _files(value))] = ()


def _files(value: Any) -> list[Any]:
    return [file for file in value if isinstance(file, dict)][:20] if isinstance(value, list) else []


class Ticket(Listed):
    """One ticket with all that was said."""

    tid: Line = ""
    """The number that its customer knows."""
    deptname: Line = ""
    userid: Number = 0
    """Of the client; 0 where somebody wrote who is none."""
    name: Line = ""
    email: Line = ""
    requestor_name: Line = ""
    requestor_email: Line = ""
    date: Text = ""
    subject: Line = ""
    admin: Line = ""
    replies: tuple[Reply, ...] = ()

    @classmethod
    def of(cls, answer: Answer) -> "Ticket":
        answer = nested(answer)
        replies = [Reply.model_validate(one) for one in items_of(answer, "replies", "reply")]
        return cls.model_validate(
            {**answer, "replies": sorted(replies, key=lambda reply: (reply.id > 0, reply.date, reply.id))}
        )

    @property
    def opening(self) -> Reply | None:
        return next((reply for reply in self.replies if reply.id == 0), None)


class Client(_Answer):
    """What colleagues see of a client."""

    id: Number = Field(validation_alias=AliasChoices("id", "userid", "client_id"))
    firstname: Line = ""
    lastname: Line = ""
    companyname: Line = ""
    email: Line = ""
    status: Line = ""
    city: Line = ""
    country: Line = Field(default="", validation_alias=AliasChoices("countryname", "country"))
    language: Line = ""
    currency_code: Line = ""
    credit: Money = Decimal(0)
    datecreated: Line = ""
    stats: dict[str, Line] = {}

    @classmethod
    def of(cls, answer: Answer) -> "Client":
        answer = nested(answer)
        given = answer.get("client")
        stats = answer.get("stats")
        chosen = {name: stats[name] for name in STATS if name in stats} if isinstance(stats, dict) else {}
        return cls.model_validate({**(given if isinstance(given, dict) else answer), "stats": chosen})


STATS = (
    "numdueinvoices", "dueinvoicesbalance", "numoverdueinvoices", "overdueinvoicesbalance", "numunpaidinvoices",
    "unpaidinvoicesamount", "productsnumactive", "productsnumtotal", "numactivedomains", "numdomains", "numtickets",
    "numactivetickets",
)  # fmt: skip


class Invoice(_Answer):
    id: Number
    userid: Number = 0
    invoicenum: Line = ""
    date: Line = ""
    duedate: Line = ""
    datepaid: Line = ""
    total: Money = Decimal(0)
    status: Line = ""
    paymentmethod: Line = ""
    currencycode: Line = ""


class Department(_Answer):
    id: Number
    name: Line = ""


class Status(_Answer):
    title: Line = ""
    count: Number = 0
