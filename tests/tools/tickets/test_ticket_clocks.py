"""The arithmetic of a ticket's clocks, and the status of a ticket as a table."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.models import Ticket, new_id
from tests.tools.test_business_hours import hours
from tools.business_hours import BusinessHours
from tools.tenants import TenantOptions
from tools.ticket_rules import CLOCKS, Sla, SlaTarget
from tools.tickets import clocks
from tools.tickets.status import ENDED, STATUSES, TRANSITIONS

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
OPTIONS = TenantOptions(sla=Sla(normal=SlaTarget(first_response=30, resolution=240)))


def a_ticket(**values: Any) -> Ticket:
    """One with running clocks, opened at START."""
    ticket = Ticket(tenant_id=new_id(), customer_id=new_id(), number=1, subject="x", created_at=START)
    ticket.sqlmodel_update(clocks.restarted(ticket, OPTIONS, START))
    ticket.sqlmodel_update(values)
    return ticket


def after(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


class TestClocks:
    def test_without_targets_none_runs(self) -> None:
        ticket = a_ticket()
        ticket.sqlmodel_update(clocks.restarted(ticket, TenantOptions(), START))
        assert clocks.next_deadline(ticket) is None
        assert clocks.overdue(ticket, after(100_000)) == []

    def test_the_next_deadline_is_that_of_the_first_clock_that_is_not_met(self) -> None:
        assert clocks.next_deadline(a_ticket()) == after(30)
        assert clocks.next_deadline(a_ticket(first_responded_at=after(3))) == after(240)
        assert clocks.next_deadline(a_ticket(missed=["first_response"])) == after(240)
        assert clocks.next_deadline(a_ticket(missed=list(CLOCKS))) is None
        assert clocks.next_deadline(a_ticket(paused_at=after(3))) is None
        for status in ENDED:
            assert clocks.next_deadline(a_ticket(status=status)) is None

    def test_late_is_what_ran_out_and_was_not_found_before(self) -> None:
        assert clocks.overdue(a_ticket(), after(29)) == []
        assert clocks.overdue(a_ticket(), after(30)) == ["first_response"]
        assert clocks.overdue(a_ticket(), after(240)) == ["first_response", "resolution"]
        assert clocks.overdue(a_ticket(missed=["first_response"]), after(240)) == ["resolution"]
        assert clocks.overdue(a_ticket(first_responded_at=after(3)), after(100)) == []
        assert clocks.overdue(a_ticket(status="resolved"), after(1000)) == []

    def test_a_paused_clock_is_late_only_by_what_was_before_the_pause(self) -> None:
        assert clocks.overdue(a_ticket(paused_at=after(29)), after(1000)) == []
        assert clocks.overdue(a_ticket(paused_at=after(31)), after(1000)) == ["first_response"]
        moved = clocks.resumed(a_ticket(paused_at=after(31)), OPTIONS, after(1000))
        assert moved == {"resolution_due": after(1000 + 240 - 31)}

    def test_the_pauses_are_read_from_the_history(self) -> None:
        changes = [
            (after(1), "open", "waiting_customer"), (after(2), "waiting_customer", "open"),
            (after(3), "open", "resolved"), (after(4), "resolved", "open"),
            (after(5), "open", "waiting_customer"), (after(6), "waiting_customer", "resolved"),
            (after(7), "resolved", "in_progress"), (after(8), "in_progress", "waiting_customer"),
        ]  # fmt: skip
        assert clocks.pauses_of(changes, START) == [(after(1), after(2)), (after(5), after(6))]
        assert clocks.pauses_of(changes, after(4)) == [(after(5), after(6))]

    @given(hours | st.none(), st.integers(1, 20_000), st.lists(st.integers(1, 3000), max_size=8))
    def test_pausing_step_by_step_comes_to_the_same_as_reckoning_it_from_the_history(
        self, hours: BusinessHours | None, target: int, gaps: list[int]
    ) -> None:
        options = TenantOptions(business_hours=hours, sla=Sla(normal=SlaTarget(resolution=target)))
        ticket = a_ticket()
        ticket.sqlmodel_update(clocks.restarted(ticket, options, START))
        pauses, at = [], START
        for worked, waited in zip(gaps[::2], gaps[1::2], strict=False):
            began, at = at + timedelta(minutes=worked), at + timedelta(minutes=worked + waited)
            ticket.paused_at = began
            ticket.sqlmodel_update(clocks.resumed(ticket, options, at))
            pauses.append((began, at))
        reckoned = clocks.due_at(options, "normal", "resolution", START, pauses)
        if reckoned is None or ticket.resolution_due is None:
            return  # five years ahead, which a step may just reach or just miss
        assert abs(reckoned - ticket.resolution_due) < timedelta(milliseconds=1)


class TestTable:
    def test_it_names_every_status_and_no_other(self) -> None:
        assert set(TRANSITIONS) == set(STATUSES)
        for before, steps in TRANSITIONS.items():
            assert steps <= set(STATUSES) - {before}

    @pytest.mark.parametrize("status", STATUSES)
    def test_every_ticket_can_be_closed_and_opened_again(self, status: str) -> None:
        assert status == "closed" or "closed" in TRANSITIONS[status]
        assert status == "open" or "open" in TRANSITIONS[status]
