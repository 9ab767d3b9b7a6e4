"""Feedback: one judgement per answer and per conversation, from those who may see it."""

from typing import Any

import pytest

from memory.models import Tenant
from memory.tenancy import Role
from tests.product import Product, Visitor

NOWHERE = "00000000-0000-7000-8000-000000000000"


async def judge(visitor: Visitor, **body: Any) -> Any:
    return await visitor.http.post(f"{visitor.url}/feedback", json=body, headers=visitor.headers)


async def test_judging_again_replaces_the_earlier_word(product: Product, tenant: Tenant) -> None:
    visitor = await product.visitor(tenant)
    answer = await visitor.ask("How do I pay an invoice?")
    thumb = {"message_id": answer["message_id"], "kind": "thumb"}
    first = await judge(visitor, **thumb, value=1)
    second = await judge(visitor, **thumb, value=-1, comment="the page looks different")
    assert (first.status_code, second.status_code) == (201, 201)
    assert (await judge(visitor, kind="csat", value=4)).status_code == 201
    assert (await judge(visitor, kind="resolved", value=1)).status_code == 201
    agent = await product.staff(tenant, Role.AGENT)
    found = (await product.http.get("/api/v1/feedback", headers=agent)).json()["items"]
    assert [(item["kind"], item["value"], item["comment"]) for item in found] == [
        ("resolved", 1, ""), ("csat", 4, ""), ("thumb", -1, "the page looks different"),
    ]  # fmt: skip
    only = await product.http.get("/api/v1/feedback", params={"kind": "csat"}, headers=agent)
    assert [item["value"] for item in only.json()["items"]] == [4]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"kind": "csat", "value": 0}, 422),
        ({"kind": "csat", "value": 6}, 422),
        ({"kind": "thumb", "value": 1}, 422),
        ({"kind": "resolved", "value": 1, "message_id": NOWHERE}, 422),
        ({"kind": "thumb", "value": 0, "message_id": NOWHERE}, 422),
        ({"kind": "thumb", "value": 1, "message_id": NOWHERE}, 404),
        ({"kind": "applause", "value": 1}, 422),
    ],
    ids=str,
)
async def test_what_is_no_judgement_is_refused(
    product: Product, tenant: Tenant, body: dict[str, Any], status: int
) -> None:
    assert (await judge(await product.visitor(tenant), **body)).status_code == status


async def test_only_answers_of_this_conversation_are_judged(product: Product, tenant: Tenant) -> None:
    mine, theirs = await product.visitor(tenant), await product.visitor(tenant)
    await mine.ask("hello")
    other = await theirs.ask("hello")
    own_words = next(message["id"] for message in await mine.history() if message["author"] == "customer")
    for message_id in (other["message_id"], own_words):
        assert (await judge(mine, kind="thumb", value=1, message_id=message_id)).status_code == 404
