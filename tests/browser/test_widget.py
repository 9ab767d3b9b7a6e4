"""The widget as a customer meets it: asking, reading, coming back, losing the network, and talking to a person."""

import asyncio
import re
import time

import jwt
import pytest

from api.tokens import LEEWAY_S
from memory.models import Tenant
from memory.tenancy import Role
from tests.browser.conftest import QUESTION, SHOWN, Chat, Desk, OpenDesk, slowly
from tests.product import Product, beside, with_models_of


async def waiting_handoff(product: Product, tenant: Tenant, headers: dict[str, str]) -> str:
    for _ in range(100):
        items = (await product.http.get("/api/v1/handoffs", headers=headers)).json()["items"]
        if items:
            found: str = items[-1]["id"]
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("nobody asked for a person")


async def told(desk: Desk) -> list[str]:
    return [row["content"] for row in await desk.stored()]


class TestAsking:
    async def test_the_first_words_come_before_the_last_and_sources_open_in_place(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        await chat.open()
        await chat.shot("greeting")
        slowly(one.provider)
        await chat.say(QUESTION)
        live = await chat.wait_for(".live .bubble", re.compile("cPanel"))
        early = await live.inner_text()
        await chat.wait_for(".message.bot.complete .sources", timeout=20_000)
        final = (await chat.texts(".message.bot.complete .bubble"))[-1]
        assert len(early) < len(final)
        await chat.find(".message.bot.complete button.cite").first.click()
        quote = await chat.wait_for(".quote")
        assert "password" in await quote.inner_text()
        await chat.shot("answer-with-source")
        assert chat.ran == []
        assert chat.off_origin == []

    async def test_the_site_hears_what_happens_and_nothing_of_ours_runs_in_it(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        await chat.open()
        await chat.say("hello")
        await chat.wait_for(".message.bot.complete", re.compile("What can I help"))
        assert (await chat.heard("message"))[:2] == ["ready", "opened"]
        assert await chat.page.evaluate("document.querySelectorAll('script').length") == 2
        await chat.find("[aria-label='Close the chat']").click()
        await chat.find(".launcher").wait_for()
        assert (await chat.heard("closed"))[-1] == "closed"
        box = await chat.page.locator("iframe").bounding_box()
        assert box is not None
        assert box["width"] <= 100

    async def test_thumbs_are_kept(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        await chat.open()
        await chat.say(QUESTION)
        await chat.wait_for(".thumb")
        await chat.find("[aria-label='Helpful']").last.click()
        await chat.wait_for(".thumb[aria-pressed='true']")
        for _ in range(40):
            if rows := await one.product.rows(one.tenant, "select value from feedback"):
                break
            await asyncio.sleep(0.05)
        assert rows == [{"value": 1}]


class TestComingBack:
    async def test_a_reload_restores_everything(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        await chat.open()
        await chat.say(QUESTION)
        await chat.wait_for(".message.bot.complete .sources")
        before = await chat.texts()
        await chat.page.reload()
        await chat.wait_for(".message.bot.complete .sources")
        assert await chat.texts() == before
        assert await chat.find(".panel").is_visible()

    async def test_a_reload_in_mid_answer_goes_on(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        await chat.open()
        slowly(one.provider)
        await chat.say(QUESTION)
        await chat.wait_for(".live .bubble", re.compile("cPanel"))
        await chat.page.reload()
        await chat.wait_for(".message.bot.complete .sources", timeout=20_000)
        stored = (await one.stored())[-1]
        assert stored["status"] == "complete"
        assert len(await chat.texts(".message.bot.complete .bubble")) == 2

    async def test_two_tabs_agree(self, desk: OpenDesk) -> None:
        one = await desk()
        first = await one.tab()
        await first.open()
        await first.say("hello")
        await first.wait_for(".message.bot.complete", re.compile("What can I help"))
        second = await one.tab()
        await second.open()
        await second.say(QUESTION)
        for chat in (first, second):
            await chat.wait_for(".message.bot.complete .sources")
        assert await first.texts() == await second.texts()
        rows = await one.product.rows(one.tenant, "select 1 from chat_sessions")
        assert len(rows) == 1


class TestTheNetwork:
    async def test_what_is_typed_offline_is_sent_once(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        await chat.open()
        await chat.say("hello")
        await chat.wait_for(".message.bot.complete", re.compile("What can I help"))
        one.wire.fail()
        await chat.wait_for(".banner", re.compile("offline"))
        await chat.say("How do I pay an invoice?")
        await chat.wait_for(".message.sending")
        await chat.shot("offline")
        await chat.page.reload(wait_until="commit")
        one.wire.mend()
        await chat.page.goto(one.site)
        await chat.wait_for(".message.bot.complete .sources", timeout=20_000)
        assert (await told(one)).count("How do I pay an invoice?") == 1
        assert await chat.find(".message.sending").count() == 0

    async def test_a_cut_in_mid_answer_is_mended(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        await chat.open()
        slowly(one.provider)
        await chat.say(QUESTION)
        await chat.wait_for(".live .bubble", re.compile("cPanel"))
        one.wire.fail()
        await chat.wait_for(".banner", re.compile("offline"))
        await asyncio.sleep(0.5)
        one.wire.mend()
        await chat.wait_for(".message.bot.complete .sources", timeout=20_000)
        assert await chat.find(".banner").is_hidden()
        await self.same_as_stored(one, chat)

    async def same_as_stored(self, one: Desk, chat) -> None:  # type: ignore[no-untyped-def]
        stored = re.sub(r"\W+", " ", re.sub(r"\[\d\]", " ", (await one.stored())[-1]["content"]))
        bubble = chat.find(".message.bot.complete .bubble").last
        shown = await bubble.evaluate(SHOWN)
        assert re.sub(r"\W+", " ", shown).split() == stored.split()


class TestAPerson:
    async def test_takes_over_in_mid_answer_and_is_seen(self, desk: OpenDesk) -> None:
        one = await desk()
        agent = await one.product.staff(one.tenant, Role.AGENT)
        async with one.product.owner.connection(one.tenant.id) as connection:
            await connection.execute("update users set name = 'Ada' where tenant_id = %s", (one.tenant.id,))
        chat = await one.tab()
        await chat.open()
        await chat.find("[aria-haspopup=menu]").click()
        await chat.find(
            "[role=menuitem]",
        ).first.click()
        await chat.wait_for(".message.system")
        handoff = await waiting_handoff(one.product, one.tenant, agent)
        slowly(one.provider)
        await chat.say(QUESTION)
        await chat.wait_for(".live .bubble", re.compile("cPanel"))
        answer = await one.product.http.post(
            f"/api/v1/handoffs/{handoff}/messages", json={"message": "Hello, **Ada** here."}, headers=agent
        )
        assert answer.status_code == 201
        await chat.wait_for(".message.agent .bubble", re.compile(r"Hello, Ada here\."))
        assert "Ada" in await chat.find(".status").first.inner_text()
        await chat.wait_for(".message.bot.incomplete")
        assert await chat.find(".live").count() == 0
        await chat.say("thank you")
        await chat.wait_for(".message.customer", re.compile("thank you"))
        await chat.shot("with-a-person")


class TestKeyboard:
    async def test_everything_works_without_a_mouse(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        await chat.find(".launcher").focus()
        await chat.page.keyboard.press("Enter")
        await chat.find("textarea").wait_for()
        await chat.page.keyboard.type("hello")
        await chat.page.keyboard.press("Enter")
        await chat.wait_for(".message.bot.complete", re.compile("What can I help"))
        seen = set()
        for _ in range(14):
            await chat.page.keyboard.press("Tab")
            frame = chat.page.frames[-1]
            seen.add(
                await frame.evaluate(
                    "document.activeElement.getAttribute('aria-label') || document.activeElement.tagName"
                )
            )
            assert await frame.evaluate("document.querySelector('.panel').contains(document.activeElement)")
        assert {"Menu", "Close the chat", "Write a message", "Send"} <= seen
        await chat.find("[aria-haspopup=menu]").focus()
        await chat.page.keyboard.press("Enter")
        await chat.page.keyboard.press("ArrowDown")
        assert await chat.page.frames[-1].evaluate("document.activeElement.textContent") == "New conversation"
        await chat.page.keyboard.press("Escape")
        await chat.page.keyboard.press("Escape")
        await chat.find(".launcher").wait_for()


@pytest.mark.parametrize(
    ("name", "settings", "view"),
    [
        ("phone", {}, {"viewport": {"width": 320, "height": 640}, "is_mobile": True, "has_touch": True}),
        ("dark", {"theme": "dark"}, {}),
        ("right-to-left", {"locale": "ar", "position": "left"}, {}),
        ("german", {"locale": "de"}, {}),
        ("zoomed", {}, {"viewport": {"width": 500, "height": 380}, "device_scale_factor": 2}),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
async def test_looks(desk: OpenDesk, name: str, settings: dict[str, str], view: dict[str, object]) -> None:
    one = await desk(settings=settings, view=view)
    chat = await one.tab()
    await chat.open()
    await chat.say(QUESTION)
    await chat.wait_for(".message.bot.complete .sources")
    await chat.shot(name)
    frame = chat.page.frames[-1]
    assert await frame.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert await frame.evaluate("document.documentElement.dir") == ("rtl" if name == "right-to-left" else "ltr")


async def test_another_language_keeps_what_is_typed_and_where_the_reader_is(desk: OpenDesk) -> None:
    one = await desk()
    chat = await one.tab()
    await chat.open()
    await chat.find("textarea").fill("Where is my invo")
    await chat.page.evaluate("window.helpdesk.setLocale('de')")
    await chat.wait_for("textarea[placeholder='Nachricht schreiben']")
    assert await chat.find("textarea").input_value() == "Where is my invo"
    frame = chat.page.frames[-1]
    assert await frame.evaluate("document.activeElement.localName") == "textarea"
    assert await frame.evaluate("document.documentElement.lang") == "de"


class TestARestart:
    async def test_of_the_server_in_mid_answer_loses_nothing(self, desk: OpenDesk) -> None:
        """The process that writes is gone; another closes its turn honestly, and the page shows what is stored."""
        one = await desk()
        chat = await one.tab()
        await chat.open()
        async with beside(one.product, **with_models_of(one.provider)) as doomed:
            one.wire.target = int(str(doomed.http.base_url.port))
            one.wire.cut()
            slowly(one.provider, token_s=0.1)
            await chat.say(QUESTION)
            await chat.wait_for(".live .bubble", re.compile("cPanel"))
            one.wire.fail()
            for task in list(doomed.resources.turns._tasks.values()):  # as kill -9 would: nothing is given back
                task.cancel()
            async with one.product.owner.connection(one.tenant.id) as connection:
                await connection.execute(
                    "update turns set lease_until = now() - interval '1 second', status = 'running'"
                    " where tenant_id = %s and status = 'running'",
                    (one.tenant.id,),
                )
        one.wire.target = int(str(one.product.http.base_url.port))
        one.wire.mend()
        await chat.wait_for(".message.bot.incomplete", timeout=20_000)
        await chat.wait_for(".message.system", re.compile("went wrong"))
        stored = await one.stored()
        assert [(row["author"], row["status"]) for row in stored][-2:] == [
            ("bot", "incomplete"),
            ("system", "complete"),
        ]
        shown = await chat.find(".message.bot.incomplete .bubble").last.inner_text()
        assert re.findall(r"\w+", shown) == re.findall(r"\w+", re.sub(r"\[\d+\]", " ", stored[-2]["content"]))


class TestWritingOn:
    async def test_after_the_end_the_answer_is_still_seen(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        await chat.open()
        await chat.say("hello")
        await chat.wait_for(".message.bot.complete", re.compile("What can I help"))
        colleague = await one.product.staff(one.tenant, Role.AGENT)
        sessions = await one.product.http.get("/api/v1/chat/sessions", headers=colleague)
        ended = await one.product.http.post(
            f"/api/v1/chat/sessions/{sessions.json()['items'][0]['id']}/close", headers=colleague
        )
        assert ended.status_code == 200
        await chat.wait_for(".status", re.compile("has ended"))
        await chat.say(QUESTION)
        await chat.wait_for(".message.bot.complete .sources")

    async def test_a_token_that_has_run_out_loses_no_message(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        await chat.open()
        await chat.say("hello")
        await chat.wait_for(".message.bot.complete", re.compile("What can I help"))
        async with one.product.owner.connection(one.tenant.id) as connection:
            await connection.execute("update customers set visitor_epoch = 1 where tenant_id = %s", (one.tenant.id,))
        await chat.say(QUESTION)
        await chat.wait_for(".message.bot.complete .sources")
        assert await chat.find(".message.sending, .message.failed").count() == 0


class TestFiles:
    async def test_a_file_goes_with_the_message_and_comes_back_as_a_download(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        await chat.open()
        log = {"name": "<img src=x onerror=alert(1)>.log", "mimeType": "text/plain", "buffer": b"zebra-7 refused\n"}
        await chat.find("input[type=file]").set_input_files(log)
        await chat.wait_for(".attached li")
        for _ in range(100):  # its progress goes when it has arrived
            if not await chat.find(".attached progress").count():
                break
            await asyncio.sleep(0.05)
        await chat.say("What does the attached log say?")
        await chat.wait_for(".message.bot.complete")  # until then its row may be drawn anew, below the very click
        sent = await chat.wait_for(".message.customer.complete .file")  # and not that of what is on its way
        async with chat.page.expect_download() as download:
            await sent.click()
        assert await (await download.value).failure() is None
        assert await one.product.rows(
            one.tenant, "select count(*) as n from attachments where message_id is not null"
        ) == [{"n": 1}]
        assert chat.ran == []
        assert chat.off_origin == []

    async def test_one_that_is_gone_fails_its_message_and_no_other(self, desk: OpenDesk) -> None:
        one = await desk()
        chat = await one.tab()
        await chat.open()
        log = {"name": "server.log", "mimeType": "text/plain", "buffer": b"zebra-7 refused"}
        await chat.find("input[type=file]").set_input_files([log])  # type: ignore[list-item]
        await chat.wait_for(".attached li")
        await chat.find(".attached progress").wait_for(state="detached")
        assert len(await one.product.rows(one.tenant, "delete from attachments returning id")) == 1
        await chat.say("What does the attached log say?")
        await chat.wait_for(".message.customer.failed")
        await chat.say("hello")
        await chat.wait_for(".message.bot.complete", re.compile("What can I help"))
        assert await one.product.rows(one.tenant, "select count(*) as n from chat_sessions") == [{"n": 1}]


SECRET = "the-sites-own-secret-of-enough-length-0123456789"


def signed(who: str, *, for_s: float = 600) -> str:
    now = int(time.time())
    return jwt.encode({"sub": who, "aud": "helpdesk", "iat": now, "exp": now + for_s, "name": who}, SECRET, "HS256")


async def is_user(chat: Chat, token: str) -> None:
    await chat.page.evaluate("([token]) => window.helpdesk.setUser(token)", [token])


async def signing(one: Desk) -> None:
    """From now on the site signs who its customers are."""
    admin = await one.product.staff(one.tenant, Role.ADMIN)
    changed = await one.product.http.patch("/api/v1/settings", json={"identity_secret": SECRET}, headers=admin)
    assert changed.status_code == 200


async def who_wrote(one: Desk) -> list[str | None]:
    rows = await one.product.rows(
        one.tenant,
        "select c.external_id from chat_messages m join chat_sessions s on s.id = m.session_id"
        " join customers c on c.id = s.customer_id where m.author = 'customer' order by m.created_at",
    )
    return [row["external_id"] for row in rows]


class TestIdentity:
    async def test_who_signs_in_at_the_site_is_the_same_customer_and_the_next_finds_nothing(
        self, desk: OpenDesk
    ) -> None:
        one = await desk()
        await signing(one)
        chat = await one.tab()
        await is_user(chat, signed("ada"))
        await chat.page.evaluate("window.helpdesk.setCustomAttributes({plan: 'pro'})")
        await chat.open()
        await chat.say("hello")
        await chat.wait_for(".message.bot.complete", re.compile("What can I help"))
        found = await one.product.rows(
            one.tenant,
            "select c.external_id, s.attributes from chat_sessions s join customers c on c.id = s.customer_id",
        )
        assert found == [{"external_id": "ada", "attributes": {"plan": "pro"}}]
        await is_user(chat, signed("bert"))
        await chat.find(".message.customer").first.wait_for(state="detached")
        await chat.say("hello again")
        await chat.wait_for(".message.bot.complete", re.compile("What can I help"))
        rows = await one.product.rows(one.tenant, "select distinct customer_id from chat_sessions")
        assert len(rows) == 2

    async def test_what_is_typed_before_the_site_says_who_types_is_that_persons(self, desk: OpenDesk) -> None:
        one = await desk()
        await signing(one)
        chat = await one.tab()
        await is_user(chat, signed("ada"))
        await chat.open()
        await chat.say("hello")
        await chat.wait_for(".message.bot.complete", re.compile("What can I help"))
        await chat.page.reload()
        await chat.heard("ready")
        await chat.find("textarea").wait_for()
        await chat.say(QUESTION)
        await chat.wait_for(".message.sending")
        await asyncio.sleep(1.5)  # it is tried every second
        assert await who_wrote(one) == ["ada"]
        await is_user(chat, signed("ada"))
        await chat.wait_for(".message.bot.complete .sources")
        assert await who_wrote(one) == ["ada", "ada"]

    async def test_what_is_typed_while_somebody_signs_in_is_not_lost(self, desk: OpenDesk) -> None:
        one = await desk()
        await signing(one)
        chat = await one.tab()
        await chat.open()
        one.wire.delay_s = 0.8
        await chat.say("hello")
        await is_user(chat, signed("ada"))
        one.wire.delay_s = 0
        await chat.wait_for(".message.bot.complete", re.compile("What can I help"))
        assert await who_wrote(one) == ["ada"]

    async def test_an_identity_that_ends_is_asked_for_and_the_conversation_waits(self, desk: OpenDesk) -> None:
        one = await desk()
        await signing(one)
        chat = await one.tab()
        await is_user(chat, signed("ada", for_s=4 - LEEWAY_S))
        await chat.open()
        await chat.say("hello")
        await chat.wait_for(".message.bot.complete", re.compile("What can I help"))
        await asyncio.sleep(4.5)
        await chat.say(QUESTION)
        await chat.heard("error")
        assert await chat.page.evaluate("window.heard.at(-1)") == ["error", {"reason": "identity_expired"}]
        assert len(await chat.texts(".message.customer .bubble")) == 2
        await is_user(chat, signed("ada"))
        await chat.wait_for(".message.bot.complete .sources")
        assert await who_wrote(one) == ["ada", "ada"]
        assert await one.product.rows(one.tenant, "select count(*) as n from chat_sessions") == [{"n": 1}]
