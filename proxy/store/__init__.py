"""Where entries live, and what the processes in front of one upstream share: one contract for every store.

A store that is down, slow, full or broken costs hits, never an answer: what it raises, its callers bear (`tiers.py`).
Entries go in and come out unchanged. To add one: a file here, named like its word in the config, and its line in the
contract suite `tests/store/test_store_contract.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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

    async def touch(self, hits: Mapping[bytes, int]) -> None:
        """Take note of how often these were read elsewhere since the last time; absent ones are fine."""
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


@runtime_checkable
class Shared(Protocol):
    """What a store offers beside entries if several processes use it: leases, and a board of notes.

    Times are seconds from now; a lease or note that is not renewed in time is gone.
    """

    async def lease(self, key: bytes, owner: str, lasts_s: float) -> int | None:
        """Take or renew the lease on a key; return its fencing token, or None where another has it.

        Tokens of one key only grow: who comes later has the greater one. Renewing keeps the token.
        """
        ...

    async def release(self, key: bytes, owner: str) -> None:
        """Give a lease back; nothing happens where another has it by now."""
        ...

    async def pin(self, name: str, note: bytes, lasts_s: float) -> None:
        """Put a note on the board, in place of the one of this name."""
        ...

    async def notes(self, prefix: str) -> Mapping[str, bytes]:
        """Return the notes whose names begin so."""
        ...


class Wire(Protocol):
    """Carries short messages (at most 4 KiB) to all other processes of one proxy, at once and without a promise."""

    async def send(self, message: bytes) -> None:
        """Send a message to all others."""
        ...

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """Hear what others send from now on."""
        ...

    async def close(self) -> None:
        """Be silent; idempotent."""
        ...
