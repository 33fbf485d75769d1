"""Any aiocache cache as a place for entries: Memcached, or a class of your own; it is given by reference.

aiocache's own clear() leaves its timers, which then delete what was written later: what we wrote is deleted by name
instead. What a failing cache says may quote what it was to keep, so of its errors only the name goes on.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from math import ceil
from typing import Any, NamedTuple

from proxy.clock import Clock
from proxy.core.types import Entry
from proxy.core.validation import has_validator
from proxy.store import StoreStatus
from proxy.store.record import from_record, to_record

LONGEST_S = 30 * 86400
"""No entry is kept for longer; Memcached takes what is beyond for a date in 1970."""
_MARGIN_S = 60.0
_ASKED_ABOUT_S = 86400.0
"""How long an entry that may not be served any more is kept for asking the upstream whether it is still good."""
_MOST_COUNTED = 100_000
_DELETED_AT_ONCE = 500


def lasts_s(entry: Entry) -> float:
    """Return how long an entry that is stored now may be of use, in seconds: its ttl and grace, and a margin."""
    served = max(0.0, entry.ttl - entry.age) + max(entry.refresh, entry.error)
    asked_about = _ASKED_ABOUT_S if has_validator(entry.headers) else _MARGIN_S
    return min(served + asked_about, LONGEST_S)


class Held(NamedTuple):
    """What is known of one written entry; `ends` is a time of the timer."""

    rule: str
    size: int
    ends: float


class Written:
    """Counts what this process wrote to a store that does not tell what it holds; the oldest go first for space.

    Of more than `most` entries the oldest are no longer counted. What others write or delete is not seen, what the
    store itself lets go of only once it is asked for.
    """

    def __init__(self, clock: Clock, limit_bytes: int | None, most: int = _MOST_COUNTED) -> None:
        self._clock = clock
        self._limit = limit_bytes
        self._most = most
        self._held: dict[bytes, Held] = {}
        self._ends: list[tuple[float, bytes]] = []
        self._by_rule: dict[str, list[int]] = {}
        self._bytes = 0
        self._evictions = 0

    def add(self, new: Mapping[bytes, tuple[str, int, float]]) -> set[bytes]:
        """Count entries (rule, size, seconds) that are about to be written; return the keys to delete instead.

        Those make room, or are themselves too large.
        """
        gone: list[bytes] = []
        for key, (rule, size, lasts) in new.items():
            self.drop(key)
            if self._limit is not None and size > self._limit:
                gone.append(key)
                continue
            held = self._held[key] = Held(rule, size, self._clock.timer() + lasts)
            self._count(held, 1)
            heapq.heappush(self._ends, (held.ends, key))
            self._drop_expired()
            while self._limit is not None and self._bytes > self._limit:
                gone.append(next(iter(self._held)))
                self.drop(gone[-1])
                self._evictions += 1
            while len(self._held) > self._most:
                self.drop(next(iter(self._held)))
        return {key for key in gone if key not in self._held}  # one that made room may be among the new

    def drop(self, key: bytes) -> None:
        """Count a key no more."""
        held = self._held.pop(key, None)
        if held is not None:
            self._count(held, -1)

    def _count(self, held: Held, number: int) -> None:
        self._bytes += number * held.size
        by_rule = self._by_rule.setdefault(held.rule, [0, 0])
        by_rule[0] += number
        by_rule[1] += number * held.size

    def missed(self, key: bytes) -> None:
        """Hear that the store has nothing at a key: if it should, it needed the space."""
        held = self._held.get(key)
        if held is not None:
            self._evictions += held.ends > self._clock.timer()
            self.drop(key)

    def _drop_expired(self) -> None:
        now = self._clock.timer()
        while self._ends and self._ends[0][0] <= now:
            _, key = heapq.heappop(self._ends)
            if key in self._held and self._held[key].ends <= now:
                self.drop(key)
        if len(self._ends) > 2 * len(self._held) + 100:  # most are of entries that were overwritten
            self._ends = [(held.ends, key) for key, held in self._held.items()]
            heapq.heapify(self._ends)

    def keys(self) -> list[bytes]:
        """Return all keys that are counted, oldest first."""
        return list(self._held)

    def clear(self) -> None:
        """Count from nothing again."""
        self._held.clear()
        self._ends.clear()
        self._by_rule.clear()
        self._bytes = 0

    def status(self) -> StoreStatus:
        """Tell what is held as far as this process knows; a limit of 0 means that the store sets its own."""
        self._drop_expired()
        return StoreStatus(len(self._held), self._bytes, self._limit or 0, self._evictions)

    def rules(self) -> Mapping[str, tuple[int, int]]:
        """Tell how many entries and bytes each rule holds, as far as this process knows."""
        self._drop_expired()
        return {rule: (entries, size) for rule, (entries, size) in self._by_rule.items() if entries}


class _AsItIs:
    """aiocache's word for it is a serializer: records are bytes already."""

    encoding = None

    def dumps(self, value: bytes) -> bytes:
        """Return the record."""
        return value

    def loads(self, value: bytes | None) -> bytes | None:
        """Return the record, None for a miss."""
        return value


class Aiocache:
    """Keeps entries in the cache that `made` makes; of what it holds, `status` knows what this process wrote."""

    def __init__(
        self,
        made: Callable[..., Any],
        clock: Clock,
        namespace: str = "",
        *,
        options: Mapping[str, Any] | None = None,
        limit_bytes: int | None = None,
        deadline_s: float = 0.25,
    ) -> None:
        self._cache = made(**(options or {}))
        self._cache.serializer = _AsItIs()  # by default some would pickle, others would make text of it
        self._cache.timeout = None  # a task for each call, 17 µs; the deadline is ours
        self._cache.namespace = None
        self._prefix = f"frontrunner:{namespace}:"
        self._deadline_s = deadline_s
        self._written = Written(clock, limit_bytes)

    def _name(self, key: bytes) -> str:
        return self._prefix + key.hex()

    async def _ask(self, done: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await done
        except TimeoutError:
            raise TimeoutError("aiocache: no answer in time") from None
        except Exception as error:  # noqa: BLE001  a stranger's class may raise anything
            raise OSError(f"aiocache: {type(error).__name__}") from None

    async def get_many(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return what is stored at each key, in order; None where nothing is, or nothing of ours."""
        if not keys:
            return []
        once = list(dict.fromkeys(keys))  # Memcached refuses to be asked twice for one
        records = await self._ask(self._cache.multi_get([self._name(key) for key in once]))
        found = {key: self._entry(key, record) for key, record in zip(once, records, strict=False)}
        return [found.get(key) for key in keys]  # aiocache answers [] where its environment disables it

    def _entry(self, key: bytes, record: object) -> Entry | None:
        if record is None:
            self._written.missed(key)
        return from_record(key, record) if isinstance(record, bytes) else None

    async def set_many(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep all of these, one after the other: aiocache has no way to write several at once everywhere."""
        if not entries:
            return
        records = {key: to_record(key, entry) for key, entry in entries.items()}
        lasts = {key: ceil(lasts_s(entry)) for key, entry in entries.items()}  # Memcached takes whole numbers only
        gone = self._written.add({key: (entries[key].rule, len(records[key]), lasts[key]) for key in entries})
        try:
            await self._ask(self._write({key: (records[key], lasts[key]) for key in entries if key not in gone}, gone))
        except OSError:
            for key in entries:
                self._written.drop(key)
            raise

    async def _write(self, wanted: Mapping[bytes, tuple[bytes, int]], gone: Iterable[bytes]) -> None:
        for key in gone:
            await self._cache.delete(self._name(key))
        for key, (record, lasts) in wanted.items():
            await self._cache.set(self._name(key), record, ttl=lasts)

    async def touch(self, hits: Mapping[bytes, int]) -> None:
        """Do nothing: what a cache of a stranger's evicts, it decides by what it sees itself."""

    async def delete(self, keys: Sequence[bytes]) -> None:
        """Forget these; absent ones are fine."""
        for key in keys:
            self._written.drop(key)
        await self._ask(self._write({}, keys))

    async def clear(self) -> None:
        """Forget what this process wrote; what others wrote stays until it expires."""
        keys = self._written.keys()
        self._written.clear()
        for at in range(0, len(keys), _DELETED_AT_ONCE):
            await self._ask(self._write({}, keys[at : at + _DELETED_AT_ONCE]))

    def status(self) -> StoreStatus:
        """Tell what this process wrote and has not seen go."""
        return self._written.status()

    def rules(self) -> Mapping[str, tuple[int, int]]:
        """Tell how many entries and bytes each rule holds of that."""
        return self._written.rules()

    async def close(self) -> None:
        """Let go of connections; idempotent."""
        with suppress(OSError):  # it is gone either way
            await self._ask(self._cache.close())
