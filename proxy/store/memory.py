"""The hot tier: entries in this process, packed, bounded in bytes; whose rank is lowest goes first."""

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Any

from proxy.core.evict import Evict
from proxy.core.evict.gdsf import Gdsf
from proxy.core.types import Entry
from proxy.store import StoreStatus
from proxy.store.record import packed, rule_of, unpacked

_APART_BYTES = 2**13
"""A longer body is kept beside its head: cutting it off at each look-up would cost more than the object."""
_PER_ENTRY_BYTES = 280
"""Measured with tracemalloc on CPython 3.11: key, place in dict and heap, ranks, and the objects around the bytes."""

Kept = bytes | tuple[bytes, bytes]
_Place = list[Any]
"""What is kept at one key: [rank when it got its place in the heap, key, rank, hits, Kept]; a list, for heaps compare in C.

The rank only grows, so its place in the heap is mended when its turn comes. Without a key it is no longer held."""
_QUEUED, _KEY, _RANK, _HITS, _KEPT = range(5)


def weight(entry: Entry) -> int:
    """Return what an entry takes in memory, in bytes: body, head, key and the objects around them."""
    return _weight(_kept(entry))


def _kept(entry: Entry) -> Kept:
    return packed(entry) if len(entry.body) < _APART_BYTES else (packed(entry, b""), entry.body)


def _weight(kept: Kept) -> int:
    return _PER_ENTRY_BYTES + (len(kept) if isinstance(kept, bytes) else len(kept[0]) + len(kept[1]))


class Memory:
    """Keeps at most `limit_bytes` of entries; `evict` tells which go first."""

    def __init__(self, limit_bytes: int, evict: Evict | None = None) -> None:
        self._limit = limit_bytes
        self._evict = evict or Gdsf()
        self._places: dict[bytes, _Place] = {}
        self._heap: list[_Place] = []
        self._floor = 0.0
        self._tick = 0
        self._bytes = 0
        self._evictions = 0
        self._by_rule: dict[str, list[int]] = {}

    async def get_many(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return what is stored at each key, in order; None where nothing is."""
        return [self._get(key) for key in keys]

    def _get(self, key: bytes) -> Entry | None:
        place = self._places.get(key)
        if place is None:
            return None
        kept = place[_KEPT]
        entry = unpacked(kept) if isinstance(kept, bytes) else unpacked(*kept)
        if entry is not None:
            place[_HITS] += 1
            place[_RANK] = self._ranked(place[_HITS], entry, kept)
        return entry

    def _ranked(self, hits: int, entry: Entry, kept: Kept) -> float:
        self._tick += 1
        return self._evict.rank(hits, entry.cost, _weight(kept), self._floor, self._tick)

    async def set_many(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep all of these; what is larger than the whole store is not kept."""
        new = {key: _kept(entry) for key, entry in entries.items()}
        fitting = {key: kept for key, kept in new.items() if _weight(kept) <= self._limit}
        hits = {key: self._drop(key) for key in new}
        self._make_room(sum(map(_weight, fitting.values())))
        for key, kept in fitting.items():
            place: _Place = [0.0, key, 0.0, hits[key] + 1, kept]
            place[_QUEUED] = place[_RANK] = self._ranked(place[_HITS], entries[key], kept)
            self._places[key] = place
            heappush(self._heap, place)
            self._count(kept, _weight(kept), 1)
        self._make_room(0)

    async def touch(self, hits: Mapping[bytes, int]) -> None:
        """Take note of how often these were read elsewhere since the last time; absent ones are fine."""
        for key, number in hits.items():
            if (place := self._places.get(key)) is not None:
                place[_HITS] += number - 1
                self._get(key)

    def _make_room(self, size: int) -> None:
        """Let go of those whose rank is lowest, until so many bytes more would fit."""
        while self._bytes + size > self._limit and self._heap:
            place = heappop(self._heap)
            if not place[_KEY]:
                continue
            if place[_RANK] > place[_QUEUED]:
                place[_QUEUED] = place[_RANK]
                heappush(self._heap, place)
                continue
            self._floor = place[_RANK]
            self._drop(place[_KEY])
            self._evictions += 1

    def _drop(self, key: bytes) -> int:
        """Forget what is kept at a key; return how often it was written or read."""
        place = self._places.pop(key, None)
        if place is None:
            return 0
        kept = place[_KEPT]
        self._count(kept, -_weight(kept), -1)
        place[_KEY], place[_KEPT] = b"", b""
        if len(self._heap) > 2 * len(self._places) + 64:
            self._heap = [one for one in self._heap if one[_KEY]]
            heapify(self._heap)
        return int(place[_HITS])

    def _count(self, kept: Kept, size: int, number: int) -> None:
        self._bytes += size
        held = self._by_rule.setdefault(rule_of(kept if isinstance(kept, bytes) else kept[0]), [0, 0])
        held[0] += number
        held[1] += size

    async def delete(self, keys: Sequence[bytes]) -> None:
        """Forget these; absent ones are fine."""
        self.drop(keys)

    def drop(self, keys: Sequence[bytes]) -> None:
        """Forget these at once; absent ones are fine."""
        for key in keys:
            self._drop(key)

    async def clear(self) -> None:
        """Forget everything."""
        self.drop_all()

    def drop_all(self) -> None:
        """Forget everything at once."""
        self._places.clear()
        self._heap.clear()
        self._by_rule.clear()
        self._bytes = 0

    def status(self) -> StoreStatus:
        """Tell what is held now."""
        return StoreStatus(len(self._places), self._bytes, self._limit, self._evictions)

    def rules(self) -> Mapping[str, tuple[int, int]]:
        """Tell how many entries and bytes each rule holds."""
        return {rule: (entries, size) for rule, (entries, size) in self._by_rule.items() if entries}

    async def close(self) -> None:
        """Do nothing: what is in memory goes with the process."""
