"""What is counted and looked for in the background: yesterday's figures every hour, alerts every five minutes."""

from contextlib import AsyncExitStack

import structlog
from procrastinate import App

from agent.parts import Parts
from memory.errors import HelpdeskError
from memory.jobs import RETRY
from tools.analytics import alerts
from tools.analytics.counting import count_days
from tools.tenants import active_tenants

log = structlog.get_logger()


def define_analytics_jobs(app: App, parts: Parts) -> None:
    """Register the tasks; called once, with the others."""

    @app.periodic(cron="23 * * * *")
    @app.task(name="count_days", queue="agent", retry=RETRY)
    async def count(timestamp: int) -> None:
        """Count the days that are over, tenant by tenant; one that fails leaves the others theirs."""
        for tenant_id in await active_tenants(parts.database):
            try:
                await count_days(parts.database, tenant_id)
            except HelpdeskError as error:
                log.warning("a tenant's days could not be counted", tenant_id=str(tenant_id), error=error.code)

    @app.periodic(cron="*/5 * * * *")
    @app.task(name="look_for_alerts", queue="agent", retry=RETRY)
    async def look(timestamp: int) -> None:
        for tenant_id in await active_tenants(parts.database):
            async with AsyncExitStack() as stack:
                connection = await stack.enter_async_context(parts.database.connection(tenant_id))
                knowledge = connection
                if parts.knowledge is not parts.database:
                    knowledge = await stack.enter_async_context(parts.knowledge.connection(tenant_id))
                await alerts.look(connection, tenant_id, knowledge)
