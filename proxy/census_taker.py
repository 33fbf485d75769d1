"""What all processes of one proxy have counted together: the same, whichever of them is asked.

Each pins a tally of its own counts to the board, once a second if there is news, and at once when another asks. What a
process that has ended had counted, one that runs takes as its own, so that notes do not pile up and nothing is lost.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Any, Final

import orjson

from proxy.clock import Clock
from proxy.core.census import STILL_THERE_S, Census, census, is_alive
from proxy.core.detail import Details
from proxy.core.history import Window
from proxy.core.operation import Operations
from proxy.core.tally import Held, Spans, Tally, counting, ring_of, ring_written, spans_of, tally_of
from proxy.recent import Recent
from proxy.stats import Stats
from proxy.store import Shared, Wire
from proxy.tasks import Tasks

KEEP_UP_EVERY_S: Final = 1.0
BUDGET_S: Final = 2.0
"""How long the board may take."""
GONE_AFTER_S: Final = 120.0
GONE_ELSEWHERE_AFTER_S: Final = 86_400.0
"""On another machine: its own processes come first."""
LASTS_S: Final = 90 * 86_400.0

_ASKED = b"?"
_FOR_NUMBERS, _FOR_LINES = b"n", b"l"
_TALLY, _RING, _LINES = "tally ", "ring ", "lines "
_PIN_RING_AFTER: Final = {"10s": 6, "5m": 1, "1h": 1}
"""So many closed spans of a grain are told in the tally before its ring is written down again."""
_MOST_HEARD = 8
_LOOK_AGAIN_S, _MOST_LOOKS = 0.01, 30
"""Who is asked answers within a third of a second, or is known by what it told before."""
_GONE_S = 0.001


@dataclass(frozen=True, slots=True)
class Now:
    """What one process holds at this moment."""

    held: tuple[Held, ...] = ()
    evictions: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)


class CensusTaker:
    """Tells what this process has counted, and asks all others; `machine` and `name` are where and what it is."""

    def __init__(
        self, stats: Stats, recent: Recent, now: Callable[[], Now], shared: Shared | None, wire: Wire | None, tasks: Tasks, clock: Clock,
        *, machine: str, name: str, failed: Callable[[BaseException, str], None],
    ) -> None:  # fmt: skip
        self._stats = stats
        self._recent = recent
        self._now = now
        self._shared = shared
        self._wire = wire
        self._tasks = tasks
        self._clock = clock
        self._machine = machine
        self._name = name
        self._failed = failed
        self._heard: deque[str] = deque(maxlen=_MOST_HEARD)
        self._took: tuple[str, ...] = ()
        self._told: Tally | None = None
        self._told_at = self._looked_at = 0.0
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Begin to tell."""
        if self._shared is not None:
            self._tasks.start(self._keep_up_for_ever(self._shared))

    async def close(self) -> None:
        """Tell all that was counted, and that this process has ended."""
        if self._shared is not None:
            await self._guarded(self._pin(self._shared, left=True))

    def hear(self, message: bytes) -> None:
        """Tell at once what was counted here, if another process asks for it."""
        if message.startswith(_ASKED) and self._shared is not None:
            question, lines = message[2:].decode("ascii", "replace"), message[1:2] == _FOR_LINES
            self._tasks.start(self._guarded(self._answer(self._shared, question, lines=lines)))

    async def _answer(self, shared: Shared, question: str, *, lines: bool) -> None:
        if lines:
            await shared.pin(f"{_LINES}{self._name}", orjson.dumps(self._recent.told(), default=str), STILL_THERE_S)
        self._heard.append(question)
        await self._pin(shared)

    async def _keep_up_for_ever(self, shared: Shared) -> None:
        while True:
            await self._guarded(self.keep_up(shared))
            await asyncio.sleep(KEEP_UP_EVERY_S)

    async def keep_up(self, shared: Shared) -> None:
        """Tell what is new here, and take what processes counted that are gone."""
        now = self._clock.wall()
        if self._told_at and now - self._told_at > GONE_AFTER_S / 2:
            await self._begin_anew_if_taken(shared)
        await self._pin_rings(shared)
        if self._has_news() or now - self._told_at >= STILL_THERE_S:
            await self._pin(shared)
        if now - self._looked_at >= STILL_THERE_S:
            self._looked_at = now
            await self._take_those_gone(shared)

    def _has_news(self) -> bool:
        told = self._told
        return told is None or told.operations != self._stats.operations or self._took != told.took

    async def _pin(self, shared: Shared, *, left: bool = False) -> None:
        async with self._turn:  # an older tally must not come after a newer one
            tally, now = self._tally(left=left), self._clock.wall()
            await shared.pin(f"{_TALLY}{self._name}", tally.written(), LASTS_S)
            self._told, self._told_at = tally, now

    def _tally(self, *, left: bool = False) -> Tally:
        stats, now, operations = self._stats, self._now(), Operations()
        operations.merge(stats.operations)
        return Tally(
            self._machine, self._clock.wall(), stats.since, operations, stats.far, stats.details,
            {word: ring.spans() for word, ring in stats.history.rings.items()}, self._took, tuple(self._heard), left,
            now.held, now.evictions + stats.evictions, now.waiting,
        )  # fmt: skip

    async def _pin_rings(self, shared: Shared) -> None:
        self._stats.fold()
        for word, ring in self._stats.history.rings.items():
            if len(ring.unpinned) >= _PIN_RING_AFTER[word]:
                pinned, spans = set(ring.unpinned), dict(ring.closed)
                await shared.pin(f"{_RING}{self._name} {word}", ring_written(spans), LASTS_S)
                ring.unpinned -= {number for number in pinned if ring.closed.get(number) is spans.get(number)}

    async def _tallies(self, shared: Shared) -> dict[str, Tally]:
        """Return what the other processes have told."""
        notes = await shared.notes(_TALLY)
        own = f"{_TALLY}{self._name}"
        read = {name.removeprefix(_TALLY): tally_of(note) for name, note in notes.items() if name != own}
        return {name: tally for name, tally in read.items() if tally is not None}

    async def _begin_anew_if_taken(self, shared: Shared) -> None:
        """Count under another name if this process was taken for gone: it was held up, its counts are another's now."""
        others = await self._tallies(shared)
        if any(self._name in one.took for one in others.values()):
            self._stats.forget()
            self._name, self._told, self._took = f"{self._name}+", None, ()

    async def _take_those_gone(self, shared: Shared) -> None:
        """Count as one's own what processes counted that are gone."""
        others = await self._tallies(shared)
        self._took = tuple(name for name in self._took if name in others)
        gone = {name: one for name, one in counting(others).items() if self._is_gone(one) and name not in self._took}
        if gone and await shared.lease(b"takes tallies".ljust(20, b"."), self._name, 2 * BUDGET_S) is not None:
            rings = await self._rings(shared, gone)
            for name, one in counting(await self._tallies(shared)).items():
                if name in gone and self._is_gone(one):
                    self._take(name, one, rings.get(name, {}))
            await self._pin(shared)
        for name in self._took:
            await self._wipe(shared, name)

    def _is_gone(self, tally: Tally) -> bool:
        since = self._clock.wall() - tally.at
        return tally.left or since > (GONE_AFTER_S if tally.machine == self._machine else GONE_ELSEWHERE_AFTER_S)

    def _take(self, name: str, tally: Tally, rings: Mapping[str, Spans]) -> None:
        stats = self._stats
        (stats.operations if tally.machine == self._machine else stats.far).merge(tally.operations)
        stats.far.merge(tally.far)
        stats.details.merge(tally.details)
        stats.evictions += tally.evictions
        stats.since = min(stats.since, tally.since)
        for word in stats.history.rings:
            stats.history.add(word, spans_of(tally, rings, word))
        self._took = (*self._took, name, *tally.took)

    async def _wipe(self, shared: Shared, name: str) -> None:
        words = [f"{_RING}{name} {word}" for word in self._stats.history.rings]
        for note in (*words, f"{_TALLY}{name}"):
            await shared.pin(note, b"", _GONE_S)

    async def _rings(self, shared: Shared, wanted: Mapping[str, Tally]) -> dict[str, dict[str, Spans]]:
        found: dict[str, dict[str, Spans]] = {}
        for note, told in (await shared.notes(_RING)).items():
            name, _, word = note.removeprefix(_RING).rpartition(" ")
            if name in wanted:
                found.setdefault(name, {})[word] = ring_of(told)
        return found

    async def everybodys(self, window: Window | None = None, *, lines: bool = False) -> Census:
        """Return what all processes have counted, also in a window and in the one before it; with recent lines."""
        others: dict[str, Tally] = {}
        rings: dict[str, dict[str, Spans]] = {}
        notes: Mapping[str, bytes] = {}
        if self._shared is not None:
            try:
                async with asyncio.timeout(BUDGET_S):
                    others = await self._told_by_all(self._shared, lines=lines)
                    rings = await self._rings(self._shared, others) if window is not None else {}
                    notes = await self._shared.notes(_LINES) if lines else {}
            except Exception as error:  # noqa: BLE001  then what is known must do
                self._failed(error, "")
        rings[self._name] = {word: ring.all() for word, ring in self._stats.history.rings.items()}
        told = self._lines(notes) if lines else []
        details = Details()
        details.merge(self._stats.details)  # it goes on growing meanwhile
        own = replace(self._tally(), details=details)
        return await asyncio.to_thread(census, self._name, own, others, rings, window, told)

    async def _told_by_all(self, shared: Shared, *, lines: bool) -> dict[str, Tally]:
        """Ask all others, and return what they tell; who does not answer is known by what it told before."""
        others, now = await self._tallies(shared), self._clock.wall()
        waited_for = {name for name, one in others.items() if is_alive(one, now)}
        if not waited_for or self._wire is None:
            return others
        question = token_hex(4)
        await self._wire.send(_ASKED + (_FOR_LINES if lines else _FOR_NUMBERS) + question.encode())
        for _ in range(_MOST_LOOKS):
            await asyncio.sleep(_LOOK_AGAIN_S)
            others = await self._tallies(shared)
            if all(question in others[name].heard for name in waited_for if name in others):
                break
        return others

    def _lines(self, notes: Mapping[str, bytes]) -> list[dict[str, Any]]:
        """Return the recent lines of all processes, the newest last."""
        told = [note for name, note in notes.items() if name != f"{_LINES}{self._name}"]
        lines = [*self._recent.told(), *[line for note in told for line in orjson.loads(note)]]
        return sorted(lines, key=lambda line: str(line["timestamp"]))

    async def _guarded(self, act: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(BUDGET_S):
                await act
        except Exception as error:  # noqa: BLE001  what is not told costs others some numbers, never an answer
            self._failed(error, "")
