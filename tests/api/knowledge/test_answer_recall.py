"""When an article changes: what relied on it, and of that only what quoted something that is gone."""

import random
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from memory.models import (
    ApprovedReply,
    ChatMessage,
    ChatSession,
    Customer,
    Draft,
    LearnedReply,
    Reference,
    Tenant,
    Ticket,
    new_id,
)
from memory.tenancy import Role
from tests.knowledge_desk import Headers, Json, call, written
from tests.product import Product
from tools.articles.reliance import Text

BODY = """# Refunds

A refund takes thirty days. It goes to the card that paid.

## Domains

Domains are not refunded. A transfer is not either.
"""


async def passages(product: Product, tenant: Tenant, ref: str) -> list[dict[str, Any]]:
    return await product.rows(
        tenant, "select text, digest, version, article_id from passages where tenant_id = %s and ref = %s order by ordinal",
        tenant.id, ref,
    )  # fmt: skip


def quoting(passage: dict[str, Any], **of: UUID) -> Reference:
    return Reference(
        **of, article_id=passage["article_id"], ref="x", title="x", version=passage["version"],
        passage_digest=passage["digest"], quoted=passage["text"], rank=1, score=1.0, source="tenant_kb",
    )  # fmt: skip


@dataclass
class Conversation:
    """A session of a customer, with a ticket, in which things are said."""

    product: Product
    tenant: Tenant
    session_id: UUID
    ticket_id: UUID

    @classmethod
    async def begin(cls, product: Product, tenant: Tenant) -> "Conversation":
        customer = Customer()
        session = ChatSession(customer_id=customer.id)
        ticket = Ticket(customer_id=customer.id, number=1, subject="-")
        async with product.resources.database.transaction(tenant.id) as transaction:
            for row in (customer, session, ticket):
                transaction.add(row)
                await transaction.flush()
        return cls(product, tenant, session.id, ticket.id)

    async def said(self, answers: list[tuple[str, list[dict[str, Any]]]]) -> list[str]:
        """Answers of the bot with what they quoted; their ids."""
        messages = [
            ChatMessage(session_id=self.session_id, n=n, author="bot", content=text)
            for n, (text, _) in enumerate(answers, 1)
        ]
        async with self.product.resources.database.transaction(self.tenant.id) as transaction:
            transaction.add_all(messages)
            await transaction.flush()
            for message, (_, quotes) in zip(messages, answers, strict=True):
                transaction.add_all(quoting(passage, message_id=message.id) for passage in quotes)
        return [str(message.id) for message in messages]

    async def drafted(self, passage: dict[str, Any], status: str) -> Draft:
        draft = Draft(ticket_id=self.ticket_id, status=status, content="The draft.")
        async with self.product.resources.database.transaction(self.tenant.id) as transaction:
            transaction.add(draft)
            await transaction.flush()
            transaction.add(quoting(passage, draft_id=draft.id))
        return draft

    async def approved(self, draft: Draft, sending: str, learned: str | None = None) -> tuple[UUID, UUID | None]:
        reply = ApprovedReply(
            draft_id=draft.id, ticket_id=self.ticket_id, approved_by=new_id(), content="The reply.", similarity=1.0,
            sending=sending,
        )  # fmt: skip
        taught = LearnedReply(kind=learned or "example", title="-", approved_reply_id=reply.id, reply="The reply.")
        async with self.product.resources.database.transaction(self.tenant.id) as transaction:
            transaction.add(reply)
            await transaction.flush()
            if learned:
                transaction.add(taught)
        return reply.id, taught.id if learned else None


async def relied(product: Product, who: Headers, article: Json, **filters: Any) -> Json:
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    told: Json = await call(product, "GET", f"/articles/{article['id']}/relied-on?{query}", who)
    return told


class TestWhoIsListed:
    async def test_everything_that_quoted_what_is_gone(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        article = await written(product, admin, "Refunds", BODY, ref="refunds")
        refunds, domains = await passages(product, tenant, "refunds")
        talk = await Conversation.begin(product, tenant)
        affected, fine = await talk.said([("It takes thirty days.", [refunds, domains]), ("Not refunded.", [domains])])
        pending = await talk.drafted(refunds, "pending")
        sent, example = await talk.approved(await talk.drafted(refunds, "approved"), "sent", "example")
        unknown, correction = await talk.approved(await talk.drafted(refunds, "approved"), "unknown", "correction")
        await talk.approved(await talk.drafted(refunds, "approved"), "failed")
        for status in ("rejected", "superseded"):
            await talk.drafted(refunds, status)

        assert (await relied(product, admin, article))["items"] == []
        await call(product, "PATCH", f"/articles/{article['id']}", admin, body=BODY.replace("thirty", "forty"))
        assert (await relied(product, admin, article))["items"] == []  # what waits has changed nothing yet
        await call(product, "POST", f"/articles/{article['id']}/publish", admin)
        told = await relied(product, admin, article)
        assert {(item["kind"], item["id"], item["state"]) for item in told["items"]} == {
            ("answer", affected, "sent"), ("draft", str(pending.id), "open"), ("ticket_reply", str(sent), "sent"),
            ("ticket_reply", str(unknown), "unknown"), ("example", str(example), "active"),
            ("correction", str(correction), "active"),
        }  # fmt: skip
        [answer] = [item for item in told["items"] if item["kind"] == "answer"]
        assert answer["quotes"] == [refunds["text"]]
        assert told["counts"]["answer"] == {"affected": 1, "all": 2}
        everything = await relied(product, admin, article, unaffected="true", kind="answer")
        assert {(item["id"], item["affected"]) for item in everything["items"]} == {(affected, True), (fine, False)}

    async def test_the_sentences_that_the_answer_says_are_named(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        article = await written(product, admin, "Refunds", BODY, ref="refunds")
        [refunds, _] = await passages(product, tenant, "refunds")
        talk = await Conversation.begin(product, tenant)
        await talk.said(
            [("Sure! **A refund takes thirty days.**", [refunds]), ("It goes to the card that paid.", [refunds])]
        )
        body = BODY.replace("thirty", "forty")
        await call(product, "PATCH", f"/articles/{article['id']}", admin, body=body, publish=True)
        items = (await relied(product, admin, article))["items"]
        assert {item["text"]: item["says"] for item in items} == {
            "Sure! **A refund takes thirty days.**": ["A refund takes thirty days."], "It goes to the card that paid.": [],
        }  # fmt: skip

    async def test_only_since_a_version(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        article = await written(product, admin, "Refunds", BODY, ref="refunds")
        talk = await Conversation.begin(product, tenant)
        quotes = [(await passages(product, tenant, "refunds"))[0]]
        for number in ("forty", "fifty"):
            body = BODY.replace("thirty", number)
            await call(product, "PATCH", f"/articles/{article['id']}", admin, body=body, publish=True)
            quotes.append((await passages(product, tenant, "refunds"))[0])
        first, second, third = await talk.said([("Said.", [quote]) for quote in quotes])
        await call(product, "POST", f"/articles/{article['id']}/withdraw", admin)
        for since, wanted in ((1, [third, second, first]), (2, [third, second]), (3, [third]), (4, [])):
            told = await relied(product, admin, article, since_version=since)
            assert [item["id"] for item in told["items"]] == wanted
            assert told["standing"] == "withdrawn"
        page = await relied(product, admin, article, limit=2)
        rest = await relied(product, admin, article, limit=2, cursor=page["next_cursor"])
        assert [item["id"] for item in page["items"] + rest["items"]] == [third, second, first]

    async def test_what_is_replaced_or_expired_proves_nothing(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        article = await written(product, admin, "Refunds", BODY, ref="refunds")
        talk = await Conversation.begin(product, tenant)
        await talk.said([("Said.", [(await passages(product, tenant, "refunds"))[0]])])
        newer = await written(product, admin, "New", "Another matter.", supersedes=["refunds"])
        assert [(await relied(product, admin, article))[name] for name in ("standing", "counts")] == [
            "replaced", {"answer": {"affected": 1, "all": 1}},
        ]  # fmt: skip
        await call(product, "DELETE", f"/articles/{newer['id']}", admin, 204)
        assert (await relied(product, admin, article))["items"] == []
        past = "2020-01-01T00:00:00Z"
        await call(product, "PATCH", f"/articles/{article['id']}", admin, effective_until=past, publish=True)
        assert (await relied(product, admin, article))["standing"] == "expired"

    async def test_a_real_answer_is_found_and_another_tenant_sees_none(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        article = await written(product, admin, "Kiwi coupons", "A kiwi coupon is worth eleven euros at the desk.")
        visitor = await product.visitor(tenant)
        answer = await visitor.ask("What is a kiwi coupon worth?")
        await call(product, "POST", f"/articles/{article['id']}/withdraw", admin)
        [item] = (await relied(product, admin, article))["items"]
        assert (item["id"], item["session_id"]) == (answer["message_id"], visitor.session_id)
        assert item["says"] == ["A kiwi coupon is worth eleven euros at the desk."]
        stranger = await product.staff(await product.tenant(), Role.ADMIN)
        await call(product, "GET", f"/articles/{article['id']}/relied-on", stranger, 404)


class TestQuotes:
    @pytest.mark.parametrize(
        ("now", "stands"),
        [
            ("A refund takes thirty days.", True),
            ("# Other\n\nNew first.\n\nA refund\ntakes **thirty** days. And more.", True),
            ("* a refund takes thirty days", True),
            ("A refund takes forty days.", False),
            ("A refund takes thirty-one days.", False),
            ("A refund takes thirty business days.", False),
            ("A refund never takes thirty days.", False),
            ("Thirty days a refund takes.", False),
            ("", False),
        ],
    )
    def test_words_in_order(self, now: str, stands: bool) -> None:
        assert Text(now).has("A refund takes thirty days.") is stands

    def test_a_percent_is_not_a_euro(self) -> None:
        assert not Text("It costs 5 €.").has("It costs 5 %.")

    def test_a_part_of_a_table_stands_below_its_header(self) -> None:
        table = "| Plan | Price |\n| --- | --- |\n| A | 1 |\n| B | 2 |\n| C | 3 |"
        part = "| Plan | Price |\n| --- | --- |\n| B | 2 |\n| C | 3 |"
        assert Text(table).has(part)
        assert not Text(table.replace("| 2 |", "| 4 |")).has(part)
        assert not Text(table.replace("Price", "Users")).has(part)

    def test_code_is_compared_without_its_fence(self) -> None:
        assert Text("```bash\n# first\nls -l\nrm x\n```").has("```\nls -l\n```")
        assert Text("## Heading\n\n```\n# comment\nls\n```").has("```\n# comment\nls\n```")

    def test_a_heading_between_does_not_part_what_was_one_passage(self) -> None:
        assert Text("One.\n\n## New\n\nTwo.").has("One.\n\nTwo.")
        assert not Text("One.\n\nExcept.\n\nTwo.").has("One.\n\nTwo.")


WORDS = ["server", "mailbox", "invoice", "domain", "voucher", "backup", "folder", "router", "ticket", "plan", "quota",
         "zone", "record", "portal", "device", "renew", "cancel", "upload", "restore", "forward", "reset"]  # fmt: skip


class TestPlantedChanges:
    """Six articles, 360 answers, and every kind of edit; which sentences were changed is known."""

    async def test_precision_and_recall(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        rng = random.Random(7)
        talk = await Conversation.begin(product, tenant)
        articles, texts, answers, quoted = [], [], [], []
        for number in range(6):
            sections = [self.section(rng, f"{number}.{n}") for n in range(4)]
            texts.append(sections)
            articles.append(await written(product, admin, f"A{number}", self.markdown(sections), ref=f"a{number}"))
            cut = await passages(product, tenant, f"a{number}")
            for _ in range(60):
                chosen = rng.sample(cut, rng.choice((1, 1, 2)))
                answers.append(("Said.", chosen))
                quoted.append((number, chosen))
        ids = await talk.said(answers)
        listed: set[str] = set()
        wanted: set[str] = set()
        for number, (article, sections) in enumerate(zip(articles, texts, strict=True)):
            gone, edited = self.edited(rng, sections, number)
            await call(product, "PATCH", f"/articles/{article['id']}", admin, body=edited, publish=True)
            for message_id, (of, chosen) in zip(ids, quoted, strict=True):
                if of == number and any(sentence in passage["text"] for passage in chosen for sentence in gone):
                    wanted.add(message_id)
            listed |= {item["id"] for item in (await relied(product, admin, article, limit=100))["items"]}
        right = len(listed & wanted)
        assert len(wanted) > 40
        assert len(ids) - len(wanted) > 150
        assert right / len(listed) >= 0.95
        assert right / len(wanted) >= 0.90

    def section(self, rng: random.Random, name: str) -> list[str]:
        count = rng.choice((3, 5, 20))  # the last is cut into several passages
        return [f"Step {name}.{n} is to {' '.join(rng.sample(WORDS, 6))}." for n in range(count)]

    def markdown(self, sections: list[list[str]], *, heading: str = "Part", width: int = 3) -> str:
        parts = []
        for n, sentences in enumerate(sections):
            lines = [" ".join(sentences[at : at + width]) for at in range(0, len(sentences), width)]
            parts.append(f"## {heading} {n}\n\n" + "\n\n".join(lines))
        return "# Title\n\n" + "\n\n".join(parts)

    def edited(self, rng: random.Random, sections: list[list[str]], number: int) -> tuple[set[str], str]:
        """The article after an edit of one of six kinds, and the sentences that went with it."""
        one = rng.randrange(len(sections))
        changed = [list(sentences) for sentences in sections]
        match number:
            case 0:  # a number, a word
                victim = rng.choice(changed[one])
                changed[one][changed[one].index(victim)] = victim.replace("is to", "is not to")
                return {victim}, self.markdown(changed)
            case 1:  # a section goes
                return set(changed.pop(one)), self.markdown(changed)
            case 2:  # sections are ordered and headed anew, and one is added: no text changes
                rng.shuffle(changed)
                return set(), self.markdown([["Entirely new."], *changed], heading="Chapter")
            case 3:  # lines are broken elsewhere
                return set(), self.markdown(changed, width=5)
            case 4:  # sentences are cut out of the middle
                victim = changed[one].pop(len(changed[one]) // 2)
                return {victim}, self.markdown(changed)
            case _:  # much is changed, much is moved
                victims = {rng.choice(sentences) for sentences in changed[:3]}
                changed = [[s.replace("Step", "Stage") if s in victims else s for s in part] for part in changed]
                return victims, self.markdown(changed[::-1])
