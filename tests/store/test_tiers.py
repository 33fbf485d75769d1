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


CHANGES = {
    "kept anew": lambda tiers, newer: tiers.set_many({KEY: newer}),
    "deleted": lambda tiers, _: tiers.delete([KEY]),
    "cleared": lambda tiers, _: tiers.clear(),
}


class Slow(Counted):
    """A shared store whose look-ups find at once, and tell when they are let; its changes wait too."""

    def __init__(self, *, reads: bool) -> None:
        super().__init__(2**30)
        self.tells, self.changes = asyncio.Event(), asyncio.Event()
        (self.changes if reads else self.tells).set()

    async def hold(self, entries):
        """Hold these from the beginning."""
        await super().set_many(entries)

    async def get_many(self, keys):
        found = await super().get_many(keys)
        await self.tells.wait()
        return found

    async def set_many(self, entries):
        await self.changes.wait()
        await super().set_many(entries)

    async def delete(self, keys):
        await self.changes.wait()
        await super().delete(keys)

    async def clear(self):
        await self.changes.wait()
        await super().clear()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_this_process_changed_came_back_from_a_look_up_that_began_before(change):
    stand = Stand(Slow(reads=True))
    await stand.shared.set_many({KEY: stand.entry(b"old")})
    reading = asyncio.get_running_loop().create_task(stand.one.get_many([KEY]))
    await asyncio.sleep(0)
    await change(stand.one, stand.entry(b"newer"))
    stand.shared.tells.set()
    assert [entry.body for entry in await reading] == [b"old"]
    assert [entry and entry.body for entry in await stand.hot[0].get_many([KEY])] in ([None], [b"newer"])


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_this_process_changed_came_back_while_the_shared_store_took_its_time(change):
    stand = Stand(Slow(reads=False))
    await stand.shared.hold({KEY: stand.entry(b"old")})
    changing = asyncio.get_running_loop().create_task(change(stand.one, stand.entry(b"newer")))
    await asyncio.sleep(0)
    await stand.one.get_many([KEY])
    stand.shared.changes.set()
    await changing
    assert [entry and entry.body for entry in await stand.hot[0].get_many([KEY])] in ([None], [b"newer"])


async def test_what_was_too_large_to_be_near_left_the_old_one_there():
    stand = Stand(Slow(reads=False))
    large, old = stand.entry(b"x" * 2**21), stand.entry(b"old")
    await stand.shared.hold({KEY: old})
    changing = asyncio.get_running_loop().create_task(stand.one.set_many({KEY: large}))
    await asyncio.sleep(0)
    assert await stand.one.get_many([KEY]) == [old]
    stand.shared.changes.set()
    await changing
    assert await stand.one.get_many([KEY]) == [large]


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
