"""What had no good answer, grouped by what it is about; and the article that is missing, drafted for a person."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np

from memory.models import (
    ApprovedReply,
    ChatMessage,
    ChatSession,
    Customer,
    Draft,
    Feedback,
    Handoff,
    Tenant,
    Ticket,
    TicketEvent,
    Turn,
    new_id,
)
from memory.tenancy import Principal, Role
from tests.knowledge_desk import Headers, Json, call, found
from tests.planted_questions import PLANTED, STRAYS
from tests.product import Product
from tools.gaps.clustering import Groups, assign, joined, unit
from tools.gaps.drafting import Material, draft_article, parted, set_in_order
from tools.gaps.looking import look

MIN_SIZE = 4


async def asked(
    product: Product, tenant: Tenant, *questions: str, outcome: str = "honest_no", ago: timedelta = timedelta(0),
    name: str = "",
) -> list[tuple[UUID, UUID, UUID]]:  # fmt: skip
    """Each question in a session of its own, and how it was answered; session, turn and answer of each."""
    rows: list[list[Any]] = [[], [], [], []]
    ids = []
    at = datetime.now(UTC) - ago
    for question in questions:
        customer = Customer(name=name)
        session = ChatSession(customer_id=customer.id)
        turn = Turn(session_id=session.id, status="completed")
        details = {"outcome": outcome, "language": "en"}
        answer = ChatMessage(session_id=session.id, n=2, author="bot", content="No.", turn_id=turn.id, details=details,
                             created_at=at)  # fmt: skip
        said = ChatMessage(
            session_id=session.id, n=1, author="customer", content=question, turn_id=turn.id, created_at=at
        )
        rows[0].append(customer)
        rows[1].append(session)
        rows[2].append(turn)
        rows[3] += [said, answer]
        ids.append((session.id, turn.id, answer.id))
    async with product.resources.database.transaction(tenant.id) as transaction:
        for table in rows:
            transaction.add_all(table)
            await transaction.flush()
    return ids


async def add(product: Product, tenant: Tenant, *rows: Any) -> None:
    async with product.resources.database.transaction(tenant.id) as transaction:
        for row in rows:
            transaction.add(row)
            await transaction.flush()


async def gaps(product: Product, who: Headers, **filters: Any) -> list[Json]:
    query = "&".join(f"{name}={value}" for name, value in {"min_size": 1, **filters}.items())
    items: list[Json] = (await call(product, "GET", f"/gaps?{query}", who))["items"]
    return items


class TestPlantedGaps:
    async def test_precision_and_recall(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        topics = {question: topic for topic, questions in PLANTED.items() for question in questions}
        questions = [*topics, *STRAYS]
        random.Random(3).shuffle(questions)
        for start in range(0, len(questions), 25):  # as they come in, look by look
            await asked(product, tenant, *questions[start : start + 25])
            await gaps(product, admin)
        rows = await product.rows(
            tenant, "select q.gap_id, m.content from kb_gap_questions q join chat_messages m on m.turn_id = q.turn_id"
            " and m.author = 'customer' where q.tenant_id = %s", tenant.id,
        )  # fmt: skip
        assert len(rows) == len(questions)
        groups: dict[UUID, list[str]] = {}
        for row in rows:
            groups.setdefault(row["gap_id"], []).append(topics.get(row["content"], "stray"))
        listed = await gaps(product, admin, min_size=MIN_SIZE)
        shown = [Counter(groups[UUID(gap["id"])]) for gap in listed]
        right = sum(counts.most_common(1)[0][1] for counts in shown if counts.most_common(1)[0][0] != "stray")
        assert sorted(counts.most_common(1)[0][0] for counts in shown) == sorted(PLANTED)  # each subject is one gap
        assert right / sum(counts.total() for counts in shown) >= 0.95
        assert right / len(topics) >= 0.90

    async def test_counts_examples_and_languages(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        [first, *_] = await asked(product, tenant, *PLANTED["datev"])
        [gap] = await gaps(product, admin)
        assert (gap["questions"], gap["sessions"], gap["no_answer"], gap["languages"]) == (8, 8, 8, ["en"])
        assert gap["title"] in PLANTED["datev"]
        assert set(gap["examples"]) <= set(PLANTED["datev"])
        await asked(product, tenant, PLANTED["datev"][0], ago=timedelta(days=40))
        assert [each["questions"] for each in await gaps(product, admin, days=30)] == [8]
        assert [each["questions"] for each in await gaps(product, admin, days=60)] == [9]
        assert await gaps(product, admin, language="de") == []
        async with product.owner.connection(tenant.id) as connection:
            await connection.execute("delete from chat_sessions where id = %s", (first[0],))
        assert [each["questions"] for each in await gaps(product, admin)] == [7]


class TestWhatCounts:
    async def test_four_ways_of_having_no_good_answer(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        [no] = await asked(product, tenant, PLANTED["printer"][0])
        [thumb] = await asked(product, tenant, PLANTED["printer"][1], outcome="answered")
        [handed] = await asked(product, tenant, PLANTED["printer"][2], outcome="escalated")
        await asked(product, tenant, PLANTED["printer"][3], outcome="clarified", ago=timedelta(hours=1))
        await asked(product, tenant, PLANTED["printer"][4], outcome="clarified")  # the answer may still come
        [settled] = await asked(product, tenant, PLANTED["printer"][5], outcome="clarified", ago=timedelta(hours=1))
        for other in ("answered", "smalltalk", "refused", "escalated", "model_failed"):
            await asked(product, tenant, PLANTED["printer"][6], outcome=other)
        await add(
            product, tenant, Feedback(session_id=thumb[0], message_id=thumb[2], kind="thumb", value=-1),
            Feedback(session_id=no[0], message_id=no[2], kind="thumb", value=1),
            Handoff(session_id=handed[0], turn_id=handed[1], reason="sensitive_unanswered"),
            ChatMessage(session_id=settled[0], n=3, author="bot", content="Yes.", details={"outcome": "answered"}),
        )  # fmt: skip
        [gap] = await gaps(product, admin)
        counts = {name: gap[name] for name in ("no_answer", "thumbs_down", "handed_over", "clarified", "questions")}
        assert counts == {"no_answer": 1, "thumbs_down": 1, "handed_over": 1, "clarified": 1, "questions": 4}

    async def test_a_real_question_without_an_answer(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        visitor = await product.visitor(tenant)
        await visitor.ask("Do you sell purple unicycles with pedals?")
        [gap] = await gaps(product, admin)
        assert gap["title"] == "Do you sell purple unicycles with pedals?"

    async def test_many_are_looked_through_in_parts_and_none_twice(self, product: Product, tenant: Tenant) -> None:
        await asked(product, tenant, *PLANTED["sepa"], " ", "\n", *PLANTED["solar"])
        database, embedder = product.resources.database, product.resources.embedder
        looks = [await look(database, embedder, tenant.id, most=5) for _ in range(6)]
        assert sum(looks) == 16
        assert looks[-1] == 0
        [row] = await product.rows(tenant, "select count(*) as n from kb_gap_questions where tenant_id = %s", tenant.id)
        assert row["n"] == 16

    async def test_a_job_looks_at_every_tenant_and_queues_what_lost_its_process(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        await asked(product, tenant, *PLANTED["solar"])
        job = await call(product, "POST", "/index", admin, 202)
        async with product.owner.connection(tenant.id) as connection:  # queued, and then nothing was heard of it
            await connection.execute("delete from procrastinate_jobs where args ->> 'import_id' = %s", (job["id"],))
            await connection.execute(
                "update kb_imports set touched_at = now() - interval '4 minutes' where id = %s", (job["id"],)
            )
        jobs = product.resources.jobs
        await jobs.knowledge.look_after_knowledge.defer_async(timestamp=0)
        await jobs.app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
        assert (await call(product, "GET", f"/imports/{job['id']}", admin))["status"] == "done"
        rows = await product.rows(tenant, "select members from kb_gaps where tenant_id = %s", tenant.id)
        assert sum(row["members"] for row in rows) == 8

    async def test_two_looks_at_once_count_once(self, product: Product, tenant: Tenant) -> None:
        await asked(product, tenant, *PLANTED["sepa"])
        database, embedder = product.resources.database, product.resources.embedder
        await asyncio.gather(*(look(database, embedder, tenant.id) for _ in range(4)))
        [row] = await product.rows(tenant, "select sum(members) as n from kb_gaps where tenant_id = %s", tenant.id)
        assert row["n"] == 8

    async def test_another_embedder_knows_the_old_gaps(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        await asked(product, tenant, *PLANTED["datev"][:4])
        [gap] = await gaps(product, admin)
        async with product.owner.connection(tenant.id) as connection:
            await connection.execute(
                "update kb_gaps set embedder = 'older', centroid = %s where id = %s", (b"\0" * 16, gap["id"])
            )
        await asked(product, tenant, *PLANTED["datev"][4:])
        assert [(each["id"], each["questions"]) for each in await gaps(product, admin)] == [(gap["id"], 8)]


class TestTickets:
    """Tickets whose draft found little, and that colleagues answered by hand."""

    async def ticket(
        self, product: Product, tenant: Tenant, question: str, *, reply: str | None = "Press the button for 3 seconds.",
        similarity: float | None = None, status: str = "resolved", session_id: UUID | None = None, drafts: int = 1,
        **draft: Any,
    ) -> UUID:  # fmt: skip
        """A ticket with its drafts, and the reply of a colleague; with a similarity it is what became of the last draft."""
        customer = Customer(name="Jane Miller")
        ticket = Ticket(
            customer_id=customer.id, number=int(new_id().int % 10**9), subject="Help", status=status,
            session_id=session_id,
        )  # fmt: skip
        word = TicketEvent(ticket_id=ticket.id, type="created", actor="x", internal=False, data={})
        said = TicketEvent(
            ticket_id=ticket.id, type="reply", actor="user:x", internal=False, data={"text": reply, "author": "agent"},
            created_at=datetime.now(UTC) + timedelta(seconds=5),
        )  # fmt: skip
        values = {"level": "low", "question": question, "answers_event_id": word.id, "language": "en", **draft}
        made = [Draft(ticket_id=ticket.id, status="superseded", **values) for _ in range(drafts)]
        made[-1].status = "approved" if similarity is not None else "rejected"
        approved = ApprovedReply(
            draft_id=made[-1].id, ticket_id=ticket.id, approved_by=new_id(), similarity=similarity or 0.0,
            event_id=said.id, content=reply or "",
        )  # fmt: skip
        rows = [customer, ticket, word, *([said] if reply else []), *made]
        await add(product, tenant, *rows, *([approved] if similarity is not None else []))
        return ticket.id

    async def test_those_answered_by_hand_count_once_and_no_others(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        words = iter(PLANTED["printer"])
        await self.ticket(product, tenant, next(words))
        await self.ticket(product, tenant, next(words), drafts=3)
        await self.ticket(product, tenant, next(words), similarity=0.4)
        await self.ticket(product, tenant, next(words), level="high", warnings={"missing_knowledge": True})
        for other in ({"similarity": 0.9}, {"level": "high"}, {"reply": None}, {"answers_event_id": None}):
            await self.ticket(product, tenant, PLANTED["printer"][7], **other)
        for _ in range(2):
            [gap] = await gaps(product, admin)
            assert (gap["questions"], gap["tickets"], gap["by_hand"], gap["sessions"]) == (4, 4, 4, 0)
        assert {example.removeprefix("Help\n") for example in gap["examples"]} <= set(PLANTED["printer"][:4])

    async def test_one_that_a_colleague_answered_in_its_conversation_counts_and_gives_its_article(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        customer = Customer(name="Jane Miller")
        session = ChatSession(customer_id=customer.id, mode="human")
        await add(product, tenant, customer, session)
        await self.ticket(product, tenant, PLANTED["printer"][0], reply=None, session_id=session.id)
        bot = ChatMessage(session_id=session.id, n=1, author="bot", content="A colleague comes.")
        await add(product, tenant, bot)
        assert await gaps(product, admin) == []
        at = datetime.now(UTC) + timedelta(seconds=5)
        told = ChatMessage(session_id=session.id, n=2, author="agent", content="Hold the WPS button.", created_at=at)
        await add(product, tenant, told)
        [gap] = await gaps(product, admin)
        assert (gap["questions"], gap["by_hand"], gap["tickets"]) == (1, 1, 1)
        article = await call(product, "POST", f"/gaps/{gap['id']}/draft", admin, 201)
        assert "Hold the WPS button" in article["body"]

    async def test_what_was_counted_in_its_conversation_is_not_counted_again(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        [talk] = await asked(product, tenant, PLANTED["datev"][0])
        assert len(await gaps(product, admin)) == 1
        await self.ticket(product, tenant, PLANTED["datev"][0], session_id=talk[0])
        [gap] = await gaps(product, admin)
        assert (gap["questions"], gap["tickets"]) == (1, 0)

    async def test_the_missing_article_is_drafted_from_those_that_were_solved(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        await self.ticket(product, tenant, PLANTED["printer"][0], reply="Dear Jane Miller, hold the WPS button.")
        await self.ticket(product, tenant, PLANTED["printer"][1], reply="Not solved.", status="open")
        [gap] = await gaps(product, admin)
        article = await call(product, "POST", f"/gaps/{gap['id']}/draft", admin, 201)
        assert "hold the WPS button" in article["body"]
        assert not [gone for gone in ("Jane", "Miller", "Not solved") if gone in article["body"]]

    async def test_who_is_erased_leaves_no_question(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        ticket_id = await self.ticket(product, tenant, PLANTED["printer"][0])
        await self.ticket(product, tenant, PLANTED["printer"][1])
        assert [gap["questions"] for gap in await gaps(product, admin)] == [2]
        async with product.owner.connection(tenant.id) as connection:
            await connection.execute("delete from tickets where id = %s", (ticket_id,))
        assert [gap["questions"] for gap in await gaps(product, admin)] == [1]


class TestDeciding:
    async def test_dismissed_takes_in_what_is_like_it(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        await asked(product, tenant, *PLANTED["parking"][:4])
        [gap] = await gaps(product, admin)
        told = await call(product, "POST", f"/gaps/{gap['id']}/dismiss", admin, note="not our matter")
        assert (told["status"], told["note"]) == ("dismissed", "not our matter")
        await asked(product, tenant, *PLANTED["parking"][4:])
        assert await gaps(product, admin) == []
        [gap] = await gaps(product, admin, status="dismissed")
        assert gap["questions"] == 8
        await call(product, "POST", f"/gaps/{gap['id']}/reopen", admin)
        assert len(await gaps(product, admin)) == 1

    async def test_resolved_opens_again_when_it_is_asked_again(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        await asked(product, tenant, *PLANTED["parking"][:4])
        [gap] = await gaps(product, admin)
        await call(product, "POST", f"/gaps/{gap['id']}/resolve", admin, 404, article_id=str(new_id()))
        await call(product, "POST", f"/gaps/{gap['id']}/resolve", admin)
        await asked(product, tenant, PLANTED["parking"][4], ago=timedelta(hours=1))  # before it was resolved
        assert await gaps(product, admin) == []
        await asked(product, tenant, PLANTED["parking"][5])
        [again] = await gaps(product, admin)
        assert (again["id"], again["questions"]) == (gap["id"], 6)

    async def test_every_decision_is_noted_and_agents_only_read(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        await asked(product, tenant, *PLANTED["parking"])
        [gap] = await gaps(product, admin)
        agent = await product.staff(tenant, Role.AGENT)
        assert len(await gaps(product, agent)) == 1
        await call(product, "POST", f"/gaps/{gap['id']}/dismiss", agent, 403)
        await call(
            product, "POST", f"/gaps/{gap['id']}/dismiss", await product.staff(await product.tenant(), Role.ADMIN), 404
        )
        for action in ("dismiss", "dismiss", "reopen", "resolve"):
            await call(product, "POST", f"/gaps/{gap['id']}/{action}", admin)
        answer = await product.http.get("/api/v1/audit", headers=admin, params={"object_id": gap["id"]})
        actions = [entry["action"] for entry in answer.json()["items"]]
        assert actions == ["gap.resolved", "gap.reopened", "gap.dismissed"]

    async def test_lists_have_pages(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        for size, topic in enumerate(PLANTED, 1):
            await asked(product, tenant, *PLANTED[topic][:size])
        whole = await gaps(product, admin, min_size=2, limit=100)
        assert [gap["questions"] for gap in whole] == sorted((gap["questions"] for gap in whole), reverse=True)
        seen: list[str] = []
        cursor = ""
        while True:
            page = await call(product, "GET", f"/gaps?min_size=2&limit=3{cursor}", admin)
            seen += [gap["id"] for gap in page["items"]]
            if not page["next_cursor"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == [gap["id"] for gap in whole]
        assert len(seen) > 6
        await call(product, "GET", "/gaps?cursor=nonsense", admin, 422)


class TestDrafting:
    async def gap_with_answers(self, product: Product, tenant: Tenant, admin: Headers) -> Json:
        """A gap; a colleague answered in one conversation, another's ticket was solved, a third's was not."""
        talks = await asked(product, tenant, *PLANTED["printer"], name="Jane Miller")
        said = ChatMessage(session_id=talks[0][0], n=3, author="agent",
                           content="Hello Jane Miller, hold the WPS button for 3 seconds. Mail jane@example.org.")  # fmt: skip
        again = ChatMessage(session_id=talks[1][0], n=3, author="agent", content="Hold the WPS button for 3 seconds.")
        before = ChatMessage(session_id=talks[2][0], n=0, author="agent", content="Said before the question.")
        rows: list[Any] = [said, again, before]
        for number, (status, text) in enumerate((("resolved", "Print the network page."), ("open", "Not solved."))):
            [customer] = await product.rows(
                tenant, "select customer_id from chat_sessions where id = %s", talks[3 + number][0]
            )
            ticket = Ticket(customer_id=customer["customer_id"], session_id=talks[3 + number][0], number=number + 1,
                            subject="-", status=status)  # fmt: skip
            rows += [ticket]
            rows += [TicketEvent(ticket_id=ticket.id, type="reply", actor="user:x", internal=False,
                                 data={"text": text, "author": "agent"})]  # fmt: skip
        await add(product, tenant, *rows)
        [gap] = await gaps(product, admin)
        return gap

    async def test_without_a_model_the_answers_are_set_in_order(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        gap = await self.gap_with_answers(product, tenant, admin)
        article = await call(product, "POST", f"/gaps/{gap['id']}/draft", admin, 201)
        assert (article["status"], article["tags"], article["title"]) == ("draft", ["gap"], gap["title"])
        assert "WPS button" in article["body"]
        assert "Print the network page." in article["body"]
        for gone in ("Jane", "Miller", "jane@example.org", "Said before", "Not solved"):
            assert gone not in article["body"], gone
        assert await found(product, admin, "WPS button printer") == {}
        assert (await gaps(product, admin))[0]["article_id"] == article["id"]
        await call(product, "POST", f"/gaps/{gap['id']}/draft", admin, 409)
        await call(product, "DELETE", f"/articles/{article['id']}", admin, 204)
        await call(product, "POST", f"/gaps/{gap['id']}/draft", admin, 201)

    async def test_two_clicks_make_one_article(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        gap = await self.gap_with_answers(product, tenant, admin)
        url = f"/api/v1/kb/gaps/{gap['id']}/draft"
        answers = await asyncio.gather(*(product.http.post(url, headers=admin) for _ in range(3)))
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
        assert len((await call(product, "GET", "/articles", admin))["items"]) == 1

    async def test_what_a_model_writes_is_cleaned_too(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        gap = await self.gap_with_answers(product, tenant, admin)
        given: list[Material] = []

        async def write(material: Material) -> str:
            given.append(material)
            return "# Printers on the network\n\nHold the button, or write to bob@example.org."

        principal = Principal(tenant_id=tenant.id, role=Role.ADMIN)
        article_id = await draft_article(product.resources.shelf, principal, UUID(gap["id"]), write=write)
        article = await call(product, "GET", f"/articles/{article_id}", admin)
        assert (article["title"], article["body"]) == (
            "Printers on the network", "Hold the button, or write to [removed: email address].",
        )  # fmt: skip
        assert "jane" not in str(given).lower()
        assert given[0].replies[0][1] == 2  # two said nearly the same

    def test_nothing_to_write_from(self) -> None:
        assert "No colleague" in set_in_order(Material(questions=("Why?",), replies=()))
        assert parted("No heading\n\ntext") == ("", "No heading\n\ntext")


class TestClustering:
    def test_groups_that_grow_together_become_one(self) -> None:
        rng = np.random.default_rng(1)
        matter = unit(rng.normal(size=(1, 64)).astype(np.float32))
        near = unit(matter + rng.normal(scale=0.05, size=(40, 64)).astype(np.float32))
        groups = Groups.none(64)
        assert set(assign(groups, near).tolist()) == {0}
        split = Groups(sums=np.stack([near[:20].sum(0), near[20:].sum(0)]), sizes=np.array([20, 20]))
        assert joined(split, {0, 1}, np.array([True, True])) == {0: 1}
        assert split.sizes.tolist() == [0, 40]

    def test_what_was_decided_about_goes_nowhere(self) -> None:
        one = np.ones((2, 8), np.float32)
        decided = Groups(sums=one.copy(), sizes=np.array([1, 9]))
        assert joined(decided, {0, 1}, np.array([False, True])) == {1: 0}
        decided = Groups(sums=one.copy(), sizes=np.array([1, 9]))
        assert joined(decided, {0, 1}, np.array([False, False])) == {}

    async def test_a_gap_of_another_tenant_takes_in_nothing(self, product: Product, tenant: Tenant) -> None:
        theirs = await product.tenant()
        await asked(product, theirs, *PLANTED["solar"][:4])
        await asked(product, tenant, *PLANTED["solar"][4:])
        database, embedder = product.resources.database, product.resources.embedder
        for each in (theirs, tenant):
            await look(database, embedder, each.id)
        for each in (theirs, tenant):
            rows = await product.rows(each, "select members from kb_gaps where tenant_id = %s", each.id)
            assert [row["members"] for row in rows] == [4]
