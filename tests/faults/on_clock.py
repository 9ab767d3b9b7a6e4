"""One process whose clock is an hour off: leases go by the database's time, and nobody is signed out."""

import random
import time
from pathlib import Path

import jwt

from tests.faults.cluster import skewed_clock
from tests.faults.stage import Stage

HOUR = 3600


async def clock_off(stage: Stage) -> None:
    """Both processes answer at the same time, for longer than it takes to look for lapsed leases."""
    straight, skewed = stage.cluster.apis
    wrong = wrong_clock(stage.cluster.folder, stage.rng)
    if not wrong:
        stage.report.skipped = "needs a C compiler for the clock"
        return
    if not skewed.changed:  # in a short run it is wrong from the start
        await skewed.end()
        await stage.cluster.restart(skewed, **wrong)
    try:
        ahead = stage.customers(2, prefers=skewed, follows=straight)
        beside = stage.customers(2, prefers=straight, follows=skewed)
        async with ahead as first, beside as second:
            off = abs(jwt.decode(first[0].token, options={"verify_signature": False})["iat"] - time.time())
            stage.expect(off > HOUR / 2, f"the wrong clock is {off:.0f} s off")
            clients = [*first, *second]
            promises = [await client.say("slow") for client in clients]
            for client, promise in zip(clients, promises, strict=True):
                how = await stage.ended(client, promise)
                stage.expect(how == "completed", f"a turn beside a wrong clock was {how}")
            taken = [turn for turn in await stage.turns_of(*clients) if turn["attempts"] != 1]
            stage.expect(not taken, "a turn was taken from a process with a wrong clock")
    finally:
        if stage.patient:
            await skewed.end()
            await stage.cluster.restart(skewed)


def wrong_clock(folder: Path, rng: random.Random) -> dict[str, str]:
    """Settings of a process an hour before or behind the others; none where nothing can be compiled."""
    library = skewed_clock(folder)
    return {"LD_PRELOAD": library, "CLOCK_SKEW_S": str(rng.choice((-HOUR, HOUR)))} if library else {}
