"""Where entries live: one contract for every store.

A store that is down, slow, full or broken costs hits, never an answer: reads give nothing, writes give up. Entries go
in and come out unchanged. To add one: a file here, named like its word in the config, and its line in the contract
suite `tests/store/test_store_contract.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy.core.types import Entry


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """What a store holds now, and what it has let go of for space since it was opened; sizes in bytes."""

    entries: int
    bytes: int
    limit_bytes: int
    evictions: int


class Store(Protocol):
    """Keeps entries by key (20 bytes)."""

    async def get_many(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return what is stored at each key, in order; None where nothing is."""
        ...

    async def set_many(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep all of these; readers see all or, for a moment, none."""
        ...

    async def delete(self, keys: Sequence[bytes]) -> None:
        """Forget these; absent ones are fine."""
        ...

    async def clear(self) -> None:
        """Forget everything."""
        ...

    def status(self) -> StoreStatus:
        """Tell what is held now."""
        ...

    def rules(self) -> Mapping[str, tuple[int, int]]:
        """Tell how many entries and bytes each rule holds."""
        ...

    async def close(self) -> None:
        """Let go of files and connections; idempotent."""
        ...
