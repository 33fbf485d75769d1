"""Where the processes of one proxy find what each of them has counted: notes on the board that they share."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Final

from proxy.core.history import GRAINS
from proxy.core.tally import Spans, Tally, ring_of, ring_written, tally_of
from proxy.store import Shared

LASTS_S: Final = 90 * 86_400.0
ALONE_S: Final = 4.0
_TALLY, _RING = "tally ", "ring "
_TURN: Final = b"changes tallies".ljust(20, b".")
_AGAIN_S = 0.02
_GONE_S = 0.001
_WORDS: Final = tuple(grain.word for grain in GRAINS)


class Moved(Exception):
    """What a tally says was written down is not there any more: it is out of date."""


class TallyNotes:
    """Reads and writes tallies, and the rings that belong to them, by the names of processes."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def tallies(self) -> dict[str, Tally]:
        """Return what all have told; what cannot be read is left out."""
        notes = await self._shared.notes(_TALLY)
        read = await asyncio.to_thread(lambda: {name: tally_of(note) for name, note in notes.items()})
        return {name.removeprefix(_TALLY): tally for name, tally in read.items() if tally is not None}

    async def rings(self, of: Mapping[str, Tally], words: Collection[str] = _WORDS) -> dict[str, dict[str, Spans]]:
        """Return the rings of some, by name and grain. Raises Moved."""
        found: dict[str, dict[str, Spans]] = {}
        for name, tally in of.items():
            notes = {word: _ring(name, tally.edition, word) for word in words}
            there = {word: (await self._shared.notes(note)).get(note) for word, note in notes.items()}
            if tally.edition and None in there.values():
                raise Moved(name)
            found[name] = {word: ring_of(note) for word, note in there.items() if note is not None}
        return found

    async def pin(self, name: str, tally: Tally) -> None:
        """Put a tally in place of the one of this name."""
        await self._shared.pin(f"{_TALLY}{name}", await asyncio.to_thread(tally.written), LASTS_S)

    async def pin_ring(self, name: str, edition: int, word: str, spans: Mapping[int, bytes]) -> None:
        """Put a ring in place of the one of this name and edition."""
        note = await asyncio.to_thread(ring_written, spans)
        await self._shared.pin(_ring(name, edition, word), note, LASTS_S)

    async def wipe(self, name: str) -> None:
        """Forget a tally."""
        await self._shared.pin(f"{_TALLY}{name}", b"", _GONE_S)

    async def wipe_rings(self, name: str, edition: int) -> None:
        """Forget the rings of one edition."""
        for word in _WORDS:
            await self._shared.pin(_ring(name, edition, word), b"", _GONE_S)

    @asynccontextmanager
    async def alone(self, owner: str) -> AsyncIterator[None]:
        """Have a moment (ALONE_S) in which nobody takes anybody's counts. Raises TimeoutError where there is none."""
        async with asyncio.timeout(ALONE_S):
            while await self._shared.lease(_TURN, owner, 2 * ALONE_S) is None:  # noqa: ASYNC110  there is nobody to tell
                await asyncio.sleep(_AGAIN_S)
        try:
            async with asyncio.timeout(ALONE_S):
                yield
        finally:
            await self._shared.release(_TURN, owner)


def _ring(name: str, edition: int, word: str) -> str:
    return f"{_RING}{name} {edition} {word}"
