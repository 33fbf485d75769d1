"""What one process does, told to the others of the same proxy: purges, the bypass, and what was counted.

Messages go over the wire at once; notes on the board hold for who starts later, or missed them.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from math import inf
from typing import Any

from proxy.bypass import Bypass
from proxy.stats import Stats, merged
from proxy.store import Shared, Wire
from proxy.store.epochs import PURGED, Purges
from proxy.store.tiers import LONGEST_S
from proxy.tasks import Tasks
from proxy.upstream.collapse import Flight
from proxy.upstream.flights import Flights

PIN_EVERY_S = 1.0

_BYPASS = b"b"
_PURGE_NOTE, _BYPASS_NOTE, _STATS_NOTE = "purge ", "bypass", "stats "
_ON, _OFF = b"1", b"0"


class Spread:
    """Keeps the processes of one proxy of one mind; `run` names those that were started together, `name` this one.

    `hear` are those who listen to the wire beside this.
    """

    def __init__(
        self,
        shared: Shared | None,
        wire: Wire | None,
        tasks: Tasks,
        *,
        purges: Purges,
        flights: Flights,
        bypass: Bypass,
        stats: Stats,
        run: str,
        name: str,
        failed: Callable[[BaseException, str], None],
        hear: Sequence[Callable[[bytes], None]] = (),
    ) -> None:
        self._shared = shared
        self._wire = wire
        self._tasks = tasks
        self._purges = purges
        self._flights = flights
        self._bypass = bypass
        self._stats = stats
        self._note = f"{_STATS_NOTE}{run} {name}"
        self._of_run = f"{_STATS_NOTE}{run} "
        self._failed = failed
        self._hear = (self._heard, *hear)
        self._pinned = b""

    async def open(self) -> None:
        """Learn what was told before, listen, and begin to tell."""
        self._purges.tell, self._bypass.tell = self._purged, self._turned
        if self._wire is not None:
            self._wire.listen(self._heard_by_all)
        if self._shared is None:
            return
        await self._guarded(self._learn(self._shared))
        self._tasks.start(self._count(self._shared))

    async def _learn(self, shared: Shared) -> None:
        for note in (await shared.notes(_PURGE_NOTE)).values():
            self._purges.hear(note)
        for note in (await shared.notes(_BYPASS_NOTE)).values():
            if (note == _ON) is not self._bypass.on:
                self._bypass.follow(on=note == _ON)

    def _heard_by_all(self, message: bytes) -> None:
        for hear in self._hear:
            hear(message)

    def _heard(self, message: bytes) -> None:
        if message.startswith(PURGED):
            self._purges.hear(message)
            self._flights.disown(self._is_overtaken)
        elif message.startswith(_BYPASS):
            self._bypass.follow(on=message == _BYPASS + _ON)

    def _is_overtaken(self, flight: Flight) -> bool:
        """Tell whether a fetch began before what another process has told; one that waits is yet to begin."""
        asked_at = flight.call.asked_at if flight.call.sent else inf
        targets = {flight.bare, flight.key, flight.home}
        return not flight.disowned and self._purges.overtook(flight.rule, flight.groups, targets, asked_at)

    def _purged(self, message: bytes, name: str) -> None:
        self._tell(message, f"{_PURGE_NOTE}{name}", message)

    def _turned(self, on: bool) -> None:
        self._tell(_BYPASS + (_ON if on else _OFF), _BYPASS_NOTE, _ON if on else _OFF)

    def _tell(self, message: bytes, name: str, note: bytes) -> None:
        self._tasks.start(self._told(message, name, note))

    async def _told(self, message: bytes, name: str, note: bytes) -> None:
        if self._wire is not None:
            await self._guarded(self._wire.send(message))
        if self._shared is not None:
            await self._guarded(self._shared.pin(name, note, LONGEST_S))

    async def _count(self, shared: Shared) -> None:
        while True:
            await self._guarded(self._pin(shared))
            await asyncio.sleep(PIN_EVERY_S)

    async def _pin(self, shared: Shared) -> None:
        counted = self._stats.written()
        if counted != self._pinned:
            await shared.pin(self._note, counted, LONGEST_S)
            self._pinned = counted

    async def everybodys(self) -> Stats:
        """Return what all processes of this run have counted: the same, whichever of them is asked."""
        if self._shared is None:
            return self._stats
        try:
            await self._pin(self._shared)
            return merged(self._stats.started, (await self._shared.notes(self._of_run)).values())
        except Exception as error:  # noqa: BLE001  then what this process counted must do
            self._failed(error, "")
            return self._stats

    async def _guarded(self, act: Coroutine[Any, Any, None]) -> None:
        try:
            await act
        except Exception as error:  # noqa: BLE001  what is not told costs others some news, never an answer
            self._failed(error, "")
