"""An upstream of known capacity in virtual time: it answers 503 at once beyond that, refuses while it is down."""

import asyncio
import random
from collections.abc import Callable

from proxy.core.aimd import Sign
from proxy.errors import UpstreamRefused
from proxy.upstream.slot import Slot

AT_ONCE_S = 0.005


class SimulatedUpstream:
    """Takes calls that hold a slot, and counts how they end."""

    def __init__(self, capacity: int, lasts: Callable[[random.Random], float], seed: int = 0) -> None:
        self.capacity = capacity
        self.is_down = False
        self.in_flight = self.most = 0
        self.began: list[float] = []
        self.ends: dict[Sign, int] = dict.fromkeys(Sign, 0)
        self._lasts = lasts
        self._dice = random.Random(seed)

    async def call(self, slot: Slot) -> Sign:
        self.began.append(asyncio.get_running_loop().time())
        sign = Sign.NOTHING
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            if self.is_down or self.in_flight > self.capacity:
                await asyncio.sleep(AT_ONCE_S)
                sign = Sign.REFUSED if self.is_down else Sign.BUSY
            else:
                await asyncio.sleep(self._lasts(self._dice))
                sign = Sign.FINE
        finally:
            self.in_flight -= 1
            self.ends[sign] += 1
            slot.release(sign, UpstreamRefused("no connection") if sign is Sign.REFUSED else None)
        return sign
