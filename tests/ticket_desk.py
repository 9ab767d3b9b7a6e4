"""What tests of tickets say to the API, and read from it."""

from datetime import datetime
from typing import Any

from memory.models import Tenant
from memory.tenancy import Role
from tests.product import Product, calls_to

URL = "/api/v1/tickets"
call = calls_to(URL)
Headers = dict[str, str]
Json = dict[str, Any]


async def opened(product: Product, who: Headers, subject: str = "Broken", **body: Any) -> Json:
    found: Json = await call(product, "POST", "", who, 201, **{"subject": subject, "content": "It broke.", **body})
    return found


async def events(product: Product, who: Headers, ticket: Json) -> list[Json]:
    found: list[Json] = (await call(product, "GET", f"/{ticket['id']}/events", who))["items"]
    return found


async def kinds(product: Product, who: Headers, ticket: Json) -> list[str]:
    return [event["type"] for event in await events(product, who, ticket)]


async def listed(product: Product, who: Headers, **filters: Any) -> list[str]:
    answer = await product.http.get(URL, headers=who, params=filters)
    assert answer.status_code == 200, answer.text
    return [ticket["subject"] for ticket in answer.json()["items"]]


async def me(product: Product, who: Headers) -> str:
    found: str = (await product.http.get("/api/v1/auth/me", headers=who)).json()["user"]["id"]
    return found


async def earlier(product: Product, tenant: Tenant, ticket: Json, interval: str) -> None:
    """Let a ticket and its history have happened that much longer ago."""
    times = ("created_at", "first_response_due", "resolution_due", "next_deadline", "paused_at", "resolved_at",
             "closed_at", "first_responded_at")  # fmt: skip
    moved = ", ".join(f"{name} = {name} - %(by)s::interval" for name in times)
    async with product.owner.connection(tenant.id) as connection:
        await connection.execute(f"update tickets set {moved} where id = %(id)s", {"by": interval, "id": ticket["id"]})
        await connection.execute(
            "update ticket_events set created_at = created_at - %(by)s::interval where ticket_id = %(id)s",
            {"by": interval, "id": ticket["id"]},
        )


async def server_of(product: Product, tenant: Tenant) -> Headers:
    admin = await product.staff(tenant, Role.ADMIN)
    made = await product.http.post("/api/v1/api-keys", json={"name": "site", "scopes": ["tickets"]}, headers=admin)
    return {"Authorization": f"Bearer {made.json()['secret']}"}


def minutes_between(a: str, b: str) -> float:
    return (datetime.fromisoformat(b) - datetime.fromisoformat(a)).total_seconds() / 60
