"""Servers that stand in for the world around the product, started where a test asks for one."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from tests.model_server import ModelServer
    from tests.receiver import Receiver
    from tests.whmcs_server import WhmcsServer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def provider() -> AsyncIterator["ModelServer"]:
    """Who runs the models."""
    from tests.model_server import model_server

    async with model_server() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def whmcs() -> AsyncIterator["WhmcsServer"]:
    from tests.whmcs_server import whmcs_server

    async with whmcs_server() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator["Receiver"]:
    """Who is told by webhooks."""
    from tests.receiver import receiving

    async with receiving() as opened:
        yield opened
