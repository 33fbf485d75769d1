"""The road of a request that may be answered from the store: key → look up → judge → fetch → store → deliver.

Every way off it is a Fallback with its reason: then the original request goes upstream whole.
"""

import asyncio
from collections.abc import Callable

from proxy.clock import Clock
from proxy.composite import Composite, Composites
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
from proxy.core.validation import VALIDATED, asks_conditionally
from proxy.core.variants import has_room
from proxy.core.views import view
from proxy.errors import Fallback, Refusal, UpstreamError
from proxy.fetch import Fetch
from proxy.places import Asked, Found, Places
from proxy.refresh import Refresh
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

    def __init__(
        self,
        fetch: Fetch,
        refresh: Refresh,
        composites: Composites,
        places: Places,
        flights: Flights,
        clock: Clock,
    ) -> None:
        self._fetch = fetch
        self._composites = composites
        self._refresh = refresh
        self._places = places
        self._flights = flights
        self._clock = clock
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
                self._refresh.behind(found, asked)
            elif verdict.outcome is Outcome.HIT:
                self._refresh.ahead(found, entry, asked)
            return self._stored(entry, asked)
        if found.part is not None and (part := self._part_of(found.part, asked)) is not None:
            return part
        if "only-if-cached" in asked.directives:
            raise Refusal(504, Reason.ONLY_IF_CACHED, "the client wants a stored answer and there is none")
        if asked.request.method == "HEAD":
            raise Fallback(Reason.METHOD)
        if entry is None and found.marker is not None and not has_room(found.marker, found.place, self._clock.wall()):
            raise Fallback(Reason.VARIANTS)
        asked.line.expected_s = (entry.cost if entry is not None else 0.0) or self.usual_s(asked.rule.name)
        return await self._in_parts(found, asked, verdict, wait)

    async def _in_parts(self, found: Found, asked: Asked, verdict: Verdict, wait: Callable[[], None]) -> Response:
        """Answer from the request's parts where it has any and that is certain; else fetch it whole."""
        composite, line = None, asked.line
        try:
            if asked.rule.splitting is not None and not (verdict.reason or wants_newer(asked.directives)):
                composite = await self._composites.of(asked, line.expected_s)
            if composite is not None:
                return await self._composites.answer(composite, wait)
        except Fallback as fallback:
            _whole_after_all(line, verdict, fallback.reason)
        except UpstreamError as error:
            if composite is None or not self._composites.may_ask_again():
                return self._stale_parts(composite, error)
            _whole_after_all(line, verdict, error.reason)
        wait()
        try:
            return await self._fetched(found, asked, verdict)
        except UpstreamError as error:
            return self._stale_parts(composite, error)

    def _stale_parts(self, composite: Composite | None, error: UpstreamError) -> Response:
        """Return the answer of stale parts that may stand in for a failed fetch; raises its error where there is none."""
        stale = None if composite is None else self._composites.stale(composite, error.reason)
        if stale is None:
            raise error
        return stale

    def usual_s(self, rule: str) -> float | None:
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
        line, place = asked.line, _flight_place(found, asked, verdict)
        try:
            reader = self._boarded(found, place, asked, verdict)
        except UpstreamError as error:
            return self._failed(error, found, asked)
        flight = reader.flight
        line.call = flight.call
        try:
            head = await self._head_in_time(reader, found, asked)
        except UpstreamError as error:
            await reader.aclose()
            if reader.lead and flight.kept and flight.shared and flight.call.sent:
                now = self._clock.timer()
                self._failures.note(place, error, flight.call.duration_s(now), now)
            return self._failed(error, found, asked)
        except BaseException:
            await reader.aclose()
            raise
        if isinstance(head, Entry):
            await reader.aclose()
            return self._stale(head, asked, Reason.SLOW)
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
        if entry is None or not self._may_bridge(entry, asked):
            return None
        asked.line.error, asked.line.error_source = reason, "upstream"
        return self._stale(entry, asked, reason, status)

    def _may_bridge(self, entry: Entry, asked: Asked) -> bool:
        now = self._clock.wall()
        return left(entry, now) <= 0 and bridges(entry, now, asked.directives)

    def _stale(self, entry: Entry, asked: Asked, reason: str, status: int | None = None) -> Response:
        asked.line.outcome, asked.line.reason = Outcome.STALE, reason
        return self._stored(entry, asked, cache_status.forwarded(Outcome.EXPIRED, reason, status=status))

    def _boarded(self, found: Found, place: bytes, asked: Asked, verdict: Verdict) -> Reader:
        """Return a reader of the flight for a place, of a new one where there is none that may be joined.

        Raises Refusal where too many wait, and the UpstreamError of a fetch that failed a moment ago.
        """
        line = asked.line
        # A client that wants something newer must not get an answer that was already under way.
        newer = bool(verdict.reason or wants_newer(asked.directives))
        flight = None if newer else self._flights.join(place)
        if flight is not None:
            if self._flights.is_crowded(flight):
                raise Refusal(503, Reason.TOO_MANY, "too many wait for this answer already")
            line.flight, line.outcome, line.joined = "follow", Outcome.COLLAPSED, self._clock.timer()
            flight.hurry(asked.request.client.ip)
            return flight.reader(lead=False)
        line.flight = "lead"
        stale = found.entry if verdict.act is Act.REVALIDATE and asked.request.method in VALIDATED else None
        # Without the owner's word or an earlier answer nobody knows yet whether this one may be shared: then it ends
        # when its client leaves, and nobody waits for it; neither does anybody wait for another's 304 or part.
        known = self._uncacheable.holds(place, self._clock.wall())
        for_all = (found.entry is not None or not asked.rule.ours) and not known
        own = asks_conditionally(asked.request) or b"range" in asked.request.fields
        flight = self._fetch.flight(found, asked, kept=for_all and (stale is not None or not own))
        if not newer:  # else what another fetches may be older than wanted
            if flight.kept and (failed := self._failures.lately(place, self._clock.timer())) is not None:
                raise failed
            flight.patience_s = self._patience_s(asked)
        reader = flight.reader(lead=True)
        self._flights.start(place, flight, lambda flight: self._fetch(found, flight, asked, stale))
        return reader

    async def _head_in_time(self, reader: Reader, found: Found, asked: Asked) -> Response | Entry:
        """Return the head, or the stale answer where its rule says that it takes too long."""
        soft, entry = asked.rule.soft_deadline, found.entry
        if soft is None or entry is None or not reader.flight.kept or not self._may_bridge(entry, asked):
            return await self._head(reader, found, asked)
        try:
            async with asyncio.timeout(soft):
                return await self._head(reader, found, asked)
        except TimeoutError:
            return entry

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


def _whole_after_all(line: LogLine, verdict: Verdict, reason: str) -> None:
    """Begin again, as for any request: only what was spent so far, and why, is remembered."""
    line.sent_before, line.call, line.flight, line.joined = line.upstream_calls, None, None, None
    line.outcome, line.reason, line.arm = verdict.outcome, reason, "control"


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
