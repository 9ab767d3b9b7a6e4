"""The substitute for Redis in a process without one: it forgets, too."""

from memory.redis import MOST_KEPT, open_redis


async def test_it_holds_only_so_much_and_drops_the_oldest() -> None:
    async with open_redis(None) as redis:
        await redis.set("first", b"1", 60)
        await redis.set("second", b"2", 60)
        await redis.set_many({f"key {n}": b"x" for n in range(MOST_KEPT - 2)}, 60)
        await redis.set("first", b"again", 60)
        assert await redis.get("second") == b"2"
        await redis.set("one more", b"3", 60)
        assert await redis.get("second") is None
        assert await redis.get("first") == b"again"
        assert await redis.client.dbsize() == MOST_KEPT


async def test_more_at_once_than_it_holds() -> None:
    async with open_redis(None) as redis:
        await redis.set_many({f"key {n}": b"x" for n in range(MOST_KEPT + 5)}, 60)
        assert await redis.client.dbsize() == MOST_KEPT
        assert await redis.get("key 4") is None
        assert await redis.get(f"key {MOST_KEPT + 4}") == b"x"
