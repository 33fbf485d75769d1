"""What an answer that came past the store means for what is in it: forgotten, freshened, or kept for a GET.

An unsafe request that succeeded makes us forget (RFC 9111 §4.4, RFC 9875); a HEAD tells whether the stored GET is still
good (RFC 9111 §4.3.5); a POST may bring what a GET would get (RFC 9110 §9.3.3).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from math import inf, nextafter

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.arms import matched
from proxy.core.invalidation import changed_targets, is_its_own_location
from proxy.core.key import normal_host
from proxy.core.log_line import LogLine
from proxy.core.plan import directives_of, reason_to_pass
from proxy.core.reasons import Reason
from proxy.core.rules import Rule, first_match
from proxy.core.storing import content_length, decide, entry_of, groups_of
from proxy.core.types import SAFE_METHODS, Request, Response, Stream
from proxy.core.validation import asks_conditionally, freshened, has_credentials, head_says
from proxy.errors import Fallback
from proxy.parts import Parts
from proxy.places import Places
from proxy.upstream.collapse import Flight
from proxy.upstream.flights import Flights

_GROUPS = b"cache-group-invalidation"


class Consequences:
    """Draws them; none can fail or delay the answer for longer than the store takes."""

    def __init__(
        self,
        rules: Sequence[Rule],
        places: Places,
        parts: Parts,
        flights: Flights,
        clock: Clock,
        failed: Callable[[BaseException, str], None],
    ) -> None:
        self._rules = rules
        self._places = places
        self._parts = parts
        self._flights = flights
        self._clock = clock
        self._failed = failed

    async def __call__(self, request: Request, response: Response, line: LogLine, rule: Rule | None) -> Response:
        """Return the response, with a body that is kept on its way where a GET may be answered from it."""
        try:
            if request.method == "HEAD":
                await self._hear(request, response, line)
            elif rule is not None and request.method in rule.cacheable_methods and line.reason != Reason.KEY_OPERATION:
                return await self._kept_for_get(request, response, line, reads_only=True)
            elif request.method not in SAFE_METHODS:
                await self._forget(request, response, line)
                return await self._kept_for_get(request, response, line, reads_only=False)
        except Exception as error:  # noqa: BLE001  the request itself has succeeded
            self._failed(error, line.request_id)
        except BaseException:
            if not isinstance(response.body, bytes):
                await response.body.aclose()
            raise
        return response

    def _asked(self, request: Request, line: LogLine) -> Asked | None:
        """Return the request for what is stored, in a line of its own; None where nothing can be."""
        host = normal_host(request)
        rule = first_match(self._rules, request, host)
        if rule is None or reason_to_pass(request, rule, directives_of(request, rule.ignore_client)):
            return None
        return Asked(request, rule, host, {}, replace(line))

    async def _forget(self, request: Request, response: Response, line: LogLine) -> None:
        """Drop what an unsafe request may have changed, and disown what is being fetched of it."""
        targets = changed_targets(request, response)
        if targets:
            self._forget_groups(groups_of(response, normal_host(request), _GROUPS))
        for target in targets:
            changed = replace(request, method="GET", target=target, body=b"")
            host = normal_host(changed)
            changed, rule, _ = matched(self._rules, changed, host)
            if rule is not None:
                await self._forget_one(Asked(changed, rule, host, {}, replace(line)))

    def _forget_groups(self, groups: tuple[bytes, ...]) -> None:
        if groups:
            self._places.purges.groups(groups, self._clock.wall())
            self._flights.disown(lambda flight: not set(groups).isdisjoint(flight.groups))

    async def _forget_one(self, asked: Asked) -> None:
        """Forget a target and its parts, whoever asked for it: also what was stored for others' fields."""
        try:
            found = await self._places.find(asked)
        except Fallback:
            return  # what has no key has no entry
        bare = found.bare
        homes = {found.key, found.home, bare}
        self._places.purges.targets([bare], self._clock.wall())
        if found.entry is not None:
            self._forget_groups(found.entry.groups)
        self._flights.disown(lambda flight: flight.bare == bare or flight.home in homes)
        for home in homes:
            await self._places.forget(home)
        await self._parts.forget(asked)

    async def _hear(self, request: Request, response: Response, line: LogLine) -> None:
        """Freshen the stored answer to a GET, or drop it, as the answer to a HEAD says (RFC 9111 §4.3.5)."""
        asked = self._asked(replace(request, method="GET"), line)
        if asked is None or asks_conditionally(request) or b"range" in request.fields:
            return
        found = await self._places.find(asked)
        still_good = None if found.entry is None else head_says(found.entry, response)
        if found.entry is None or still_good is None:
            return
        now, asked_at = self._clock.wall(), _asked_at(line, self._clock)
        fresh = freshened(found.entry, response, for_one=has_credentials(request))
        storing = decide(asked.request, fresh, asked.rule, now, now - asked_at)
        if not still_good or storing.reason is not None:
            await self._places.drop(found, asked)
            return
        cost = found.entry.cost
        entry = entry_of(fresh, found.entry.body, storing, asked.rule, now=now, cost=cost, host=asked.host)
        await self._places.keep(found, entry, storing, asked, asked_at)

    async def _kept_for_get(self, request: Request, response: Response, line: LogLine, *, reads_only: bool) -> Response:
        """Let the answer to a POST be kept for the GET of the same target, where its origin says that it is that."""
        if request.method != "POST" or response.status != 200 or not is_its_own_location(request, response):
            return response
        fields = tuple([field for field in request.headers if not field[0].startswith(b"content-")])
        asked = self._asked(replace(request, method="GET", body=b"", headers=fields), line)
        if asked is None:
            return response
        # an unsafe one has just overtaken all that was asked for before: not its own answer
        now = nextafter(self._clock.wall(), inf)
        storing = decide(asked.request, response, replace(asked.rule, ttl=None), now)
        if not storing.is_fresh or storing.guessed:  # only what the origin itself says for how long
            return response
        found = await self._places.find(asked)
        flight = Flight(asked.request, kept=True)
        flight.home, flight.bare = found.home, found.bare
        flight.rule, flight.groups = asked.rule.name, groups_of(response, asked.host)
        asked_at = _asked_at(line, self._clock) if reads_only else now

        async def keep(body: bytes) -> None:
            if flight.disowned or content_length(response) not in {None, len(body)}:
                return
            cost = self._clock.wall() - _asked_at(line, self._clock)
            entry = entry_of(response, body, storing, asked.rule, now=now, cost=cost, host=asked.host)
            if await self._places.keep(found, entry, storing, asked, asked_at):
                self._flights.overtake(flight, storing.vary)

        self._flights.begin(found.place, flight)
        if isinstance(response.body, bytes):
            await keep(response.body)
            self._flights.landed(found.place, flight)
            return response
        landed = partial(self._flights.landed, found.place, flight)
        return replace(response, body=_Kept(response.body, keep, landed, asked.rule.max_object))


def _asked_at(line: LogLine, clock: Clock) -> float:
    """Return when the request went upstream, by the wall clock."""
    return clock.wall() if line.call is None else line.call.asked_at


class _Kept:
    """A body that is handed to `keep` when it is complete, unless it is longer than `most` bytes."""

    def __init__(
        self, body: Stream, keep: Callable[[bytes], Awaitable[None]], landed: Callable[[], None], most: int
    ) -> None:
        self._body = body
        self._chunks = aiter(body)
        self._keep = keep
        self._landed = landed
        self._left = most
        self._read: list[bytes] = []

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            if self._left >= 0:
                await self._keep(b"".join(self._read))
                self._left = -1
            raise
        self._left -= len(chunk)
        if self._left >= 0:
            self._read.append(chunk)
        else:
            self._read.clear()
        return chunk

    async def aclose(self) -> None:
        """Let go of the rest."""
        self._landed()
        await self._body.aclose()
