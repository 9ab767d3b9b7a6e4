"""What a process that answers does all the time, beside the requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.jobs.deliveries import Deliveries
from agent.resources import Resources
from memory.cancelling import end


@asynccontextmanager
async def attending(resources: Resources, *, delivering: bool = True) -> AsyncIterator[None]:
    """The standing tasks of a process that answers: hearing of events elsewhere, taking up lapsed turns, and webhooks
    where it works."""
    tasks = [
        asyncio.create_task(resources.streams.listen(), name="listen"),
        asyncio.create_task(resources.turns.watch_for_lapsed(), name="lapsed"),
        asyncio.create_task(resources.handoffs.watch_for_neglected(), name="neglected"),
    ]
    if delivering:
        deliveries = Deliveries(resources.database, resources.cipher, resources.outbound)
        tasks.append(asyncio.create_task(deliveries.watch(), name="deliveries"))
    if resources.settings.redis.url:
        from memory.live import LiveWire  # its client takes 0.2 s of a start

        wire = LiveWire(resources.settings.redis.url, resources.streams, resources.process)
        tasks.append(asyncio.create_task(wire.run(), name="live"))
    try:
        yield
    finally:
        await end(*tasks)
