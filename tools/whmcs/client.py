"""The API of WHMCS: a form posted to `includes/api.php`, JSON back, and every way of saying no told apart.

Only tenants' public https addresses are called, as `tools.outbound` checks them. Credentials go into the body of the
request and nowhere else: not into an error, a log or a `repr`.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import ValidationError

from tools.outbound import Answer, NoAnswer, NotConnected, Outbound
from tools.whmcs import wire
from tools.whmcs.errors import (
    ActionNotPermitted,
    AddressNotAllowed,
    CredentialsRefused,
    NotThere,
    SecondFactorWanted,
    WhmcsMisread,
    WhmcsNotFound,
    WhmcsNotReached,
    WhmcsRefused,
    WhmcsUnreachable,
    WhmcsUnreadable,
)
from tools.whmcs.words import line

Made = TypeVar("Made")
TIMEOUT_S = 20.0
WRITE_TIMEOUT_S = 30.0
"""It mails the customer before it answers."""
MOST_BYTES = 8 * 2**20
PAGE = 250
API = "/includes/api.php"
HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
ACTIVE = "All Active Tickets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where an installation is and how it knows us."""

    url: str
    identifier: str = field(repr=False)
    secret: str = field(repr=False)
    access_key: str | None = field(default=None, repr=False)

    def hide(self, text: str) -> str:
        """The text without them, wherever it came from."""
        for word in (self.secret, self.identifier, self.access_key):
            text = text.replace(word, "[hidden]") if word else text
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list; `total` is what WHMCS says the whole has."""

    tickets: list[wire.Listed]
    unreadable: int
    """Entries without an id."""
    total: int

    @property
    def size(self) -> int:
        return len(self.tickets) + self.unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Whmcs:
    """One installation, called as one of its API users. Every method raises the errors of `tools.whmcs.errors`."""

    outbound: Outbound
    credentials: Credentials
    timeout_s: float = TIMEOUT_S

    async def list_tickets(
        self, start: int, *, status: str | None = ACTIVE, department: int | None = None, limit: int = PAGE
    ) -> Page:
        """GetTickets: those of all departments, whatever the API user's own are."""
        answer = await self._ask(
            "GetTickets", limitstart=start, limitnum=limit, status=status, deptid=department, ignore_dept_assignments=1
        )
        listed, unreadable = [], 0
        for entry in wire.items_of(wire.nested(answer), "tickets", "ticket"):
            try:
                listed.append(wire.Listed.model_validate(entry))
            except ValidationError:
                unreadable += 1
        return Page(tickets=listed, unreadable=unreadable, total=_total(answer))

    async def get_ticket(self, ticket_id: int) -> wire.Ticket:
        return _read(wire.Ticket.of, await self._ask("GetTicket", ticketid=ticket_id, repliessort="ASC"))

    async def add_reply(
        self, ticket_id: int, message: str, *, admin_username: str, markdown: bool, status: str | None = None
    ) -> None:
        """AddTicketReply. After WhmcsUnreachable nobody knows whether it was carried out."""
        await self._ask(
            "AddTicketReply", ticketid=ticket_id, message=message, adminusername=admin_username,
            markdown=1 if markdown else None, status=status, timeout_s=WRITE_TIMEOUT_S,
        )  # fmt: skip

    async def client(self, client_id: int) -> wire.Client:
        """GetClientsDetails, with sums of invoices and services."""
        return _read(wire.Client.of, await self._ask("GetClientsDetails", clientid=client_id, stats=1))

    async def invoices(self, client_id: int, *, start: int = 0, limit: int = 25) -> list[wire.Invoice]:
        """GetInvoices of one client; another's, should any come back, are left out."""
        answer = await self._ask(
            "GetInvoices", userid=client_id, limitstart=start, limitnum=limit, orderby="date", order="desc"
        )
        entries = wire.items_of(wire.nested(answer), "invoices", "invoice")
        found = [_read(wire.Invoice.model_validate, entry) for entry in entries]
        return [invoice for invoice in found if invoice.userid == client_id]

    async def departments(self) -> list[wire.Department]:
        answer = wire.nested(await self._ask("GetSupportDepartments", ignore_dept_assignments=1))
        return [
            _read(wire.Department.model_validate, one) for one in wire.items_of(answer, "departments", "department")
        ]

    async def statuses(self) -> list[wire.Status]:
        answer = wire.nested(await self._ask("GetSupportStatuses"))
        return [_read(wire.Status.model_validate, one) for one in wire.items_of(answer, "statuses", "status")]

    async def _ask(self, action: str, *, timeout_s: float = 0.0, **parameters: Any) -> wire.Answer:
        given = self.credentials
        form = {
            "action": action, "identifier": given.identifier, "secret": given.secret, "accesskey": given.access_key,
            "responsetype": "json", **parameters,
        }  # fmt: skip
        body = urlencode({name: value for name, value in form.items() if value is not None}).encode()
        try:
            answer = await self.outbound.request(
                "POST",
                given.url + API,
                headers=HEADERS,
                body=body,
                most_bytes=MOST_BYTES,
                timeout_s=max(self.timeout_s, timeout_s),
            )
        except NotConnected as error:
            raise WhmcsNotReached(f"WHMCS can't be reached: {error.detail}") from None
        except NoAnswer as error:
            raise WhmcsUnreachable(f"WHMCS gave no answer: {error.detail}") from None
        return judge(answer, given)


def judge(answer: Answer, credentials: Credentials) -> wire.Answer:
    """What it answered, if that was a success."""
    said = _parse(answer.body)
    result = str(said.get("result", "")).lower() if said else ""
    if answer.status == 200 and result == "success":
        return said or {}
    message = line(credentials.hide(str((said or {}).get("message", ""))))
    if result == "error" or message:
        raise _refusal(answer.status, message)
    raise _of_status(answer.status)


def _refusal(status: int, message: str) -> Exception:
    """WHMCS said no, mostly with status 200 and a sentence."""
    words = message.lower()
    if "not found" in words:
        return WhmcsNotFound(f"WHMCS says: {message}")
    if "invalid ip" in words or "banned" in words or ("ip" in words.split() and status == 403):
        return AddressNotAllowed(_address_in_words(message))
    if _any(words, "two-factor", "two factor", "2fa", "second factor", "second authentication") or status in (202, 412):
        return SecondFactorWanted(TWO_FACTOR)
    if _any(words, "authentication", "invalid credential", "username or password", "invalid secret") or status == 401:
        return CredentialsRefused(CREDENTIALS)
    if _any(words, "permission", "not permitted", "not allowed", "access denied"):
        return ActionNotPermitted(f"{PERMISSION} ({message})")
    if status >= 500:
        return WhmcsUnreachable(f"WHMCS answered {status}: {message}")
    return WhmcsRefused(f"WHMCS says: {message}" if message else "WHMCS refused without a reason")


def _of_status(status: int) -> Exception:
    """No answer of the API: the status is all there is to go by."""
    match status:
        case 401:
            return CredentialsRefused(CREDENTIALS)
        case 202 | 412:
            return SecondFactorWanted(TWO_FACTOR)
        case 403:
            return AddressNotAllowed(_address_in_words(""))
        case 404 | 405 | 410:
            return NotThere(f"there is no WHMCS API at this address: {API} answered {status}")
        case _ if 300 <= status < 400:
            return NotThere("this address redirects, and redirects are not followed: give the one that it leads to")
        case 200:
            return WhmcsUnreadable(PAGE_INSTEAD)
        case _:
            return WhmcsUnreachable(f"WHMCS answered {status}")


def _parse(body: bytes) -> dict[str, Any] | None:
    """JSON, broken characters and all, also under warnings that PHP has written before it; or the `name=value;` of old
    that WHMCS falls back to before it has read what we want. None for anything else."""
    start, end = body.find(b'{"result"'), body.rfind(b"}")
    for part in (body, body[start : end + 1] if start >= 0 else b""):
        try:
            found = json.loads(part)
        except (ValueError, RecursionError):
            continue
        return found if isinstance(found, dict) else None
    text = body[:2000].decode("utf-8", "replace").strip()
    if not text.startswith("result="):
        return None
    return dict(part.strip().split("=", 1) for part in text.split(";") if "=" in part)


def _address_in_words(message: str) -> str:
    found = _ADDRESS.search(message)
    ours = f", {found[0]}," if found else ""
    return (
        f"WHMCS does not let our address{ours} in: add it under General Settings > Security > API IP Access Restriction, "
        "or give its API access key; where a firewall stands before it, there too"
    )


def _any(words: str, *signs: str) -> bool:
    return any(sign in words for sign in signs)


def _total(answer: wire.Answer) -> int:
    found = str(answer.get("totalresults", "")).strip()
    return int(found) if found.isdigit() and len(found) < 10 else 0


def _read(make: Callable[[wire.Answer], Made], answer: wire.Answer) -> Made:
    try:
        return make(answer)
    except ValidationError:
        raise WhmcsMisread("WHMCS answered something else than it documents") from None


_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|(?<![\w:])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?![\w:])")
CREDENTIALS = "WHMCS does not accept the identifier and secret: make a new pair under API Credentials and store it here"
TWO_FACTOR = (
    "WHMCS asks these credentials for a second factor: use an identifier and secret made under API Credentials, "
    "not a login"
)
PERMISSION = "the API role of these credentials does not allow this action in WHMCS"
PAGE_INSTEAD = "a page came back instead of an answer of the API: maintenance, or not the address of WHMCS"
