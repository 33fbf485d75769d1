"""What one process does, told to the others of the same proxy: purges, the bypass, rollouts.

Messages go over the wire at once; notes on the board hold for who starts later, or missed them.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from math import inf
from typing import Any

from proxy.bypass import Bypass
from proxy.clock import Clock
from proxy.rollouts import Rollouts
from proxy.store import Shared, Wire
from proxy.store.epochs import MOST, PURGED, Purges, at_of, floor
from proxy.store.tiers import LONGEST_S
from proxy.tasks import Tasks
from proxy.upstream.collapse import Flight
from proxy.upstream.flights import Flights

KEEP_UP_EVERY_S = 1.0
BUDGET_S = 2.0
"""How long the board may take."""

_BYPASS = b"b"
_ROLLOUT = b"r"
_PURGE_NOTE, _TARGET_NOTE, _FLOOR_NOTE = "purge ", "purge t ", "purge f "
_BYPASS_NOTE, _ROLLOUT_NOTE = "bypass", "rollout "
_ON, _OFF = b"1", b"0"
_LEFT_OUT_AT_ONCE = 1000
_GONE_S = 0.001


class Spread:
    """Keeps the processes of one proxy of one mind; `name` is this one's.

    `hear` are those who listen to the wire beside this. `far`: some processes do not see the file that is the bypass
    switch.
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
        rollouts: Rollouts,
        clock: Clock,
        name: str,
        failed: Callable[[BaseException, str], None],
        hear: Sequence[Callable[[bytes], None]] = (),
        far: bool = False,
    ) -> None:
        self._shared = shared
        self._wire = wire
        self._tasks = tasks
        self._purges = purges
        self._flights = flights
        self._bypass = bypass
        self._rollouts = rollouts
        self._clock = clock
        self._floor_note = f"{_FLOOR_NOTE}{name}"
        self._failed = failed
        self._hear = (self._heard, *hear)
        self._far = far
        self._has_learned = False
        self._due: dict[str, bytes | None] = {}
        """What is to be pinned yet; None is to be taken off."""
        self._targets: OrderedDict[str, bytes] = OrderedDict()

    async def open(self) -> None:
        """Learn what was told before, listen, and begin to tell."""
        self._purges.tell, self._bypass.tell, self._rollouts.tell = self._purged, self._turned, self._rolled
        if self._wire is not None:
            self._wire.listen(self._heard_by_all)
        if self._shared is None:
            return
        await self._guarded(self._keep_up(self._shared))
        self._tasks.start(self._keep_up_for_ever(self._shared))

    async def close(self) -> None:
        """Pin what is still due: after a restart nothing must come back."""
        if self._shared is not None and self._due:
            await self._guarded(self._pin_due(self._shared))

    async def _keep_up_for_ever(self, shared: Shared) -> None:
        while True:
            await asyncio.sleep(KEEP_UP_EVERY_S)
            await self._guarded(self._keep_up(shared))

    async def _keep_up(self, shared: Shared) -> None:
        if not self._has_learned:
            await self._learn(shared)
            self._has_learned = True
        await self._agree(shared)
        await self._pin_due(shared)

    async def _learn(self, shared: Shared) -> None:
        purges = await shared.notes(_PURGE_NOTE)
        for note in purges.values():
            self._purges.hear(note)
        targets = {name: note for name, note in purges.items() if name.startswith(_TARGET_NOTE)}
        for name in sorted(targets, key=lambda name: at_of(targets[name])):
            self._targets[name] = targets[name]
        switch = (await shared.notes(_BYPASS_NOTE)).get(_BYPASS_NOTE) if self._far else None
        if switch is not None:
            told, _, at = switch.partition(b" ")
            if self._bypass.on and self._bypass.since() > float(at or 0):  # turned since, while nobody ran here
                self.note_bypass()
            elif (told == _ON) is not self._bypass.on:
                self._bypass.follow(on=told == _ON)

    async def _agree(self, shared: Shared) -> None:
        """Follow what the board says of rollouts, and have it say the same: no word of them may get lost, or run out."""
        if not self._rollouts.rules:
            return
        there = await shared.notes(_ROLLOUT_NOTE)
        for note in there.values():
            self._rollouts.follow(note)
        known = {f"{_ROLLOUT_NOTE}{kind}": message for kind, message in self._rollouts.told().items()}
        self._due |= {name: message for name, message in known.items() if there.get(name) != message}

    def _heard_by_all(self, message: bytes) -> None:
        for hear in self._hear:
            hear(message)

    def _heard(self, message: bytes) -> None:
        if message.startswith(PURGED):
            self._purges.hear(message)
            self._flights.disown(self._is_overtaken)
        elif message.startswith(_BYPASS):
            self._bypass.follow(on=message == _BYPASS + _ON)
        elif message.startswith(_ROLLOUT):
            self._rollouts.follow(message.removeprefix(_ROLLOUT))

    def _is_overtaken(self, flight: Flight) -> bool:
        """Tell whether a fetch began before what another process has told; one that waits is yet to begin."""
        asked_at = flight.call.asked_at if flight.call.sent else inf
        targets = {flight.bare, flight.key, flight.home}
        return not flight.disowned and self._purges.overtook(flight.rule, flight.groups, targets, asked_at)

    def _purged(self, message: bytes, name: str) -> None:
        note = f"{_PURGE_NOTE}{name}"
        self._due[note] = message
        if note.startswith(_TARGET_NOTE):
            self._targets.pop(note, None)
            self._targets[note] = message
            if len(self._targets) >= MOST + _LEFT_OUT_AT_ONCE:
                self._leave_out()
        self._tasks.start(self._told(message))

    def _leave_out(self) -> None:
        """Tell the longest untouched targets together: all that is older than their moment is gone."""
        left_out = [self._targets.popitem(last=False) for _ in range(_LEFT_OUT_AT_ONCE)]
        self._due |= dict.fromkeys(name for name, _ in left_out)
        self._due[self._floor_note] = floor(max(at_of(message) for _, message in left_out))

    def _turned(self, on: bool) -> None:
        self.note_bypass(on=on)
        self._tasks.start(self._told(_BYPASS + (_ON if on else _OFF)))

    def _rolled(self, message: bytes, kind: str) -> None:
        self._due[f"{_ROLLOUT_NOTE}{kind}"] = message
        self._tasks.start(self._told(_ROLLOUT + message))

    def note_bypass(self, *, on: bool | None = None) -> None:
        """Let those who start later know how the switch stands, if they do not see it themselves."""
        if self._far:
            on = self._bypass.on if on is None else on
            self._due[_BYPASS_NOTE] = b"%b %r" % (_ON if on else _OFF, self._clock.wall())

    async def _told(self, message: bytes) -> None:
        if self._wire is not None:
            await self._guarded(self._wire.send(message))
        if self._shared is not None:
            await self._guarded(self._pin_due(self._shared))

    async def _pin_due(self, shared: Shared) -> None:
        for name, note in list(self._due.items()):
            await shared.pin(name, note or b"", LONGEST_S if note is not None else _GONE_S)
            if self._due.get(name) is note:
                self._due.pop(name, None)

    async def _guarded(self, act: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(BUDGET_S):
                await act
        except Exception as error:  # noqa: BLE001  what is not told costs others some news, never an answer
            self._failed(error, "")
