"""Asking for what is wanted: so many at once, no faster than told, and again where the proxy asks for patience."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite

from proxy.clock import Clock
from proxy.core.http_date import parse as parse_date
from proxy.core.types import Headers, Request, Response
from proxy.warm.done import Done
from proxy.warm.outcome import Came, Result, Tally, result_of
from proxy.warm.wanted import Wanted

PRIORITY = (b"priority", b"u=7")
"""The least urgent there is: background (RFC 9218 §4.1)."""
MOST_TRIES = 4
MOST_PATIENCE_S = 3600.0

Answer = tuple[Response, Mapping[str, object]]
"""A response's head, and the members of its body where that is a problem of ours."""
Ask = Callable[[Request], Awaitable[Answer]]
Refusing = Callable[[Request], Awaitable[str | None]]
"""Why the proxy would not keep the answer to a request that only its rule calls safe, or None."""
Sleep = Callable[[float], Awaitable[None]]


class Unreachable(Exception):
    """There is no proxy where it should be."""


class Failed(Exception):
    """There was no complete answer."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How to ask: `gap_s` is the least time between two requests in seconds, `parallel` how many may wait at once.

    `headers` are added to each request, in the place of fields that it has; `host` is asked for where it has none.
    """

    host: bytes
    headers: Headers = ()
    gap_s: float = 0.0
    parallel: int = 1
    most: int | None = None


def asked_as(wanted: Wanted, manner: Manner) -> Wanted:
    """Return it as it will be sent."""
    request = wanted.request
    more = (*manner.headers, PRIORITY)
    named = {name for name, _ in more}
    own = tuple([field for field in request.headers if field[0] not in named])
    if b"host" not in {*request.fields, *named}:
        own = ((b"host", manner.host), *own)
    return replace(wanted, request=replace(request, headers=(*own, *more)))


class Sender:
    """Asks for everything that is wanted, once; what comes of it is in `tally`, even where it is interrupted."""

    def __init__(self, ask: Ask, refusing: Refusing, done: Done, manner: Manner, clock: Clock, sleep: Sleep) -> None:
        self.tally = Tally()
        self._ask = ask
        self._refusing = refusing
        self._done = done
        self._manner = manner
        self._clock = clock
        self._sleep = sleep
        self._next_at = clock.timer()
        self._ended_by: Unreachable | OSError | None = None

    def remaining(self, wanted: Iterable[Wanted]) -> list[Wanted]:
        """Return what is to be asked now, as it will be sent: not what was done before, and no more than is wanted."""
        whole = [asked_as(one, self._manner) for one in wanted]
        left = [one for one in whole if one.digest not in self._done]
        self.tally.before = len(whole) - len(left)
        return left[: self._manner.most]

    async def __call__(self, remaining: Iterable[Wanted], told: Callable[[], None]) -> None:
        """Ask for these in order; `told` is called after each.

        Raises:
            Unreachable: the proxy went away; what was under way is finished first.
            OSError: what is done can no longer be remembered; the same.
        """
        queue = iter(remaining)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._manner.parallel):
                tasks.create_task(self._work(queue, told))
        if self._ended_by is not None:
            raise self._ended_by

    async def _work(self, queue: Iterator[Wanted], told: Callable[[], None]) -> None:
        for wanted in queue:
            try:
                self._count(wanted, await self._one(wanted.request))
            except (Unreachable, OSError) as error:
                self._ended_by = error
            if self._ended_by is not None:
                return
            told()

    def _count(self, wanted: Wanted, result: Result | None) -> None:
        if result is None:
            return
        self.tally.add(result)
        if result.came is not Came.FAILED:
            self._done.add(wanted.digest)

    async def _one(self, request: Request) -> Result | None:
        """Ask once, or as often as the proxy says that it should be tried again."""
        if request.method != "GET" and (reason := await self._refusing(request)) is not None:
            self.tally.unasked[reason] += 1
            return None
        for tries_left in reversed(range(MOST_TRIES)):
            await self._turn()
            try:
                answer, problem = await self._ask(request)
            except Failed as error:
                return Result(Came.FAILED, str(error))
            patience = self._patience(answer)
            if not tries_left or patience is None:
                break
            await self._sleep(patience)
        return result_of(answer, problem)

    async def _turn(self) -> None:
        """Wait for this request's place in the pace."""
        now = self._clock.timer()
        at = max(now, self._next_at)
        self._next_at = at + self._manner.gap_s
        if at > now:
            await self._sleep(at - now)

    def _patience(self, answer: Response) -> float | None:
        """Return for how many seconds a 503 asks, if it does, and for no more than an hour (RFC 9110 §10.2.3)."""
        told = answer.header(b"retry-after") if answer.status == 503 else None
        if told is None:
            return None
        if told.isdigit() and len(told) < 10:
            wait_s = float(told)
        else:
            now = self._clock.wall()
            at = parse_date(told, now)
            wait_s = float("inf") if at is None else max(0.0, at - now)
        return wait_s if isfinite(wait_s) and wait_s <= MOST_PATIENCE_S else None
