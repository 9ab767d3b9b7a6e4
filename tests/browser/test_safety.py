"""Hostile words in every place where the widget shows some: nothing runs, and nothing leaves for another host."""

import asyncio
import gzip
import json
import random
import re
from typing import Any
from uuid import UUID

import pytest

from api.routes import widget
from memory import chats
from memory.events import journal
from memory.models import new_id
from memory.tenancy import Role
from tests.browser.conftest import QUESTION, SHOWN, Chat, Desk, OpenDesk, slowly
from tests.browser.hostile import FAR, LEAKS, SCRIPTS

HOSTILE = (*SCRIPTS, *LEAKS)


async def planted(one: Desk) -> str:
    """A session whose every text is hostile: words of the bot, a colleague and a customer, source titles and quotes."""
    product, tenant = one.product, one.tenant
    visitor = await product.visitor(tenant)
    async with journal(product.resources.database, product.resources.streams, tenant.id) as entry:
        for number, text in enumerate(HOSTILE):
            session = UUID(visitor.session_id)
            source = {
                "id": text,
                "content": text,
                "distance": 0.1,
                "metadata": {"title": text, "heading": text, "url": text},
            }
            details = {"sources": [source], "name": text}
            message_id = new_id()
            data = {
                "message_id": str(message_id),
                "turn_id": str(new_id()),
                "message": f"{text} [1]",
                "status": "complete",
                **details,
            }
            await entry.append_message(
                session, "message.completed", data, message_id=message_id, author="bot", content=f"{text} [1]",
                details=details,
            )  # fmt: skip
            author = ("agent", "customer", "system")[number % 3]
            file = {"id": str(new_id()), "name": text, "media_type": "text/plain", "size": 1}
            sent: dict[str, Any] = {"attachments": [file]} if author != "system" else {}
            if author == "agent":
                sent["name"] = text
            await chats.add_message(entry, session, author=author, content=text, details=sent)
    return json.dumps(
        {"session": visitor.session_id, "visitor": visitor.headers["Authorization"].removeprefix("Bearer ")}
    )


async def carry(chat: Chat, one: Desk, kept: str) -> None:
    """Let the widget find that session as its own."""
    await chat.page.frames[-1].evaluate(
        "([prefix, kept]) => { for (const [name, value] of Object.entries(kept))"
        " localStorage.setItem(prefix + name, JSON.stringify(value)); }",
        [f"helpdesk:{one.tenant.widget_key}:", json.loads(kept)],
    )


class TestHostileWords:
    async def test_nothing_runs_and_nothing_leaves(self, desk: OpenDesk) -> None:
        assert len(HOSTILE) >= 100
        one = await desk()
        kept = await planted(one)
        chat = await one.tab()
        await carry(chat, one, kept)
        await chat.page.reload()
        await chat.open()
        await chat.wait_for(".message.bot .sources")
        assert await chat.find(".message.bot").count() >= len(HOSTILE)
        for details in await chat.find("details").all():
            await details.evaluate("(node) => { node.open = true; }")
        await asyncio.sleep(0.5)
        frame = chat.page.frames[-1]
        made = await frame.evaluate(
            "[...document.querySelectorAll('.log *')].map((node) => node.localName).filter((name) =>"
            " ['script','img','iframe','image','video','audio','object','embed','form','style','link','base','meta',"
            "'input'].includes(name))"
        )
        assert made == []
        links = await frame.evaluate("[...document.querySelectorAll('.log a')].map((node) => node.href)")
        assert [link for link in links if not link.startswith("https://evil.example")] == []
        await chat.shot("hostile")
        assert chat.ran == []
        assert chat.off_origin == []

    async def test_an_answer_links_to_hosts_that_the_tenant_names_and_a_colleague_anywhere(
        self, desk: OpenDesk
    ) -> None:
        one = await desk(options={"link_hosts": ["docs.example.org"]})
        visitor = await one.product.visitor(one.tenant)
        text = f"See [the guide](https://docs.example.org/a), {FAR}/b and https://docs.example.org.evil.example/c."
        async with journal(one.product.resources.database, one.product.resources.streams, one.tenant.id) as entry:
            for author in ("bot", "agent", "customer"):
                await chats.add_message(entry, UUID(visitor.session_id), author=author, content=text)
        token = visitor.headers["Authorization"].removeprefix("Bearer ")
        chat = await one.tab()
        await carry(chat, one, json.dumps({"session": visitor.session_id, "visitor": token}))
        await chat.page.reload()
        await chat.open()
        await chat.wait_for(".message.agent")
        links = await chat.page.frames[-1].evaluate(
            "[...document.querySelectorAll('.message a')].map((node) =>"
            " [node.closest('.message').classList[1], node.href, node.textContent, node.target, node.rel])"
        )
        how = ["_blank", "noopener noreferrer nofollow"]
        guide = ["https://docs.example.org/a", "the guide (docs.example.org)", *how]
        elsewhere = [f"{FAR}/b", "https://docs.example.org.evil.example/c"]
        assert links == [
            ["bot", *guide], ["agent", *guide], *(["agent", address, address, *how] for address in elsewhere)
        ]  # fmt: skip

    async def test_a_model_that_writes_them_shows_them_as_words(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        await chat.open()
        agent = await one.product.staff(one.tenant, Role.AGENT)
        async with one.product.owner.connection(one.tenant.id) as connection:
            await connection.execute("update users set name = %s where tenant_id = %s", (SCRIPTS[1], one.tenant.id))
        for text in ("<img src=x onerror=alert(1)> [1]", f"![x]({FAR}/1.png) [1]"):
            slowly(one.provider, f"A mailbox password is reset in cPanel under Email Accounts > Manage. {text}", 0.001)
            await chat.say(QUESTION)
            await chat.wait_for(".message.bot.complete .sources")
            await asyncio.sleep(0.3)
        await chat.find("[aria-haspopup=menu]").click()
        await chat.find("[role=menuitem]").first.click()
        await chat.wait_for(".message.system")
        queue = await one.product.http.get("/api/v1/handoffs", headers=agent)
        handoff = queue.json()["items"][-1]["id"]
        await one.product.http.post(f"/api/v1/handoffs/{handoff}/messages", json={"message": SCRIPTS[0]}, headers=agent)
        await chat.wait_for(".message.agent", re.compile("script"))
        assert chat.ran == []
        assert chat.off_origin == []


class TestWhoMayFrameIt:
    async def test_only_the_tenants_own_sites(self, desk: OpenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
        one = await desk(options={"allowed_origins": ["https://shop.example"]})
        settings = one.product.resources.settings
        quiet = settings.app.model_copy(update={"debug": False})
        monkeypatch.setattr(
            one.product.resources,
            "settings",
            type(settings)(**{**{f: getattr(settings, f) for f in settings.__slots__}, "app": quiet}),
        )
        page = await one.product.http.get(f"/widget/{one.tenant.widget_key}")
        assert "frame-ancestors 'self' https://shop.example" in page.headers["content-security-policy"]
        assert "x-frame-options" not in page.headers
        other = await one.product.tenant()
        page = await one.product.http.get(f"/widget/{other.widget_key}")
        assert page.headers["content-security-policy"].endswith("frame-ancestors 'self'")

    async def test_an_unknown_key_has_no_page(self, desk: OpenDesk) -> None:
        one = await desk()
        assert (await one.product.http.get("/widget/nobody")).status_code == 404
        assert (await one.product.http.get("/widget/assets/x/../main.py")).status_code == 404
        assert (await one.product.http.get("/widget/assets/x/locales/zz.json")).status_code == 404

    async def test_words_of_a_window_that_is_not_the_site_are_not_heard(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        frame = chat.page.frames[-1]
        await frame.evaluate("window.postMessage({helpdesk: 1, type: 'open'}, '*')")
        await asyncio.sleep(0.3)
        assert await frame.evaluate("document.querySelector('.panel').hidden")


class TestSizes:
    def test_the_loader_and_the_page_stay_small(self) -> None:
        sizes = {name: len(gzip.compress(widget.ASSETS.read(name), 9)) for name in sorted(widget.ASSETS.names)}
        page = sum(
            size for name, size in sizes.items() if name not in ("widget.js", "demo.html", "demo.css", "demo.js")
        )
        one_language = (
            page - sum(size for name, size in sizes.items() if name.startswith("locales/")) + sizes["locales/ar.json"]
        )
        print(f"gzipped: loader {sizes['widget.js']} B, page {one_language} B with one language, {page} B with all")
        assert sizes["widget.js"] < 6 * 1024
        assert page < 40 * 1024


class TestCuts:
    async def test_at_random_moments_the_text_still_equals_the_stored_message(self, desk: OpenDesk) -> None:
        """`CUTS` sets how many."""
        import os

        wanted, cuts, generator = int(os.environ.get("CUTS", "8")), 0, random.Random(4)
        one = await desk()
        chat = await one.tab()
        await chat.open()
        answers = 0
        while cuts < wanted:
            slowly(one.provider, token_s=0.015)
            await chat.say(QUESTION)
            answers += 1
            while await chat.find(".message.bot.complete .sources").count() < answers:
                await asyncio.sleep(generator.uniform(0.05, 0.5))
                one.wire.cut()
                cuts += 1
            await self.same_as_stored(one, chat, answers)

    async def same_as_stored(self, one: Desk, chat: Chat, answers: int) -> None:
        stored = [row["content"] for row in await one.stored() if row["author"] == "bot"][-1]
        shown = await chat.find(".message.bot.complete .bubble").last.evaluate(SHOWN)
        assert re.findall(r"\w+", shown) == re.findall(r"\w+", re.sub(r"\[\d+\]", " ", stored))
