"""What all processes of one proxy have counted together: the same, whichever of them is asked.

Each pins a tally of its own counts to the board, once a second if there is news, and at once when another asks. What a
process had counted that is gone goes into an archive, so that notes do not pile up and nothing is lost.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Any, Final

import orjson

from proxy.archive import GONE_AFTER_S, Archive
from proxy.clock import Clock
from proxy.core.census import STILL_THERE_S, Census, census, is_alive
from proxy.core.history import FINEST, Window, pack_all
from proxy.core.tally import Held, Spans, Tally
from proxy.recent import MOST as MOST_RECENT
from proxy.recent import Recent
from proxy.stats import Stats
from proxy.store import Shared, Wire
from proxy.tally_notes import Moved, TallyNotes
from proxy.tasks import Tasks

KEEP_UP_EVERY_S: Final = 1.0
BUDGET_S: Final = 2.0
"""How long the board may take."""

_ASKED = b"?"
_FOR_NUMBERS, _FOR_LINES = b"n", b"l"
_HEARD, _LINES = "heard ", "lines "
_PIN_RING_AFTER: Final = {"10s": 6, "5m": 1, "1h": 1}
"""So many closed spans of a grain are told in the tally before its ring is written down again."""
_MOST_HEARD = 8
_LOOK_AGAIN_S, _MOST_LOOKS = 0.01, 30
"""Who is asked answers within a third of a second, or is known by what it told before."""
_MOST_READINGS = 3

Rings = dict[str, dict[str, Spans]]


@dataclass(frozen=True, slots=True)
class Now:
    """What one process holds at this moment."""

    held: tuple[Held, ...] = ()
    evictions: Mapping[str, int] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    in_flight: int = 0
    reload_failed: bool = False
    reloaded_at: float = 0.0


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
        self._notes = TallyNotes(shared) if shared is not None else None
        self._archive = Archive(shared, clock, machine, name) if shared is not None else None
        self._wire = wire
        self._tasks = tasks
        self._clock = clock
        self._machine = machine
        self._name = name
        self._failed = failed
        self._heard: deque[str] = deque(maxlen=_MOST_HEARD)
        self._others: dict[str, Tally] = {}
        """What was read last: counters must not fall while the board cannot be read."""
        self._told_at: float | None = None
        self._told_counted = -1
        self._steady_since = 0.0
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Begin to tell."""
        self._tasks.start(self._again_and_again(self.keep_up, KEEP_UP_EVERY_S, BUDGET_S))
        if self._archive is not None:
            self._tasks.start(self._again_and_again(self.tend, STILL_THERE_S, None))

    async def close(self) -> None:
        """Tell all that was counted, and that this process has ended."""
        await self._guarded(self._pin(left=True), BUDGET_S)

    def hear(self, message: bytes) -> None:
        """Tell at once what was counted here, if another process asks for it."""
        if message.startswith(_ASKED) and self._shared is not None:
            question, lines = message[2:].decode("ascii", "replace"), message[1:2] == _FOR_LINES
            self._tasks.start(self._guarded(self._answer(self._shared, question, lines=lines), BUDGET_S))

    async def _answer(self, shared: Shared, question: str, *, lines: bool) -> None:
        if lines:
            await shared.pin(f"{_LINES}{self._name}", orjson.dumps(self._recent.told(), default=str), STILL_THERE_S)
        await self._pin()
        self._heard.append(question)
        await shared.pin(f"{_HEARD}{self._name}", " ".join(self._heard).encode(), STILL_THERE_S)

    async def _again_and_again(
        self, act: Callable[[], Awaitable[None]], every_s: float, within_s: float | None
    ) -> None:
        while True:
            await self._guarded(act(), within_s)
            await asyncio.sleep(every_s)

    async def keep_up(self) -> None:
        """Pack what is over, and tell what is new here."""
        await self._pack()
        await self._pin_rings()
        is_quiet = self._stats.counted == self._told_counted
        if self._told_at is None or not is_quiet or self._clock.wall() - self._told_at >= STILL_THERE_S:
            await self._pin()

    async def tend(self) -> None:
        """Archive what processes counted that are gone."""
        if self._archive is not None and self._told_at is not None:
            is_steady = self._clock.wall() - self._steady_since > GONE_AFTER_S
            await self._archive.tend(is_steady=is_steady)

    async def _pack(self) -> None:
        self._stats.fold()
        history = self._stats.history
        if unpacked := history.unpacked():
            history.keep(unpacked, await asyncio.to_thread(pack_all, unpacked))

    async def _pin(self, *, left: bool = False) -> None:
        if self._notes is None:
            return
        async with self._turn:  # an older tally must not come after a newer one
            if self._told_at is not None and self._clock.wall() - self._told_at > GONE_AFTER_S / 2:
                async with self._notes.alone(self._name):
                    await self._begin_anew_if_taken(self._notes)
                    await self._put(self._notes, left=left)
            else:
                await self._put(self._notes, left=left)

    async def _put(self, notes: TallyNotes, *, left: bool) -> None:
        tally = self._tally(left=left)
        counted = self._stats.counted
        await notes.pin(self._name, tally)
        if self._told_at is None or tally.at - self._told_at > GONE_AFTER_S / 2:
            self._steady_since = tally.at
        self._told_at, self._told_counted = tally.at, counted

    async def _begin_anew_if_taken(self, notes: TallyNotes) -> None:
        """Count under another name if this process was taken for gone: it was held up, its counts are the archive's."""
        if any(self._name in one.took for one in (await notes.tallies()).values()):
            self._stats.forget()
            self._name = f"{self._name}+"

    def _tally(self, *, left: bool = False) -> Tally:
        stats, now = self._stats, self._now()
        operations, (number, counted) = stats.operations.as_told(), stats.history.open()
        spans = stats.history.news()
        spans[FINEST.word][number] = counted
        return Tally(
            self._machine, self._clock.wall(), stats.since, operations, details=stats.details.copied(), spans=spans,
            left=left, held=now.held, evictions=now.evictions, waiting=now.waiting, in_flight=now.in_flight,
            reload_failed=now.reload_failed, reloaded_at=now.reloaded_at, open=number,
            kept_from={word: ring.kept_from for word, ring in stats.history.rings.items()},
        )  # fmt: skip

    async def _pin_rings(self) -> None:
        for word, ring in self._stats.history.rings.items():
            if self._notes is not None and not ring.over and len(ring.unpinned) >= _PIN_RING_AFTER[word]:
                spans, told = dict(ring.packed), set(ring.unpinned)
                await self._notes.pin_ring(self._name, 0, word, spans)
                ring.unpinned -= {number for number in told if ring.packed.get(number) is spans.get(number)}

    async def everybodys(self, window: Window | None = None, *, lines: bool = False) -> Census:
        """Return what all processes have counted, also in a window and the time before it; with recent lines."""
        rings: Rings = {}
        told: list[bytes] = []
        if self._shared is not None and self._notes is not None:
            try:
                async with asyncio.timeout(BUDGET_S):
                    await self._ask_all(self._shared, self._notes, lines=lines)
                    self._others, rings = await self._read(self._notes, window)
                    notes = await self._shared.notes(_LINES) if lines else {}
                    told = [note for name, note in notes.items() if name != f"{_LINES}{self._name}"]
            except Exception as error:  # noqa: BLE001  then what is known must do
                self._failed(error, "")
        own, others = self._tally(), self._others
        rings[self._name] = dict(self._stats.history.all())
        by_process = [self._recent.told(), *map(_read_lines, told)] if lines else []
        found = await asyncio.to_thread(census, self._name, own, others, rings, window, _in_order(by_process))
        return replace(found, lines_since=_complete_since(by_process))

    async def _read(self, notes: TallyNotes, window: Window | None) -> tuple[dict[str, Tally], Rings]:
        """Return what all others have told, and the rings that a window needs."""
        for _ in range(_MOST_READINGS):
            others = await notes.tallies()
            others.pop(self._name, None)
            try:
                return others, {} if window is None else await notes.rings(others, {window.grain.word, FINEST.word})
            except Moved:
                pass  # the archive was changed in between
        return others, {}

    async def _ask_all(self, shared: Shared, notes: TallyNotes, *, lines: bool) -> None:
        """Ask all others, and wait until they have told; who does not answer is known by what it told before."""
        now, others = self._clock.wall(), await notes.tallies()
        waited_for = {f"{_HEARD}{name}" for name, one in others.items() if name != self._name and is_alive(one, now)}
        if not waited_for or self._wire is None:
            return
        question = token_hex(4)
        await self._wire.send(_ASKED + (_FOR_LINES if lines else _FOR_NUMBERS) + question.encode())
        for _ in range(_MOST_LOOKS):
            await asyncio.sleep(_LOOK_AGAIN_S)
            heard = await shared.notes(_HEARD)
            if all(question.encode() in heard.get(name, b"") for name in waited_for):
                break

    async def _guarded(self, act: Awaitable[None], within_s: float | None) -> None:
        try:
            async with asyncio.timeout(within_s):
                await act
        except Exception as error:  # noqa: BLE001  what is not told costs others some numbers, never an answer
            self._failed(error, "")


def _in_order(by_process: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the recent lines of all processes, the newest last."""
    return sorted([line for lines in by_process for line in lines], key=lambda line: str(line["timestamp"]))


def _complete_since(by_process: list[list[dict[str, Any]]]) -> str:
    """Return the timestamp from which on all lines are here: whoever has as many as it keeps may have had more before."""
    return max([str(lines[0]["timestamp"]) for lines in by_process if len(lines) >= MOST_RECENT], default="")


def _read_lines(note: bytes) -> list[dict[str, Any]]:
    try:
        told = orjson.loads(note)
    except orjson.JSONDecodeError:
        return []
    lines = told if isinstance(told, list) else []
    return [line for line in lines if isinstance(line, dict) and {"timestamp", "request_id"} <= line.keys()]
