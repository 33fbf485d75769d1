"""What processes counted that are gone: put together in one tally for each machine, by whichever process has the time.

Until that is done each is counted from its own notes. The archive is changed as a whole: new rings first, then the
tally that names them and those it took, then the old notes go. A process that comes back finds itself taken.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from proxy.clock import Clock
from proxy.core.detail import Details
from proxy.core.history import GRAINS, Grain, Span, pack, pack_all, too_many, unpacked
from proxy.core.tally import Spans, Tally, counting, spans_of, summed
from proxy.store import Shared
from proxy.tally_notes import Moved, TallyNotes

GONE_AFTER_S: Final = 120.0
GONE_ELSEWHERE_AFTER_S: Final = 86_400.0
"""A whole machine: its own processes come first."""
WRITTEN_AGAIN_AFTER_S: Final = 7 * 86_400.0
_LEASE: Final = b"takes tallies".ljust(20, b".")
_LEASE_S, _RENEW_S = 60.0, 10.0
_RESTS: Final = 4.0
"""So many times as long as it works: clients are served meanwhile."""
_MOST_TOOK: Final = 1000


class Archive:
    """Takes what was counted on `machine` by those that are gone; `owner` is who does that here."""

    def __init__(self, shared: Shared, clock: Clock, machine: str, owner: str) -> None:
        self._shared = shared
        self._notes = TallyNotes(shared)
        self._clock = clock
        self._machine = machine
        self._owner = owner
        self._renewed = 0.0
        self.name = f"archive {machine}"

    async def tend(self, *, is_steady: bool) -> None:
        """Take the tallies of those that have gone, also of the silent ones if this process was not held up itself."""
        tallies = await self._notes.tallies()
        for name in [name for name in tallies if name not in counting(tallies)]:
            await self._forget(name, tallies[name])  # whoever took it could not
        gone = [name for name in counting(tallies) if name != self.name and self._is_gone(name, tallies, is_steady)]
        own = tallies.get(self.name)
        try:
            if own is not None and self._clock.wall() - own.at > WRITTEN_AGAIN_AFTER_S and await self._is_mine():
                await self._write_again(own)
            for name in gone:
                if not await self._is_mine():
                    break
                await self._take(name)
        except Moved:
            return  # somebody else is at it

    def _is_gone(self, name: str, tallies: Mapping[str, Tally], is_steady: bool) -> bool:
        tally, now = tallies[name], self._clock.wall()
        if tally.machine == self._machine:
            return tally.left or (is_steady and now - tally.at > GONE_AFTER_S)
        last = max(one.at for one in tallies.values() if one.machine == tally.machine)
        return is_steady and now - last > GONE_ELSEWHERE_AFTER_S

    async def _is_mine(self) -> bool:
        """Take or renew the lease that keeps two from doing the same work; whether it was in vain is seen at the end."""
        self._renewed = self._clock.timer()
        return await self._shared.lease(_LEASE, self._owner, _LEASE_S) is not None

    async def _write_again(self, own: Tally) -> None:
        """Write it down as it is: a note that nobody writes again is gone after a while."""
        rings = (await self._notes.rings({self.name: own}))[self.name]
        packed = await asyncio.to_thread(pack_all, rings)
        async with self._notes.alone(self._owner):
            now = (await self._notes.tallies()).get(self.name)
            if now is not None and now.edition == own.edition:
                await self._put(replace(own, at=self._clock.wall()), packed)

    async def _put(self, tally: Tally, packed: Mapping[str, Mapping[int, bytes]]) -> None:
        for word, spans in packed.items():
            await self._notes.pin_ring(self.name, tally.edition, word, spans)
        await self._notes.pin(self.name, tally)

    async def _take(self, name: str) -> None:
        tallies = await self._notes.tallies()
        nothing = Tally(self._machine, self._clock.wall(), self._clock.wall(), left=True)
        one, before = tallies.get(name), tallies.get(self.name, nothing)
        if one is None or name in before.took:
            return
        rings = await self._notes.rings({name: one, **({self.name: before} if before.edition else {})})
        spans = {
            grain.word: await self._spans(grain, (before, rings.get(self.name, {})), (one, rings[name]))
            for grain in GRAINS
        }
        packed = await asyncio.to_thread(pack_all, spans)
        kept_from = {word: max(one.kept_from.get(word, 0), before.kept_from.get(word, 0)) for word in packed}
        for word, number in too_many(packed):
            del packed[word][number]
            kept_from[word] = number + 1
        after = replace(
            await asyncio.to_thread(_together, before, one, name), at=self._clock.wall(), edition=before.edition + 1,
            kept_from=kept_from,
        )  # fmt: skip
        async with self._notes.alone(self._owner):
            now = await self._notes.tallies()
            if name not in now or now[name].at != one.at or now.get(self.name, nothing).edition != before.edition:
                return  # it is back, or somebody else took it
            await self._put(after, packed)
        await self._notes.wipe_rings(self.name, before.edition)
        await self._forget(name, one)

    async def _spans(self, grain: Grain, *of: tuple[Tally, Mapping[str, Spans]]) -> dict[int, Span]:
        """Return the spans of two tallies and their rings; those that both have are put together."""
        found: dict[int, Span] = {}
        oldest = self._clock.wall() // grain.width_s - grain.keeps
        for number, span in [pair for tally, rings in of for pair in spans_of(tally, rings, grain.word)]:
            if number in found:
                span = await self._merged(found[number], span, grain)  # noqa: PLW2901
            if number >= oldest:
                found[number] = span
        return found

    async def _merged(self, one: Span, other: Span, grain: Grain) -> bytes:
        began = self._clock.timer()
        both = await asyncio.to_thread(_merged, one, other, grain)
        await asyncio.sleep(_RESTS * (self._clock.timer() - began))
        if self._clock.timer() - self._renewed > _RENEW_S and not await self._is_mine():
            raise Moved(self.name)
        return both

    async def _forget(self, name: str, tally: Tally) -> None:
        await self._notes.wipe_rings(name, tally.edition)
        await self._notes.wipe(name)


def _merged(one: Span, other: Span, grain: Grain) -> bytes:
    both = unpacked(one).copied()
    both.merge(unpacked(other))
    return pack(both, grain)


def _together(before: Tally, one: Tally, name: str) -> Tally:
    """Return an archive's tally with that of a process that is gone."""
    is_near = one.machine == before.machine
    operations, far, details = before.operations.copied(), before.far.copied(), Details()
    (operations if is_near else far).merge(one.operations)
    far.merge(one.far)
    details.merge(before.details)
    details.merge(one.details)
    took = (*before.took, name, *one.took)[-_MOST_TOOK:]
    return Tally(
        before.machine, before.at, min(before.since, one.since), operations, far, details, took=took, left=True,
        evictions=summed((before.evictions, one.evictions) if is_near else (before.evictions,)),
    )  # fmt: skip
