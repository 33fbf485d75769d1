"""What was counted when: spans of 10 seconds for an hour, of 5 minutes for a week, of an hour for 90 days.

A span that is over is packed, by whoever has the time for it; all that is kept has a bound, and what is oldest goes
first. Longer spans are put together of the shortest, so that counting costs the same however many there are.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from proxy.core.operation import Operations, operations_of


@dataclass(frozen=True, slots=True)
class Grain:
    """Spans of one width, in seconds; `keeps` of them are kept, their histograms with `most_buckets` each."""

    word: str
    width_s: int
    keeps: int
    most_buckets: int
    arms: bool = False


GRAINS: Final = (Grain("10s", 10, 360, 64, arms=True), Grain("5m", 300, 2016, 10), Grain("1h", 3600, 2160, 10))
FINEST: Final = GRAINS[0]
MOST_BYTES: Final = 15 * 2**20
_DIGITS: Final = 4
_DAMAGED = (zlib.error, ValueError, TypeError, AttributeError, KeyError)

Span = bytes | Operations
"""What was counted in one span, packed or not; nothing changes in it any more."""


class Ring:
    """The spans of one grain, by their number since the epoch: packed ones, and those that are `over` but not packed."""

    def __init__(self, grain: Grain) -> None:
        self.grain = grain
        self.packed: dict[int, bytes] = {}
        self.over: dict[int, Operations] = {}
        self.unpinned: set[int] = set()
        """What was closed, or changed, since others were told of all that is."""
        self.size = 0
        self.kept_from = 0
        """What is before this was let go of for space."""
        self.open = Operations()
        self.packed_open: bytes | None = None
        """What is open, unless something was added since it was packed."""
        self.number = 0

    def close_until(self, now: float) -> Operations | None:
        """Begin a new span if the last one is over, and return what was counted in that.

        A clock that goes back by no more than a span makes it longer.
        """
        number = int(now // self.grain.width_s)
        if self.number - 1 <= number <= self.number:
            return None
        counted, self.open, self.packed_open = self.open, Operations(), None
        if counted:
            self._add(self.number, counted)
        if number < self.number:  # the clock was ahead: what it counted was before now
            for late in [one for one in (*self.packed, *self.over) if one >= number]:
                self._add(number - 1, unpacked(self.drop(late)))
        self.number = number
        for old in [one for one in (*self.packed, *self.over) if one < number - self.grain.keeps]:
            self.drop(old)
        return counted or None

    def _add(self, number: int, counted: Operations) -> None:
        if number in self.packed or number in self.over:
            before = unpacked(self.drop(number)).copied()  # somebody may be packing it
            before.merge(counted)
            counted = before
        self.over[number] = counted
        self.unpinned.add(number)

    def add(self, counted: Operations) -> None:
        """Add to what is open."""
        self.open, self.packed_open = self.open.copied(), None  # somebody may be packing it
        self.open.merge(counted)

    def drop(self, number: int) -> Span:
        """Forget a span, and return it."""
        self.unpinned.discard(number)
        if number in self.over:
            return self.over.pop(number)
        self.size -= len(self.packed[number])
        return self.packed.pop(number)

    def keep(self, number: int, counted: Operations, packed: bytes) -> None:
        """Keep a span packed, unless more was counted in it meanwhile."""
        if self.open is counted:
            self.packed_open = packed
        elif self.over.get(number) is counted:
            del self.over[number]
            self.packed[number] = packed
            self.size += len(packed)

    def all(self) -> dict[int, Span]:
        """Return all spans that are over."""
        return {**self.packed, **self.over}


class History:
    """The spans of all grains."""

    def __init__(self) -> None:
        self.rings = {grain.word: Ring(grain) for grain in GRAINS}
        self._finest, *self._longer = self.rings.values()

    @property
    def size(self) -> int:
        """Return how many bytes the packed spans take."""
        return sum(ring.size for ring in self.rings.values())

    def count(self, counted: Operations, now: float) -> None:
        """Add what was counted since the last time."""
        self.close_until(now)
        self._finest.open.merge(counted)

    def close_until(self, now: float) -> None:
        """Close the spans that are over."""
        began = self._finest.number * FINEST.width_s
        counted = self._finest.close_until(now)
        for ring in self._longer:
            if counted is not None:
                ring.close_until(began)
                ring.add(counted)
            ring.close_until(now)

    def open(self) -> tuple[int, Operations]:
        """Return the number of the shortest span that is open, and what was counted in it until now.

        The longer ones that are open do not hold that yet.
        """
        return self._finest.number, self._finest.open.copied()

    def news(self) -> dict[str, dict[int, Span]]:
        """Return what others cannot know yet: what is open but for the shortest span, and what is over since they know."""
        told: dict[str, dict[int, Span]] = {}
        for word, ring in self.rings.items():
            spans = ring.all()
            told[word] = {number: spans[number] for number in ring.unpinned}
            if ring in self._longer and ring.open:
                told[word][ring.number] = ring.packed_open or ring.open
        return told

    def all(self) -> dict[str, dict[int, Span]]:
        """Return all but the shortest span that is open."""
        news = self.news()
        return {word: {**ring.all(), **news[word]} for word, ring in self.rings.items()}

    def unpacked(self) -> dict[str, dict[int, Operations]]:
        """Return what is not packed yet, but for the shortest span that is open."""
        found = {word: dict(ring.over) for word, ring in self.rings.items()}
        for ring in self._longer:
            if ring.open and ring.packed_open is None:
                found[ring.grain.word].setdefault(ring.number, ring.open)
        return {word: spans for word, spans in found.items() if spans}

    def keep(self, unpacked: Mapping[str, Mapping[int, Operations]], packed: Mapping[str, Mapping[int, bytes]]) -> None:
        """Keep packed what was not; the oldest goes where there is no room for all."""
        for word, spans in unpacked.items():
            for number, counted in spans.items():
                self.rings[word].keep(number, counted, packed[word][number])
        if self.size > MOST_BYTES:
            for word, number in too_many({word: ring.packed for word, ring in self.rings.items()}):
                self.rings[word].drop(number)
                self.rings[word].kept_from = number + 1


def too_many(packed: Mapping[str, Mapping[int, bytes]]) -> list[tuple[str, int]]:
    """Return which spans must go so that there are no more than MOST_BYTES: those that began first."""
    began = {
        (word, number): number * grain.width_s
        for grain in GRAINS
        for word in (grain.word,)
        for number in packed.get(word, ())
    }
    size, gone = sum(len(packed[word][number]) for word, number in began), []
    for word, number in sorted(began, key=began.__getitem__):
        if size <= MOST_BYTES:
            break
        gone.append((word, number))
        size -= len(packed[word][number])
    return gone


def pack(counted: Operations, grain: Grain) -> bytes:
    """Write what was counted in one span."""
    return zlib.compress(orjson.dumps(counted.written(grain.most_buckets, arms=grain.arms, digits=_DIGITS)))


def pack_all(spans: Mapping[str, Mapping[int, Span]]) -> dict[str, dict[int, bytes]]:
    """Write what is not packed yet, of all grains."""
    return {
        grain.word: {
            number: one if isinstance(one, bytes) else pack(one, grain)
            for number, one in spans.get(grain.word, {}).items()
        }
        for grain in GRAINS
    }


def unpacked(span: Span) -> Operations:
    """Return what was counted in one span; nothing where that cannot be read."""
    if not isinstance(span, bytes):
        return span
    try:
        return operations_of(orjson.loads(zlib.decompress(span)))
    except _DAMAGED:
        return Operations()


@dataclass(frozen=True, slots=True)
class Window:
    """A length of time that ends now, in spans of a grain: those from `first` up to `last`, which is open."""

    seconds: float
    grain: Grain
    first: int
    last: int

    @property
    def closed(self) -> "Window":
        """Return the part of it whose spans are over: as long as it was asked for."""
        return Window(self.seconds, self.grain, self.first, self.last - 1)

    @property
    def before(self) -> "Window":
        """Return the window before that, as long."""
        length = self.last - self.first
        return Window(self.seconds, self.grain, self.first - length, self.first - 1)

    def with_arms(self, now: float) -> "Window":
        """Return the window, or of a long one the last hour, in spans that hold timings by arm."""
        return self if self.grain.arms else window(FINEST.width_s * FINEST.keeps, now)

    @property
    def since(self) -> float:
        """Return when it begins, in wall-clock seconds."""
        return float(self.first * self.grain.width_s)

    def of(self, spans: Iterable[tuple[int, Span]]) -> Operations:
        """Return what was counted in it."""
        found = Operations()
        for number, span in spans:
            if self.first <= number <= self.last:
                found.merge(unpacked(span))
        if not self.grain.arms:
            for one in found.values():
                one.by_arm.clear()
        return found


def window(seconds: float, now: float, *, twice: bool = False) -> Window:
    """Return the window of a length that ends at `now`, in the finest grain that reaches back so far.

    `twice`: as far as the window before. Raises ValueError where none does.
    """
    for grain in GRAINS:
        count = max(1, round(seconds / grain.width_s))
        if seconds >= grain.width_s and count * (2 if twice else 1) <= grain.keeps:
            last = int(now // grain.width_s)
            return Window(count * grain.width_s, grain, last - count, last)
    longest = GRAINS[-1].width_s * GRAINS[-1].keeps
    raise ValueError(f"from {GRAINS[0].width_s} s to {longest // 86400} days")
