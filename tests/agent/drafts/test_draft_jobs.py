"""The background work of drafts: handed over, found again after a crash, and drafts that nobody asked for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from agent.drafts import automatic
from memory.models import Tenant
from tests.product import Product, Visitor
from tests.reply_desk import approved, drafted, placed, taught
from tests.ticket_desk import Headers, Json, opened
from tools.channel import Look, Outgoing

QUESTION = "How do I reset the password of my mailbox?"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tenant(product: Product) -> AsyncIterator[Tenant]:
    tenant = await product.tenant(auto_draft=True)
    yield tenant
    await product.rows(tenant, "update tenant_settings set options = '{}' returning 1")  # for tests that look at all


async def queued(product: Product, task: str) -> list[dict[str, Any]]:
    async with product.resources.database.lookup() as connection:
        cursor = await connection.execute(
            "select args from procrastinate_jobs where task_name = %s and status = 'todo'", (task,)
        )
        return [row["args"] for row in await cursor.fetchall()]


async def run_jobs(product: Product) -> None:
    await product.resources.jobs.app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)


async def wanted(product: Product, tenant: Tenant) -> set[str]:
    return {str(each) for each in await automatic.tickets_without_draft(product.resources, tenant.id)}


async def draft(product: Product, tenant: Tenant, ticket: Json) -> UUID | None:
    return await automatic.draft_ticket(product.resources, tenant.id, UUID(ticket["id"]))


async def said(product: Product, who: Headers, ticket: Json, text: str) -> None:
    path = f"/api/v1/tickets/{ticket['id']}/reply"
    answer = await product.http.post(path, json={"message": text}, headers=who)
    assert answer.status_code == 201


class TestLearning:
    async def test_an_approval_hands_its_lesson_over_and_a_worker_indexes_it(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers, "Mailbox", content=QUESTION)
        await approved(product, ada, await drafted(product, ada, ticket))
        [row] = await product.rows(tenant, "select id from learned_replies where ticket_id = %s", ticket["id"])
        assert {"tenant_id": str(tenant.id), "lesson_id": str(row["id"])} in await queued(product, "index_lesson")
        await run_jobs(product)
        [row] = await product.rows(tenant, "select * from learned_replies where id = %s", row["id"])
        assert row["indexed_version"] == row["version"] == 1

    async def test_a_lesson_whose_job_was_lost_is_found(self, product: Product, tenant: Tenant) -> None:
        lesson_id = await taught(product, tenant, "example")
        assert str(lesson_id) not in str(await queued(product, "index_lesson"))
        for _ in range(3):  # one look after the other queues it once
            await product.resources.desk.jobs.look()
        assert str(await queued(product, "index_lesson")).count(str(lesson_id)) == 1
        await run_jobs(product)
        [row] = await product.rows(tenant, "select indexed_version from learned_replies where id = %s", lesson_id)
        assert row["indexed_version"] == 1


class Recorder:
    """A channel that keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    async def send(self, reply: Outgoing) -> str | None:
        self.sent.append(reply)
        return "r-1"

    async def look(self, reply: Outgoing) -> Look:
        return Look(outcome="unknown")


class TestSending:
    async def test_a_ticket_of_another_system_gets_its_reply_from_a_worker(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        there = Recorder()
        monkeypatch.setitem(product.resources.channels, "whmcs", there)
        ticket = await opened(product, customer.headers, "Mailbox", content=QUESTION)
        await product.rows(
            tenant, "update tickets set source = 'whmcs', external_id = '77' where id = %s returning 1", ticket["id"]
        )
        done = await approved(product, ada, await drafted(product, ada, ticket), status="waiting_customer")
        assert (done["reply"]["sending"], done["ticket"]["status"], there.sent) == ("pending", "open", [])
        assert {"tenant_id": str(tenant.id), "reply_id": done["reply"]["id"]} in await queued(product, "send_reply")
        await run_jobs(product)
        await run_jobs(product)
        [sent] = there.sent
        assert (sent.external_ticket_id, sent.text, sent.author) == ("77", done["content"], "Support")
        answer = await product.http.get(f"/api/v1/replies/{done['id']}", headers=ada)
        assert (answer.json()["reply"]["sending"], answer.json()["ticket"]["status"]) == ("sent", "waiting_customer")
        rows = await product.rows(
            tenant, "select external_id from ticket_events where ticket_id = %s and type = 'reply'", ticket["id"]
        )
        assert [row["external_id"] for row in rows] == ["whmcs:r-1"]


class TestDraftsByThemselves:
    async def test_a_new_ticket_gets_one_draft(self, product: Product, tenant: Tenant, customer: Visitor) -> None:
        ticket = await opened(product, customer.headers, "Mailbox", content=QUESTION)
        assert tenant.id in await automatic.tenants_that_want_drafts(product.resources)
        assert ticket["id"] in await wanted(product, tenant)
        made = await asyncio.gather(*(draft(product, tenant, ticket) for _ in range(3)))
        assert len({each for each in made if each}) == 1
        assert ticket["id"] not in await wanted(product, tenant)
        [row] = await product.rows(tenant, "select * from drafts where ticket_id = %s", ticket["id"])
        assert (row["created_by"], row["status"]) == ("job", "pending")

    async def test_new_words_of_the_customer_get_a_new_one_in_its_place(
        self, product: Product, tenant: Tenant, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers, "Mailbox", content=QUESTION)
        first = await draft(product, tenant, ticket)
        await said(product, customer.headers, ticket, "And how do I set it up on my iPhone?")
        assert ticket["id"] in await wanted(product, tenant)
        second = await draft(product, tenant, ticket)
        rows = await product.rows(
            tenant, "select id, status from drafts where ticket_id = %s order by id", ticket["id"]
        )
        assert [(row["id"], row["status"]) for row in rows] == [(first, "superseded"), (second, "pending")]

    async def test_none_where_a_person_has_spoken_or_works_on_one(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        answered = await opened(product, customer.headers, "Answered", content=QUESTION)
        await said(product, ada, answered, "I look into it.")
        worked_on = await opened(product, customer.headers, "Worked on", content=QUESTION)
        await placed(product, tenant, worked_on["id"], created_by="user:x")
        await said(product, customer.headers, worked_on, "Hello?")
        rejected = await opened(product, customer.headers, "Rejected", content=QUESTION)
        rejected_id = await draft(product, tenant, rejected)
        await product.http.post(f"/api/v1/replies/{rejected_id}/reject", json={"reason": "no"}, headers=ada)
        ended = await opened(product, customer.headers, "Ended", content=QUESTION)
        await product.http.patch(f"/api/v1/tickets/{ended['id']}", json={"status": "resolved"}, headers=ada)
        tickets = (answered, worked_on, rejected, ended)
        assert not {ticket["id"] for ticket in tickets} & await wanted(product, tenant)
        assert [await draft(product, tenant, ticket) for ticket in tickets] == [None] * 4

    async def test_a_person_who_speaks_while_it_is_written_is_not_talked_over(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers, "Race", content=QUESTION)
        task = asyncio.create_task(draft(product, tenant, ticket))
        await asyncio.sleep(0)
        await said(product, ada, ticket, "I look into it.")
        await task
        rows = await product.rows(tenant, "select answers_event_id from drafts where ticket_id = %s", ticket["id"])
        assert len(rows) <= 1
        assert await draft(product, tenant, ticket) is None

    async def test_the_look_queues_them_and_a_worker_writes_them(
        self, product: Product, tenant: Tenant, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers, "Looked at", content=QUESTION)
        task = product.resources.jobs.app.tasks["look_at_drafts"]
        await task.defer_async(timestamp=1)
        await run_jobs(product)
        await run_jobs(product)
        [row] = await product.rows(tenant, "select created_by from drafts where ticket_id = %s", ticket["id"])
        assert row["created_by"] == "job"

    async def test_none_where_the_tenant_does_not_want_them(self, product: Product) -> None:
        other = await product.tenant()
        visitor = await product.visitor(other)
        ticket = await opened(product, visitor.headers, "Mailbox", content=QUESTION)
        assert other.id not in await automatic.tenants_that_want_drafts(product.resources)
        assert await draft(product, other, ticket) is None
