"""The hot tier of each process before what they share: quick, kept, and never one without the other's news."""

import asyncio

import pytest
from fakes import FailingStore, FakeClock, LineKeeper
from wires import Switchboard

from proxy.core.types import Entry
from proxy.store.memory import Memory
from proxy.store.tiers import BUDGET_S, LONGEST_S, Tiers

KEY, OTHER = b"k" * 20, b"o" * 20


class Counted(Memory):
    """A shared store that counts its look-ups."""

    looked_up = 0

    async def get_many(self, keys):
        self.looked_up += 1
        return await super().get_many(keys)


class Stand:
    """Two processes that share a store."""

    def __init__(self, shared=None) -> None:
        self.clock, self.log, board = FakeClock(), LineKeeper(), Switchboard()
        self.shared = shared or Counted(2**20)
        self.hot = [Memory(2**20), Memory(2**20)]
        wires = [board.wire(), board.wire()]
        self.one, self.two = (
            Tiers(hot, self.shared, wire, self.clock, self.log.failed)
            for hot, wire in zip(self.hot, wires, strict=True)
        )
        for wire, tiers in zip(wires, (self.one, self.two), strict=True):
            wire.listen(tiers.hear)

    def entry(self, body: bytes = b"one", at: float = 0.0) -> Entry:
        return Entry(200, (), body, stored_at=self.clock.wall() + at, ttl=60.0)


async def test_what_one_keeps_the_other_finds_and_keeps_near():
    stand = Stand()
    kept = stand.entry()
    await stand.one.set_many({KEY: kept})
    for _ in range(3):
        assert await stand.two.get_many([OTHER, KEY]) == [None, kept]
    assert await stand.hot[1].get_many([KEY]) == [kept]


async def test_what_is_near_is_not_looked_up_again():
    stand = Stand()
    await stand.one.set_many({KEY: stand.entry()})
    await stand.one.get_many([KEY])
    assert stand.shared.looked_up == 0


@pytest.mark.parametrize("change", ["set", "delete", "clear"])
async def test_what_one_changes_the_other_does_not_serve_any_more(change):
    stand = Stand()
    await stand.one.set_many({KEY: stand.entry()})
    await stand.two.get_many([KEY])
    newer = stand.entry(b"two")
    if change == "set":
        await stand.one.set_many({KEY: newer})
    elif change == "delete":
        await stand.one.delete([KEY])
    else:
        await stand.one.clear()
    assert await stand.two.get_many([KEY]) == [newer if change == "set" else None]


async def test_many_changes_are_told_in_several_messages():
    stand = Stand()
    entries = {b"%020d" % number: stand.entry() for number in range(500)}
    await stand.one.set_many(entries)
    await stand.two.get_many(list(entries))
    await stand.one.delete(list(entries))
    assert await stand.two.get_many(list(entries)) == [None] * 500


async def test_what_was_changed_while_it_was_read_is_not_kept_near():
    class Held(Counted):
        async def get_many(self, keys):
            found = await super().get_many(keys)
            await go.wait()
            return found

    go = asyncio.Event()
    stand = Stand(Held(2**20))
    await stand.shared.set_many({KEY: stand.entry()})
    reading = asyncio.get_running_loop().create_task(stand.two.get_many([KEY]))
    await asyncio.sleep(0)
    await stand.one.delete([KEY])
    go.set()
    await reading
    assert await stand.hot[1].get_many([KEY]) == [None]


async def test_what_is_older_than_anybody_remembers_purges_is_fetched_anew():
    stand = Stand()
    await stand.shared.set_many({KEY: stand.entry(at=-LONGEST_S), OTHER: stand.entry(at=1 - LONGEST_S)})
    assert [bool(one) for one in await stand.one.get_many([KEY, OTHER])] == [False, True]


async def test_a_shared_store_that_is_down_costs_hits_and_is_left_alone():
    stand = Stand(FailingStore())
    kept = stand.entry()
    await stand.one.set_many({KEY: kept})
    for _ in range(10):
        assert await stand.one.get_many([OTHER]) == [None]
    assert await stand.one.get_many([KEY]) == [kept]
    assert (len(stand.log.failures), stand.one.is_well) == (1, False)
    stand.clock.advance(1)
    await stand.one.delete([KEY])
    assert len(stand.log.failures) == 2


async def test_a_shared_store_that_is_slow_costs_its_budget_once(monkeypatch):
    class Stuck(Counted):
        async def get_many(self, keys):
            await asyncio.Event().wait()

    monkeypatch.setattr("proxy.store.tiers.BUDGET_S", 0.01)
    stand = Stand(Stuck(2**20))
    assert [await stand.one.get_many([KEY]) for _ in range(5)] == [[None]] * 5
    assert len(stand.log.failures) == 1
    assert BUDGET_S == 0.25


async def test_it_is_well_again_once_it_answers():
    class Shaky(Counted):
        fails = True

        async def get_many(self, keys):
            if self.fails:
                raise ConnectionError("gone")
            return await super().get_many(keys)

    stand = Stand(Shaky(2**20))
    await stand.one.get_many([KEY])
    stand.shared.fails = False
    stand.clock.advance(1)
    await stand.one.get_many([KEY])
    assert stand.one.is_well


async def test_what_is_hot_here_is_known_to_the_shared_store():
    """Else what is asked for most would be the first that it evicts: its reads never get there."""
    stand = Stand()
    await stand.one.set_many({KEY: stand.entry(), OTHER: stand.entry()})
    touched: list[dict[bytes, int]] = []

    async def touch(hits):
        touched.append(dict(hits))

    stand.shared.touch = touch
    for _ in range(200):
        await stand.one.get_many([KEY])
    assert touched == []
    for _ in range(60):
        await stand.one.get_many([OTHER])
    assert touched == [{KEY: 200, OTHER: 56}]
