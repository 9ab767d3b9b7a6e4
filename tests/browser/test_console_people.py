"""The console where it is about colleagues: one's own account, the team, and who gets a ticket."""

import asyncio
import re
import secrets
from uuid import UUID

from playwright.async_api import expect

from memory.models import new_id
from memory.tenancy import Role
from tests.browser.console_desk import Hire, customer
from tests.product import PASSWORD


class TestAccount:
    async def test_signing_out_ends_the_token_and_a_new_password_every_other_sign_in(self, hire: Hire) -> None:
        ada = await hire()
        sent: list[str] = []
        ada.page.on("request", lambda request: sent.append(request.headers.get("authorization", "")))
        await ada.begin()
        elsewhere = await ada.headers()
        await ada.button("Account").click()
        dialog = ada.find("dialog.ask")
        fields = ("Current password", "New password", "New password, once more")
        newer = f"{PASSWORD}, and newer"
        for given, said in (
            (("not the password", newer, newer), "The current password is wrong."),
            ((PASSWORD, newer, PASSWORD), "The two new passwords are not the same."),
        ):
            for label, value in zip(fields, given, strict=True):
                await dialog.get_by_label(label, exact=True).fill(value)
            await ada.button("Change the password").click()
            await expect(dialog.get_by_role("alert")).to_have_text(said)
        await ada.shot("account")
        await dialog.get_by_label(fields[2], exact=True).fill(newer)
        await ada.button("Change the password").click()
        await expect(ada.find(".room > .notice")).to_have_text("Your password is changed.")
        me = "/api/v1/auth/me"
        assert (await ada.product.http.get(me, headers=elsewhere)).status_code == 401
        await ada.look_again()
        await expect(ada.find(".signin")).to_be_hidden()
        await ada.button("Sign out").click()
        await ada.sign_in()
        await expect(ada.find(".signin [role=alert]")).to_have_text("The address or the password is wrong.")
        last = {"Authorization": [header for header in sent if header][-1]}
        async with asyncio.timeout(10):
            while (await ada.product.http.get(me, headers=last)).status_code != 401:
                await asyncio.sleep(0.05)
        await ada.sign_in(newer)
        await ada.button("Account").click()
        await ada.button("Sign out everywhere").click()
        await expect(ada.find(".signin")).to_be_visible()
        await expect(ada.find(".shell, dialog.ask")).to_have_count(0)
        last = {"Authorization": [header for header in sent if header][-1]}
        assert (await ada.product.http.get(me, headers=last)).status_code == 401
        assert ada.ran == []


class TestMoves:
    async def test_a_ticket_is_handed_over_escalated_and_merged(self, hire: Hire) -> None:
        ada = await hire()
        ben = await hire(ada.tenant, Role.AGENT, "Ben")
        visitor = await ada.product.visitor(ada.tenant)
        bodies = [{"subject": f"Matter {n}", "content": "x"} for n in (1, 2)]
        opened = [await ada.product.http.post("/api/v1/tickets", json=body, headers=visitor.headers) for body in bodies]
        kept, ticket = [each.json() for each in opened]
        await ada.begin(f"#/tickets/{ticket['id']}")
        detail, dialog = ada.find(".ticket"), ada.find("dialog.ask")
        await ada.button("Hand to…").click()
        await dialog.get_by_label("Colleague").select_option(str(ben.user.id))
        await ada.button("Hand it over").click()
        await expect(detail.locator(".facts")).to_contain_text("Ben")
        await ada.button("Escalate…").click()
        await dialog.get_by_role("button", name="Escalate").click()
        await expect(dialog.get_by_role("alert")).to_have_text("Reason: please write something.")
        await dialog.get_by_label("Reason").fill("Needs somebody who knows DNS")
        await ada.shot("escalate")
        await dialog.get_by_role("button", name="Escalate").click()
        await expect(detail.locator(".facts")).to_contain_text("Tier")
        await ada.button("Merge…").click()
        await expect(dialog.locator("option")).to_have_text([f"#{kept['number']} Matter 1 (Open)"])
        await dialog.get_by_role("button", name="Merge").click()
        await expect(detail).to_contain_text("This ticket was merged into another")
        await expect(ada.button("Merge…")).to_have_count(0)
        await ada.shot("merged")
        [row] = await ada.product.rows(
            ada.tenant, "select tier, status, merged_into from tickets where id = %s", UUID(ticket["id"])
        )
        assert (row["tier"], row["status"], row["merged_into"]) == (1, "closed", UUID(kept["id"]))
        assert ada.ran == []

    async def test_a_long_history_shows_its_end_and_what_came_before_on_request(self, hire: Hire) -> None:
        ada = await hire()
        visitor = await customer(ada, "How do I pay an invoice?")
        [ticket] = await ada.product.rows(ada.tenant, "select id, number from tickets")
        async with ada.product.owner.connection(ada.tenant.id) as connection:
            await connection.execute("update customers set name = 'Grace', email = 'grace@example.com'")
            await connection.execute(MANY_NOTES, {"ticket": ticket["id"], "ids": sorted(new_id() for _ in range(140))})
        await ada.begin("#/tickets/all")
        await expect(ada.find(".rows a").locator("visible=true").first).to_contain_text("Grace")
        await ada.go(f"tickets/{ticket['id']}")
        notes, earlier = ada.find(".note-message"), ada.button("Show what came before")
        await expect(notes).to_have_count(100)
        await expect(notes.last).to_contain_text("note 140.")
        await expect(ada.find(".facts").first).to_contain_text("Grace grace@example.com (address not verified)")
        await earlier.click()
        await expect(notes).to_have_count(140)
        await expect(earlier).to_have_count(0)
        await expect(notes.first).to_contain_text("note 1.")
        reply = {"message": "And one more thing"}
        told = await ada.product.http.post(f"/api/v1/tickets/{ticket['id']}/reply", json=reply, headers=visitor.headers)
        assert told.status_code == 201, told.text
        await ada.look_again()
        await expect(ada.find(".message.customer").last).to_contain_text("And one more thing")
        await expect(ada.find(".unseen[role=status]")).to_have_text("Grace: And one more thing")
        await ada.find(".facts a", has_text="Waits in the inbox").click()
        await expect(ada.find(".handoff h2")).to_have_text("Grace")
        assert ada.ran == []


MANY_NOTES = """
insert into ticket_events (id, tenant_id, ticket_id, type, actor, internal, data)
select e.id, tenant_id, t.id, 'note', 'agent', true, jsonb_build_object('text', 'note ' || n || '.')
from tickets t cross join unnest(%(ids)s::uuid[]) with ordinality e(id, n) where t.id = %(ticket)s
"""


class TestTeam:
    async def test_a_colleague_is_added_signs_in_gets_another_password_and_is_let_out(self, hire: Hire) -> None:
        ada = await hire()
        await ada.begin("#/team")
        await ada.button("Add a colleague…").click()
        dialog = ada.find("dialog.ask")
        add = dialog.get_by_role("button", name="Add", exact=True)
        address = f"{secrets.token_hex(6)}@example.com"
        given = await dialog.get_by_label("Password").input_value()
        await dialog.get_by_label("E-mail address").fill(ada.user.email)
        await dialog.get_by_label("Name").fill("Ben")
        await add.click()
        await expect(dialog.get_by_role("alert")).to_have_text("This address is taken.")
        await dialog.get_by_label("E-mail address").fill(address)
        await ada.shot("team-add")
        await add.click()
        await expect(ada.find(".detail h2")).to_have_text("Ben")
        await expect(ada.find(".rows a[aria-current]")).to_contain_text(address)
        ben = await ada.product.sign_in(address, password=given)

        detail = ada.find(".detail")
        await detail.get_by_label("Role").select_option("admin")
        await detail.get_by_label("Teams", exact=True).fill("Billing!")
        await ada.button("Save").click()
        await expect(detail.get_by_role("alert")).to_have_text("A team has a name of small letters, digits, - and _.")
        await detail.get_by_label("Teams", exact=True).fill("billing, dns")
        await ada.button("Save").click()
        await expect(detail.locator(".notice")).to_have_text("Saved.")
        await expect(ada.find(".rows a[aria-current]")).to_contain_text("dns")
        await ada.shot("team")
        me = "/api/v1/auth/me"
        assert (await ada.product.http.get(me, headers=ben)).status_code == 401  # with another role
        ben = await ada.product.sign_in(address, password=given)

        await ada.button("New password…").click()
        again = await dialog.get_by_label("Password").input_value()
        assert re.fullmatch(r"(\w{4}-){3}\w{4}", again)
        assert again != given
        await ada.button("Give it").click()
        await expect(detail.locator(".notice")).to_have_text("The new password holds.")
        assert (await ada.product.http.get(me, headers=ben)).status_code == 401
        ben = await ada.product.sign_in(address, password=again)
        user = (await ada.product.http.get(me, headers=ben)).json()["user"]
        assert (user["role"], user["teams"]) == ("admin", ["billing", "dns"])

        await ada.button("Close the account…").click()
        await ada.button("Close it").click()
        await expect(detail.locator(".badge")).to_have_text("Closed")
        assert (await ada.product.http.get(me, headers=ben)).status_code == 401
        await ada.button("Let in again").click()
        await expect(detail.locator(".badge")).to_have_count(0)
        await ada.product.sign_in(address, password=again)
        assert ada.ran == []

    async def test_one_can_not_take_ones_own_rights_and_the_name_is_changed_everywhere(self, hire: Hire) -> None:
        ada = await hire()
        eve = await hire(ada.tenant, Role.CUSTOMER, "Eve, who asks")
        await ada.begin(f"#/team/{ada.user.id}")
        await expect(ada.find(".detail h2")).to_have_text("Ada")
        await expect(ada.find(".detail").get_by_label("Role")).to_have_count(0)
        await expect(ada.button("Close the account…")).to_have_count(0)
        await ada.find(".detail").get_by_label("Name").fill("Ada L.")
        await ada.find(".detail").get_by_label("On duty").uncheck()
        await ada.button("Save").click()
        await expect(ada.find(".whoami")).to_contain_text("Ada L.")
        await expect(ada.page.get_by_role("switch", name="On duty")).not_to_be_checked()
        await expect(ada.find(".rows a")).to_have_count(1)  # customers have accounts, too, and are none of the team
        ben = await (await hire(ada.tenant, Role.AGENT, "Ben")).begin("#/team")
        await expect(ben.find("nav")).not_to_contain_text("Team")
        await expect(ben.find(".split").locator("visible=true")).to_contain_text("Inbox")
        assert eve.ran == ada.ran == ben.ran == []
