"""Schemathesis over the OpenAPI document, as every role: no server error, no undeclared status, no answer that does not
fit its schema. `OPENAPI_EXAMPLES` sets how many requests are made up for each operation, fitting ones and others.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from memory.tenancy import Role
from tests.product import Product

EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "1"))
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
"""With a single example each operation is asked in one of them: two of three as it wants to be."""
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, negative_data_rejection,
]  # fmt: skip
ENDLESS = "/api/v1/chat/sessions/{session_id}/events"
"""An open session's stream does not end; `client.py` reads it in every other test here."""
SCOPES = ["chat", "search", "tickets"]


@dataclass(frozen=True)
class World:
    """Who may ask, and what there is to be asked about."""

    roles: dict[str, dict[str, str]]
    ids: dict[str, str]


async def world_of(product: Product) -> World:
    tenant = await product.tenant()
    visitor = await product.visitor(tenant)
    agent, admin = await product.staff(tenant, Role.AGENT), await product.staff(tenant, Role.ADMIN)
    asked = await product.http.post(f"{visitor.url}/escalate", headers=visitor.headers)
    key = await product.http.post("/api/v1/api-keys", headers=admin, json={"name": "site", "scopes": SCOPES})
    server = {"Authorization": f"Bearer {key.json()['secret']}"}
    roles = {"anonymous": {}, "customer": visitor.headers, "agent": agent, "admin": admin, "API key": server}
    escalated = asked.json()
    ids = {"session_id": visitor.session_id, "ticket_id": escalated["ticket_id"], "handoff_id": escalated["handoff_id"]}
    return World(roles, ids)


def cases_of(operation: Any, mode: GenerationMode) -> list[schemathesis.Case]:
    """Requests to an operation: such as fit its declaration, or such as do not."""
    found: list[schemathesis.Case] = []

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=mode))
    def collect(case: schemathesis.Case) -> None:
        found.append(case)

    collect()
    return found


def all_cases(document: dict[str, Any], ids: dict[str, str]) -> Iterator[schemathesis.Case]:
    """Every operation; where an object of a kind is known, every other request is about it."""
    schema = schemathesis.openapi.from_dict(document)
    for place, found in enumerate(schema.get_all_operations()):
        operation = found.ok()
        for mode in MODES if EXAMPLES > 1 else (MODES[place % 3 == 2],):
            if mode is GenerationMode.NEGATIVE and not _can_be_wrong(operation):
                continue
            for number, case in enumerate(cases_of(operation, mode)):
                if mode is GenerationMode.POSITIVE and number % 2 == 0 and operation.path != ENDLESS:
                    known = {name: ids[name] for name in case.path_parameters or {} if name in ids}
                    case.path_parameters = {**(case.path_parameters or {}), **known}
                yield case


def _can_be_wrong(operation: Any) -> bool:
    return any(True for _ in operation.iter_parameters()) or bool(operation.body)


async def send(http: httpx.AsyncClient, case: schemathesis.Case, headers: dict[str, str]) -> httpx.Response:
    """The request as the case means it, with the role's own credential or none."""
    base = str(http.base_url).rstrip("/")
    prepared = requests.Request(**_plain(case.as_transport_kwargs(base))).prepare()
    made_up = {name: str(value) for name, value in prepared.headers.items() if name.lower() != "authorization"}
    given = [(name.encode(), value.strip().encode("latin-1")) for name, value in {**made_up, **headers}.items()]
    return await http.request(str(prepared.method), str(prepared.url), content=prepared.body, headers=given)


def _plain(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name in ("method", "url", "headers", "params", "cookies",
                                                                      "json", "data", "files")}  # fmt: skip


def wrong_with(case: schemathesis.Case, answer: httpx.Response) -> list[str]:
    try:
        case.validate_response(answer, checks=CHECKS)
    except FailureGroup as group:
        found = [failure for failure in group.exceptions if isinstance(failure, Failure)]
    except Failure as failure:
        found = [failure]
    else:
        return []
    # A credential that the case left out is the role's again.
    return [f"{each.title}: {each.message[:200]}" for each in found if "parameter `Authorization`" not in each.message]


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
async def test_every_answer_is_one_that_is_declared(product: Product) -> None:
    world = await world_of(product)
    document = (await product.http.get("/openapi.json")).json()
    wrong: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for case in all_cases(document, world.ids):
        for role, headers in world.roles.items():
            answer = await send(product.http, case, headers)
            asked[role] += 1
            for found in wrong_with(case, answer):
                wrong[f"{case.method} {case.path} as {role}: {answer.status_code} {found}"] += 1
    assert not wrong
    assert min(asked.values()) >= len(document["paths"])
