"""Whose turn it is to fetch, among all processes: one leads, the others wait for its answer in the shared store.

A lease says so, renewed while the fetch lasts: of a leader that is killed it runs out. Who waits is woken by the wire,
and looks now and then in case the message was lost. Without a shared store, or when it fails, everybody fetches.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from proxy.core.types import Entry
from proxy.store import Shared, Wire
from proxy.tasks import Tasks

LEASE_S = 11.0
HEARTBEAT_S = 5.0
LOOK_S = 2.0
BUDGET_S = 0.25

_LANDED = b"l"
_NOT_FOR_ALL = b"n"

LookUp = Callable[[], Awaitable[Entry | None]]


class Turn:
    """The right to fetch for one place; `is_lost` once another process may have taken it over."""

    def __init__(self, turns: "Turns", place: bytes) -> None:
        self._turns = turns
        self._place = place
        self.beat: asyncio.Task[None] | None = None
        self.is_lost = False

    async def release(self) -> None:
        """Let the others go on by themselves: this answer is not for them."""
        if self.beat is not None:
            await self._turns.tell(_NOT_FOR_ALL + self._place)

    async def end(self) -> None:
        """Give the turn back, and wake those who wait for what was stored."""
        if self.beat is not None:
            self.beat.cancel()
            await self._turns.give_back(self._place)


class Turns:
    """Gives turns; `owner` names this process among all that share the store."""

    def __init__(
        self,
        shared: Shared | None,
        wire: Wire | None,
        owner: str,
        tasks: Tasks,
        failed: Callable[[BaseException, str], None],
    ) -> None:
        self._shared = shared
        self._wire = wire
        self._owner = owner
        self._tasks = tasks
        self._failed = failed
        self._woken: dict[bytes, asyncio.Event] = {}
        self._not_for_all: set[bytes] = set()

    async def take(self, place: bytes, look: LookUp, *, wait: bool = True) -> Turn | Entry | None:
        """Return the turn, or the answer that another process has stored meanwhile.

        With `wait` false: None where another process has the turn.
        """
        while self._shared is not None:
            woken = self._woken.setdefault(place, asyncio.Event())
            token = await self._lease(place)
            if token != 0:
                self._woken.pop(place, None)
                return Turn(self, place) if token is None else self._leased(place)
            if not wait:
                self._woken.pop(place, None)
                return None
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await woken.wait()
            self._woken.pop(place, None)
            if place in self._not_for_all:
                self._not_for_all.discard(place)
                break
            if (entry := await look()) is not None:
                return entry
        return Turn(self, place)

    async def _lease(self, place: bytes) -> int | None:
        """Return the token of a lease, 0 where another process has it, None where nobody can tell."""
        if self._shared is None:
            return None
        try:
            async with asyncio.timeout(BUDGET_S):
                return await self._shared.lease(place, self._owner, LEASE_S) or 0
        except Exception as error:  # noqa: BLE001  then everybody fetches, as without a shared store
            self._failed(error, "")
            return None

    def _leased(self, place: bytes) -> Turn:
        turn = Turn(self, place)
        turn.beat = self._tasks.start(self._renew(turn, place))
        return turn

    async def _renew(self, turn: Turn, place: bytes) -> None:
        while not turn.is_lost:
            await asyncio.sleep(HEARTBEAT_S)
            turn.is_lost = await self._lease(place) == 0

    async def give_back(self, place: bytes) -> None:
        """Let another process have the lease on a place, and wake those who wait for it."""
        try:
            if self._shared is not None:
                async with asyncio.timeout(BUDGET_S):
                    await self._shared.release(place, self._owner)
        except Exception as error:  # noqa: BLE001  it runs out
            self._failed(error, "")
        await self.tell(_LANDED + place)

    async def tell(self, message: bytes) -> None:
        """Tell the other processes."""
        if self._wire is not None:
            await self._wire.send(message)

    def hear(self, message: bytes) -> None:
        """Hear what another process tells."""
        kind, place = message[:1], message[1:]
        if kind not in {_LANDED, _NOT_FOR_ALL} or place not in self._woken:
            return
        if kind == _NOT_FOR_ALL:
            self._not_for_all.add(place)
        self._woken[place].set()
