"""What the product survives, each fault once; `make faults` repeats them in their true lengths."""

import os
import shutil
import time

import pytest
import pytest_asyncio

from tests.faults.short import every_fault_once
from tests.faults.stage import Report
from tests.faults.table import FAULTS

SEED = os.environ.get("SEED", "a minute of bad luck")
TOOK: list[float] = []


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reports() -> dict[str, Report]:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on the PATH")
    began = time.monotonic()
    found = await every_fault_once(SEED)
    TOOK.append(time.monotonic() - began)
    return found


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
async def test_survives(name: str, reports: dict[str, Report]) -> None:
    report = reports[name]
    if report.skipped:
        pytest.skip(report.skipped)
    assert report.runs == 1
    assert report.violations == []
