"""A job that can't be queued because the database is away: the request is told when to come again."""

from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest
import pytest_asyncio
from fastapi import FastAPI
from procrastinate.exceptions import ConnectorException

from api import errors
from memory import jobs as jobs_of_ours
from tests.conftest import Cluster


@pytest_asyncio.fixture(loop_scope="session")
async def client(postgres: Cluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """Routes that leave it to the application what happens where a job is not queued."""
    monkeypatch.setattr(jobs_of_ours, "WAIT_S", 0.5)
    urls = postgres.clone()
    app, jobs = FastAPI(), jobs_of_ours.new_jobs(urls.app)
    errors.install(app)

    @app.post("/jobs")
    async def queue() -> None:
        await jobs.configure_task("errand", allow_unknown=True).defer_async()

    @app.post("/mistakes")
    async def mistake() -> None:
        raise ConnectorException from psycopg.errors.SyntaxError("ours")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with jobs.open_async(), httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        assert (await http.post("/jobs")).status_code == 200
        postgres.drop(urls)
        yield http


async def test_is_a_problem_that_says_when_to_come_again(client: httpx.AsyncClient) -> None:
    answer = await client.post("/jobs")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == errors.MEDIA_TYPE
    assert answer.headers["retry-after"] == "2"
    problem = answer.json()
    assert (problem["status"], problem["code"], problem["detail"]) == (503, "unavailable", "the database is away")


async def test_what_is_wrong_with_us_is_not_blamed_on_the_database(client: httpx.AsyncClient) -> None:
    answer = await client.post("/mistakes")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
