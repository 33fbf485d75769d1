"""Who joins which flight, who starts one, and how long they wait for its head."""

import asyncio

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.freshness import Act, Verdict, wants_newer
from proxy.core.histogram import Histogram
from proxy.core.key import variant_key
from proxy.core.priority import priority_of
from proxy.core.reasons import Reason
from proxy.core.storing import vary_of
from proxy.core.types import Entry, Outcome, Response
from proxy.core.validation import VALIDATED, asks_conditionally
from proxy.errors import Fallback, Refusal, UpstreamError
from proxy.fetch import Fetch
from proxy.places import Found, Places
from proxy.upstream.collapse import Flight, Reader
from proxy.upstream.failures import Failures
from proxy.upstream.flights import Flights
from proxy.upstream.uncacheable import Uncacheable

_PATIENCE_S = 120.0
"""How long who did not ask first waits for another's answer, or twice as long as nearly all took so far."""


class Boarding:
    """Lets requests read the flights for their keys; remembers what was for one only, what failed, how long it took."""

    def __init__(self, fetch: Fetch, places: Places, flights: Flights, clock: Clock) -> None:
        self._fetch = fetch
        self._places = places
        self._flights = flights
        self._clock = clock
        self._uncacheable = Uncacheable()
        self._failures = Failures()
        self._waits: dict[str, Histogram] = {}

    def usual_s(self, rule: str) -> float | None:
        """Return how long a rule's answers take to begin, the middle one of all so far."""
        waits = self._waits.get(rule)
        return waits.quantile(0.5) if waits is not None and waits.n else None

    def is_spelled_otherwise(self, found: Found, asked: Asked) -> bool:
        """Tell whether what is under way for a request's key was asked for in other words."""
        flight = self._flights.join(found.place)
        one = asked.request
        return flight is not None and (flight.request.target, flight.request.body) != (one.target, one.body)

    def board(self, found: Found, asked: Asked, verdict: Verdict) -> Reader:
        """Return a reader of the flight for a request, of a new one where there is none that it may join.

        Raises Refusal where too many wait, and the UpstreamError of a fetch that failed a moment ago.
        """
        line, place = asked.line, flight_place(found, asked, verdict)
        # A client that wants something newer must not get an answer that was already under way.
        newer = bool(verdict.reason or wants_newer(asked.directives))
        flight = None if newer else self._flights.join(place)
        # where no rule is the owner's, nothing holds a client up: no limit of ours upstream either
        if flight is not None and not (asked.rule.ours and flight.unwatched):
            if self._flights.is_crowded(flight):
                raise Refusal(503, Reason.TOO_MANY, "too many wait for this answer already")
            line.flight, line.outcome, line.joined = "follow", Outcome.COLLAPSED, self._clock.timer()
            if priority_of(asked.request) < flight.priority:
                flight.hurry(asked.request.client.ip)
            return flight.reader(lead=False)
        line.flight = "lead"
        stale = found.entry if verdict.act is Act.REVALIDATE and asked.request.method in VALIDATED else None
        known = self._uncacheable.holds(place, self._clock.wall())
        flight = self._fetch.flight(found, asked, kept=not known and is_for_all(found, asked, stale))
        if not newer:  # else what another fetches may be older than wanted
            if flight.kept and (failed := self._failures.lately(place, self._clock.timer())) is not None:
                raise failed
            flight.patience_s = self._patience_s(asked)
        reader = flight.reader(lead=True)
        self._flights.start(place, flight, lambda flight: self._fetch(found, flight, asked, stale))
        return reader

    async def head(self, reader: Reader, found: Found, asked: Asked) -> Response:
        """Return the head of a flight's answer, with its reader as the body; who is not let read it has left it.

        Raises Fallback where it is not this request's answer too, and what the fetch failed with.
        """
        flight = reader.flight
        try:
            head = await self._head(reader, found, asked)
        except BaseException as error:
            await reader.aclose()
            if isinstance(error, UpstreamError) and reader.lead and flight.kept and flight.shared and flight.call.sent:
                now = self._clock.timer()
                self._failures.note(flight.place, error, flight.call.duration_s(now), now)
            raise
        if reader.lead and _tells_of_others(head, flight, asked):
            self._uncacheable.note(flight.place, self._clock.wall(), shared=flight.shared)
        return head

    async def _head(self, reader: Reader, found: Found, asked: Asked) -> Response:
        if reader.lead:
            head = await reader.head()
            if (took := reader.flight.call.ttfb_s) is not None:
                self._waits.setdefault(asked.rule.name, Histogram()).add(took)
            return head
        head = await self._head_of_others(reader, asked)
        if not self._is_for(head, reader.flight, found, asked):
            raise Fallback(Reason.VARY)
        return head

    async def _head_of_others(self, reader: Reader, asked: Asked) -> Response:
        """Return the head that another asked for; a leader that stands still must not hold up all others.

        How long is long, its rule's own answers tell; before its turn upstream has come it does not stand still.
        """
        while True:
            try:
                async with asyncio.timeout(self._patience_s(asked)):
                    return await reader.head()
            except TimeoutError:
                if reader.flight.call.waiting is None:
                    raise Fallback(Reason.LEADER_TIMEOUT) from None

    def _patience_s(self, asked: Asked) -> float:
        """Return how long one who did not ask first waits: far longer than nearly all answers of a rule took so far."""
        known = self._waits.get(asked.rule.name)
        return max(_PATIENCE_S, 2 * known.quantile(0.99)) if known else max(_PATIENCE_S, self._fetch.longest_s or 0.0)

    def _is_for(self, head: Response, flight: Flight, found: Found, asked: Asked) -> bool:
        """Tell whether the answer that another waited for is this request's too, now that its head is known."""
        vary = vary_of(head)
        ours, theirs = (variant_key(b"", vary, one.headers) for one in (asked.request, flight.request))
        if ours != theirs or (flight.guessed and asked.is_somebody):
            return False
        if found.key == flight.key or flight.query is None:
            return True
        here = self._places.home_of(found.key, found.query, head.headers, asked)
        return here == self._places.home_of(flight.key, flight.query, head.headers, asked)


def _tells_of_others(head: Response, flight: Flight, asked: Asked) -> bool:
    """Tell whether this answer says whether the next ones to the same question may be shared.

    A failure, a part, an answer to a condition or to somebody's credentials, and what was overtaken do not.
    """
    if head.status >= 500 or head.status in {206, 304, 416} or flight.disowned:
        return False
    if flight.refused is Reason.NO_TTL and b"cookie" in asked.request.fields:
        return False  # for others a lifetime may be guessed
    return not asks_conditionally(flight.request) and b"authorization" not in asked.request.fields


def is_for_all(found: Found, asked: Asked, stale: Entry | None) -> bool:
    """Tell whether others may wait for a fetch, and it goes on without its client, before its answer is known.

    Without the owner's word or an earlier answer nobody knows yet whether it may be shared; neither does anybody wait
    for another's 304 or part, but for an answer to whether `stale` is still good.
    """
    own = asks_conditionally(asked.request) or b"range" in asked.request.fields
    return (found.entry is not None or not asked.rule.ours) and (stale is not None or not own)


def flight_place(found: Found, asked: Asked, verdict: Verdict) -> bytes:
    """Return the place that a flight is known by: who waits for a part does not wait for the whole, nor for another."""
    if b"range" not in asked.request.fields or verdict.act is Act.REVALIDATE:
        return found.place
    return variant_key(found.place, (b"range", b"if-range"), asked.request.headers)
