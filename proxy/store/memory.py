"""The hot tier: entries in this process, bounded in bytes, least recently used out first."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from proxy.core.types import Entry
from proxy.store import StoreStatus

# Measured with tracemalloc on CPython 3.11: an Entry with its floats, its place in the ordered dict and its key.
_PER_ENTRY_BYTES = 420
_PER_FIELD_BYTES = 122
_PER_NAME_BYTES = 36


def weight(entry: Entry) -> int:
    """Return what an entry takes in memory, in bytes: body, head, key and the objects around them."""
    head = sum([len(name) + len(value) + _PER_FIELD_BYTES for name, value in entry.headers])
    names = sum([len(name) + _PER_NAME_BYTES for name in (*entry.vary, *entry.groups, entry.tag)])
    return len(entry.body) + head + names + _PER_ENTRY_BYTES


class Memory:
    """Keeps at most `limit_bytes` of entries."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._bytes = 0
        self._evictions = 0
        self._by_rule: dict[str, list[int]] = {}

    async def get_many(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return what is stored at each key, in order; None where nothing is."""
        return [self._get(key) for key in keys]

    def _get(self, key: bytes) -> Entry | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    async def set_many(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep all of these; what is larger than the whole store is not kept."""
        for key, entry in entries.items():
            self._drop(key)
            size = weight(entry)
            if size <= self._limit:
                self._entries[key] = entry
                self._count(entry, size, 1)
        while self._bytes > self._limit:
            self._drop(next(iter(self._entries)))
            self._evictions += 1

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._count(entry, -weight(entry), -1)

    def _count(self, entry: Entry, size: int, number: int) -> None:
        self._bytes += size
        held = self._by_rule.setdefault(entry.rule, [0, 0])
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
        self._entries.clear()
        self._by_rule.clear()
        self._bytes = 0

    def status(self) -> StoreStatus:
        """Tell what is held now."""
        return StoreStatus(len(self._entries), self._bytes, self._limit, self._evictions)

    def rules(self) -> Mapping[str, tuple[int, int]]:
        """Tell how many entries and bytes each rule holds."""
        return {rule: (entries, size) for rule, (entries, size) in self._by_rule.items() if entries}

    async def close(self) -> None:
        """Do nothing: what is in memory goes with the process."""
