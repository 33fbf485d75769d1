"""Two processes of one proxy, both in this one: they share a store, leases, a wire and an upstream."""

from dataclasses import dataclass
from typing import Any

from fakes import FakeClock, FakeEngine, LineKeeper
from race import OWN
from wires import Switchboard
from world import World

from proxy.store.memory import Memory
from proxy.tasks import Tasks
from proxy.turns import Turns


class Leases:
    """Leases that run out by a fake clock; `held` is key → owner, end, token."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.held: dict[bytes, tuple[str, float, int]] = {}
        self._last = 0
        self.asked = 0

    async def lease(self, key: bytes, owner: str, lasts_s: float) -> int | None:
        """Take or renew a lease."""
        self.asked += 1
        holder, until_s, token = self.held.get(key, ("", 0.0, 0))
        if holder != owner and until_s > self._clock.timer():
            return None
        if holder != owner:
            self._last += 1
            token = self._last
        self.held[key] = (owner, self._clock.timer() + lasts_s, token)
        return token

    async def release(self, key: bytes, owner: str) -> None:
        """Give a lease back."""
        if self.held.get(key, ("",))[0] == owner:
            del self.held[key]

    async def pin(self, name: str, note: bytes, lasts_s: float) -> None:
        """Keep no notes."""
        raise NotImplementedError

    async def notes(self, prefix: str) -> dict[str, bytes]:
        """Keep no notes."""
        raise NotImplementedError


@dataclass
class Processes:
    """Two worlds that take turns; `engine` is the upstream of both."""

    engine: FakeEngine
    rules: tuple[Any, ...] = (OWN,)

    def __post_init__(self) -> None:
        """Start both."""
        self.clock, board = FakeClock(), Switchboard()
        self.leases, self.tasks, store = Leases(self.clock), Tasks(print), Memory(2**24)
        self.log = LineKeeper()
        worlds = []
        for name in ("a", "b"):
            wire = board.wire()
            turns = Turns(self.leases, wire, name, self.tasks, self.clock, self.log.failed)
            here = World(self.engine, self.rules, store, clock=self.clock, turns=turns)
            wire.listen(turns.hear)
            worlds.append(here)
        self.one, self.other = worlds

    async def close(self) -> None:
        """End all that still runs."""
        for world in (self.one, self.other):
            await world.tasks.close()
        await self.tasks.close()
