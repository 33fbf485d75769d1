"""One process fetches, the others wait for what it stores; none waits for one that is gone."""

import asyncio

from fakes import FailingStore, FakeClock, LineKeeper, until
from wires import Switchboard

from proxy import turns as module
from proxy.core.types import Entry
from proxy.tasks import Tasks
from proxy.turns import Turn, Turns

PLACE = b"p" * 20
ENTRY = Entry(200, (), b"found", 0.0, 60.0)


class Leases:
    """Leases that run out by a fake clock."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._held: dict[bytes, tuple[str, float, int]] = {}
        self._last = 0

    async def lease(self, key: bytes, owner: str, lasts_s: float) -> int | None:
        holder, until_s, token = self._held.get(key, ("", 0.0, 0))
        if holder != owner and until_s > self._clock.timer():
            return None
        if holder != owner:
            self._last += 1
            token = self._last
        self._held[key] = (owner, self._clock.timer() + lasts_s, token)
        return token

    async def release(self, key: bytes, owner: str) -> None:
        if self._held.get(key, ("",))[0] == owner:
            del self._held[key]

    async def pin(self, name: str, note: bytes, lasts_s: float) -> None:
        raise NotImplementedError

    async def notes(self, prefix: str) -> dict[str, bytes]:
        raise NotImplementedError


class Stand:
    """Two processes that share leases and a wire."""

    def __init__(self, shared=None) -> None:
        self.clock, self.log, board = FakeClock(), LineKeeper(), Switchboard()
        self.tasks = Tasks(self.log.failed)
        self.leases = Leases(self.clock) if shared is None else shared
        self.wires = [board.wire(), board.wire()]
        self.one, self.two = (
            Turns(self.leases, wire, name, self.tasks, self.log.failed)
            for name, wire in zip("ab", self.wires, strict=True)
        )
        for wire, turns in zip(self.wires, (self.one, self.two), strict=True):
            wire.listen(turns.hear)
        self.stored: Entry | None = None

    async def look(self) -> Entry | None:
        return self.stored

    def waits(self) -> asyncio.Task:
        return asyncio.get_running_loop().create_task(self.two.take(PLACE, self.look))

    async def is_waiting(self) -> None:
        await until(lambda: PLACE in self.two._woken)
        for _ in range(5):
            await asyncio.sleep(0)


async def test_alone_it_is_everybodys_turn():
    alone = Turns(None, None, "", Tasks(print), print)
    turns = [await alone.take(PLACE, None) for _ in range(2)]
    assert all(isinstance(turn, Turn) for turn in turns)
    await turns[0].end()


async def test_who_waits_gets_what_was_stored():
    stand = Stand()
    turn = await stand.one.take(PLACE, stand.look)
    waiting = stand.waits()
    await stand.is_waiting()
    assert not waiting.done()
    stand.stored = ENTRY
    await turn.end()
    async with asyncio.timeout(1):
        assert await waiting is ENTRY
    await stand.tasks.close()


async def test_who_waits_for_what_was_not_stored_has_the_next_turn():
    stand = Stand()
    turn = await stand.one.take(PLACE, stand.look)
    waiting = stand.waits()
    await stand.is_waiting()
    await turn.end()
    async with asyncio.timeout(1):
        assert isinstance(await waiting, Turn)
    await stand.tasks.close()


async def test_nobody_waits_for_what_is_for_nobody_else():
    stand = Stand()
    turn = await stand.one.take(PLACE, stand.look)
    waiting = stand.waits()
    await stand.is_waiting()
    await turn.release()
    async with asyncio.timeout(1):
        alone = await waiting
    assert isinstance(alone, Turn)
    assert alone.beat is None, "the lease is still the other's"
    await stand.tasks.close()


async def test_a_leader_that_was_killed_is_replaced(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    stand = Stand()
    await stand.leases.lease(PLACE, "killed", module.LEASE_S)
    waiting = stand.waits()
    await stand.is_waiting()
    stand.clock.advance(module.LEASE_S)
    async with asyncio.timeout(1):
        assert isinstance(await waiting, Turn)
    assert module.HEARTBEAT_S * 2 < module.LEASE_S < 15
    await stand.tasks.close()


async def test_a_lost_message_costs_a_look_only(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    stand = Stand()
    turn = await stand.one.take(PLACE, stand.look)
    waiting = stand.waits()
    await stand.is_waiting()
    stand.wires[0].cut = True
    stand.stored = ENTRY
    await turn.end()
    async with asyncio.timeout(1):
        assert await waiting is ENTRY
    await stand.tasks.close()


async def test_who_need_not_wait_does_not():
    stand = Stand()
    turn = await stand.one.take(PLACE, stand.look)
    assert await stand.two.take(PLACE, stand.look, wait=False) is None
    await turn.end()
    await stand.tasks.close()


async def test_a_lease_is_renewed_while_the_fetch_lasts_and_known_lost_when_another_has_it(monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.005)
    stand = Stand()
    turn = await stand.one.take(PLACE, stand.look)
    for _ in range(3):
        stand.clock.advance(module.LEASE_S - 1)
        await asyncio.sleep(0.02)
    assert not turn.is_lost
    stand.clock.advance(module.LEASE_S + 1)
    assert await stand.leases.lease(PLACE, "another", 60) == 2
    await until(lambda: turn.is_lost)
    await turn.end()
    await stand.tasks.close()


async def test_without_leases_everybody_fetches():
    stand = Stand(FailingStore())
    assert isinstance(await stand.one.take(PLACE, stand.look), Turn)
    assert isinstance(await stand.two.take(PLACE, stand.look), Turn)
    assert len(stand.log.failures) == 2
