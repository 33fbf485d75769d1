"""Leases and notes in the sqlite store, between processes and past every restart."""

import asyncio
import threading
import time

from fakes import FakeClock
from sqlite_child import key
from sqlite_stage import child, opened, sql, store_path  # noqa: F401

OWNER = "another process"


async def test_who_is_killed_is_replaced_when_its_lease_ends(path):
    other = child("take_lease", path, OWNER, 30)
    first = int(other.stdout.readline())
    clock = FakeClock(wall=time.time())
    async with opened(path, clock=clock) as store:
        assert await store.lease(key(1), "us", 30) is None
        other.kill()
        other.communicate()
        assert await store.lease(key(1), "us", 30) is None
        clock.advance(31)
        assert await store.lease(key(1), "us", 30) > first


async def test_tokens_grow_past_restarts_and_sweeps(path):
    clock, tokens = FakeClock(), []
    for _ in range(3):
        async with opened(path, clock=clock) as store:
            for _ in range(50):
                tokens.append(await store.lease(key(1), "us", 1))
                clock.advance(2)
    assert tokens == sorted(set(tokens))


async def test_tokens_grow_past_a_file_that_was_lost(path):
    clock = FakeClock()
    async with opened(path, clock=clock) as store:
        first = await store.lease(key(1), "us", 60)
        path.unlink()
        clock.advance(1)
        assert await store.lease(key(1), "them", 60) > first


async def test_leases_that_ended_do_not_pile_up(path):
    clock = FakeClock()
    async with opened(path, clock=clock) as store:
        for number in range(300):
            await store.lease(key(number), "us", 1)
            clock.advance(2)
        for number in range(20):
            await store.pin(f"note {number}", b"", 1)
            clock.advance(2)
        assert sql(path, "SELECT count(*) FROM leases")[0][0] <= 64
        assert sql(path, "SELECT count(*) FROM notes") == [(1,)]


async def test_a_clock_that_is_set_back_makes_no_lease_last(path):
    clock = FakeClock()
    async with opened(path, clock=clock) as store:
        first = await store.lease(key(1), "us", 15)
        await store.pin("note", b"", 15)
        clock.advance(-3600)
        assert await store.lease(key(1), "them", 15) > first
        assert await store.notes("") == {}


async def test_who_gave_up_waiting_for_a_lease_can_give_it_back(path):
    """It comes all the same, in its order; nobody would renew it."""
    go = threading.Event()
    async with opened(path) as store:
        hangs = asyncio.create_task(store._writes.ask(lambda _: go.wait(10)))
        late = asyncio.create_task(store.lease(key(1), "us", 60))
        await asyncio.sleep(0)
        late.cancel()
        released = asyncio.create_task(store.release(key(1), "us"))
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(hangs, released)
        assert await store.lease(key(1), "them", 60) is not None
