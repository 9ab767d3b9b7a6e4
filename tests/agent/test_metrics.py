"""What `/metrics` shows, read back with the parser that Prometheus' own client uses."""

from collections.abc import Iterator

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from agent import metrics

# The contract with the dashboard, the alerts and whoever else scrapes us.
NAMES = {
    "chat_messages_total": {"author"},
    "chat_message_duration_seconds": {"outcome"},
    "time_to_first_text_seconds": set(),
    "active_sessions": set(),
    "turns_total": {"status", "reason"},
    "turns_running": set(),
    "turns_lapsed_total": set(),
    "sse_clients": set(),
    "sse_resync_total": set(),
    "guardrail_events_total": {"action", "category"},
    "retrieval_duration_seconds": set(),
    "retrieval_cache_total": {"result"},
    "model_requests_total": {"role", "outcome"},
    "tokens_total": {"role", "kind"},
    "tool_calls_total": {"tool", "outcome"},
    "handoffs_total": {"reason"},
    "drafts_total": {"by"},
    "draft_decisions_total": {"decision"},
    "draft_edit_distance": set(),
    "draft_step_duration_seconds": {"step"},
    "replays_total": {"status"},
    "replay_cases_total": {"result"},
    "webhook_deliveries_total": {"result"},
    "webhook_attempt_duration_seconds": set(),
    "whmcs_syncs_total": {"outcome"},
    "http_requests_total": {"method", "route", "status"},
    "http_request_duration_seconds": {"method", "route"},
    "db_pool_in_use": set(),
    "db_pool_size": set(),
}


def families() -> Iterator[Metric]:
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain; version=")
    return text_string_to_metric_families(body.decode())


def value(name: str, **labels: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(name, labels)


class TestTheTable:
    def test_each_metric_is_an_object_under_its_own_name_with_its_labels(self):
        for name, labels in NAMES.items():
            found = getattr(metrics, name)
            assert set(found._labelnames) == labels
            assert found.describe()[0].name == name.removesuffix("_total")

    def test_nothing_else_of_ours_is_served(self):
        ours = {family.name for family in metrics.REGISTRY.collect()}
        assert {name for name in ours if not name.startswith(("process_", "python_"))} == {
            name.removesuffix("_total") for name in NAMES
        }

    def test_no_label_names_a_person_or_a_tenant(self):
        labels = set().union(*NAMES.values())
        assert labels == {
            "author", "outcome", "status", "reason", "action", "category", "result", "role", "kind", "tool", "method",
            "route", "by", "decision", "step",
        }  # fmt: skip


class TestRender:
    def test_shows_the_process_and_what_was_counted(self):
        before = value("chat_messages_total", author="bot")
        metrics.chat_messages_total.labels(author="bot").inc()
        shown = {
            (sample.name, *sample.labels.values()): sample.value for family in families() for sample in family.samples
        }
        assert shown["chat_messages_total", "bot"] == before + 1
        assert shown["process_resident_memory_bytes",] > 0

    def test_has_the_zero_before_the_first_message_and_no_time_of_birth(self):
        names = [(sample.name, sample.labels) for family in families() for sample in family.samples]
        for author in ("customer", "bot", "agent", "system"):
            assert ("chat_messages_total", {"author": author}) in names
        assert not [name for name, _ in names if name.endswith("_created")]

    @pytest.mark.parametrize(
        ("name", "promised_s"),
        [("time_to_first_text_seconds", 1.0), ("retrieval_duration_seconds", 0.02),
         ("chat_message_duration_seconds", 35.0), ("http_request_duration_seconds", 0.05)],
    )  # fmt: skip
    def test_a_promised_figure_is_the_bound_of_a_bucket(self, name, promised_s):
        assert promised_s in getattr(metrics, name)._kwargs["buckets"]


class TestWatchPool:
    def test_reads_the_pool_when_asked(self):
        lent = [3.0]
        metrics.watch_pool(lambda: lent[0], 32)
        assert (value("db_pool_in_use"), value("db_pool_size")) == (3, 32)
        lent[0] = 5
        assert value("db_pool_in_use") == 5
        metrics.watch_pool(lambda: 0, 0)
