"""What a process without a Redis keeps: for a while, and only so much."""

import tracemalloc

import orjson

from memory.local_cache import LocalCache


async def test_a_value_lasts_until_it_expires() -> None:
    now = 100.0
    kept = LocalCache(clock=lambda: now)
    await kept.set("one", b"1", 60)
    await kept.set("two", b"2", 61)
    now += 59.9
    assert await kept.get("one") == b"1"
    now += 0.1
    assert await kept.get("one") is None
    assert await kept.get("two") == b"2"
    assert len(kept) == 1


async def test_it_holds_only_so_much_and_drops_the_oldest() -> None:
    kept = LocalCache(most=3)
    for key in ("first", "second", "third"):
        await kept.set(key, key.encode(), 60)
    await kept.set("first", b"again", 60)
    await kept.set("fourth", b"4", 60)
    assert await kept.get("second") is None
    assert [await kept.get(key) for key in ("first", "third", "fourth")] == [b"again", b"third", b"4"]
    assert len(kept) == 3


async def test_a_value_takes_no_more_than_its_size() -> None:
    kept = LocalCache()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for n in range(50):
            await kept.set(str(n), orjson.dumps(["x" * 1000] * 6), 60)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 50 * 10_000
