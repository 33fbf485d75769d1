"""One process fetches, the others wait for what it stores; none waits for one that is gone."""

import asyncio

from fakes import FakeClock, LineKeeper, until
from processes import Leases
from wires import Switchboard

from proxy import turns as module
from proxy.core.types import Entry
from proxy.tasks import Tasks
from proxy.turns import Turn, Turns

PLACE = b"p" * 20
PATIENCE_S = 120.0
ENTRY = Entry(200, (), b"found", 0.0, 60.0)


class Stand:
    """Two processes that share leases and a wire."""

    def __init__(self, shared=None) -> None:
        self.clock, self.log, board = FakeClock(), LineKeeper(), Switchboard()
        self.tasks = Tasks(self.log.failed)
        self.leases = Leases(self.clock) if shared is None else shared
        self.wires = [board.wire(), board.wire()]
        self.one, self.two = (
            Turns(self.leases, wire, name, self.tasks, self.clock, self.log.failed)
            for name, wire in zip("ab", self.wires, strict=True)
        )
        for wire, turns in zip(self.wires, (self.one, self.two), strict=True):
            wire.listen(turns.hear)
        self.stored: Entry | None = None

    async def look(self) -> Entry | None:
        return self.stored

    async def leads(self) -> Turn:
        turn = await self.one.take(PLACE, self.look, patience_s=PATIENCE_S)
        assert turn.beat is not None
        return turn

    async def waits(self, turns: Turns | None = None) -> asyncio.Task:
        waiting = asyncio.get_running_loop().create_task(
            (turns or self.two).take(PLACE, self.look, patience_s=PATIENCE_S)
        )
        before = self.leases.asked
        await until(lambda: self.leases.asked > before)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        return waiting


async def test_alone_it_is_everybodys_turn():
    alone = Turns(None, None, "", Tasks(print), FakeClock(), print)
    turns = [await alone.take(PLACE, None, patience_s=0) for _ in range(2)]
    assert all(isinstance(turn, Turn) for turn in turns)
    await turns[0].end()


async def test_who_waits_gets_what_was_stored():
    stand = Stand()
    turn = await stand.leads()
    waiting = await stand.waits()
    stand.stored = ENTRY
    await turn.end()
    async with asyncio.timeout(1):
        assert await waiting is ENTRY
    await stand.tasks.close()


async def test_nobody_waits_for_what_is_for_nobody_else():
    stand = Stand()
    turn = await stand.leads()
    waiting = await stand.waits()
    turn.release()
    async with asyncio.timeout(1):
        alone = await waiting
    assert isinstance(alone, Turn)
    await stand.tasks.close()


async def test_a_leader_that_was_killed_is_replaced(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    stand = Stand()
    await stand.leases.lease(PLACE, "killed", module.LEASE_S)
    waiting = await stand.waits()
    stand.clock.advance(module.LEASE_S)
    async with asyncio.timeout(1):
        assert isinstance(await waiting, Turn)
    assert module.HEARTBEAT_S * 2 < module.LEASE_S < 15
    await stand.tasks.close()


async def test_a_lost_message_costs_a_look_only(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    stand = Stand()
    turn = await stand.leads()
    waiting = await stand.waits()
    stand.wires[0].cut = True
    stand.stored = ENTRY
    await turn.end()
    async with asyncio.timeout(1):
        assert await waiting is ENTRY
    await stand.tasks.close()


async def test_who_need_not_wait_does_not():
    stand = Stand()
    turn = await stand.leads()
    assert await stand.two.take(PLACE, stand.look, patience_s=0) is None
    await turn.end()
    await stand.tasks.close()


async def test_a_lease_is_renewed_while_the_fetch_lasts_and_known_lost_when_another_has_it(monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.005)
    stand = Stand()
    turn = await stand.leads()
    for _ in range(3):
        stand.clock.advance(module.LEASE_S - 1)
        await asyncio.sleep(0.02)
    assert not turn.is_lost
    stand.clock.advance(module.LEASE_S + 1)
    assert await stand.leases.lease(PLACE, "another", 60) == 2
    await until(lambda: turn.is_lost)
    await turn.end()
    await stand.tasks.close()


class Down(Leases):
    """A store that cannot be reached."""

    async def lease(self, key: bytes, owner: str, lasts_s: float) -> int | None:
        raise ConnectionError("the store is down")


async def test_without_leases_everybody_fetches():
    stand = Stand(Down(FakeClock()))
    for turns in (stand.one, stand.two):
        assert isinstance(await turns.take(PLACE, stand.look, patience_s=PATIENCE_S), Turn)
    assert len(stand.log.failures) == 2


async def test_who_asked_after_the_others_were_told_waited_for_nothing_until_its_end():
    """A lease that is let go of is had by the next, though the answer of the first still arrives."""
    stand = Stand()
    turn = await stand.leads()
    turn.release()
    await until(lambda: not stand.leases.held)
    async with asyncio.timeout(1):
        late = await stand.two.take(PLACE, stand.look, patience_s=PATIENCE_S)
    assert late.beat is not None
    await turn.end()
    assert stand.leases.held[PLACE][0] == late.owner, "it is given back once only"
    await stand.tasks.close()


async def test_who_waited_longer_than_any_follower_still_waited(monkeypatch):
    """A leader that stands still, or streams for an hour, holds up nobody for ever."""
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    monkeypatch.setattr(module, "LEASE_S", 1e6)
    stand = Stand()
    turn = await stand.leads()
    waiting = await stand.waits()
    stand.clock.advance(PATIENCE_S - 1)
    asked = stand.leases.asked
    await until(lambda: stand.leases.asked > asked + 2)
    assert not waiting.done()
    stand.clock.advance(1)
    async with asyncio.timeout(1):
        alone = await waiting
    assert (alone.beat, stand.leases.held[PLACE][0]) == (None, turn.owner)
    await alone.end()
    assert stand.leases.held[PLACE][0] == turn.owner
    await stand.tasks.close()


async def test_what_was_of_no_use_to_one_was_waited_for_by_one_after_another():
    """Of a failure, or another variant, all are told at once: they do not take turns to find out the same."""
    stand = Stand()
    turn = await stand.leads()
    waiting = [await stand.waits() for _ in range(3)]
    await turn.end()
    async with asyncio.timeout(1):
        assert all([isinstance(one, Turn) for one in await asyncio.gather(*waiting)])
    await stand.tasks.close()


async def test_two_fetches_of_one_process_shared_a_lease_and_the_first_gave_back_the_others():
    stand = Stand()
    first = await stand.leads()
    waiting = await stand.waits(stand.one)
    first.release()
    async with asyncio.timeout(1):
        second = await waiting
    assert second.owner != first.owner
    third = await stand.one.take(PLACE, stand.look, patience_s=0)
    await second.end()
    assert stand.leases.held[PLACE][0] == third.owner
    await first.end()
    assert stand.leases.held[PLACE][0] == third.owner
    await stand.tasks.close()


async def test_what_another_stored_between_the_look_and_the_lease_was_fetched_again():
    stand = Stand()
    stand.stored = ENTRY
    assert await stand.one.take(PLACE, stand.look, patience_s=PATIENCE_S) is ENTRY
    assert not stand.leases.held
    await stand.tasks.close()


class Hangs(Leases):
    """Leases that are given, but nobody is told so in time."""

    async def lease(self, key: bytes, owner: str, lasts_s: float) -> int | None:
        await super().lease(key, owner, lasts_s)
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_lease_that_came_too_late_was_nobodys_and_kept_all_waiting(monkeypatch):
    monkeypatch.setattr(module, "BUDGET_S", 0.001)
    stand = Stand()
    stand.one._shared = stand.leases = Hangs(stand.clock)
    turn = await stand.one.take(PLACE, stand.look, patience_s=PATIENCE_S)
    assert (turn.beat, list(stand.leases.held)) == (None, [PLACE])
    await until(lambda: not stand.leases.held)


async def test_who_left_while_the_lease_came_left_it_to_nobody():
    stand = Stand()
    stand.one._shared = stand.leases = Hangs(stand.clock)
    asking = asyncio.get_running_loop().create_task(stand.one.take(PLACE, stand.look, patience_s=PATIENCE_S))
    await until(lambda: PLACE in stand.leases.held)
    asking.cancel()
    await asyncio.wait([asking])
    assert not stand.leases.held


class Stopped(Hangs):
    """A store of which no call ends."""

    releases = 0

    async def release(self, key: bytes, owner: str) -> None:
        self.releases += 1
        await asyncio.Event().wait()


async def test_each_fetch_waited_for_a_store_that_hangs(monkeypatch):
    """After a failure it is left alone for a while, with one word in the log."""
    monkeypatch.setattr(module, "BUDGET_S", 0.001)
    stand = Stand()
    stand.one._shared = stand.leases = Stopped(stand.clock)
    for _ in range(10):
        turn = await stand.one.take(PLACE, stand.look, patience_s=PATIENCE_S)
        await turn.end()
    assert (stand.leases.asked, stand.leases.releases, len(stand.log.failures)) == (1, 1, 1)
    await stand.tasks.close()
    stand.clock.advance(1.0)
    await stand.one.take(PLACE, stand.look, patience_s=PATIENCE_S)
    assert stand.leases.asked == 2


async def test_who_waits_no_more_leaves_nothing_behind(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    stand = Stand()
    await stand.leads()
    first, second = await stand.waits(), await stand.waits()
    first.cancel()
    await asyncio.wait([first])
    stand.two.hear(b"n" + PLACE)
    async with asyncio.timeout(1):
        assert isinstance(await second, Turn)
    assert not stand.two._waiters
    await stand.tasks.close()


async def test_a_word_that_came_with_the_lease_was_heard_by_the_next_who_waits():
    """What was told of an earlier turn says nothing of this one."""
    stand = Stand()
    turn = await stand.one.take(PLACE, lambda: told(stand.one), patience_s=PATIENCE_S)
    waiting = await stand.waits()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    await turn.end()
    await waiting
    await stand.tasks.close()


async def told(turns: Turns) -> None:
    turns.hear(b"n" + PLACE)
