"""A WHMCS on a real socket: its API as documented, with its oddities, and the faults that a real one has.

Numbers are strings, none of something is an empty string, `lastreply` has whole seconds, AddTicketReply answers with
nothing but success. `fault` chooses, per request, what goes wrong.
"""

import asyncio
import contextlib
import html
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Literal
from urllib.parse import parse_qs

IDENTIFIER = "wh-identifier-1f2e3d4c5b6a"
SECRET = "wh-secret-aa11bb22cc33dd44"
ACCESS_KEY = "wh-access-key-9z8y7x6w"
Form = dict[str, str]
Fault = Literal[
    "address", "address in old form", "two factor", "role", "slow", "cut off", "500", "maintenance", "redirect",
    "too large", "reset", "echo", "warning", "elsewhere", "not json", "lost answer",
]  # fmt: skip
EPOCH = datetime(2026, 3, 1, 9, tzinfo=UTC)


@dataclass
class Said:
    id: int
    message: str
    date: str
    admin: str = ""
    name: str = ""
    files: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        return {
            "replyid": str(self.id), "userid": "0" if self.admin else "1", "contactid": "0", "name": self.name,
            "email": "", "date": self.date, "message": self.message, "attachment": "", "admin": self.admin,
            "attachments": [{"filename": name, "index": str(place)} for place, name in enumerate(self.files)],
            "rating": "0",
        }  # fmt: skip


@dataclass
class Issue:
    """A ticket there."""

    id: int
    subject: str
    replies: list[Said]
    status: str = "Open"
    client: int = 1
    department: tuple[int, str] = (1, "Support")
    priority: str = "Medium"
    email: str = "cynthia@customer.example"
    name: str = "Cynthia Reilly"
    admin: str = ""

    @property
    def lastreply(self) -> str:
        return self.replies[-1].date

    def listed(self) -> dict[str, Any]:
        return {
            "id": str(self.id), "tid": str(500_000 + self.id), "deptid": str(self.department[0]),
            "deptname": self.department[1], "userid": str(self.client), "name": self.name, "email": self.email, "cc": "",
            "c": "KPqH7yG3", "date": self.replies[0].date, "subject": self.subject, "status": self.status,
            "priority": self.priority, "admin": self.admin, "attachment": "", "lastreply": self.lastreply, "flag": "0",
            "service": "",
        }  # fmt: skip

    def shown(self) -> dict[str, Any]:
        whole = {**self.listed(), "ticketid": str(self.id), "contactid": "0", "notes": ""}
        del whole["id"]
        return {**whole, "replies": {"reply": [said.shown() for said in self.replies]}}


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


@dataclass
class WhmcsServer:
    """What stands in it, what it was asked, and what goes wrong."""

    port: int = 0
    issues: dict[int, Issue] = field(default_factory=dict)
    asked: list[Form] = field(default_factory=list)
    fault: Callable[[Form], Fault | None] = lambda form: None
    before: Callable[[Form], None] = lambda form: None
    """Runs before a request is answered: the world goes on while somebody reads."""
    slow_s: float = 3.0
    most_per_page: int = 1000
    company: str = ""
    """Of every client."""
    admins: dict[str, str] = field(default_factory=lambda: {"helpdesk": "Help Desk"})
    open_now: int = 0
    most_open: int = 0
    _ids: Any = field(default_factory=lambda: count(1))
    _replies: Any = field(default_factory=lambda: count(1))
    _clock: Any = field(default_factory=lambda: count(0))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/billing"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def actions(self, name: str) -> list[Form]:
        return [form for form in self.asked if form.get("action") == name]

    def clear(self) -> None:
        self.issues.clear()
        self.asked.clear()
        self.fault, self.before = lambda form: None, lambda form: None
        self.most_per_page = 1000
        self.company = ""

    def now(self) -> str:
        """A minute later each time."""
        return stamp(EPOCH + timedelta(minutes=next(self._clock)))

    def open(self, subject: str = "Cannot pay", message: str = "The invoice page is empty.", **given: Any) -> Issue:
        first = Said(0, message, self.now(), admin=given.get("admin", ""))
        issue = Issue(next(self._ids), subject, [first], **given)
        self.issues[issue.id] = issue
        return issue

    def say(self, issue: Issue, message: str, admin: str = "", status: str | None = None, **given: Any) -> Said:
        said = Said(next(self._replies), message, given.pop("date", None) or self.now(), admin=admin, **given)
        issue.replies.append(said)
        issue.status = status or ("Answered" if admin else "Customer-Reply")
        return said

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            self.open_now -= 1
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        form = {name: values[-1] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        self.asked.append({**form, ":path": head[0].split(" ")[1]})
        self.before(form)
        fault = self.fault(form)
        if fault == "slow":
            await asyncio.sleep(self.slow_s)
        if fault == "lost answer":
            self._answer(form)
            writer.transport.abort()
            return
        for part in self._bytes(form, fault, head[0]):
            writer.write(part)
            await writer.drain()
        if fault in ("cut off", "reset"):
            writer.transport.abort()

    def _bytes(self, form: Form, fault: Fault | None, request: str) -> list[bytes]:
        answer = _json(self._answer(form)) if fault in (None, "slow", "cut off", "warning") else b""
        match fault:
            case "reset":
                return []
            case "cut off":
                return [_http(200, answer)[: -len(answer) // 2]]
            case "500":
                return [_http(500, b"Fatal error: Uncaught Error in /var/www/whmcs/init.php")]
            case "maintenance":
                return [_http(200, b"<!DOCTYPE html><html><h1>Down for maintenance</h1></html>")]
            case "redirect":
                return [_http(302, b"", "Location: https://elsewhere.example/includes/api.php")]
            case "too large":
                return [_http(200, b'{"result":"success","x":"' + b"x" * 9_000_000 + b'"}')]
            case "address":
                return [_http(403, _json({"result": "error", "message": "Invalid IP 203.0.113.7"}))]
            case "address in old form":
                return [_http(403, b"result=error;message=Invalid IP 203.0.113.7")]
            case "two factor":
                return [_http(412, _json({"result": "error", "message": "Two-Factor Authentication is required"}))]
            case "role":
                message = f'Invalid Permissions: API action "{form["action"].lower()}" is not allowed'
                return [_http(403, _json({"result": "error", "message": message}))]
            case "echo":
                return [_http(200, _json({"result": "error", "message": f"<b>{form}</b>"}))]
            case "elsewhere":
                return [_http(404, b"<html>Not Found</html>")]
            case "not json":
                return [_http(200, b'{"result":"success", "tickets": {"ticket": [')]
            case "warning":
                return [_http(200, b"<br />\n<b>Warning</b>: Undefined index in api.php on line 3<br />\n" + answer)]
            case _ if not request.startswith("POST /billing/includes/api.php "):
                return [_http(404, b"<html>Not Found</html>")]
            case _:
                return [_http(200, answer)]

    def _answer(self, form: Form) -> dict[str, Any]:
        if (form.get("identifier"), form.get("secret")) != (IDENTIFIER, SECRET):
            return _error("Authentication Failed")
        if form.get("responsetype") != "json":
            return _error("this test wants JSON")
        match form["action"]:
            case "GetTickets":
                return self._tickets(form)
            case "GetTicket":
                found = self.issues.get(int(form["ticketid"]))
                return {"result": "success", **found.shown()} if found else _error("Ticket ID Not Found")
            case "AddTicketReply":
                return self._add(form)
            case "GetClientsDetails":
                client_id = int(form["clientid"])
                return _client(client_id, self.company) if client_id < 900 else _error("Client Not Found")
            case "GetInvoices":
                return _invoices(int(form["userid"]))
            case "GetSupportDepartments":
                found_names = [{"id": "1", "name": "Support", "awaitingreply": "0", "opentickets": "2"}]
                return {"result": "success", "totalresults": 1, "departments": {"department": found_names}}
            case "GetSupportStatuses":
                titles = ("Open", "Answered", "Customer-Reply", "On Hold", "In Progress", "Closed", "Waiting Vendor")
                statuses = [{"title": title, "count": 1} for title in titles]
                return {"result": "success", "totalresults": len(titles), "statuses": {"status": statuses}}
            case other:
                return _error(f"Action {other} not found")

    def _tickets(self, form: Form) -> dict[str, Any]:
        start, limit = int(form.get("limitstart", "0")), min(int(form.get("limitnum", "25")), self.most_per_page)
        found = [
            issue
            for issue in self.issues.values()
            if "deptid" not in form or str(issue.department[0]) == form["deptid"]
        ]
        if form.get("status") == "All Active Tickets":
            found = [issue for issue in found if issue.status != "Closed"]
        found.sort(key=lambda issue: (issue.lastreply, issue.id), reverse=True)
        page = [issue.listed() for issue in found[start : start + limit]]
        return {
            "result": "success", "totalresults": str(len(found)), "startnumber": start, "numreturned": len(page),
            "tickets": {"ticket": page} if page else "",
        }  # fmt: skip

    def _add(self, form: Form) -> dict[str, Any]:
        issue = self.issues.get(int(form["ticketid"]))
        if issue is None:
            return _error("Ticket ID Not Found")
        if form.get("adminusername") not in self.admins:
            return _error("Name and email address are required if not a client")
        if not form.get("message"):
            return _error("Message is required")
        stored = html.escape(form["message"]).replace("\n", "\r\n")
        date = stamp(datetime.now(UTC))
        self.say(issue, stored, admin=self.admins[form["adminusername"]], status=form.get("status"), date=date)
        return {"result": "success"}


def _client(client_id: int, company: str) -> dict[str, Any]:
    fields = {
        "userid": client_id, "id": client_id, "firstname": "Cynthia", "lastname": "Reilly", "companyname": company,
        "email": "cynthia@customer.example", "password": "$2y$10$canary-hash", "securityqans": "canary-answer",
        "cclastfour": "4242", "status": "Active", "currency_code": "USD", "credit": "12.50", "city": "Leeds",
        "countryname": "United Kingdom",
    }  # fmt: skip
    flat = {f"client[{name}]": str(value) for name, value in fields.items()}
    return {
        "result": "success", **flat, "stats[numdueinvoices]": "2", "stats[dueinvoicesbalance]": "$31.90 USD",
        "stats[productsnumactive]": "3",
    }  # fmt: skip


def _invoices(client_id: int) -> dict[str, Any]:
    found = {"result": "success", "totalresults": "2", "startnumber": 0, "numreturned": 2}
    for place, owner in enumerate((client_id, client_id + 1)):  # one that is somebody else's
        invoice = {
            "id": 70 + place, "userid": owner, "invoicenum": "", "date": "2026-01-01", "duedate": "2026-01-08",
            "datepaid": "0000-00-00 00:00:00", "total": "15.95", "status": "Unpaid", "paymentmethod": "stripe",
            "currencycode": "USD", "notes": "canary-note",
        }  # fmt: skip
        found |= {f"invoices[invoice][{place}][{name}]": str(value) for name, value in invoice.items()}
    return found


def _json(found: Any) -> bytes:
    return json.dumps(found).encode()


def _error(message: str) -> dict[str, Any]:
    return {"result": "error", "message": message}


def _http(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def whmcs_server() -> AsyncIterator[WhmcsServer]:
    made = WhmcsServer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()
