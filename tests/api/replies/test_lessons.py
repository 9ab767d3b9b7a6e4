"""Examples and corrections in an admin's hands: what is changed is what is searched, soon after."""

import secrets
from typing import Any

import pytest

from agent.drafts.composing import compose
from agent.drafts.shapes import ComposedDraft, DraftRequest
from kbs.articles.reindex import reindex
from memory.models import Tenant
from memory.tenancy import Role
from tests.knowledge_desk import written
from tests.product import Product
from tests.reply_desk import approved, drafted, taught, work
from tests.ticket_desk import Headers, opened

ISSUE = "My mailbox is full and no mail comes in."


async def call(product: Product, method: str, path: str, who: Headers, wanted: int = 200, /, **body: Any) -> Any:
    answer = await product.http.request(method, f"/api/v1/{path}", headers=who, json=body or None)
    assert answer.status_code == wanted, answer.text
    return answer.json() if answer.content else None


async def draft_of(product: Product, tenant: Tenant, words: str = ISSUE) -> ComposedDraft:
    await work(product, tenant)
    return await compose(product.resources, DraftRequest(tenant_id=tenant.id, subject="Mailbox full", content=words))


@pytest.fixture
async def example(product: Product, tenant: Tenant) -> str:
    word = secrets.token_hex(4)
    subject = f"Mailbox full {word}"  # near the tickets' subject: a bare word would be the same matter only at times
    return str(
        await taught(product, tenant, "example", subject=subject, issue=ISSUE, reply=f"Please empty shelf {word}.")
    )


async def word_of(product: Product, admin: Headers, example: str) -> str:
    subject: str = (await call(product, "GET", f"examples/{example}", admin))["subject"]
    return subject.split()[-1]


class TestReading:
    async def test_lists_are_by_kind_newest_first_in_pages(self, product: Product) -> None:
        tenant = await product.tenant()
        agent = await product.staff(tenant, Role.AGENT)
        made = [str(await taught(product, tenant, "example", subject=f"Mail {n}")) for n in range(3)]
        other = str(await taught(product, tenant, "correction", wrong="Wait.", notes="No."))
        page = await call(product, "GET", "examples?limit=2", agent)
        assert [item["id"] for item in page["items"]] == made[:0:-1]
        page = await call(product, "GET", f"examples?limit=2&cursor={page['next_cursor']}", agent)
        assert [item["id"] for item in page["items"]] == made[:1]
        assert [item["id"] for item in (await call(product, "GET", "examples?q=mail 1", agent))["items"]] == [made[1]]
        [correction] = (await call(product, "GET", "corrections", agent))["items"]
        assert (correction["id"], correction["wrong"], correction["indexed"]) == (other, "Wait.", False)
        await call(product, "GET", f"examples/{other}", agent, 404)


class TestChanging:
    async def test_an_edit_is_redacted_and_searched(
        self, product: Product, tenant: Tenant, admin: Headers, example: str
    ) -> None:
        before = await call(product, "GET", f"examples/{example}", admin)
        found = await call(
            product, "PATCH", f"examples/{example}", admin,
            reply="Please empty the blue shelf and write to ada@mail.example.", version=before["version"],
        )  # fmt: skip
        assert found["reply"] == "Please empty the blue shelf and write to [removed: email address]."
        assert found["text"].endswith(found["reply"])
        assert (found["version"], found["indexed"]) == (2, False)
        draft = await draft_of(product, tenant)
        assert "blue shelf" in draft.text
        assert draft.warnings.placeholders == ("[removed: email address]",)
        assert (await call(product, "GET", f"examples/{example}", admin))["indexed"] is True
        stale = await call(product, "PATCH", f"examples/{example}", admin, 409, reply="Older.", version=1)
        assert "version is 2" in stale["detail"]
        audited = await product.rows(tenant, "select changes from audit_log where object_id = %s", example)
        assert [row["changes"] for row in audited] == [{"reply": "changed"}]
        await call(product, "DELETE", f"examples/{example}", admin, 204)

    async def test_what_is_taken_out_of_training_is_found_no_more_and_can_come_back(
        self, product: Product, tenant: Tenant, admin: Headers, example: str
    ) -> None:
        word = await word_of(product, admin, example)
        assert f"shelf {word}" in (await draft_of(product, tenant)).text
        await call(product, "DELETE", f"examples/{example}", admin, 204)
        await call(product, "DELETE", f"examples/{example}", admin, 204)
        draft = await draft_of(product, tenant)
        assert (word in draft.text, [near.lesson.id for near in draft.lessons]) == (False, [])
        left = await product.rows(
            tenant, "select 1 from passages where tenant_id = %s and ref = %s", tenant.id, example
        )
        assert left == []
        back = await call(product, "PATCH", f"examples/{example}", admin, status="active")
        assert back["version"] == 3
        assert f"shelf {word}" in (await draft_of(product, tenant)).text
        await call(product, "DELETE", f"examples/{example}", admin, 204)

    async def test_an_example_becomes_a_correction_and_the_other_way_round(
        self, product: Product, tenant: Tenant, admin: Headers, example: str
    ) -> None:
        word = await word_of(product, admin, example)
        await call(product, "POST", f"examples/{example}/convert", admin, 422, reply=f"Please empty shelf {word}.")
        turned = await call(
            product,
            "POST",
            f"examples/{example}/convert",
            admin,
            reply="Please raise the quota first.",
            notes="Kinder.",
        )
        assert (turned["wrong"], turned["notes"]) == (f"Please empty shelf {word}.", "Kinder.")
        await call(product, "GET", f"examples/{example}", admin, 404)
        draft = await draft_of(product, tenant)
        assert ("raise the quota" in draft.text, word in draft.text) == (True, False)
        assert [str(near.lesson.id) for near in draft.warnings.corrections] == [example]
        rows = await product.rows(
            tenant, "select source from passages where tenant_id = %s and ref = %s", tenant.id, example
        )
        assert {row["source"] for row in rows} == {"correction"}
        await call(product, "PATCH", f"corrections/{example}", admin, wrong="Something else.")
        await call(product, "POST", f"corrections/{example}/convert", admin, version=3)
        found = await call(product, "GET", f"examples/{example}", admin)
        assert (found["reply"], found["text"].count("INCORRECT")) == ("Please raise the quota first.", 0)
        draft = await draft_of(product, tenant)
        assert (draft.warnings.corrections, "raise the quota" in draft.text) == ((), True)
        await call(product, "PATCH", f"examples/{example}", admin, 422, notes="x")
        await call(product, "DELETE", f"examples/{example}", admin, 204)

    async def test_a_rebuild_brings_back_what_the_index_lost(
        self, product: Product, tenant: Tenant, admin: Headers, example: str
    ) -> None:
        await work(product, tenant)
        await product.rows(
            tenant, "delete from passages where tenant_id = %s and ref = %s returning 1", tenant.id, example
        )
        assert (await draft_of(product, tenant)).lessons == ()
        assert (await call(product, "POST", "examples/rebuild", admin, 202))["queued"] >= 1
        assert [str(near.lesson.id) for near in (await draft_of(product, tenant)).lessons] == [example]
        await call(product, "DELETE", f"examples/{example}", admin, 204)


class TestLearning:
    async def test_nothing_that_belongs_to_the_customer_is_kept(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        customer = await product.visitor(tenant)
        await product.rows(
            tenant, "update customers set name = 'Zebulon Quist' where id = (select customer_id from chat_sessions"
            " where id = %s) returning 1", customer.session_id,
        )  # fmt: skip
        told = (
            "I am Zebulon Quist, quist@mail.example, +44 20 7946 0958, 203.0.113.77; my password is Tr0ub4dor&3 and my "
            "card 4111 1111 1111 1111."
        )
        ticket = await opened(product, customer.headers, "Quist cannot log in", content=told)
        draft = await drafted(product, admin, ticket)
        assert draft["content"].startswith("Hello Zebulon Quist,")
        await approved(
            product, admin, draft, content=f"Dear Zebulon,\n\n{told} Use quist@mail.example.", edit_notes="Quist!"
        )
        [row] = await product.rows(tenant, "select * from learned_replies where ticket_id = %s", ticket["id"])
        await work(product, tenant)
        passages = await product.rows(
            tenant, "select title, text from passages where tenant_id = %s and ref = %s", tenant.id, str(row["id"])
        )
        assert passages
        kept = " ".join(value for found in (row, *passages) for value in found.values() if isinstance(value, str))
        for secret in ("Quist", "Zebulon", "quist@", "7946", "203.0.113", "Tr0ub4dor", "4111"):
            assert secret not in kept, secret
        assert row["customer_id"] is not None
        await call(product, "DELETE", f"corrections/{row['id']}", admin, 204)


PUBLIC = "Forward it to abuse@acme.example, call +44 20 7946 0958, or point the A record to 192.0.2.10."


class TestWhatIsPublic:
    """A team's own addresses and numbers are the answer, and no personal data."""

    async def test_a_reply_with_the_teams_own_contacts_is_used_again_round_after_round(self, product: Product) -> None:
        tenant = await product.tenant(public_contacts=["staff-mail.example"])
        admin = await product.staff(tenant, Role.ADMIN)
        await written(product, admin, "Reach us", PUBLIC.replace("+44 20", "+44 (0)20"))
        await written(product, admin, "Instructors reach us", "The gateway is 203.0.113.77.", audience=["instructor"])
        content = f"{PUBLIC} Or team@staff-mail.example helps; not ada@mail.example, not 203.0.113.77."
        customer = await product.visitor(tenant)
        for wanted in ("correction", "example", "example"):
            ticket = await opened(
                product, customer.headers, "Spam in my name", content="Who takes reports of spam mails?"
            )
            draft = await drafted(product, admin, ticket)
            marks = draft["warnings"].get("placeholders", [])
            assert marks == ([] if wanted == "correction" else ["[removed: email address]", "[removed: ip address]"])
            await approved(product, admin, draft, content=f"Hello,\n\n{content}\n\nKind regards")
            await work(product, tenant)
            [row] = await product.rows(
                tenant, "select kind, reply from learned_replies where ticket_id = %s", ticket["id"]
            )
            assert row["kind"] == wanted
            assert f"{PUBLIC} Or team@staff-mail.example helps; not [removed" in row["reply"]
            assert "ada@" not in row["reply"]
            assert "203.0.113.77" not in row["reply"]  # an article for some says it, and a lesson is for all

    async def test_an_admins_edit_keeps_what_the_settings_name_and_no_address_of_a_customer(
        self, product: Product, tenant: Tenant, admin: Headers, example: str
    ) -> None:
        customer = await product.visitor(tenant)
        await product.rows(
            tenant, "update customers set email = 'Zoe@own.example' where id = (select customer_id from chat_sessions"
            " where id = %s) returning 1", customer.session_id,
        )  # fmt: skip
        reply = "Write to help@own.example, zoe@own.example or help@other.example, or call 0800 123 4567."
        await call(product, "PATCH", "settings", admin, 422, public_contacts=["gmail.com"])
        await call(product, "PATCH", "settings", admin, public_contacts=["own.example", "0800 123 4567"])
        changed = await call(product, "PATCH", f"examples/{example}", admin, reply=reply)
        gone = "[removed: email address]"
        assert changed["reply"] == reply.replace("zoe@own.example", gone).replace("help@other.example", gone)
        turned = await call(
            product, "POST", f"examples/{example}/convert", admin, reply="Call 0800 123 4567.", notes=reply
        )
        assert (turned["reply"], turned["notes"]) == ("Call 0800 123 4567.", changed["reply"])
        await call(product, "DELETE", f"corrections/{example}", admin, 204)


class TestReindexing:
    async def test_a_whole_rebuild_keeps_the_lessons_at_their_version(
        self, product: Product, tenant: Tenant, admin: Headers, example: str
    ) -> None:
        await call(product, "PATCH", f"examples/{example}", admin, reply="Please empty the green shelf.")
        await work(product, tenant)
        await product.rows(
            tenant, "delete from passages where tenant_id = %s and ref = %s returning 1", tenant.id, example
        )
        resources = product.resources
        await reindex(resources.knowledge, resources.index, resources.embedder, tenant_id=tenant.id)
        rows = await product.rows(
            tenant, "select version, text from passages where tenant_id = %s and ref = %s", tenant.id, example
        )
        assert {row["version"] for row in rows} == {2}
        assert "green shelf" in (await draft_of(product, tenant)).text
        await call(product, "DELETE", f"examples/{example}", admin, 204)
        await reindex(resources.knowledge, resources.index, resources.embedder, tenant_id=tenant.id)
        rows = await product.rows(
            tenant, "select 1 from passages where tenant_id = %s and ref = %s", tenant.id, example
        )
        assert rows == []
