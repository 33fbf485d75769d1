"""What was counted when: spans of 10 seconds for an hour, of 5 minutes for a week, of an hour for 90 days.

A span that is over is kept packed; all that is kept has a bound, and what is oldest goes first.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from proxy.core.operation import Operations, operations_of


@dataclass(frozen=True, slots=True)
class Grain:
    """Spans of one width, in seconds; `keeps` of them are kept, their histograms with `most_buckets` each."""

    word: str
    width_s: int
    keeps: int
    most_buckets: int
    arms: bool = False


GRAINS: Final = (
    Grain("10s", 10, 360, 64, arms=True),
    Grain("5m", 300, 2016, 10, arms=True),
    Grain("1h", 3600, 2160, 10),
)
MOST_BYTES: Final = 15 * 2**20
_DAMAGED = (zlib.error, ValueError, TypeError, AttributeError, KeyError)


class Ring:
    """The spans of one grain: one is open, the others are packed, by their number since the epoch."""

    def __init__(self, grain: Grain) -> None:
        self.grain = grain
        self.closed: dict[int, bytes] = {}
        self.unpinned: set[int] = set()
        """What was closed, or changed, since others were told of all that is."""
        self.size = 0
        self._open = Operations()
        self._number = 0

    def count(self, counted: Operations, now: float) -> None:
        """Add what was counted since the last time to the span that is open at `now`."""
        self.close_until(now)
        self._open.merge(counted)

    def close_until(self, now: float) -> None:
        """Begin a new span if the last one is over; a clock that goes back makes it longer."""
        number = int(now // self.grain.width_s)
        if number <= self._number:
            return
        if self._open:
            self.add(self._number, pack(self._open, self.grain))
            self._open = Operations()
        self._number = number
        for old in [one for one in self.closed if one <= number - self.grain.keeps]:
            self.drop(old)

    def add(self, number: int, packed: bytes) -> None:
        """Add what was counted in a span, here or by another process."""
        if number in self.closed:
            both = unpacked(self.closed[number])
            both.merge(unpacked(packed))
            packed = pack(both, self.grain)
            self.size -= len(self.closed[number])
        self.closed[number] = packed
        self.size += len(packed)
        self.unpinned.add(number)

    def drop(self, number: int) -> None:
        """Forget a span."""
        self.size -= len(self.closed.pop(number))
        self.unpinned.discard(number)

    def spans(self) -> dict[int, bytes]:
        """Return what others cannot know yet: the open span, and what was closed since they were told."""
        told = {number: self.closed[number] for number in self.unpinned}
        if self._open:
            both = Operations()
            if self._number in told:  # another process counted in it as well, and is gone
                both.merge(unpacked(told[self._number]))
            elif self._number in self.closed:
                both.merge(unpacked(self.closed[self._number]))
            both.merge(self._open)
            told[self._number] = pack(both, self.grain)
        return told

    def all(self) -> dict[int, bytes]:
        """Return all spans."""
        return {**self.closed, **self.spans()}


class History:
    """The spans of all grains."""

    def __init__(self) -> None:
        self.rings = {grain.word: Ring(grain) for grain in GRAINS}

    @property
    def size(self) -> int:
        """Return how many bytes the packed spans take."""
        return sum(ring.size for ring in self.rings.values())

    def count(self, counted: Operations, now: float) -> None:
        """Add what was counted since the last time."""
        for ring in self.rings.values():
            ring.count(counted, now)
        self.trim()

    def close_until(self, now: float) -> None:
        """Close the spans that are over."""
        for ring in self.rings.values():
            ring.close_until(now)

    def add(self, word: str, spans: Mapping[int, bytes]) -> None:
        """Add spans of another process that is gone."""
        for number, packed in spans.items():
            self.rings[word].add(number, packed)
        self.trim()

    def trim(self) -> None:
        """Let the oldest spans go where there is no room for all."""
        while self.size > MOST_BYTES:
            oldest = {min(ring.closed) * ring.grain.width_s: ring for ring in self.rings.values() if ring.closed}
            ring = oldest[min(oldest)]
            ring.drop(min(ring.closed))


def pack(counted: Operations, grain: Grain) -> bytes:
    """Write what was counted in one span."""
    told = json.dumps(counted.written(grain.most_buckets, arms=grain.arms), separators=(",", ":"))
    return zlib.compress(told.encode())


def unpacked(packed: bytes) -> Operations:
    """Return what was counted in one span; nothing where that cannot be read."""
    try:
        return operations_of(json.loads(zlib.decompress(packed)))
    except _DAMAGED:
        return Operations()


@dataclass(frozen=True, slots=True)
class Window:
    """A length of time that ends now, in spans of a grain: those from `first` up to `last`, as many are before them."""

    seconds: float
    grain: Grain
    first: int
    last: int

    @property
    def before(self) -> "Window":
        """Return the window before this one, as long."""
        length = self.last - self.first + 1
        return Window(self.seconds, self.grain, self.first - length, self.first - 1)

    @property
    def since(self) -> float:
        """Return when it begins, in wall-clock seconds."""
        return float(self.first * self.grain.width_s)

    def of(self, spans: Iterable[Mapping[int, bytes]]) -> Operations:
        """Return what was counted in it, of the spans of several processes."""
        found = Operations()
        for one in spans:
            for number, packed in one.items():
                if self.first <= number <= self.last:
                    found.merge(unpacked(packed))
        return found


def window(seconds: float, now: float, *, twice: bool = False) -> Window:
    """Return the window of a length that ends at `now`, in the finest grain that reaches back so far.

    `twice`: as far as the window before. Raises ValueError where none does.
    """
    for grain in GRAINS:
        count = max(1, round(seconds / grain.width_s))
        if seconds >= grain.width_s and count * (2 if twice else 1) <= grain.keeps:
            last = int(now // grain.width_s)
            return Window(count * grain.width_s, grain, last - count + 1, last)
    longest = GRAINS[-1].width_s * GRAINS[-1].keeps
    raise ValueError(f"from {GRAINS[0].width_s} s to {longest // 86400} days")
