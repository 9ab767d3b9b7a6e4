"""Colleagues in front of the staff console, each in a tab of their own, and the customers whom they help."""

import os
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Locator, Page, Route, expect

from memory.models import Tenant, User
from memory.tenancy import Role
from tests.browser.shots import SHOTS
from tests.product import PASSWORD, Product, Visitor
from tools.identity.passwords import hash_password

expect.set_options(timeout=30_000)
QUESTION = "How do I reset my mailbox password?"


@dataclass
class Colleague:
    """Somebody of the staff in front of the console, in a tab of their own."""

    product: Product
    tenant: Tenant
    user: User
    page: Page
    off_origin: list[str] = field(default_factory=list)
    """Requests that went anywhere but to the product."""
    ran: list[str] = field(default_factory=list)
    """Dialogs and errors: a script of somebody else ran, or ours broke."""

    def find(self, selector: str, **options: Any) -> Locator:
        return self.page.locator(selector, **options)

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name)

    async def open(self, path: str = "") -> None:
        await self.page.goto(f"{self.product.http.base_url}/console{path}")

    async def sign_in(self, password: str = PASSWORD, *, email: str = "") -> None:
        dialog = self.find(".signin")
        await dialog.get_by_label("E-mail address").fill(email or self.user.email)
        await dialog.get_by_label("Password").fill(password)
        await dialog.get_by_role("button", name="Sign in").click()

    async def begin(self, path: str = "") -> "Colleague":
        await self.open(path)
        await self.sign_in()
        await expect(self.find(".shell")).to_be_visible()
        return self

    async def go(self, place: str) -> None:
        """As a link would: nothing is loaded anew."""
        await self.page.evaluate("(place) => { location.hash = place; }", f"#/{place}")

    async def look_again(self) -> None:
        """Now instead of within seconds."""
        await self.page.evaluate("dispatchEvent(new Event('online'))")

    async def headers(self) -> dict[str, str]:
        return await self.product.sign_in(self.user.email)

    async def sign_out_everywhere(self) -> None:
        """As an admin does who changes a role: every token of theirs is void."""
        async with self.product.owner.connection(self.tenant.id) as connection:
            await connection.execute("update users set token_epoch = token_epoch + 1 where id = %s", (self.user.id,))

    async def shot(self, name: str) -> None:
        """To be looked at, where a folder for it is named."""
        if "SCREENSHOTS" in os.environ:
            await self.page.screenshot(path=SHOTS / f"console-{name}.png")


Hire = Callable[..., Awaitable[Colleague]]


@asynccontextmanager
async def hiring(browser: Browser, product: Product) -> AsyncIterator[Hire]:
    """`await hire()` makes a colleague with a tab; `tenant` lets two of them work for the same one."""
    contexts: list[BrowserContext] = []

    async def one(
        tenant: Tenant | None = None, role: Role = Role.ADMIN, name: str = "Ada", view: dict[str, Any] | None = None
    ) -> Colleague:
        tenant = tenant or await product.tenant()
        user = User(
            email=f"{secrets.token_hex(6)}@example.com", role=role, name=name, password_hash=await hash_password(PASSWORD)
        )  # fmt: skip
        async with product.owner.transaction(tenant.id) as session:
            session.add(user)
        context = await browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **(view or {})}
        )
        contexts.append(context)
        page = await context.new_page()
        colleague = Colleague(product, tenant, user, page)
        page.on("pageerror", lambda error: colleague.ran.append(f"error: {error}"))
        page.on("dialog", lambda dialog: colleague.ran.append(f"dialog: {dialog.message}"))
        mine = urlsplit(str(product.http.base_url)).netloc

        async def watch(route: Route) -> None:
            parts = urlsplit(route.request.url)
            if parts.scheme in ("http", "https") and parts.netloc != mine:
                colleague.off_origin.append(route.request.url)
                await route.abort()
            else:
                await route.continue_()

        await page.route("**/*", watch)
        return colleague

    yield one
    for context in contexts:
        await context.close()


async def customer(ada: Colleague, *words: str, wants_person: bool = True) -> Visitor:
    """A visitor who has said these words and asks for a person."""
    visitor = await ada.product.visitor(ada.tenant)
    for text in words:
        await visitor.ask(text)
    if wants_person:
        answer = await ada.product.http.post(f"{visitor.url}/escalate", json={}, headers=visitor.headers)
        assert answer.status_code == 200, answer.text
    return visitor


async def ticket_of(ada: Colleague, subject: str, content: str, *, draft: bool = False) -> dict[str, Any]:
    """A visitor's ticket; with `draft` a reply is drafted for it."""
    visitor = await customer(ada, wants_person=False)
    opened = await ada.product.http.post(
        "/api/v1/tickets", json={"subject": subject, "content": content}, headers=visitor.headers
    )
    assert opened.status_code == 201, opened.text
    ticket: dict[str, Any] = opened.json()
    if draft:
        made = await ada.product.http.post(
            "/api/v1/replies/generate", json={"ticket_id": ticket["id"]}, headers=await ada.headers()
        )
        assert made.status_code == 201, made.text
        ticket["draft"] = made.json()
    return ticket
