"""What a config's `store` means: the hot tier of this process, and behind it what processes share, if anything."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from proxy.clock import Clock
from proxy.config import Config
from proxy.core.key import VERSION
from proxy.core.tally import Held
from proxy.plugins import attribute
from proxy.state_folder import state_folder
from proxy.store import Shared, Store, Wire
from proxy.store.memory import Memory
from proxy.store.tiers import Tiers

DISK_BYTES = 2**30
"""What the file on disk may hold."""

Failed = Callable[[BaseException, str], None]


@dataclass(frozen=True, slots=True)
class Stores:
    """The store that is asked; what beside entries is shared, and how other processes are reached, where that is so.

    `open` proves that the shared store works; `warning` is why there is none. `far`: other machines may share it.
    """

    store: Store
    hot: Memory
    shared: Shared | None = None
    wire: Wire | None = None
    hear: tuple[Callable[[bytes], None], ...] = ()
    open: Callable[[], Awaitable[None]] | None = None
    warning: str = ""
    far: bool = False
    word: str = ""
    """What is behind the hot tier: disk, redis, aiocache, or nothing."""

    def held(self) -> tuple[Held, ...]:
        """Tell what each store holds, and how it is."""
        now = self.hot.status()
        hot = Held("memory", now.entries, now.bytes, now.limit_bytes)
        if not isinstance(self.store, Tiers):
            return (hot,)
        now, is_well = self.store.status(), self.store.is_well
        return hot, Held(self.word, now.entries, now.bytes, now.limit_bytes, self.word == "disk", is_well)

    def evictions(self) -> dict[str, int]:
        """Tell how many entries this process let go for space, by store."""
        hot = {"memory": self.hot.status().evictions}
        return hot | {self.word: self.store.status().evictions} if isinstance(self.store, Tiers) else hot

    def by_rule(self) -> Mapping[str, tuple[int, int]] | None:
        """Tell how many entries and bytes each rule holds; None where other processes write to it too, untold."""
        return None if self.far else self.store.rules()

    async def opened(self) -> str:
        """Open the shared store; return what is wrong with it, if anything is."""
        if self.open is None:
            return self.warning
        try:
            await self.open()
        except Exception as error:  # noqa: BLE001  it costs hits, never an answer
            return f"the store on disk cannot be used now: {error}"
        return ""


def scope_of(config: Config, upstream: str) -> str:
    """Return the name of all that belongs to one namespace in front of one upstream."""
    return blake2b(f"{config.store.namespace} {upstream}".encode(), digest_size=6).hexdigest()


def stores_of(config: Config, upstream: str, clock: Clock, failed: Failed) -> Stores:
    """Make the stores of a config; `upstream` is its identity.

    Where the place for a file cannot be written, there is memory only, and a warning. Raises ImportError and
    AttributeError for an aiocache class that is not there.
    """
    hot, scope = Memory(config.store.memory, config.store.evict.made), scope_of(config, upstream)
    if config.store.redis:
        from proxy.store.redis import Redis

        redis = Redis(config.store.redis, clock, scope)
        tiers = Tiers(hot, redis, redis, clock, failed)
        return Stores(tiers, hot, redis, redis, (tiers.hear,), far=True, word="redis")
    if config.store.aiocache:
        from proxy.store.aiocache import Aiocache
        from proxy.store.bus import Bus

        kept = Aiocache(attribute(config.store.aiocache), clock, scope)
        bus = Bus(state_folder(os.environ) / f"bus-{scope}")
        tiers = Tiers(hot, kept, bus, clock, failed)
        return Stores(tiers, hot, None, bus, (tiers.hear,), word="aiocache")
    if config.store.disk == "off":
        return Stores(hot, hot)
    return _on_disk(config, scope, hot, clock, failed)


def _on_disk(config: Config, scope: str, hot: Memory, clock: Clock, failed: Failed) -> Stores:
    from proxy.store.bus import Bus
    from proxy.store.sqlite import Sqlite

    auto = config.store.disk == "auto"
    file = state_folder(os.environ) / f"store-{scope}.sqlite" if auto else Path(config.store.disk).absolute()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(file.parent, os.W_OK | os.X_OK) or (file.exists() and not os.access(file, os.W_OK)):
            raise PermissionError(f"{file} cannot be written")
        bus = Bus(file.parent / f"bus-{scope}")
    except OSError as error:
        return Stores(hot, hot, warning=f"no store on disk, only in memory: {error.strerror or error}")
    kept = Sqlite(file, DISK_BYTES, clock, VERSION.decode(), config.store.evict.made)
    tiers = Tiers(hot, kept, bus, clock, failed)
    return Stores(tiers, hot, kept, bus, (tiers.hear,), kept.open, word="disk")
