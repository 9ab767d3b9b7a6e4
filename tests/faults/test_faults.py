"""What the product survives, each fault once, in about a minute; `make faults` repeats every fault in its true length."""

import os
import shutil

import pytest
import pytest_asyncio

from tests.faults.short import every_fault_once
from tests.faults.stage import Report
from tests.faults.table import FAULTS
from tests.forked import Forks

SEED = os.environ.get("SEED", "a minute of bad luck")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reports(forks: Forks) -> dict[str, Report]:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on the PATH")
    return await every_fault_once(SEED, forks)


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
async def test_survives(name: str, reports: dict[str, Report]) -> None:
    report = reports[name]
    if report.skipped:
        pytest.skip(report.skipped)
    assert report.runs == 1
    assert report.violations == []
    assert [promise for promise in report.over if "ms:" not in promise] == []  # ms are for a machine at rest
