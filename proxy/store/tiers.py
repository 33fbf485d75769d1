"""The hot tier of this process before a store that processes share: quick where it can be, kept where it must be.

What the shared store cannot do in BUDGET_S it does not do: then it costs hits, and is left alone for a while. What one
process writes or deletes, the others drop from their hot tiers as soon as they hear of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from proxy.clock import Clock
from proxy.core.types import Entry
from proxy.store import Store, StoreStatus, Wire
from proxy.store.breaker import Breaker
from proxy.store.memory import Memory

BUDGET_S = 0.25
BYTES_A_SECOND = 2**25
"""What is written may take so much longer."""
LONGEST_S = 30 * 86400.0
"""What is older is fetched anew: as long as the others remember what was purged."""

_MOST_HITS = 256
"""So many reads of the hot tier are told to the shared store together."""

_CHANGED = b"c"
_KEY_BYTES = 20
_MOST_KEYS = 200
"""In one message to the others."""

Done = TypeVar("Done")


class Tiers:
    """A store: `hot`, and behind it `shared`, of which `failed` is told the faults; `wire` reaches other processes."""

    def __init__(
        self, hot: Memory, shared: Store, wire: Wire, clock: Clock, failed: Callable[[BaseException, str], None]
    ) -> None:
        self._hot = hot
        self._shared = shared
        self._wire = wire
        self._clock = clock
        self._failed = failed
        self._breaker = Breaker(clock)
        self._changed = 0
        self._hits: dict[bytes, int] = {}
        self._uncounted = 0

    async def get_many(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return what is stored at each key, in order; None where nothing is."""
        found = await self._hot.get_many(keys)
        absent = [key for key, entry in zip(keys, found, strict=True) if entry is None]
        if len(absent) < len(keys):
            await self._count([key for key, entry in zip(keys, found, strict=True) if entry is not None])
        if not absent:
            return found
        changed = self._changed
        got = await self._within_budget(self._shared.get_many, absent)
        oldest = self._clock.wall() - LONGEST_S
        late = {key: entry for key, entry in zip(absent, got or (), strict=False) if entry and entry.stored_at > oldest}
        if late and changed == self._changed:  # else one of them may have been changed since it was read
            await self._hot.set_many(late)
        return [late.get(key) if entry is None else entry for key, entry in zip(keys, found, strict=True)]

    async def _count(self, read: Sequence[bytes]) -> None:
        """Count reads that the shared store does not see: what is hot here must not be the first that it evicts."""
        for key in read:
            self._hits[key] = self._hits.get(key, 0) + 1
        self._uncounted += len(read)
        if self._uncounted >= _MOST_HITS:
            hits, self._hits, self._uncounted = self._hits, {}, 0
            await self.touch(hits)

    async def touch(self, hits: Mapping[bytes, int]) -> None:
        """Let the shared store know how often these were read."""
        await self._within_budget(self._shared.touch, hits)

    async def set_many(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep all of these, here and for the others."""
        self._changed += 1
        await self._hot.set_many(entries)
        size = sum([len(entry.body) for entry in entries.values()])
        await self._within_budget(self._shared.set_many, entries, budget_s=BUDGET_S + size / BYTES_A_SECOND)
        self._changed += 1
        near = zip(entries.items(), await self._hot.get_many(tuple(entries)), strict=True)
        self._hot.drop([key for (key, entry), kept in near if kept != entry])  # an older one may have been read
        await self._tell(tuple(entries))

    async def delete(self, keys: Sequence[bytes]) -> None:
        """Forget these everywhere."""
        self._hot.drop(keys)
        await self._within_budget(self._shared.delete, keys)
        self._changed += 1
        self._hot.drop(keys)  # what was read meanwhile
        await self._tell(keys)

    async def clear(self) -> None:
        """Forget everything, everywhere."""
        self._hot.drop_all()
        await self._shared.clear()
        self._changed += 1
        self._hot.drop_all()
        await self._wire.send(_CHANGED)

    async def _within_budget(
        self, act: Callable[..., Awaitable[Done]], *wanted: object, budget_s: float | None = None
    ) -> Done | None:
        if self._breaker.is_open:
            return None
        try:
            async with asyncio.timeout(budget_s or BUDGET_S):
                done = await act(*wanted)
        except Exception as error:  # noqa: BLE001  it costs hits, never an answer
            if not self._breaker.is_open:
                self._failed(error, "")
            self._breaker.failed()
            return None
        self._breaker.succeeded()
        return done

    async def _tell(self, keys: Sequence[bytes]) -> None:
        for at in range(0, len(keys), _MOST_KEYS):
            await self._wire.send(_CHANGED + b"".join(keys[at : at + _MOST_KEYS]))

    def hear(self, message: bytes) -> None:
        """Hear what another process tells."""
        if not message.startswith(_CHANGED):
            return
        self._changed += 1
        keys = message[1:]
        if keys:
            self._hot.drop([keys[at : at + _KEY_BYTES] for at in range(0, len(keys), _KEY_BYTES)])
        else:
            self._hot.drop_all()

    @property
    def is_well(self) -> bool:
        """Tell whether the shared store did what it was last asked for."""
        return not self._breaker.has_failed

    def status(self) -> StoreStatus:
        """Tell what is held for all processes."""
        return self._shared.status()

    def rules(self) -> Mapping[str, tuple[int, int]]:
        """Tell how many entries and bytes each rule holds."""
        return self._shared.rules()

    async def close(self) -> None:
        """Close both."""
        await self._wire.close()
        await self._shared.close()
        await self._hot.close()
