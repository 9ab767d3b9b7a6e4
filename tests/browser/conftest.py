"""A real Chromium in front of the real product, with a model that writes slowly enough to be interrupted."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, FrameLocator, Locator, Page, Route, async_playwright

from memory.cancelling import within
from memory.models import Tenant
from tests.browser.console_desk import Hire, hiring
from tests.browser.shots import SHOTS
from tests.browser.site import site
from tests.browser.wire import Wire, wire_to
from tests.model_server import ModelServer, Reply, Timing, model_server
from tests.product import Product, beside, with_models_of

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first is the same engine without a desktop's windows, for two thirds of the processor's time."""
CHROMIUM = next((path for name in BROWSERS if (path := shutil.which(name))), None)
QUESTION = "How do I reset my mailbox password?"
SENTENCE = "A mailbox password is reset in cPanel under Email Accounts > Manage. [1] "
SHOWN = (
    "(node) => { const copy = node.cloneNode(true);"
    " copy.querySelectorAll('.cite').forEach((mark) => mark.replaceWith(' ')); return copy.textContent; }"
)
"""The words of a bubble without its citations."""
CLOSE_S = 15
LONG = SENTENCE * 2 + "Nobody, including our support team, can read the old password. [1] " * 12


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH: the browser tests did not run")
    playwright = await async_playwright().start()
    opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    yield opened
    for closing in (opened.close, playwright.stop):  # of neither has anybody promised that it comes to an end
        with suppress(TimeoutError):
            await within(CLOSE_S, closing())


@pytest_asyncio.fixture(loop_scope="session")
async def hire(browser: Browser, product: Product) -> AsyncIterator[Hire]:
    """`await hire()` makes a colleague with a tab; `tenant` lets two of them work for the same one."""
    async with hiring(browser, product) as hired:
        yield hired


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def provider() -> AsyncIterator[ModelServer]:
    """One for all: so is the product behind the pages."""
    async with model_server() as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def backend(product: Product, provider: ModelServer) -> AsyncIterator[Product]:
    """The product with a model, on the database of the other tests."""
    async with beside(product, **with_models_of(provider)) as started:
        yield started


@dataclass
class Chat:
    """One tab with the widget in it."""

    page: Page
    frame: FrameLocator
    off_origin: list[str] = field(default_factory=list)
    """Requests that went anywhere but to the site and the product."""
    ran: list[str] = field(default_factory=list)
    """Dialogs and errors: a script of somebody else ran, or ours broke."""

    def find(self, selector: str) -> Locator:
        return self.frame.locator(selector)

    async def open(self) -> None:
        await self.page.evaluate("window.helpdesk.open()")
        await self.find("textarea").wait_for()

    async def say(self, text: str) -> None:
        await self.find("textarea").fill(text)
        await self.find("textarea").press("Enter")

    async def wait_for(
        self, selector: str, text: str | re.Pattern[str] | None = None, timeout: float = 10_000
    ) -> Locator:
        found = self.frame.locator(selector, has_text=text) if text else self.frame.locator(selector)
        await found.last.wait_for(timeout=timeout)
        return found.last

    async def texts(self, selector: str = ".message .bubble") -> list[str]:
        return await self.frame.locator(selector).all_inner_texts()

    async def heard(self, name: str) -> list[str]:
        """Everything that the site has heard, once `name` is among it."""
        for _ in range(200):  # wait_for_function evaluates a string, which the site's policy forbids
            names: list[str] = await self.page.evaluate("(window.heard || []).map(([name]) => name)")
            if name in names:
                return names
            await asyncio.sleep(0.05)
        raise AssertionError(f"the site heard {names} and not {name}")

    async def shot(self, name: str) -> None:
        await self.page.wait_for_timeout(150)
        await self.page.screenshot(path=SHOTS / f"{name}.png")


@dataclass
class Desk:
    """A tenant, the network in between, and as many tabs as a test wants."""

    product: Product
    provider: ModelServer
    tenant: Tenant
    wire: Wire
    context: BrowserContext
    widget: str
    site: str

    async def tab(self, *, path: str = "/") -> Chat:
        page = await self.context.new_page()
        chat = Chat(page, page.frame_locator("iframe"))
        page.on("pageerror", lambda error: chat.ran.append(f"error: {error}"))
        page.on("dialog", lambda dialog: chat.ran.append(f"dialog: {dialog.message}"))
        mine = {urlsplit(self.site).netloc, urlsplit(self.widget).netloc}

        async def watch(route: Route) -> None:
            parts = urlsplit(route.request.url)
            if parts.scheme in ("http", "https") and parts.netloc not in mine:
                chat.off_origin.append(route.request.url)
                await route.abort()
            else:
                await route.continue_()

        await page.route("**/*", watch)
        await page.goto(self.site + path)
        await chat.heard("ready")
        return chat

    async def stored(self) -> list[dict[str, Any]]:
        """The newest session's messages, as the database has them."""
        return await self.product.rows(
            self.tenant,
            "select author, content, status from chat_messages where session_id ="
            " (select id from chat_sessions order by id desc limit 1) order by n",
        )


OpenDesk = Callable[..., Awaitable[Desk]]


@pytest_asyncio.fixture(loop_scope="session")
async def desk(browser: Browser, backend: Product, provider: ModelServer) -> AsyncIterator[OpenDesk]:
    """`await desk()` makes a tenant with its site; `settings` are the site's, `options` the tenant's, `view` the browser's."""
    async with AsyncExitStack() as stack:

        async def open_desk(
            *,
            settings: dict[str, Any] | None = None,
            view: dict[str, Any] | None = None,
            options: dict[str, Any] | None = None,
        ) -> Desk:
            backend.resources.models.breaker.forget()
            provider.script()
            tenant = await backend.tenant(**(options or {}))
            port = int(str(backend.http.base_url.port))
            wire = await stack.enter_async_context(wire_to(port))
            widget = f"http://127.0.0.1:{wire.port}"
            address = await stack.enter_async_context(
                site(widget, {"websiteToken": tenant.widget_key, "baseUrl": widget, **(settings or {})})
            )
            context = await browser.new_context(
                **{"viewport": {"width": 1000, "height": 760}, "locale": "en-GB", **(view or {})}
            )
            stack.push_async_callback(context.close)
            return Desk(backend, provider, tenant, wire, context, widget, address)

        yield open_desk


def slowly(provider: ModelServer, text: str = LONG, token_s: float = 0.02) -> None:
    """Let the next answer come word by word."""
    provider.script(Reply(text=text, timing=Timing(token_s=token_s)))
