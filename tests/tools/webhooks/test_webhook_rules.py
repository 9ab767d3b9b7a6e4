"""What webhooks promise in numbers and names: the schedule, the signature, the events."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

import memory.events
import tools.tickets.events
from tools.webhooks import schedule
from tools.webhooks.events import EVENTS, TEST
from tools.webhooks.signing import PREFIX, new_secret, signed_headers

NOW = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)


class TestSchedule:
    def test_attempts_reach_over_about_a_day(self) -> None:
        delays = [schedule.delay_s(n, jitter=0.0) for n in range(1, len(schedule.DELAYS_S) + 1)]
        assert delays == sorted(delays)
        assert 20 * 3600 < sum(delays) < 28 * 3600
        assert sum(delays) * (1 + schedule.JITTER) < 30 * 3600
        assert schedule.delay_s(len(delays) + 1, jitter=0.0) is None

    def test_jitter_only_adds(self) -> None:
        for attempt, delay in enumerate(schedule.DELAYS_S, 1):
            assert schedule.delay_s(attempt, jitter=0.0) == delay
            assert schedule.delay_s(attempt, jitter=0.999) < delay * (1 + schedule.JITTER)

    @pytest.mark.parametrize(("asked", "expected"), [(None, 5), (1, 5), (300, 300), (10**9, 21600)])
    def test_a_wish_to_wait_counts_where_it_is_longer_and_within_bounds(self, asked: float, expected: float) -> None:
        assert schedule.delay_s(1, jitter=0.0, asked_s=asked) == expected

    @pytest.mark.parametrize(
        ("failures", "asked", "expected"),
        [(1, None, None), (4, None, None), (1, 60, 60), (1, 9999, 600), (5, None, 30), (6, None, 60), (7, 500, 500),
         (9, None, 480), (10, None, 600), (10_000, None, 600)],
    )  # fmt: skip
    def test_rests_grow_to_ten_minutes(self, failures: int, asked: float | None, expected: float | None) -> None:
        assert schedule.rest_s(failures, asked_s=asked) == expected

    def test_an_endpoint_is_given_up_after_days_and_often(self) -> None:
        long_ago, lately = NOW - schedule.DISABLE_AFTER, NOW - timedelta(hours=71)
        assert schedule.is_given_up(10, long_ago, NOW)
        assert not schedule.is_given_up(9, long_ago, NOW)
        assert not schedule.is_given_up(1000, lately, NOW)

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [("120", 120), (" 7 ", 7), (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
         (format_datetime(NOW - timedelta(days=1), usegmt=True), 0), (None, None), ("", None), ("soon", None),
         ("-5", None), ("1e9", None), ("٣", None), ("9" * 400, 999999999.0), ("Sat, 99 Nov 2026 07:00:00 GMT", None)],
    )  # fmt: skip
    def test_retry_after_is_read_as_seconds_or_a_date(self, value: str | None, seconds: float | None) -> None:
        assert schedule.asked_to_wait_s(value, NOW) == seconds


class TestSigning:
    def test_is_the_standards(self) -> None:
        """A vector that the libraries of two languages agree on."""
        secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
        at = datetime(2026, 11, 20, tzinfo=UTC)
        delivery = UUID(int=7)
        headers = signed_headers(delivery, at, b'{"type":"x"}', [secret])
        assert headers["webhook-timestamp"] == "1795132800"
        assert headers["webhook-id"] == f"msg_{delivery.hex}"
        expected = Webhook(secret).sign(headers["webhook-id"], at, '{"type":"x"}')
        assert headers["webhook-signature"] == expected

    def test_a_changed_body_and_another_secret_do_not_hold(self) -> None:
        secret, other = new_secret(), new_secret()
        headers = signed_headers(UUID(int=7), datetime.now(UTC), b"{}", [secret])
        assert Webhook(secret).verify(b"{}", headers) == {}
        for key, body in ((other, b"{}"), (secret, b"[]")):
            with pytest.raises(WebhookVerificationError):
                Webhook(key).verify(body, headers)

    def test_each_secret_is_new_and_long(self) -> None:
        secrets = {new_secret() for _ in range(100)}
        assert len(secrets) == 100
        assert all(secret.startswith(PREFIX) and len(secret) == 50 for secret in secrets)


class TestEvents:
    def test_are_those_that_a_session_and_a_ticket_write(self) -> None:
        """The two modules name them in their first lines."""
        durable = (memory.events.__doc__ or "").split("Transient")[0]
        session = set(re.findall(r"\b((?:message|turn|handoff|session)\.[a-z_]+)", durable))
        body = (tools.tickets.events.__doc__ or "").split("\n\n", 1)[1]
        kinds = {
            kind for line in body.splitlines() for kind in re.findall(r"[a-z_]+", re.split(r"[{*]|  of ", line)[0])
        }
        assert {"created", "note", "returned_to_queue"} <= kinds
        assert set(EVENTS) == session | {f"ticket.{kind}" for kind in kinds - {"note"}}

    def test_a_test_is_no_event_to_choose(self) -> None:
        assert TEST not in EVENTS


class TestThePage:
    PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text("utf-8")

    def receiver(self) -> Callable[..., int]:
        names: dict[str, Callable[..., int]] = {}
        for block in re.findall(r"```python\n(.*?)```", self.PAGE, re.DOTALL):
            exec(compile(block, "docs/webhooks.md", "exec"), names)
        return names["receive"]

    def test_its_receiver_takes_what_we_sign_once_and_refuses_the_rest(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        receive, secret, body = self.receiver(), new_secret(), b'{"type": "ticket.created", "data": {}}'
        headers = signed_headers(UUID(int=7), datetime.now(UTC), body, [new_secret(), secret])
        assert [receive(secret, headers, body) for _ in range(2)] == [204, 204]
        assert capsys.readouterr().out == "ticket.created {}\n"
        assert receive(new_secret(), headers, body) == 400
        late = signed_headers(UUID(int=7), datetime.now(UTC) - timedelta(minutes=6), body, [secret])
        assert receive(secret, late, body) == 400

    def test_names_every_event_and_every_delay(self) -> None:
        table = self.PAGE.split("## Events")[1]
        assert set(re.findall(r"`([a-z]+\.[a-z_]+)`", table)) == set(EVENTS)
        told = re.findall(r"(\d+) (s|min|h)\b", self.PAGE.split("tried again after")[1].split("A `Retry-After`")[0])
        seconds = {"s": 1, "min": 60, "h": 3600}
        assert tuple(int(number) * seconds[unit] for number, unit in told) == schedule.DELAYS_S
