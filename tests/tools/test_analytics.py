"""Figures of days, what they come to, and what somebody should look at."""

import json
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from memory.database import Database
from memory.errors import Invalid, NotFound
from memory.models import ChatMessage, ChatSession, Customer, Feedback, Handoff, Ticket, TicketEvent, Turn, new_id
from memory.tenancy import Principal, Role
from tools.analytics import alerts
from tools.analytics.counting import Figure, count_days, read_figures
from tools.analytics.questions import ANSWER_S, QUESTIONS, id_at, window
from tools.analytics.summing import Sums, line, ratio, summary
from tools.prices import Prices

MakeTenant = Callable[..., Awaitable[UUID]]
TODAY = datetime.now(UTC).date()
EMPTY = Sums()


def at(day: date, hour: float = 12) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=hour)


def made(moment: datetime) -> dict[str, Any]:
    """The id and the time of a row that was written then."""
    return {"id": UUID(int=id_at(moment).int | random.getrandbits(62)), "created_at": moment}


async def conversation(
    database: Database, tenant_id: UUID, moment: datetime, *, resolved: int | None = None, handoff: str | None = None,
    asked: bool = True, thumb: int | None = None, level: str = "high", status: str = "open",
) -> None:  # fmt: skip
    """One question and its answer at that moment, and what came of it."""
    customer, session = Customer(**made(moment)), None
    session = ChatSession(**made(moment), customer_id=customer.id, last_message_at=moment, status=status, last_n=2)
    turn = Turn(**made(moment), session_id=session.id, status="completed", ended_at=moment + timedelta(seconds=3))
    told = {
        "outcome": "answered", "intent": "billing", "withheld": 2, "tokens": {"input": 1000, "output": 100},
        "confidence": {"score": 80, "level": level}, "requires_escalation": bool(handoff),
    }  # fmt: skip
    answer = ChatMessage(**made(moment), session_id=session.id, n=2, author="bot", turn_id=turn.id, details=told)
    async with database.transaction(tenant_id) as rows:
        for row in (customer, session, turn):
            rows.add(row)
            await rows.flush()
        if asked:
            rows.add(ChatMessage(**made(moment), session_id=session.id, n=1, author="customer", turn_id=turn.id))
        rows.add(answer)
        await rows.flush()
        if resolved is not None:
            rows.add(Feedback(**made(moment), session_id=session.id, kind="resolved", value=resolved))
        if thumb:
            rows.add(Feedback(**made(moment), session_id=session.id, message_id=answer.id, kind="thumb", value=thumb))
        if handoff:
            waited = moment + timedelta(seconds=40)
            rows.add(
                Handoff(**made(moment), session_id=session.id, reason=handoff, status="claimed", claimed_at=waited)
            )


async def ticket(
    database: Database, tenant_id: UUID, moment: datetime, *, number: int, missed: list[str] | None = None,
    replied: float | None = None, resolved: float | None = None, status: str = "open",
) -> Ticket:  # fmt: skip
    """A ticket of that moment; `replied` and `resolved` are hours after it."""
    customer = Customer(**made(moment))
    due = moment + timedelta(hours=4)
    row = Ticket(
        **made(moment), number=number, customer_id=customer.id, subject="Broken", status=status, severity="HIGH",
        first_response_due=due, missed=missed or [],
        first_responded_at=moment + timedelta(hours=replied) if replied else None,
    )  # fmt: skip
    told: list[tuple[float, str, dict[str, Any]]] = []
    if replied:
        told += [(replied, "reply", {"author": "agent"}), (replied + 0.1, "reply", {"author": "agent"})]
    if resolved:
        told.append((resolved, "status_changed", {"from": "open", "to": "resolved"}))
    async with database.transaction(tenant_id) as rows:
        rows.add(customer)
        await rows.flush()
        rows.add(row)
        await rows.flush()
        for hours, kind, data in told:
            later = made(moment + timedelta(hours=hours))
            rows.add(TicketEvent(**later, ticket_id=row.id, type=kind, actor="x", data=data))
    return row


async def figures(database: Database, tenant_id: UUID, first: date, last: date) -> list[Figure]:
    async with database.connection(tenant_id) as connection:
        return await read_figures(connection, first, last)


async def summed(database: Database, tenant_id: UUID, day: date) -> dict[str, Any]:
    return summary(Sums.of(await figures(database, tenant_id, day, day)), EMPTY, Prices(input=2.0, output=10.0))


class TestCounting:
    async def test_what_conversations_came_to(self, database: Database, tenant: MakeTenant) -> None:
        mine, day = await tenant(), TODAY - timedelta(days=20)
        await conversation(database, mine, at(day), resolved=1, thumb=1)
        await conversation(database, mine, at(day), resolved=0, thumb=-1, level="low")
        await conversation(database, mine, at(day), handoff="human_requested")
        await conversation(database, mine, at(day), handoff="low_confidence", resolved=1)
        await conversation(database, mine, at(day))
        await conversation(database, mine, at(day), asked=False)
        await conversation(database, mine, at(day + timedelta(days=1)))
        found = await summed(database, mine, day)
        chats = found["conversations"]
        assert chats["outcomes"] == {
            "confirmed": 1, "confirmed_by_person": 1, "handed_over": 1, "nothing_asked": 1, "silent": 1, "unresolved": 1,
        }  # fmt: skip
        assert (chats["sessions"], chats["asked"], chats["deflection_rate"], chats["handoff_rate"]) == (6, 5, 0.4, 0.4)
        assert chats["messages"] == {"bot": 6, "customer": 5}
        assert found["handoffs"]["by_reason"] == {"human_requested": 1, "low_confidence": 1}
        assert found["handoffs"]["rate_by_reason"] == {"human_requested": 0.2, "low_confidence": 0.2}
        assert found["handoffs"]["claimed_after_s"] == 40.0
        assert found["answers"]["by_confidence"]["high"] == {
            "answers": 5, "mean_score": 80.0, "thumbs_up": 1, "thumbs_down": 0,
        }  # fmt: skip
        assert found["answers"]["by_confidence"]["low"]["thumbs_down"] == 1
        assert found["answers"]["withheld_sentences"] == 12
        assert found["answers"]["duration_s"] == {"mean": 3.0, "p50": 4.0, "p95": 4.0}
        assert found["intents"] == [{"intent": "billing", "answers": 6, "escalated": 2, "before": 0}]
        assert found["cost"] == {
            "input_tokens": 6000, "output_tokens": 600, "cost": 0.018, "cost_per_conversation": 0.0036,
            "tokens_per_conversation": 1320.0,
        }  # fmt: skip

    async def test_a_conversation_that_its_customer_came_back_to_is_reopened(
        self, database: Database, tenant: MakeTenant
    ) -> None:
        mine, day = await tenant(), TODAY - timedelta(days=20)
        for _ in range(4):
            await conversation(database, mine, at(day))
        async with database.connection(mine) as connection:
            rows = await (await connection.execute("select id from chat_sessions order by id")).fetchall()
            again = (
                "insert into chat_messages (id, tenant_id, session_id, n, author, content, status, details, created_at)"
                " select gen_random_uuid(), tenant_id, id, 3, %s, '', 'complete', '{}', created_at + %s::interval"
                " from chat_sessions where id = %s"
            )
            ended = (
                "insert into session_events (tenant_id, session_id, n, type, data, created_at) select tenant_id, id, 9,"
                " 'session.closed', '{}', created_at + interval '1 minute' from chat_sessions where id = %s"
            )
            await connection.execute(again, ("customer", "2 days", rows[0]["id"]))  # after a silence
            await connection.execute(again, ("customer", "1 hour", rows[1]["id"]))  # after its end
            await connection.execute(again, ("agent", "2 days", rows[2]["id"]))
            for place in (1, 3):
                await connection.execute(ended, (rows[place]["id"],))
        chats = (await summed(database, mine, day))["conversations"]
        assert (chats["reopened"], chats["reopened_rate"]) == (2, 0.5)

    async def test_what_tickets_came_to(self, database: Database, tenant: MakeTenant) -> None:
        mine, day = await tenant(), TODAY - timedelta(days=20)
        await ticket(database, mine, at(day, 1), number=1, replied=2, resolved=10, status="resolved")
        await ticket(database, mine, at(day, 1), number=2, replied=6, missed=["first_response"])
        await ticket(database, mine, at(day, 1), number=3)
        found = (await summed(database, mine, day))["tickets"]
        assert (found["opened"], found["resolved"], found["by_severity"]) == (3, 1, {"HIGH": 3})
        assert (found["first_reply_s"], found["resolution_s"]) == (4 * 3600.0, 36_000.0)
        assert found["targets"]["first_response"] == {"met": 1, "missed": 1, "running": 1, "met_rate": 0.5}

    async def test_a_day_counted_in_advance_and_one_counted_now_are_the_same(
        self, database: Database, tenant: MakeTenant
    ) -> None:
        mine, day = await tenant(), TODAY - timedelta(days=40)
        for number in range(6):
            await conversation(database, mine, at(day + timedelta(days=number * 7)), thumb=1, handoff="severity")
            await ticket(database, mine, at(day + timedelta(days=number * 7)), number=number, replied=1, resolved=2)
        live = await figures(database, mine, day, TODAY)
        assert await count_days(database, mine) == 40
        async with database.connection(mine) as connection:
            await connection.execute("delete from chat_messages")
            await connection.execute("delete from handoffs")
        assert sorted(map(repr, await figures(database, mine, day, TODAY))) == sorted(map(repr, live))

    async def test_days_stay_as_they_are_once_they_are_settled(self, database: Database, tenant: MakeTenant) -> None:
        mine, old, new = await tenant(), TODAY - timedelta(days=30), TODAY - timedelta(days=2)
        await conversation(database, mine, at(old))
        await count_days(database, mine)
        await conversation(database, mine, at(old))
        await conversation(database, mine, at(new))
        assert await count_days(database, mine) == 8
        assert (await summed(database, mine, old))["conversations"]["sessions"] == 1
        assert (await summed(database, mine, new))["conversations"]["sessions"] == 1

    async def test_the_edges_of_a_day_belong_to_one_day_each(self, database: Database, tenant: MakeTenant) -> None:
        mine, day = await tenant(), TODAY - timedelta(days=15)
        moments = [at(day, 0), at(day, 23.9999), at(day + timedelta(days=1), 0), at(day, -0.0001)]
        for moment in moments:
            await conversation(database, mine, moment)
        counted = [
            (await summed(database, mine, day + timedelta(days=n)))["conversations"]["sessions"] for n in (-1, 0, 1)
        ]
        assert counted == [1, 2, 1]

    async def test_another_tenants_rows_are_not_counted(self, database: Database, tenant: MakeTenant) -> None:
        mine, theirs = await tenant(), await tenant()
        await conversation(database, theirs, at(TODAY, 0))
        assert await figures(database, mine, TODAY, TODAY) == []
        assert await count_days(database, mine) == 0

    @pytest.mark.parametrize(
        ("first", "last"), [(TODAY, TODAY - timedelta(days=1)), (TODAY - timedelta(days=2000), TODAY)]
    )
    async def test_a_range_that_is_none_is_refused(
        self, database: Database, tenant: MakeTenant, first: date, last: date
    ) -> None:
        with pytest.raises(Invalid):
            await figures(database, await tenant(), first, last)


class TestSumming:
    def test_nothing_is_not_zero_percent(self) -> None:
        found = summary(EMPTY, EMPTY, Prices())
        assert found["conversations"]["deflection_rate"] is None
        assert found["feedback"]["csat"] == {"count": 0, "mean": None, "by_stars": {}}
        assert found["answers"]["duration_s"] == {"mean": None, "p50": None, "p95": None}
        assert ratio(1, 0) is None
        json.dumps(found)
        json.dumps(line(EMPTY, Prices()))

    def test_percentiles_are_bounds_of_buckets(self) -> None:
        figures = [Figure(TODAY, "answer_s", "1", 90, 30.0), Figure(TODAY, "answer_s", str(len(ANSWER_S)), 10, 900.0)]
        found = summary(Sums.of(figures), EMPTY, Prices())["answers"]["duration_s"]
        assert found == {"mean": 9.3, "p50": 0.5, "p95": 32.0}

    def test_drafts_by_confidence_and_by_source(self) -> None:
        figures = [
            Figure(TODAY, "approved", "high:unchanged", 3, 3.0), Figure(TODAY, "approved", "high:edited", 1, 0.8),
            Figure(TODAY, "drafts", "high:rejected", 1, 80.0), Figure(TODAY, "drafts", "high:approved", 4, 320.0),
            Figure(TODAY, "draft_sources", "tenant:unchanged", 3, 3.0),
            Figure(TODAY, "draft_sources", "tenant:edited", 1, 0.8), Figure(TODAY, "draft_steps_ms", "embed", 4, 200.0),
        ]  # fmt: skip
        found = summary(Sums.of(figures), EMPTY, Prices())
        assert found["drafts"]["by_confidence"]["high"] == {
            "unchanged": 3, "edited": 1, "rejected": 1, "unchanged_rate": 0.6,
        }  # fmt: skip
        assert found["drafts"]["mean_similarity"] == 0.95
        assert found["drafts"]["steps"] == {
            "embed": {"mean_ms": 50.0, "expected_ms": 100}, "total": {"mean_ms": 40.0, "expected_ms": 6000},
        }  # fmt: skip
        assert found["sources"] == [{
            "source": "tenant", "answers": 0, "thumbs": 0, "drafts": 4, "unchanged_rate": 0.75, "mean_similarity": 0.95,
        }]  # fmt: skip


class TestAlerts:
    async def look(self, database: Database, tenant_id: UUID) -> dict[str, dict[str, Any]]:
        async with database.connection(tenant_id) as connection:
            await alerts.look(connection, tenant_id, connection)
            found = await alerts.list_alerts(connection, alerts.AlertFilters())
        return {alert.kind: alert.data for alert in found}

    async def test_one_opens_stays_one_and_ends_by_itself(self, database: Database, tenant: MakeTenant) -> None:
        mine = await tenant()
        assert await self.look(database, mine) == {}
        late = await ticket(database, mine, at(TODAY, 0), number=7, missed=["first_response"])
        assert await self.look(database, mine) == {"sla_breach": {"tickets": 1, "first": 7}}
        await ticket(database, mine, at(TODAY, 0), number=8, missed=["first_response"])
        assert await self.look(database, mine) == {"sla_breach": {"tickets": 2, "first": 7}}
        async with database.connection(mine) as connection:
            [alert] = await alerts.list_alerts(connection, alerts.AlertFilters())
        by = Principal(tenant_id=mine, role=Role.AGENT, user_id=uuid4())
        first = await alerts.acknowledge(database, by, alert.id)
        again = await alerts.acknowledge(
            database, Principal(tenant_id=mine, role=Role.AGENT, user_id=uuid4()), alert.id
        )
        assert first.acknowledged_by == again.acknowledged_by == by.user_id
        async with database.connection(mine) as connection:
            audited = await (await connection.execute("select action from audit_log")).fetchall()
            await connection.execute("update tickets set status = 'resolved'")
        assert audited == [{"action": "alert.acknowledged"}]
        assert await self.look(database, mine) == {}
        async with database.connection(mine) as connection:
            [ended] = await alerts.list_alerts(connection, alerts.AlertFilters(open_only=False))
        assert (ended.id, ended.ended_at is not None) == (alert.id, True)
        assert late.number == 7

    async def test_many_failed_turns_in_a_quarter_of_an_hour(self, database: Database, tenant: MakeTenant) -> None:
        mine = await tenant()
        now = datetime.now(UTC)
        await conversation(database, mine, now)
        async with database.connection(mine) as connection:
            await connection.execute("update turns set ended_at = now()")
            for _ in range(5):
                await connection.execute(
                    "insert into turns (id, tenant_id, session_id, status, fence, epoch, attempts, partial, ended_at)"
                    " select %s, tenant_id, id, 'failed', 0, 0, 1, '', now() from chat_sessions", (new_id(),),
                )  # fmt: skip
        assert await self.look(database, mine) == {"model_errors": {"failed": 5, "turns": 6}}

    async def test_more_handoffs_than_in_other_hours(self, database: Database, tenant: MakeTenant) -> None:
        mine = await tenant()
        now = datetime.now(UTC)
        for _ in range(4):
            await conversation(database, mine, now, handoff="human_requested")
        assert await self.look(database, mine) == {}
        await conversation(database, mine, now, handoff="human_requested")
        assert (await self.look(database, mine))["escalation_spike"]["last_hour"] == 5

    async def test_an_article_that_the_index_does_not_hold_and_a_webhook_that_is_off(
        self, database: Database, tenant: MakeTenant
    ) -> None:
        mine = await tenant()
        async with database.connection(mine) as connection:
            await connection.execute(
                "insert into kb_articles (id, tenant_id, ref, collection, path, title, status, language, version, content_hash,"
                " updated_at) values (%s, %s, 'a', 'c', '', 'Lost', 'published', 'en', 1, '-', now() - interval '1 hour')",
                (new_id(), mine),
            )
            await connection.execute(
                "insert into webhook_endpoints (id, tenant_id, url, description, secret, status, disabled_because,"
                " failing_since, failures) values (%s, %s, 'https://x.example', '', '-', 'disabled', 'gone', now(), 9)",
                (new_id(), mine),
            )
        found = await self.look(database, mine)
        assert found["stale_index"] == {"articles": 1, "first": "Lost"}
        assert found["webhook_off"] == {"url": "https://x.example", "because": "gone"}

    async def test_another_tenants_alert_is_not_there(self, database: Database, tenant: MakeTenant) -> None:
        mine, theirs = await tenant(), await tenant()
        await ticket(database, theirs, at(TODAY, 0), number=1, missed=["resolution"])
        await self.look(database, theirs)
        assert await self.look(database, mine) == {}
        async with database.connection(theirs) as connection:
            [alert] = await alerts.list_alerts(connection, alerts.AlertFilters())
        with pytest.raises(NotFound):
            await alerts.acknowledge(database, Principal(tenant_id=mine, role=Role.AGENT), alert.id)


def test_every_question_is_about_the_window_it_is_asked_for() -> None:
    values = window(TODAY, TODAY)
    assert values["low"] < id_at(at(TODAY, 0)) < values["high"]
    for question in QUESTIONS.values():
        assert "%(since)s" in question
        assert "%(until)s" in question
        assert "current_tenant()" in question
