"""Where all processes of one proxy find a job: a note while it runs, its answer as an entry of the store afterwards.

The note is renewed by the process that runs the job, and runs out with it. An answer stays for ten minutes after its
end, or until newer ones need the room.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from proxy.clock import Clock
from proxy.core.job import KEEPS_S, Progress, read_progress
from proxy.core.key import variant_key
from proxy.core.types import Entry
from proxy.store import Shared, Store

MOST_RESULTS, MOST_BYTES = 1_000, 2**26
"""That one process keeps."""
LEASE_S = 11.0
BUDGET_S = 1.0
"""What a note may take; the store has a budget of its own."""
_FORGOTTEN_S = 86400.0

Done = TypeVar("Done")


class Board(Protocol):
    """Takes notes and gives them back by how their names begin, while they last."""

    async def pin(self, name: str, note: bytes, lasts_s: float) -> None:
        """Put a note on the board."""
        ...

    async def notes(self, prefix: str) -> Mapping[str, bytes]:
        """Return the notes whose names begin so."""
        ...


class Shelf:
    """Keeps the jobs' notes and answers; what the store cannot do costs a job's answer, and is told `failed`."""

    def __init__(
        self, store: Store, shared: Shared | None, clock: Clock, failed: Callable[[BaseException, str], None]
    ) -> None:
        self._store = store
        self._board: Board = shared or _InStore(store, clock)
        self._clock = clock
        self._failed = failed
        self._held: OrderedDict[bytes, tuple[int, float]] = OrderedDict()
        """What this process put here: bytes, and when; the oldest first."""
        self._bytes = 0
        self._reserved = 0

    def __len__(self) -> int:
        return len(self._held)

    async def note(self, place: bytes, progress: Progress) -> None:
        """Tell all that a job runs, until LEASE_S from now."""
        await self._guarded(self._board.pin(_name(place), progress.written(), LEASE_S), None, BUDGET_S)

    async def progress(self, place: bytes) -> Progress | None:
        """Return what was last told of a job that runs."""
        told = await self._notes(place)
        return None if _gone(place) in told else read_progress(told.get(_name(place), b""))

    async def is_forgotten(self, place: bytes) -> bool:
        """Tell whether somebody said that this job's answer is not wanted any more."""
        return _gone(place) in await self._notes(place)

    async def _notes(self, place: bytes) -> Mapping[str, bytes]:
        nothing: Mapping[str, bytes] = {}
        return await self._guarded(self._board.notes(_name(place)), nothing, BUDGET_S)

    async def _guarded(self, act: Awaitable[Done], otherwise: Done, budget_s: float | None = None) -> Done:
        try:
            async with asyncio.timeout(budget_s):
                return await act
        except Exception as error:  # noqa: BLE001
            self._failed(error, "")
            return otherwise

    async def reserve(self, size: int) -> bool:
        """Make room for an answer that arrives, in place of the oldest; False where those that arrive take it all."""
        if self._reserved + size > MOST_BYTES:
            return False
        self._reserved += size
        await self._tidy()
        return True

    def give_back(self, size: int) -> None:
        """Let others have what was reserved."""
        self._reserved -= size

    async def put(self, place: bytes, result: Entry) -> None:
        """Keep a job's answer, unless it was forgotten before it was there."""
        if await self.is_forgotten(place):
            return
        self._held[place] = (len(result.body), result.stored_at)
        self._bytes += len(result.body)
        await self._guarded(self._store.set_many({place: result}), None)
        await self._tidy()

    async def result(self, place: bytes) -> Entry | None:
        """Return a job's answer, if it is here."""
        nothing: list[Entry | None] = [None]
        (entry,) = await self._guarded(self._store.get_many((place,)), nothing)
        if entry is None or not entry.status or self._clock.wall() >= entry.stored_at + entry.ttl:
            return None
        return entry

    async def forget(self, place: bytes) -> None:
        """Let go of a job's answer; one that is not there yet will not be kept."""
        self._drop(place)
        await self._guarded(self._board.pin(_gone(place), b"", _FORGOTTEN_S), None, BUDGET_S)
        await self._guarded(self._store.delete((place,)), None)

    async def sweep(self) -> None:
        """Let go of answers whose time is over."""
        await self._tidy()

    async def _tidy(self) -> None:
        oldest, gone = self._clock.wall() - KEEPS_S, []
        while self._held:
            place, (_, since) = next(iter(self._held.items()))
            if since > oldest and len(self._held) <= MOST_RESULTS and self._bytes + self._reserved <= MOST_BYTES:
                break
            self._drop(place)
            gone.append(place)
        if gone:
            await self._guarded(self._store.delete(gone), None)

    def _drop(self, place: bytes) -> None:
        size, _ = self._held.pop(place, (0, 0.0))
        self._bytes -= size


class _InStore:
    """A board where nothing but entries is shared, or nothing at all."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def pin(self, name: str, note: bytes, lasts_s: float) -> None:
        """Put a note on the board."""
        await self._store.set_many({_note_key(name): Entry(0, (), note, self._clock.wall(), lasts_s)})

    async def notes(self, prefix: str) -> Mapping[str, bytes]:
        """Return the note of this name, and the one that it was forgotten."""
        names = (prefix, prefix + _GONE)
        found = zip(names, await self._store.get_many([_note_key(name) for name in names]), strict=True)
        now = self._clock.wall()
        return {name: one.body for name, one in found if one is not None and now < one.stored_at + one.ttl}


_GONE = " gone"


def _name(place: bytes) -> str:
    return f"job {place.hex()}"


def _gone(place: bytes) -> str:
    return _name(place) + _GONE


def _note_key(name: str) -> bytes:
    return variant_key(name.encode(), (), ())
