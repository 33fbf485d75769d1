"""`mode: observe`: requests pass as if nothing were stored, and the log tells what would have become of them.

What is looked up, compared and stored for that happens beside a request and after its answer has left. It can neither
delay nor change an answer, nor fail one.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from proxy.asked import Asked
from proxy.boarding import flight_place, is_for_all
from proxy.clock import Clock
from proxy.consequences import Consequences
from proxy.copied import Copied, Unread
from proxy.core.freshness import Act, Verdict, wants_newer
from proxy.core.log_line import LogLine
from proxy.core.plan import directives_of, reason_to_pass
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.core.storing import content_length, decide
from proxy.core.types import Outcome, Request, Response
from proxy.errors import Fallback
from proxy.evidence import Evidence
from proxy.fetch import Fetch
from proxy.foreseen import foreseen
from proxy.observation import Observation, note
from proxy.places import Found, Places
from proxy.tasks import Tasks
from proxy.upstream.collapse import Flight
from proxy.upstream.flights import Flights
from proxy.whole_answer import let_go

_ANSWERED_BY_UPSTREAM = frozenset({Outcome.MISS, Outcome.EXPIRED, Outcome.PASSTHROUGH})

MOST_SETTLING, MOST_AWAITED = 1000, 50
"""Of how many it is found out at once what they mean (of more, where a store is stuck, nothing is); for how many of
these it is waited before the next look-up: where there are more, which one came first is not worth it."""


class Observe:
    """Finds out what would become of requests, and stores what would be stored."""

    def __init__(
        self,
        fetch: Fetch,
        evidence: Evidence,
        places: Places,
        flights: Flights,
        consequences: Consequences,
        tasks: Tasks,
        clock: Clock,
        failed: Callable[[BaseException, str], None],
    ) -> None:
        self._fetch = fetch
        self._evidence = evidence
        self._places = places
        self._flights = flights
        self._consequences = consequences
        self._tasks = tasks
        self._clock = clock
        self._failed = failed
        self._under_way: dict[bytes, list[Flight]] = {}
        self._settling: set[asyncio.Task[None]] = set()

    def __call__(self, sent: Request, keyed: Request, rule: Rule, host: bytes, line: LogLine) -> Observation:
        """Begin to observe a request; its `sent` is what must go upstream, as it came."""
        one = Observation(sent, keyed, rule, host, line, self._clock.wall(), self._end)
        if not isinstance(sent.body, bytes):
            one.arriving = Copied(sent.body, rule.max_key_body, _length(sent))
            one.sent = replace(sent, body=one.arriving)
        # what was answered before must be stored before it is looked for
        before = tuple(self._settling) if len(self._settling) <= MOST_AWAITED else ()
        one.looking = self._tasks.start(self._look(one, before))
        line.observed = one
        return one

    async def _look(self, one: Observation, before: tuple[asyncio.Task[None], ...]) -> None:
        try:
            if before:
                await asyncio.wait(before)
            await self._judge(one)
        except Fallback as fallback:
            one.verdict = Verdict(Act.FETCH, Outcome.PASSTHROUGH, Reason(fallback.reason))
        except Exception as error:  # noqa: BLE001  a fault of ours is told, and nothing else
            self._failed(error, one.line.request_id)

    async def _judge(self, one: Observation) -> None:
        """Find out what would become of a request. Raises Fallback where it would pass."""
        directives = directives_of(one.keyed, one.rule.ignore_client)
        if reason := reason_to_pass(one.keyed, one.rule, directives):
            raise Fallback(reason)
        request = replace(one.keyed, body=await _whole(one.arriving)) if one.arriving is not None else one.keyed
        one.asked = asked = Asked(request, one.rule, one.host, directives, replace(one.line))
        found = await self._places.find(asked)
        verdict = foreseen(found, asked, one.began)
        self._board(one, found, asked, verdict)
        one.found, one.verdict = found, verdict

    def _board(self, one: Observation, found: Found, asked: Asked, verdict: Verdict) -> None:
        """Keep in mind what would be fetched now, so that others would join it and who changes it overtakes it."""
        if verdict.act is Act.DELIVER or verdict.outcome in {Outcome.PASSTHROUGH, Outcome.ERROR}:
            return
        place = flight_place(found, asked, verdict)
        under_way = self._under_way.setdefault(place, [])
        if not (verdict.act is Act.REFRESH or verdict.reason or wants_newer(asked.directives)):
            one.leader = next((flight for flight in under_way if flight.takes_followers), None)
        stale = found.entry if verdict.act is Act.REVALIDATE else None
        one.flight = self._fetch.flight(found, asked, kept=is_for_all(found, asked, stale))
        under_way.append(one.flight)
        self._flights.begin(place, one.flight)

    async def answered(self, one: Observation, response: Response) -> Response:
        """Return a response with a body of which a copy is kept."""
        if one.sent.method not in one.rule.cacheable_methods:
            return await self._consequences(one.sent, response, one.line, one.rule)
        try:
            one.response, one.headed = response, self._clock.wall()
            if response.status != 304:
                delay = one.line.call.ttfb_s if one.line.call is not None else None
                one.refused = decide(one.keyed, response, one.rule, one.headed, delay or 0.0).reason
            if isinstance(response.body, bytes):
                return response
            most = 0 if one.refused else one.rule.max_object
            one.body = Copied(response.body, most, content_length(response))
            return replace(response, body=one.body)
        except Exception as error:  # noqa: BLE001
            self._failed(error, one.line.request_id)
            one.response = None
            return response

    def _end(self, one: Observation, tell: Callable[[], None]) -> None:
        """Settle beside who asks next what a request and its answer mean, then have its line told."""
        if one.looking is not None and one.arriving is not None and not one.arriving.known.is_set():
            one.looking.cancel()  # what was asked will never be known
        if len(self._settling) >= MOST_SETTLING:
            self._let_be(one)
            tell()
            return
        settling = self._tasks.start(self._settle(one))
        self._settling.add(settling)
        settling.add_done_callback(partial(self._settled, tell))  # also of a task that was ended before it began

    def _let_be(self, one: Observation) -> None:
        """Find out nothing more."""
        if one.looking is not None:
            one.looking.cancel()
        if one.flight is not None:
            self._leave(one.flight)

    def _settled(self, tell: Callable[[], None], settling: asyncio.Task[None]) -> None:
        self._settling.discard(settling)
        tell()

    async def _settle(self, one: Observation) -> None:
        try:
            if one.looking is not None:
                await asyncio.wait((one.looking,))
            await self._learn(one)
        except Exception as error:  # noqa: BLE001
            self._failed(error, one.line.request_id)
        finally:
            note(one)
            if one.flight is not None:
                self._leave(one.flight)

    async def _learn(self, one: Observation) -> None:
        """Store what would have been stored, and forget what would have been forgotten."""
        response, verdict = one.response, one.verdict
        if response is None or verdict is None:
            return
        copy = one.copy
        if verdict.outcome in _ANSWERED_BY_UPSTREAM:
            line = replace(one.line, reason=verdict.reason or Reason.OBSERVE)
            told = replace(response, body=Unread() if copy is None else copy)
            request = one.keyed if one.asked is None else one.asked.request
            await let_go(await self._consequences(request, told, line, one.rule))
        flight, found, asked = one.flight, one.found, one.asked
        if flight is None or found is None or asked is None or one.line.call is None or not one.complete:
            return
        flight.call = one.line.call
        if one.refused is not None:
            # that its end is not marked keeps it out of the store, whatever else does
            await self._fetch.overhear(replace(response, body=b"", framed=False), found, flight, asked, one.headed)
            flight.refused = one.refused
        elif copy is None:
            one.refused = Reason.TOO_LARGE
        elif response.status == 304 or content_length(response) in {None, len(copy)}:
            answer = await self._fetch.overhear(replace(response, body=copy), found, flight, asked, one.headed)
            one.refused = flight.refused
            if answer is not None:
                self._evidence(answer, found)

    def _leave(self, flight: Flight) -> None:
        self._flights.landed(flight.place, flight)
        under_way = self._under_way.get(flight.place, [])
        if flight in under_way:
            under_way.remove(flight)
        if not under_way:
            self._under_way.pop(flight.place, None)


def _length(request: Request) -> int | None:
    return content_length(Response(0, request.headers))


async def _whole(body: Copied) -> bytes:
    """Return a request's body when all of it went up. Raises Fallback where it is too long to be part of a key."""
    await body.known.wait()
    copy = body.copy
    if copy is None:
        raise Fallback(Reason.KEY_BODY_SIZE)
    return copy
