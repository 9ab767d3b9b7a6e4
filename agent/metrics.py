"""What an operator can see of the running process: every metric, in one table, under its name on the wire.

Prometheus keeps a series for each combination of labels for ever, so a label takes few values and never a tenant, a
user, a session or anything that a caller wrote: `route` is the template (`/chat/sessions/{id}`), not the path, and
`reason`, `category` and `tool` come from our own lists.
"""

from collections.abc import Callable, Mapping

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter that nothing here reads
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

# Upper bounds in seconds, close together around the figure that is promised: a turn ends within 35, the first text
# is due within 1, retrieval within 0.02.
TURN_S = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 35, 60)
FIRST_TEXT_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30)
RETRIEVAL_S = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2)
WEBHOOK_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
EDITS = (0, 5, 20, 50, 100, 200, 400, 800, 1600, 3200)
STEP_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30)
REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 35)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, registry=REGISTRY)


def _gauge(name: str, text: str) -> Gauge:
    return Gauge(name, text, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(name, text, labels, buckets=buckets, registry=REGISTRY)


# Conversations. author: customer | bot | agent | system; status and outcome: completed | failed | cancelled (outcome
# also: lost); reason: what the answer came to, or why the turn failed or was stopped.
chat_messages_total = _counter("chat_messages_total", "Messages stored, by who wrote them.", "author")
chat_message_duration_seconds = _histogram(
    "chat_message_duration_seconds", "From accepting a message to the end of its turn.", TURN_S, "outcome"
)
time_to_first_text_seconds = _histogram(
    "time_to_first_text_seconds", "From accepting a message to the first text of its answer.", FIRST_TEXT_S
)
active_sessions = _gauge("active_sessions", "Sessions with a running turn or a watcher in this process.")
turns_total = _counter("turns_total", "Turns ended, by what came of them.", "status", "reason")
turns_running = _gauge("turns_running", "Turns that this process runs now.")
turns_lapsed_total = _counter("turns_lapsed_total", "Turns whose process let the lease lapse, as found by this one.")
sse_clients = _gauge("sse_clients", "Event streams open now.")
sse_resync_total = _counter("sse_resync_total", "Streams told to read the history because their cursor was too old.")
handoffs_total = _counter("handoffs_total", "Conversations handed to people.", "reason")

# Decisions and their cost. action: refuse | escalate; result: hit | miss; role: answer | fast | draft | judge; a model's
# outcome: stop | tool_calls, or what went wrong; kind: input | output; a tool's outcome: ok | failed.
guardrail_events_total = _counter(
    "guardrail_events_total", "Messages that the guard did not let through.", "action", "category"
)
retrieval_duration_seconds = _histogram(
    "retrieval_duration_seconds", "One search over all four sources, the query's embedding included.", RETRIEVAL_S
)
retrieval_cache_total = _counter("retrieval_cache_total", "Searches asked of the cache.", "result")
model_requests_total = _counter("model_requests_total", "Requests to a model.", "role", "outcome")
tokens_total = _counter("tokens_total", "Tokens that models read and wrote.", "role", "kind")
tool_calls_total = _counter("tool_calls_total", "Tools run for the model.", "tool", "outcome")

# Drafts. by: person | job; decision: approved (as it was) | edited | rejected; step: as in a draft's `steps_ms`; a
# replay's status: completed | failed | cancelled; a case's result: same | changed | failed.
drafts_total = _counter("drafts_total", "Drafts written, by who wanted them.", "by")
draft_decisions_total = _counter("draft_decisions_total", "Drafts that people decided about.", "decision")
draft_edit_distance = _histogram(
    "draft_edit_distance", "Characters changed between a draft and the reply that was approved.", EDITS
)
draft_step_duration_seconds = _histogram("draft_step_duration_seconds", "One step of writing a draft.", STEP_S, "step")
replays_total = _counter("replays_total", "Replays ended, by what came of them.", "status")
replay_cases_total = _counter("replay_cases_total", "Answers given again in replays, by what came of them.", "result")

# Webhooks. result: delivered | again | failed (given up).
webhook_deliveries_total = _counter(
    "webhook_deliveries_total", "Attempts to deliver a webhook, by what came of them.", "result"
)
webhook_attempt_duration_seconds = _histogram(
    "webhook_attempt_duration_seconds", "One attempt to deliver a webhook.", WEBHOOK_S
)

# WHMCS. outcome: succeeded | failed.
whmcs_syncs_total = _counter("whmcs_syncs_total", "Synchronisations with WHMCS ended, by what came of them.", "outcome")

# The process. Streams count as requests, but only their time to the headers is a duration.
http_requests_total = _counter("http_requests_total", "Requests answered.", "method", "route", "status")
http_request_duration_seconds = _histogram(
    "http_request_duration_seconds", "From a request to its answer.", REQUEST_S, "method", "route"
)
db_pool_in_use = _gauge("db_pool_in_use", "Database connections lent out by this process's pools.")
db_pool_size = _gauge("db_pool_size", "Database connections that this process's pools may open.")

for _author in ("customer", "bot", "agent", "system"):  # a rate needs the zero before the first message
    chat_messages_total.labels(author=_author)
for _result in ("hit", "miss"):
    retrieval_cache_total.labels(result=_result)
for _by in ("person", "job"):
    drafts_total.labels(by=_by)
for _decision in ("approved", "edited", "rejected"):
    draft_decisions_total.labels(decision=_decision)
for _result in ("delivered", "again", "failed"):
    webhook_deliveries_total.labels(result=_result)
for _outcome in ("succeeded", "failed"):
    whmcs_syncs_total.labels(outcome=_outcome)


def watch_pool(in_use: Callable[[], float], size: int) -> None:
    """Read the pools when Prometheus asks, so that nothing has to count on the way; `size` is their sum."""
    db_pool_in_use.set_function(in_use)
    db_pool_size.set(size)


def count_draft(by: str, steps_ms: Mapping[str, float]) -> None:
    """A draft was written and kept."""
    drafts_total.labels(by).inc()
    for step, milliseconds in steps_ms.items():
        draft_step_duration_seconds.labels(step).observe(milliseconds / 1000)


def count_approval(distance: int) -> None:
    """A draft was approved, after so many edits."""
    draft_decisions_total.labels("edited" if distance else "approved").inc()
    draft_edit_distance.observe(distance)


def render() -> tuple[bytes, str]:
    """The body and the content type of `/metrics`."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
