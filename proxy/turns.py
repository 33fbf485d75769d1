"""Whose turn it is to fetch, among all processes: one leads, the others wait for its answer in the shared store.

A lease says so, renewed while the fetch lasts: of a leader that is killed it runs out. Who waits is woken by the wire,
and looks now and then in case the message was lost. Without a shared store, or when it fails, everybody fetches.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

from proxy.clock import Clock
from proxy.core.types import Entry
from proxy.store import Shared, Wire
from proxy.store.breaker import Breaker
from proxy.tasks import Tasks

LEASE_S = 11.0
HEARTBEAT_S = 5.0
LOOK_S = 2.0
BUDGET_S = 0.25

_LANDED = b"l"
_NOT_FOR_ALL = b"n"

LookUp = Callable[[], Awaitable[Entry | None]]


class Turn:
    """The right to fetch for one place; `is_lost` once another process may have taken it over.

    `owner` names this turn among all; `may_hold` tells that its lease may have to be given back, `beat` renews it.
    """

    def __init__(self, turns: "Turns", place: bytes, owner: str) -> None:
        self._turns = turns
        self.place = place
        self.owner = owner
        self.may_hold = False
        self.beat: asyncio.Task[None] | None = None
        self.is_lost = False
        self.is_over = False

    def release(self) -> None:
        """Let the others go on by themselves, from now on: this answer is not for them; idempotent."""
        if self.may_hold and not self.is_over:
            self._turns.start(self._turns.give_back(self, _NOT_FOR_ALL))

    async def end(self) -> None:
        """Give the turn back, and wake those who wait for what was stored; nothing happens if it was released."""
        await self._turns.give_back(self, _LANDED)


class Turns:
    """Gives turns; `name` is this process's among all that share the store."""

    def __init__(
        self,
        shared: Shared | None,
        wire: Wire | None,
        name: str,
        tasks: Tasks,
        clock: Clock,
        failed: Callable[[BaseException, str], None],
    ) -> None:
        self._shared = shared
        self._wire = wire
        self._name = name
        self._numbers = count(1)
        self.start = tasks.start
        self._clock = clock
        self._failed = failed
        self._breaker = Breaker(clock)
        self._waiters: dict[bytes, list[_Waiter]] = {}

    async def take(self, place: bytes, look: LookUp, *, patience_s: float) -> Turn | Entry | None:
        """Return the turn, or the answer that another process has stored meanwhile.

        Who has waited for `patience_s`, or in vain, gets a turn beside the others'. Without patience: None where
        another process has the turn.
        """
        turn = Turn(self, place, f"{self._name}-{next(self._numbers)}")
        try:
            with self._waiter(place) as waiter:
                taken = await self._taken(turn, look, waiter, patience_s)
        except BaseException:
            await turn.end()
            raise
        if taken is not turn:
            await turn.end()
        return taken

    async def _taken(self, turn: Turn, look: LookUp, waiter: "_Waiter", patience_s: float) -> Turn | Entry | None:
        until = self._clock.timer() + patience_s
        while True:
            token = await self._lease(turn)
            if token is None:
                turn.release()  # it may come yet, when nobody would renew it
                return turn
            if token:
                turn.beat = self.start(self._renew(turn))
                return await look() or turn  # another process may have stored it since it was looked for
            if patience_s <= 0:
                return None
            word = await waiter.told(LOOK_S)
            if word == _NOT_FOR_ALL:
                return turn
            if (entry := await look()) is not None:
                return entry
            if word == _LANDED or self._clock.timer() >= until:  # it was of no use to us: the next one's may not be
                return turn

    @contextmanager
    def _waiter(self, place: bytes) -> Iterator["_Waiter"]:
        waiter, waiters = _Waiter(), self._waiters.setdefault(place, [])
        waiters.append(waiter)
        try:
            yield waiter
        finally:
            waiters.remove(waiter)
            if not waiters:
                del self._waiters[place]

    async def _lease(self, turn: Turn) -> int | None:
        """Return the token of a lease, 0 where another has it, None where nobody can tell."""
        shared = self._shared
        if shared is None or self._breaker.is_open:
            return None
        turn.may_hold = True  # even where its answer comes too late
        token = await self._within_budget(lambda: shared.lease(turn.place, turn.owner, LEASE_S))
        if token == 0:
            turn.may_hold = False
        return token

    async def _renew(self, turn: Turn) -> None:
        while not turn.is_lost:
            await asyncio.sleep(HEARTBEAT_S)
            turn.is_lost = await self._lease(turn) == 0

    async def give_back(self, turn: Turn, word: bytes) -> None:
        """Let another have the lease of a turn, and tell those who wait for it `word`; idempotent."""
        if turn.is_over:
            return
        turn.is_over = True
        if turn.beat is not None:
            turn.beat.cancel()
        shared = self._shared
        if turn.may_hold and shared is not None:
            await self._within_budget(lambda: shared.release(turn.place, turn.owner))
        if turn.beat is not None:
            self.hear(word + turn.place)
            if self._wire is not None:
                await self._wire.send(word + turn.place)

    async def _within_budget(self, act: Callable[[], Awaitable[int | None]]) -> int | None:
        """Return what the store says, 0 for nothing; None where it fails, and then it is left alone for a while."""
        try:
            async with asyncio.timeout(BUDGET_S):
                done = await act()
        except Exception as error:  # noqa: BLE001  then everybody fetches, as without a shared store
            if not self._breaker.is_open:
                self._failed(error, "")
            self._breaker.failed()
            return None
        self._breaker.succeeded()
        return done or 0

    def hear(self, message: bytes) -> None:
        """Hear what a turn's end brought, in this process or another."""
        word, place = message[:1], message[1:]
        if word in {_LANDED, _NOT_FOR_ALL}:
            for waiter in self._waiters.get(place, ()):
                waiter.hear(word)


class _Waiter:
    """One who waits for another's answer; keeps the last word that was told of it."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._word = b""

    def hear(self, word: bytes) -> None:
        self._word = word
        self._woken.set()

    async def told(self, within_s: float) -> bytes:
        """Return the last word, as soon as there is one; nothing where none comes in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._woken.wait()
        self._woken.clear()
        word, self._word = self._word, b""
        return word
