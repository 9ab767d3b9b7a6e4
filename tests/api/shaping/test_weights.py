"""The ranking over HTTP: set, kept, taken back, and recommended from what became of answers."""

from typing import Any
from uuid import UUID

import pytest

from kbs.passages import Source
from memory.models import (
    ApprovedReply,
    ChatMessage,
    ChatSession,
    Customer,
    Draft,
    Feedback,
    Reference,
    Tenant,
    Ticket,
    new_id,
)
from memory.tenancy import Role
from tests.product import Product, calls_to

URL = "/api/v1/weights"
call = calls_to(URL)
Headers = dict[str, str]
DEFAULTS = {"global_kb": 0.2, "tenant_kb": 0.3, "example": 0.35, "correction": 0.15}


def reference(source: Source, score: float = 1.0, **of: UUID) -> Reference:
    return Reference(
        **of, ref="a", title="A", version=1, passage_digest="-", quoted="", rank=1, score=score, source=source.value
    )


async def judged(product: Product, tenant: Tenant, source: Source, *, good: int, bad: int) -> None:
    """Drafts and answers that relied on a source: sent as they were and liked, or rejected and disliked."""
    customer = Customer()
    ticket, session = Ticket(customer_id=customer.id, number=new_id().int % 10**9, subject="-"), None
    session = ChatSession(customer_id=customer.id)
    async with product.resources.database.transaction(tenant.id) as rows:
        rows.add(customer)
        await rows.flush()
        rows.add(ticket)
        rows.add(session)
        await rows.flush()
        for n in range(good + bad):
            kept = n < good
            if n % 2:
                message = ChatMessage(session_id=session.id, n=n + 1, author="bot")
                rows.add(message)
                await rows.flush()
                rows.add(Feedback(session_id=session.id, message_id=message.id, kind="thumb", value=1 if kept else -1))
                rows.add(reference(source, message_id=message.id))
                continue
            draft = Draft(ticket_id=ticket.id, status="approved" if kept else "rejected")
            rows.add(draft)
            await rows.flush()
            rows.add(reference(source, draft_id=draft.id))
            if kept:
                rows.add(ApprovedReply(draft_id=draft.id, ticket_id=ticket.id, approved_by=new_id(), similarity=1.0))
    async with product.resources.database.connection(tenant.id) as connection:
        await connection.execute("update drafts set decided_at = now() where decided_at is null")


class TestSetting:
    async def test_weights_are_normalised_and_the_rest_stays(self, product: Product, admin: Headers) -> None:
        before = await call(product, "GET", "", admin)
        assert (before["weights"], before["kind"], before["version"]) == (DEFAULTS, "default", None)
        changed = await call(
            product, "PUT", "", admin, weights={"global_kb": 2, "tenant_kb": 1, "example": 1, "correction": 0},
            reason="we have few examples",
        )  # fmt: skip
        assert changed["weights"] == {"global_kb": 0.5, "tenant_kb": 0.25, "example": 0.25, "correction": 0.0}
        assert (changed["top_k"], changed["rerank"], changed["reason"]) == (6, False, "we have few examples")
        again = await call(product, "PUT", "", admin, top_k=3, rerank=True, threshold=0.4)
        assert again["weights"] == changed["weights"]
        assert (again["top_k"], again["rerank"], again["threshold"]) == (3, True, 0.4)
        assert await call(product, "GET", "", admin) == again

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"reason": "nothing"},
            {"weights": {"global_kb": 0, "tenant_kb": 0, "example": 0, "correction": 0}},
            {"weights": {"global_kb": -1, "tenant_kb": 1, "example": 1, "correction": 1}},
            {"weights": {"global_kb": 1}},
            {"top_k": 0},
            {"top_k": 21},
            {"threshold": 1.1},
            {"rerank": "yes"},
        ],
    )
    async def test_what_weighs_nothing_or_is_out_of_range_is_refused(
        self, product: Product, admin: Headers, body: dict[str, Any]
    ) -> None:
        answer = await product.http.put(URL, json=body, headers=admin)
        assert answer.status_code == 422

    async def test_the_next_search_ranks_by_them(self, product: Product, tenant: Tenant, admin: Headers) -> None:
        async def found() -> int:
            answer = await product.http.post(
                "/api/v1/playground", json={"message": "How do I reset my mailbox password?"}, headers=admin
            )
            return len(answer.json()["passages"])

        assert await found() == 6
        await call(product, "PUT", "", admin, top_k=2)
        assert await found() == 2

    async def test_every_change_is_kept_with_its_reason_and_taken_back(self, product: Product, admin: Headers) -> None:
        first = await call(product, "PUT", "", admin, top_k=2, reason="fewer")
        await call(product, "POST", "/reset", admin, reason="it was too few")
        history = (await call(product, "GET", "/history", admin))["items"]
        assert [(entry["kind"], entry["top_k"], entry["reason"]) for entry in history] == [
            ("reset", 6, "it was too few"), ("set", 2, "fewer"),
        ]  # fmt: skip
        assert history[0]["weights"] == DEFAULTS
        assert all(entry["changed_by_name"] for entry in history)
        older = (await call(product, "GET", f"/history?limit=1&cursor={history[0]['version']}", admin))["items"]
        assert older == [first]
        audit = await product.http.get("/api/v1/audit", headers=admin, params={"action": "weights."})
        assert [entry["changes"]["kind"] for entry in audit.json()["items"]] == ["reset", "set"]

    async def test_of_two_who_change_what_they_read_one_wins(self, product: Product, admin: Headers) -> None:
        seen = (await call(product, "PUT", "", admin, top_k=4, version=None))["version"]
        await call(product, "PUT", "", admin, 409, top_k=6, version=None)
        await call(product, "PUT", "", admin, top_k=5, version=seen)
        await call(product, "PUT", "", admin, 409, top_k=7, version=seen)
        assert (await call(product, "GET", "", admin))["top_k"] == 5


class TestRecommendation:
    async def test_few_outcomes_recommend_to_keep_and_say_so(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        await judged(product, tenant, Source.GLOBAL_KB, good=0, bad=6)
        found = await call(product, "GET", "/recommend", admin)
        assert (found["change"], found["outcomes"], found["weights"]) == (False, 6, found["current"])
        assert "too few" in found["reason"]
        await call(product, "POST", "/apply", admin, 409)

    async def test_a_source_that_serves_badly_is_found_and_the_advice_applied(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        await judged(product, tenant, Source.TENANT_KB, good=54, bad=6)
        await judged(product, tenant, Source.GLOBAL_KB, good=12, bad=48)
        found = await call(product, "GET", "/recommend", admin)
        record = {each["source"]: each for each in found["sources"]}
        assert (found["change"], found["outcomes"]) == (True, 120)
        assert record["global_kb"]["outcomes"] == record["tenant_kb"]["outcomes"] == 60
        assert record["global_kb"]["high"] < found["mean"] < record["tenant_kb"]["low"]
        assert found["weights"]["global_kb"] < 0.15 < 0.35 < found["weights"]["tenant_kb"]
        assert record["example"]["outcomes"] == 0
        agent = await product.staff(tenant, Role.AGENT)
        assert await call(product, "GET", "/recommend", agent) == found
        await call(product, "POST", "/apply", agent, 403)
        applied = await call(product, "POST", "/apply", admin, recommendation=found["id"])
        assert (applied["weights"], applied["kind"]) == (found["weights"], "recommended")
        assert "global_kb worse" in applied["reason"]
        await call(product, "POST", "/apply", admin, 409, recommendation=found["id"])  # a second click

    async def test_what_was_read_before_more_outcomes_came_is_not_applied(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        await judged(product, tenant, Source.TENANT_KB, good=54, bad=6)
        await judged(product, tenant, Source.GLOBAL_KB, good=12, bad=48)
        seen = (await call(product, "GET", "/recommend", admin))["id"]
        await judged(product, tenant, Source.GLOBAL_KB, good=60, bad=0)
        await call(product, "POST", "/apply", admin, 409, recommendation=seen)

    async def test_another_tenants_outcomes_count_for_nothing(
        self, product: Product, tenant: Tenant, admin: Headers
    ) -> None:
        await judged(product, await product.tenant(), Source.GLOBAL_KB, good=0, bad=60)
        assert (await call(product, "GET", "/recommend", admin))["outcomes"] == 0


class TestSearch:
    async def test_tells_what_each_source_gave(self, product: Product, admin: Headers) -> None:
        found = (
            await product.http.post(
                "/api/v1/search/unified", json={"query": "reset a mailbox password", "limit": 5}, headers=admin
            )
        ).json()
        assert set(found["sources"]) == {source.value for source in Source}
        best = found["sources"]["global_kb"]
        assert best["hits"] == len(found["items"]) == 5
        assert best["best_score"] == found["items"][0]["score"]
        assert best["best_similarity"] >= found["items"][0]["similarity"] > 0.5
        assert found["sources"]["example"] == {"hits": 0, "best_score": None, "best_similarity": None}
        for scope, searched in (("global", {"global_kb"}), ("tenant", {"tenant_kb", "example", "correction"})):
            part = await product.http.post(f"/api/v1/search/{scope}", json={"query": "password"}, headers=admin)
            assert set(part.json()["sources"]) == searched
