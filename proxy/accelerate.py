"""The road of a request that may be answered from the store: key → look up → judge → fetch → store → deliver.

Every way off it is a Fallback with its reason: then the original request goes upstream whole.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from proxy.clock import Clock
from proxy.core import cache_status
from proxy.core.freshness import Act, Verdict, age_of, bridges, judge, left, wants_newer
from proxy.core.headers import answered
from proxy.core.histogram import Histogram
from proxy.core.http_date import render as http_date
from proxy.core.key import variant_key
from proxy.core.log_line import LogLine
from proxy.core.partial import cut_part
from proxy.core.reasons import Reason
from proxy.core.storing import vary_of
from proxy.core.types import Entry, Outcome, Response
from proxy.core.validation import VALIDATED, asks_conditionally, has_validator, unconditional
from proxy.core.variants import has_room
from proxy.core.views import view
from proxy.errors import Fallback, Refusal, UpstreamError
from proxy.fetch import Fetch
from proxy.places import Asked, Found, Places
from proxy.upstream.collapse import Flight, Reader
from proxy.upstream.failures import Failures
from proxy.upstream.flights import Flights
from proxy.upstream.uncacheable import Uncacheable

_FAILED = frozenset({500, 502, 503, 504})
"""The answers that a stale one may stand in for (RFC 5861 §4)."""


_PATIENCE_S = 120.0
"""How long who did not ask first waits for another's answer, or twice as long as nearly all took so far."""


class Accelerate:
    """Answers requests from the store, and fetches what is missing once for all who ask."""

    def __init__(self, fetch: Fetch, places: Places, flights: Flights, clock: Clock) -> None:
        self._fetch = fetch
        self._places = places
        self._flights = flights
        self._clock = clock
        self._refresh_flight: Flight | None = None
        self._uncacheable = Uncacheable()
        self._failures = Failures()
        self._waits: dict[str, Histogram] = {}

    async def __call__(self, asked: Asked, wait: Callable[[], None]) -> Response:
        """Answer one request; `wait` is called before anything that takes the upstream's time.

        Raises Fallback, Refusal and UpstreamError.
        """
        found = await self._places.find(asked)
        entry = found.entry
        verdict = judge(entry, self._clock.wall(), asked.directives)
        asked.line.outcome, asked.line.reason = verdict.outcome, verdict.reason
        if entry is not None and verdict.act in {Act.DELIVER, Act.REFRESH}:
            if verdict.act is Act.REFRESH:
                self._refresh(found, asked)
            return self._stored(entry, asked)
        if found.part is not None and (part := self._part_of(found.part, asked)) is not None:
            return part
        if "only-if-cached" in asked.directives:
            raise Refusal(504, Reason.ONLY_IF_CACHED, "the client wants a stored answer and there is none")
        if asked.request.method == "HEAD":
            raise Fallback(Reason.METHOD)
        if entry is None and found.marker is not None and not has_room(found.marker, found.place, self._clock.wall()):
            raise Fallback(Reason.VARIANTS)
        asked.line.expected_s = (entry.cost if entry is not None else 0.0) or self._usual_s(asked.rule.name)
        wait()
        return await self._fetched(found, asked, verdict)

    def _usual_s(self, rule: str) -> float | None:
        """Return how long a rule's answers take to begin, the middle one of all so far."""
        waits = self._waits.get(rule)
        return waits.quantile(0.5) if waits is not None and waits.n else None

    def _stored(self, entry: Entry, asked: Asked, member: bytes | None = None) -> Response:
        """Return the view of an entry that its client asked for; `member` is for Cache-Status if it is no hit."""
        now = self._clock.wall()
        return view(asked.client, self._told(entry, asked.line, now, member), now)

    def _told(self, entry: Entry, line: LogLine, now: float, member: bytes | None = None) -> Response:
        """Return an entry as a response with its age, noting in `line` what it is."""
        age, ttl = int(age_of(entry, now)), int(left(entry, now))
        line.age_s, line.ttl_s = age, ttl
        line.cost = None if member else entry.cost
        line.cache_status = member or cache_status.hit(ttl, line.reason)
        ours = ((b"etag", entry.tag), (b"age", b"%d" % age)) if entry.tag else ((b"age", b"%d" % age),)
        return Response(entry.status, (*entry.headers, *ours), entry.body)

    def _part_of(self, part: Entry, asked: Asked) -> Response | None:
        """Return the range that its client asked for, if a stored part holds it (RFC 9111 §3.3)."""
        wanted, now = asked.request.header(b"range"), self._clock.wall()
        verdict = judge(part, now, asked.directives)
        if (
            wanted is None
            or asked.request.method != "GET"
            or verdict.act is not Act.DELIVER
            or asks_conditionally(asked.request)
        ):
            return None
        kept = Response(part.status, part.headers, part.body)
        if cut_part(kept, wanted, asked.request.header(b"if-range")) is None:
            return None
        asked.line.outcome, asked.line.reason = verdict.outcome, verdict.reason
        return cut_part(self._told(part, asked.line, now), wanted, asked.request.header(b"if-range"))

    async def _fetched(self, found: Found, asked: Asked, verdict: Verdict) -> Response:
        """Join the flight for this key or start one, and answer from it."""
        line = asked.line
        # A client that wants something newer must not get an answer that was already under way.
        newer = verdict.reason or wants_newer(asked.directives)
        place = _flight_place(found, asked, verdict)
        flight = None if newer else self._flights.join(place)
        if flight is None and (failed := self._failures.lately(place, self._clock.timer())) is not None:
            return self._failed(failed, found, asked)
        if flight is None:
            reader = self._take_off(found, place, asked, verdict)
            line.flight = "lead"
        else:
            if self._flights.is_crowded(flight):
                raise Refusal(503, Reason.TOO_MANY, "too many wait for this answer already")
            reader = flight.reader(lead=False)
            line.flight, line.outcome, line.joined = "follow", Outcome.COLLAPSED, self._clock.timer()
        flight = reader.flight
        line.call = flight.call
        try:
            head = await self._head(reader, found, asked)
        except UpstreamError as error:
            await reader.aclose()
            if reader.lead:
                now = self._clock.timer()
                self._failures.note(place, error, flight.call.duration_s(now), now)
            return self._failed(error, found, asked)
        except BaseException:
            await reader.aclose()
            raise
        if reader.lead and _tells_of_others(head, flight, asked):
            self._uncacheable.note(place, self._clock.wall(), shared=flight.shared)
        is_failure = head.status in _FAILED and not flight.shared
        if is_failure and (bridge := self._bridge(found.entry, asked, Reason.STATUS, head.status)) is not None:
            await reader.aclose()
            return bridge
        line.reason = line.reason or flight.refused
        if flight.confirmed is not None or flight.elsewhere is not None:
            await reader.aclose()
        return self._landed(head, flight, found, asked, verdict)

    def _failed(self, error: UpstreamError, found: Found, asked: Asked) -> Response:
        """Return the stale answer that may stand in for a failed fetch; raises the error where there is none."""
        if (bridge := self._bridge(found.entry, asked, error.reason, None)) is not None:
            return bridge
        raise error

    def _landed(self, head: Response, flight: Flight, found: Found, asked: Asked, verdict: Verdict) -> Response:
        """Return what a flight brought: what was stored and is still good, or an answer on its way."""
        line, outcome = asked.line, verdict.outcome
        if flight.elsewhere is not None:
            line.flight, line.outcome, line.joined = "follow", Outcome.COLLAPSED, line.joined or line.began
            member = cache_status.forwarded(outcome, line.reason, stored=True, collapsed=True)
            return self._stored(flight.elsewhere, asked, member)
        if flight.confirmed is not None or flight.completed:
            outcome = Outcome.REVALIDATED if flight.confirmed is not None else Outcome.PARTIAL
        collapsed = line.flight == "follow"
        if not collapsed:
            line.outcome = outcome
        member = cache_status.forwarded(
            outcome, line.reason, status=304 if flight.confirmed is not None else 206 if flight.completed else None,
            stored=flight.refused is None, collapsed=collapsed, varied=found.marker is not None,
        )  # fmt: skip
        if flight.confirmed is not None:
            return self._stored(flight.confirmed if collapsed else flight.told or flight.confirmed, asked, member)
        line.cache_status = member
        return Response(head.status, answered(head.headers, http_date(self._clock.wall())), head.body)

    def _bridge(self, entry: Entry | None, asked: Asked, reason: str, status: int | None) -> Response | None:
        """Return the stale answer that may stand in for a failure of the upstream (RFC 5861 §4), if there is one."""
        now = self._clock.wall()
        if entry is None or left(entry, now) > 0 or not bridges(entry, now, asked.directives):
            return None
        line = asked.line
        line.outcome, line.reason = Outcome.STALE, reason
        line.error, line.error_source = reason, "upstream"
        return self._stored(entry, asked, cache_status.forwarded(Outcome.EXPIRED, reason, status=status))

    def _refresh(self, found: Found, asked: Asked) -> None:
        """Fetch behind a stale answer, one at a time: the upstream is not hit harder because nobody waits."""
        if self._flights.under_way(found.place) or asked.request.method == "HEAD":
            return
        if self._refresh_flight is not None and not self._refresh_flight.ended:
            return
        whole = replace(asked, request=unconditional(asked.request))
        flight = self._flight(whole, found, kept=True)
        flight.unwatched, flight.patience_s = True, 0.0
        entry = found.entry
        can_be_asked = asked.request.method in VALIDATED and entry is not None and has_validator(entry.headers)
        stale = entry if can_be_asked else None
        self._refresh_flight = flight
        self._flights.start(found.place, flight, lambda flight: self._fetch(found, flight, whole, stale))

    def _flight(self, asked: Asked, found: Found, *, kept: bool) -> Flight:
        flight = Flight(asked.request, kept=kept, most_behind=asked.rule.max_object)
        flight.key, flight.home, flight.query = found.key, found.home, found.query
        flight.bare, flight.rule = self._places.bare(found.query, asked), asked.rule.name
        return flight

    def _take_off(self, found: Found, place: bytes, asked: Asked, verdict: Verdict) -> Reader:
        stale = found.entry if verdict.act is Act.REVALIDATE and asked.request.method in VALIDATED else None
        # Without the owner's word or an earlier answer nobody knows yet whether this one may be shared: then it ends
        # when its client leaves, and nobody waits for it; neither does anybody wait for another's 304 or part.
        known = self._uncacheable.holds(place, self._clock.wall())
        for_all = (found.entry is not None or not asked.rule.ours) and not known
        own = asks_conditionally(asked.request) or b"range" in asked.request.fields
        flight = self._flight(asked, found, kept=for_all and (stale is not None or not own))
        if not (verdict.reason or wants_newer(asked.directives)):  # else what another fetches may be older than wanted
            flight.patience_s = self._patience_s(asked)
        reader = flight.reader(lead=True)
        self._flights.start(place, flight, lambda flight: self._fetch(found, flight, asked, stale))
        return reader

    def _patience_s(self, asked: Asked) -> float:
        """Return how long one who did not ask first waits: far longer than nearly all answers of a rule took so far."""
        known = self._waits.get(asked.rule.name)
        return max(_PATIENCE_S, 2 * known.quantile(0.99)) if known else max(_PATIENCE_S, self._fetch.longest_s or 0.0)

    async def _head(self, reader: Reader, found: Found, asked: Asked) -> Response:
        if reader.lead:
            head = await reader.head()
            if (took := reader.flight.call.ttfb_s) is not None:
                self._waits.setdefault(asked.rule.name, Histogram()).add(took)
            return head
        # a leader that stands still must not hold up all others; how long is long, its rule's own answers tell
        try:
            async with asyncio.timeout(self._patience_s(asked)):
                head = await reader.head()
        except TimeoutError:
            raise Fallback(Reason.LEADER_TIMEOUT) from None
        if not self._is_for(head, reader.flight, found, asked):
            raise Fallback(Reason.VARY)
        return head

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


def _flight_place(found: Found, asked: Asked, verdict: Verdict) -> bytes:
    """Return the place that a flight is known by: who waits for a part does not wait for the whole, nor for another."""
    if b"range" not in asked.request.fields or verdict.act is Act.REVALIDATE:
        return found.place
    return variant_key(found.place, (b"range", b"if-range"), asked.request.headers)
