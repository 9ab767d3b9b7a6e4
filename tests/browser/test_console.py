"""The staff console in a real Chromium: a day's work from the sign-in to an approved draft, and hostile words everywhere."""

import asyncio
import json
import re
from typing import Any
from uuid import UUID

from playwright.async_api import Route, expect

from memory import chats
from memory.events import journal
from memory.models import new_id
from memory.tenancy import Role
from tests.browser.console_desk import QUESTION, Colleague, Hire, customer, ticket_of
from tests.browser.hostile import LEAKS, SCRIPTS
from tests.browser.test_accessibility import AXE, RULES
from tests.knowledge_desk import worked
from tests.product import PASSWORD, Product

CONTRAST = {"runOnly": ["color-contrast", "target-size"], "resultTypes": ["violations"]}
HOSTILE = (*SCRIPTS, *LEAKS)
FOREIGN = (
    "script, img, iframe, image, video, audio, object, embed, style, link, base, meta, form[action],"
    " a:not([href^='#/'], [rel='noopener noreferrer nofollow'][target=_blank])"
)
"""Nodes that none of our own views makes below its body, but for the link that skips to the content."""
ADDRESSES = (
    ("See https://a.example/b_(c)?d=e#f, please.", "https://a.example/b_(c)?d=e#f", "https://a.example/b_(c)?d=e#f"),
    ("(http://plain.example/x).", "http://plain.example/x", "http://plain.example/x"),
    ("[my bank](https://evil.example/steal)", "https://evil.example/steal", "https://evil.example/steal"),
    ("https://p\u0430y.example/", "https://xn--py-7kc.example/", "https://p\u0430y.example/ (xn--py-7kc.example)"),
    ("https://bank.example@evil.example/ https://bank.example\u202e/live/ https:// javascript:alert(1)", "", ""),
)
"""What a customer writes, where the link in it leads, and what is read of it; nothing where none is made."""


class TestSignIn:
    async def test_a_wrong_password_is_said_and_the_right_one_opens_the_inbox(self, hire: Hire) -> None:
        ada = await hire()
        await ada.open()
        await ada.sign_in("not the password")
        await expect(ada.find(".signin [role=alert]")).to_have_text("The address or the password is wrong.")
        assert await ada.find(".signin").get_by_label("E-mail address").input_value() == ada.user.email
        await ada.sign_in()
        await expect(ada.find(".whoami")).to_contain_text("Ada")
        await expect(ada.find(".brand")).to_have_text(ada.tenant.name)
        await expect(ada.find(".list .empty").first).to_contain_text("Nobody waits.")
        kept = await ada.page.evaluate("[localStorage.length, sessionStorage.length, document.cookie, location.search]")
        assert kept == [0, 0, "", ""]
        await ada.page.reload()
        await expect(ada.find(".signin")).to_be_visible()
        assert ada.ran == []

    async def test_a_customer_is_not_let_in_and_the_duty_is_switched(self, hire: Hire) -> None:
        ada = await hire()
        eve = await hire(ada.tenant, Role.CUSTOMER, "Eve")
        await ada.open()
        await ada.sign_in(email=eve.user.email)
        await expect(ada.find(".signin [role=alert]")).to_be_visible()
        await ada.sign_in()
        duty = ada.page.get_by_role("switch", name="On duty")
        await expect(duty).to_be_checked()
        await duty.click()
        await expect(duty).not_to_be_checked()
        [row] = await ada.product.rows(ada.tenant, "select is_available from users where id = %s", ada.user.id)
        assert row["is_available"] is False
        await ada.button("Sign out").click()
        await expect(ada.find(".signin")).to_be_visible()
        await expect(ada.find(".shell")).to_have_count(0)

    async def test_an_open_page_stays_signed_in(self, hire: Hire) -> None:
        ada = await hire()
        await ada.page.clock.install()
        await ada.begin()
        for _ in range(2):  # the second time with the token that the first one gave
            async with ada.page.expect_response("**/auth/renew") as renewed:
                await ada.page.clock.fast_forward("16:00")
            assert (await renewed.value).status == 200
        await ada.look_again()
        await expect(ada.find(".signin")).to_be_hidden()
        assert ada.ran == []

    async def test_the_page_may_run_its_own_files_and_nothing_else(self, product: Product) -> None:
        page = await product.http.get("/console")
        assert page.headers["content-security-policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        assert page.headers["cache-control"] == "no-store"
        assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", page.text)
        assert (await product.http.get("/console/assets/x/../routes/console.py")).status_code == 404
        assert (await product.http.get("/console/assets/x/view.js")).status_code == 404
        shared = await product.http.get("/console/assets/x/shared/dom.js")
        assert (shared.headers["content-type"].split(";")[0], shared.headers["cache-control"]) == (
            "text/javascript",
            "no-store",
        )


class TestAHandoff:
    async def test_from_the_request_through_claim_and_reply_to_the_end(self, hire: Hire) -> None:
        ada = await hire()
        visitor = await customer(ada, QUESTION)
        await ada.begin()
        await ada.find(".rows a").locator("visible=true").first.click()
        await expect(ada.page).to_have_title(re.compile(r"^\(1\) Inbox"))
        await expect(ada.find(".message.customer .bubble").first).to_have_text(QUESTION)
        await expect(ada.find(".known")).to_contain_text("Asked for a person")
        await ada.button("Claim").first.click()
        await expect(ada.find(".head .badge").first).to_have_text("Yours")
        text = ada.page.get_by_label("Reply to the customer").and_(ada.find("textarea"))
        await text.fill("Hello, this is **Ada**.")
        async with visitor.follow() as events:
            await ada.button("Send").dblclick()
            async for event in events:
                if event.type == "message.created" and event.data["author"] == "agent":
                    break
        assert event.data["text"] == "Hello, this is **Ada**."
        await expect(ada.find(".message.agent .bubble strong")).to_have_text("Ada")
        await expect(text).to_have_value("")
        await expect(ada.page).to_have_title(re.compile(r"^Inbox"))
        said = await ada.product.http.post(
            f"{visitor.url}/messages", json={"message": "Thank you"}, headers=visitor.headers
        )
        assert said.status_code == 202
        await expect(ada.find(".message.customer .bubble").last).to_have_text("Thank you")
        await ada.shot("handoff")
        await ada.button("Resolve…").click()
        await ada.page.get_by_label("What came of it").fill("told them")
        await ada.button("Resolve").and_(ada.find("dialog button")).click()
        await expect(ada.find(".head .badge").first).to_have_text("Resolved")
        rows = await ada.product.rows(
            ada.tenant, "select status, outcome from handoffs where session_id = %s", visitor.session_id
        )
        assert rows == [{"status": "resolved", "outcome": "told them"}]
        agents = await ada.product.rows(ada.tenant, "select content from chat_messages where author = 'agent'")
        assert len(agents) == 1
        assert ada.ran == []

    async def test_who_comes_second_is_told_so_and_keeps_what_was_written(self, hire: Hire) -> None:
        ada = await hire(role=Role.AGENT)
        ben = await hire(ada.tenant, Role.AGENT, "Ben")
        await customer(ada, QUESTION)
        await ada.page.route("**/events", lambda route: route.abort())  # news come late
        await ada.begin()
        await ada.find(".rows a").locator("visible=true").first.click()
        text = ada.find(".composer textarea")
        await text.fill("I can help you")
        await expect(ada.button("Claim and send")).to_be_visible()
        queue = (await ada.product.http.get("/api/v1/handoffs", headers=await ben.headers())).json()["items"]
        await ada.page.route("**/handoffs?*", lambda route: route.abort())
        taken = await ada.product.http.post(f"/api/v1/handoffs/{queue[0]['id']}/claim", headers=await ben.headers())
        assert taken.status_code == 200
        await ada.button("Claim and send").click()
        await expect(ada.find(".composer [role=alert]")).to_contain_text("Ben has this conversation")
        await expect(ada.find(".head .badge").first).to_have_text("With Ben")
        await expect(text).to_have_value("I can help you")
        await ada.page.unroute("**/handoffs?*")
        await ada.look_again()
        await expect(ada.find(".group h2", has_text="With colleagues (1)")).to_be_visible()
        await ada.go("inbox")
        await ada.find(".rows a").locator("visible=true").first.click()
        await expect(ada.find(".composer textarea")).to_have_value("I can help you")
        assert ada.ran == []

    async def test_a_file_goes_with_the_reply(self, hire: Hire) -> None:
        ada = await hire()
        visitor = await customer(ada, QUESTION)
        await ada.begin()
        await ada.find(".rows a").locator("visible=true").first.click()
        await ada.find(".composer textarea").fill("See the file")
        plan = {"name": "plan.txt", "mimeType": "text/plain", "buffer": b"step one\n"}
        await ada.find(".composer input[type=file]").set_input_files(plan)
        await expect(ada.find(".attached li")).to_have_text("plan.txt")
        await ada.button("Claim and send").click()
        sent = ada.find(".message.agent .file")
        await expect(sent).to_have_text("plan.txt")
        await expect(ada.find(".attached li")).to_have_count(0)
        async with ada.page.expect_download() as download:
            await sent.click()
        assert await (await download.value).failure() is None
        assert [file["name"] for file in (await visitor.history())[-1]["attachments"]] == ["plan.txt"]

    async def test_an_answer_that_is_lost_on_its_way_sends_nothing_twice(self, hire: Hire) -> None:
        ada = await hire()
        visitor = await customer(ada, QUESTION)
        await ada.begin()
        await ada.find(".rows a").locator("visible=true").first.click()
        text = ada.find(".composer textarea")
        await text.fill("Only once")

        async def lose(route: Route) -> None:
            await route.fetch()
            await route.abort()

        await ada.page.route("**/messages", lose, times=1)
        await ada.button("Claim and send").click()
        await expect(ada.find(".composer [role=alert]")).to_have_text("The server can't be reached.")
        await expect(text).to_have_value("Only once")
        await ada.find(".composer .button.primary").click()
        await expect(text).to_have_value("")
        await expect(ada.find(".message.agent .bubble")).to_have_text(["Only once"])
        await ada.page.route("**/messages", lose, times=1)  # and the same words said again on purpose are sent again
        await text.fill("One moment")
        await ada.find(".composer .button.primary").click()
        await expect(ada.find(".composer [role=alert]")).to_be_visible()
        for words in ("Here it is", "One moment"):
            await text.fill(words)
            await ada.find(".composer .button.primary").click()
            await expect(text).to_have_value("")
        said = [message["content"] for message in await visitor.history() if message["author"] == "agent"]
        assert said == ["Only once", "One moment", "Here it is", "One moment"]

    async def test_a_sign_in_that_runs_out_loses_nothing(self, hire: Hire) -> None:
        ada = await hire()
        await customer(ada, QUESTION)
        await ada.begin()
        await ada.find(".rows a").locator("visible=true").first.click()
        text = ada.find(".composer textarea")
        await text.fill("Half of a sentence")
        await ada.sign_out_everywhere()
        await ada.look_again()
        await expect(ada.find(".signin")).to_be_visible()
        await expect(ada.find(".signin")).to_contain_text("What you were writing is still here")
        await ada.find(".signin").get_by_label("Password").fill(PASSWORD)
        await ada.find(".signin").get_by_role("button", name="Sign in").click()
        await expect(ada.find(".signin")).to_be_hidden()
        await expect(text).to_have_value("Half of a sentence")
        await ada.button("Claim and send").click()
        await expect(ada.find(".message.agent .bubble")).to_have_text("Half of a sentence")
        await ada.button("Resolve…").click()
        await ada.page.get_by_label("What came of it").fill("told them")
        await ada.sign_out_everywhere()
        await ada.find("dialog.ask").get_by_role("button", name="Resolve").click()
        await expect(ada.find("dialog.ask [role=alert]")).to_contain_text("nothing was sent")
        await ada.find(".signin").get_by_label("Password").fill(PASSWORD)
        await ada.find(".signin").get_by_role("button", name="Sign in").click()
        await expect(ada.find(".signin")).to_be_hidden()
        await expect(ada.page.get_by_label("What came of it")).to_have_value("told them")
        await ada.find("dialog.ask").get_by_role("button", name="Resolve").click()
        await expect(ada.find(".head .badge").first).to_have_text("Resolved")
        assert ada.ran == []


class TestADraft:
    async def test_is_read_edited_and_approved(self, hire: Hire) -> None:
        ada = await (await hire()).begin()
        ticket = await ticket_of(ada, "Mailbox password", QUESTION)
        await ada.go(f"tickets/{ticket['id']}")
        await ada.button("Write a draft").click()
        panel = ada.find(".draft")
        await expect(panel.locator(".sure .badge")).to_have_text(re.compile(r"^\d+ · (High|Medium|Low|Very low)$"))
        await expect(panel.locator(".bars li")).to_have_count(4)
        await panel.locator("button.cite").first.click()
        await expect(panel.locator(".sources details").first).to_have_attribute("open", "")
        text = panel.get_by_label("The reply as it will be sent")
        assert "mailbox password" in (await text.input_value()).lower()
        await expect(ada.button("Approve as it is and send")).to_be_visible()
        await text.fill("Hello,\n\nplease use the button Reset.\n\nKind regards")
        await panel.get_by_label("What you corrected").fill("we say it shorter")
        await ada.go("inbox")
        await ada.go(f"tickets/{ticket['id']}")
        await expect(text).to_have_value(re.compile("please use the button Reset"))
        await panel.get_by_label("The ticket becomes").select_option("Waiting for customer")
        await ada.button("Approve with your edits and send").dblclick()
        await expect(ada.find(".message.agent .bubble")).to_have_text(re.compile("please use the button Reset"))
        await expect(panel.locator(".notice.good")).to_contain_text("Approved")
        await ada.shot("draft")
        [row] = await ada.product.rows(ada.tenant, "select content, edit_notes from approved_replies")
        assert row == {
            "content": "Hello,\n\nplease use the button Reset.\n\nKind regards",
            "edit_notes": "we say it shorter",
        }
        [row] = await ada.product.rows(ada.tenant, "select status from tickets where id = %s", ticket["id"])
        assert row["status"] == "waiting_customer"
        assert ada.ran == []

    async def test_written_again_then_rejected_with_a_reason(self, hire: Hire) -> None:
        ada = await (await hire()).begin()
        ticket = await ticket_of(ada, "Invoice", "How do I pay an invoice?", draft=True)
        await ada.find("nav a", has_text="Tickets").click()
        await ada.find(".rows a", has_text="Invoice").click()
        await ada.button("Draft again…").click()
        await ada.find("dialog").get_by_role("button", name="Draft again").click()
        await expect(ada.find("dialog [role=alert]")).to_contain_text("please write something")
        await ada.find("dialog textarea").fill("Greet Grace")
        await ada.find("dialog").get_by_role("button", name="Draft again").click()
        await expect(ada.find(".draft details", has_text="Earlier drafts (1)")).to_be_visible()
        await ada.button("Reject…").click()
        await ada.find("dialog textarea").fill("too long")
        await ada.find("dialog").get_by_role("button", name="Reject").click()
        await expect(ada.find(".draft .notice.good")).to_contain_text("Nothing of it was sent")
        rows = await ada.product.rows(
            ada.tenant, "select status, reason from drafts where ticket_id = %s order by id", ticket["id"]
        )
        assert rows == [{"status": "superseded", "reason": ""}, {"status": "rejected", "reason": "too long"}]

    async def test_who_approves_second_is_told_and_keeps_the_edits(self, hire: Hire) -> None:
        ada = await hire()
        ben = await hire(ada.tenant, Role.AGENT, "Ben")
        ticket = await ticket_of(ada, "Invoice", "How do I pay an invoice?", draft=True)
        other = await ticket_of(ada, "Another", "Where are you?")
        await ada.begin(f"#/tickets/{ticket['id']}")
        await ada.find(".composer textarea").fill("Begun before.")
        await ada.find(".draft").get_by_label("The reply as it will be sent").fill("My own words")
        await ada.go(f"tickets/{other['id']}")
        await expect(ada.find(".title h2")).to_contain_text("Another")
        approved = await ada.product.http.post(
            "/api/v1/replies/approve",
            json={"draft_id": ticket["draft"]["id"], "version": ticket["draft"]["version"]},
            headers=await ben.headers(),
        )
        assert approved.status_code == 200, approved.text
        await ada.go(f"tickets/{ticket['id']}")
        await ada.button("Use it as my own reply").click()
        await expect(ada.find(".composer textarea")).to_have_value("Begun before.\n\nMy own words")
        assert ada.ran == []

    async def test_who_approves_second_at_once_is_told_so(self, hire: Hire) -> None:
        ada = await hire()
        ben = await hire(ada.tenant, Role.AGENT, "Ben")
        ticket = await ticket_of(ada, "Invoice", "How do I pay an invoice?", draft=True)
        await ada.begin(f"#/tickets/{ticket['id']}")
        await ada.find(".draft").get_by_label("The reply as it will be sent").fill("My own words")
        body = {"draft_id": ticket["draft"]["id"], "version": ticket["draft"]["version"]}
        answer = await ada.product.http.post("/api/v1/replies/approve", json=body, headers=await ben.headers())
        assert answer.status_code == 200, answer.text
        await ada.button("Approve with your edits and send").click()
        await expect(ada.find(".draft [role=alert]")).to_contain_text("Ben has approved this draft already")
        await expect(ada.find(".draft").get_by_label("What you had written")).to_have_value("My own words")
        assert len(await ada.product.rows(ada.tenant, "select 1 from approved_replies")) == 1

    async def test_what_was_approved_is_not_offered_again(self, hire: Hire) -> None:
        """Although the page sees the decision before its own answer is there."""
        ada = await hire()
        ticket = await ticket_of(ada, "Invoice", "How do I pay an invoice?", draft=True)
        await ada.begin(f"#/tickets/{ticket['id']}")
        await ada.find(".draft").get_by_label("The reply as it will be sent").fill("My own words")
        decided, seen = asyncio.Event(), asyncio.Event()

        async def late(route: Route) -> None:
            answer = await route.fetch()
            decided.set()
            await seen.wait()
            await route.fulfill(response=answer)

        await ada.page.route("**/replies/approve", late)
        await ada.button("Approve with your edits and send").click()
        await decided.wait()
        await ada.look_again()
        await expect(ada.find(".message.agent .bubble")).to_have_text("My own words")
        seen.set()
        await expect(ada.find(".draft .notice.good")).to_contain_text("Approved")
        await expect(ada.button("Use it as my own reply")).to_have_count(0)
        assert ada.ran == []


class TestWhoSeesWhat:
    async def test_an_agent_reads_and_an_admin_changes(self, hire: Hire) -> None:
        ada = await (await hire(role=Role.AGENT)).begin("#/prompts")
        nav = ada.find("nav a")
        await expect(nav).to_have_text(["Inbox", "Tickets", "Overview", "Knowledge", "Playground"])
        assert await ada.page.evaluate("location.hash") == "#/inbox"
        await ada.find("nav a", has_text="Knowledge").click()
        await expect(ada.find(".list h2", has_text="Knowledge")).to_be_visible()
        await expect(ada.find(".rows a").locator("visible=true").first).to_be_visible()
        await expect(ada.page.get_by_role("link", name="Upload files", exact=True)).to_have_count(0)
        grace = await (await hire(ada.tenant)).begin("#/prompts")
        await expect(grace.find("nav a")).to_have_count(9)
        await grace.find(".rows a", has_text="Friendly support").click()
        await expect(grace.button("Copy to change it")).to_be_visible()
        assert ada.ran == grace.ran == []


class TestPrompts:
    async def test_copied_changed_activated_and_tried(self, hire: Hire) -> None:
        ada = await (await hire()).begin("#/prompts")
        await ada.find(".rows a", has_text="Friendly support").click()
        await ada.button("Copy to change it").click()
        await ada.button("Edit").click()
        await ada.page.get_by_label("System prompt").fill("You are brief.")
        await ada.button("Save as a new version").click()
        await expect(ada.find(".prompt .notice.good")).to_contain_text("Version 2 is saved")
        await ada.button("Activate…").click()
        await ada.find("dialog").get_by_role("button", name="Activate").click()
        await expect(ada.find(".prompt .title")).to_contain_text("Answers now")
        await ada.find(".prompt a", has_text="Try it").click()
        await ada.page.get_by_label("The customer's words").fill(QUESTION)
        await ada.button("Try it").click()
        await expect(ada.find(".card", has_text="The answer").first).to_contain_text("cPanel")
        rows = await ada.product.rows(
            ada.tenant,
            "select version, is_active from prompt_versions where tenant_id = current_tenant() order by version",
        )
        assert rows == [{"version": 1, "is_active": False}, {"version": 2, "is_active": True}]
        assert ada.ran == []


class TestRanking:
    async def test_weights_are_set_over_nobody_s_head_and_reset(self, hire: Hire) -> None:
        ada = await hire()
        await ada.begin("#/ranking")
        form = ada.find(".page form").locator("visible=true")
        ours = form.get_by_label("Our articles")
        await expect(ours).to_have_value("30")
        change = {"weights": {"global_kb": 1, "tenant_kb": 1, "example": 1, "correction": 1}}
        faster = await ada.product.http.put("/api/v1/weights", json=change, headers=await ada.headers())
        assert faster.status_code == 200, faster.text
        again = change | {"top_k": 7}  # the first change of all names no version that it could contradict
        await ada.go("inbox")
        await ada.go("ranking")
        await expect(ours).to_have_value("25")
        faster = await ada.product.http.put("/api/v1/weights", json=again, headers=await ada.headers())
        assert faster.status_code == 200, faster.text
        await ours.fill("75")
        await form.get_by_label("Reason").fill("ours are better")
        await ada.button("Save").click()
        await expect(form.get_by_role("alert")).to_contain_text("Ada has changed this meanwhile")
        await expect(ours).to_have_value("75")
        await ada.button("Save").dblclick()
        await expect(ada.find(".page > .notice").locator("visible=true")).to_have_text("Saved.")
        await expect(ours).to_have_value("50")
        history = ada.find(".page .past > li").locator("visible=true")
        await expect(history).to_have_count(3)
        await expect(history.first).to_contain_text("ours are better")
        await ada.shot("ranking")
        assert await violations(ada) == []
        await ada.button("Back to the defaults…").click()
        await ada.button("Use the defaults").click()
        await expect(ours).to_have_value("30")
        assert ada.ran == []


class TestKnowledge:
    async def test_a_file_becomes_an_article_that_is_withdrawn(self, hire: Hire) -> None:
        ada = await (await hire()).begin("#/knowledge/upload")
        text = b"# Zebra tariff\n\nThe zebra tariff has seven stripes.\n"
        await ada.find("input[type=file]").set_input_files(
            {"name": "zebra.md", "mimeType": "text/markdown", "buffer": text}
        )
        async with ada.page.expect_response("**/articles/upload") as sent:
            await ada.button("Upload").click()
        await worked(ada.product, await ada.headers(), await (await sent.value).json())
        await ada.look_again()
        await ada.find(".past a", has_text="zebra.md").click()
        await expect(ada.find(".prose")).to_contain_text("seven stripes")
        await ada.button("Withdraw…").click()
        await ada.find("dialog").get_by_role("button", name="Withdraw").click()
        await expect(ada.find(".article .title")).to_contain_text("Withdrawn")
        await ada.page.get_by_label("Search").locator("visible=true").fill("zebra")
        await ada.page.keyboard.press("Enter")
        await expect(ada.find(".rows a").locator("visible=true")).to_have_count(1)
        assert ada.ran == []


class TestHostileWords:
    async def test_everywhere_are_words_and_nothing_runs_or_leaves(self, hire: Hire) -> None:
        ada = await hire(name=SCRIPTS[1])
        session, ticket_id, article_id = await planted(ada)
        await ada.begin()
        await ada.find(".rows a").locator("visible=true").first.click()
        await expect(ada.find(".message")).to_have_count(2 * len(HOSTILE) + 2)
        await self.harmless(ada)
        await expect(ada.find(".message.customer .bubble").first).to_have_text(HOSTILE[0])
        await ada.go(f"tickets/{ticket_id}")
        await expect(ada.find(".ticket h2").first).to_contain_text(SCRIPTS[0])
        await expect(ada.find(".draft .warning").first).to_be_visible()
        assert HOSTILE[-1] in await ada.find(".draft").get_by_label("The reply as it will be sent").input_value()
        await self.harmless(ada)
        await ada.shot("hostile")
        await ada.go(f"knowledge/{article_id}")
        await expect(ada.find(".article h2").first).to_have_text(SCRIPTS[1])
        await self.harmless(ada)
        assert ada.ran == []
        assert ada.off_origin == []
        stored = await ada.product.rows(
            ada.tenant, "select count(*) as n from chat_messages where session_id = %s", session
        )
        assert stored[0]["n"] >= 2 * len(HOSTILE)

    async def test_an_address_is_a_link_that_tells_where_it_leads(self, hire: Hire) -> None:
        ada = await hire()
        visitor = await customer(ada)
        async with journal(ada.product.resources.database, ada.product.resources.streams, ada.tenant.id) as entry:
            for text, _, _ in ADDRESSES:
                await chats.add_message(entry, UUID(visitor.session_id), author="customer", content=text)
            bank = "[https://bank.example](https://evil.example/x) and `https://code.example/y`"
            await chats.add_message(entry, UUID(visitor.session_id), author="agent", content=bank, details={})
        ticket = await ticket_of(ada, "Links", " ".join(text for text, _, _ in ADDRESSES))
        await ada.begin()
        await ada.find(".rows a").locator("visible=true").first.click()
        told = [[leads, read] for _, leads, read in ADDRESSES if leads]
        await expect(ada.find(".message.agent a")).to_have_count(2)
        assert await self.links(ada, ".message.customer") == told
        assert await self.links(ada, ".message.agent") == [
            ["https://evil.example/x", "https://bank.example (evil.example)"],
            ["https://code.example/y", "https://code.example/y"],
        ]
        await expect(ada.find(".message.customer .bubble").nth(2)).to_have_text("[my bank](https://evil.example/steal)")
        await ada.shot("links")
        await ada.go(f"tickets/{ticket['id']}")
        await expect(ada.find(".ticket .message a")).to_have_count(len(told))
        assert await self.links(ada, ".ticket .message") == told
        await ada.find("nav a", has_text="Inbox").click()  # back to where one was
        await expect(ada.find(".handoff .message.agent a").locator("visible=true")).to_have_count(2)
        await ada.find("nav a", has_text="Inbox").click()
        await expect(ada.find(".detail .empty").locator("visible=true")).to_contain_text("No conversation is open.")
        assert ada.off_origin == []

    async def links(self, ada: Colleague, where: str) -> list[list[str]]:
        """Where each leads and what is read of it; one that is not opened apart is an error."""
        made: list[list[str]] = await ada.page.evaluate(
            "(where) => [...document.querySelectorAll(`${where} a`)].filter((node) => node.target === '_blank'"
            " && node.rel === 'noopener noreferrer nofollow').map((node) => [node.href, node.textContent])",
            where,
        )
        return made

    async def harmless(self, ada: Colleague) -> None:
        secret = await ada.page.evaluate(
            "[...document.querySelectorAll('.shell a[target]')].filter((node) => !/^https?:$/.test(node.protocol)"
            " || !node.textContent.includes(node.host)).map((node) => node.outerHTML)"
        )
        assert secret == []
        made = await ada.page.evaluate(
            "(names) => { document.querySelectorAll('.shell details').forEach((each) => { each.open = true; });"
            " return [...document.querySelectorAll('.shell *')].filter((node) => node.matches(names) && !node.matches('.skip'))"
            ".map((node) => node.outerHTML); }",
            FOREIGN,
        )
        assert made == []


async def planted(ada: Colleague) -> tuple[str, str, str]:
    """Hostile words wherever somebody else than a colleague has a say, and in what is made of their words."""
    product, tenant = ada.product, ada.tenant
    visitor = await customer(ada)
    session = UUID(visitor.session_id)
    async with journal(product.resources.database, product.resources.streams, tenant.id) as entry:
        for text in HOSTILE:
            file = {"id": str(new_id()), "name": text, "media_type": "text/plain", "size": 1}
            told = {"title": text, "heading": text, "url": text}
            source = {"id": text, "content": text, "distance": 0.1, "metadata": told}
            details = {"name": text, "sources": [source]}
            await chats.add_message(entry, session, author="customer", content=text, details={"attachments": [file]})
            await chats.add_message(entry, session, author="agent", content=text, details=details)
    ticket = await ticket_of(ada, "Invoice", "How do I pay an invoice?", draft=True)
    text, many = "\n\n".join(HOSTILE), list(HOSTILE)
    article = await product.http.post(
        "/api/v1/kb/articles", json={"title": SCRIPTS[1], "body": text}, headers=await ada.headers()
    )
    assert article.status_code == 201, article.text
    findings = {"asked": text, "tried": text, "intent": text, "open": many, "sources": many}
    lesson = {"id": "", "similarity": 0.9, "subject": text, "wrong": text, "reply": text, "notes": text}
    warnings = {"corrections": [lesson], "withheld": [{"text": text, "reason": text}], "open_questions": many}
    changes: tuple[tuple[str, dict[str, Any]], ...] = (
        ("customers", {"name": SCRIPTS[0]}),
        ("handoffs", {"summary": text, "findings": json.dumps(findings)}),
        ("tickets", {"subject": SCRIPTS[0], "content": text}),
        ("drafts", {"content": text, "marked": f"{text} [1]", "warnings": json.dumps(warnings)}),
        ("kb_references", {"title": text, "quoted": text}),
    )
    async with product.owner.connection(tenant.id) as connection:
        for table, values in changes:
            columns = ", ".join(f"{name} = %s" for name in values)
            await connection.execute(
                f"update {table} set {columns} where tenant_id = %s", (*values.values(), tenant.id)
            )
    return visitor.session_id, ticket["id"], article.json()["id"]


class TestAccessibility:
    async def test_no_view_has_a_violation(self, hire: Hire) -> None:
        """WCAG 2.2 AA, as far as a machine can tell: light on a desk, dark on a phone."""
        ada = await hire()
        await customer(ada, QUESTION)
        ticket = await ticket_of(ada, "Invoice", "How do I pay an invoice?", draft=True)
        await ada.open()
        found = {"sign-in": await violations(ada)}
        await ada.sign_in()
        await ada.find(".rows a").locator("visible=true").first.click()
        await expect(ada.find(".message.customer").first).to_be_visible()
        found["inbox"] = await violations(ada)
        for look in ("light", "dark"):
            if look == "dark":
                await ada.page.emulate_media(color_scheme="dark")
                await ada.page.set_viewport_size({"width": 390, "height": 844})
            for place, shown in (
                ("inbox", ".list .rows"), (f"tickets/{ticket['id']}", ".draft .sure"), ("overview", ".tiles"),
                ("knowledge", ".list .rows a"), ("prompts", ".list .rows a"), ("playground", ".page h2"),
                (f"team/{ada.user.id}", ".detail .head"),
            ):  # fmt: skip
                await ada.go(place)
                await expect(ada.find(shown).locator("visible=true").first).to_be_visible()
                if look == "light":
                    found[place] = await violations(ada)
                elif not place.startswith(("knowledge", "prompts", "playground", "team")):  # of the same parts
                    found[f"{place}, dark"] = await violations(ada, CONTRAST)
                await ada.shot(f"{place.split('/')[0]}-{look}")
                fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
                assert await ada.page.evaluate(fits), place
        above = "document.querySelector('.me').getBoundingClientRect().bottom"
        assert await ada.page.evaluate(f"{above} <= document.querySelector('nav').getBoundingClientRect().top + 1")
        assert {view: one for view, one in found.items() if one} == {}
        assert ada.ran == []


async def violations(ada: Colleague, rules: dict[str, Any] = RULES) -> list[Any]:
    if not await ada.page.evaluate("'axe' in window"):
        await ada.page.evaluate(AXE)
    found = await ada.page.evaluate("(rules) => axe.run(document, rules)", rules)
    return [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found["violations"]]
