"""The road of a request that may be answered from the store: key → look up → judge → fetch → store → deliver.

Every way off it is a Fallback with its reason: then the original request goes upstream whole.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from proxy.clock import Clock
from proxy.core import cache_status
from proxy.core.freshness import Act, Verdict, age_of, bridges, judge, left, wants_newer
from proxy.core.headers import answered
from proxy.core.http_date import render as http_date
from proxy.core.key import Scope, key_of, query_of, variant_key
from proxy.core.log_line import LogLine
from proxy.core.plan import asks_conditionally
from proxy.core.reasons import Reason
from proxy.core.storing import vary_of
from proxy.core.types import Entry, Outcome, Response
from proxy.core.validation import has_validator, unconditional
from proxy.core.views import view
from proxy.errors import Fallback, Refusal, UpstreamError
from proxy.fetch import Asked, Fetch, Found
from proxy.store import Store
from proxy.upstream.collapse import Flight, Flights, Reader, Uncacheable

_FAILED = frozenset({500, 502, 503, 504})
"""The answers that a stale one may stand in for (RFC 5861 §4)."""

_HOLDS_UP_OTHERS_BYTES = 2**18
"""A dense JSON body takes up to 0.7 s a MiB to normalize: a larger one is normalized beside the loop."""


class Accelerate:
    """Answers requests from the store, and fetches what is missing once for all who ask."""

    def __init__(
        self,
        fetch: Fetch,
        store: Store,
        flights: Flights,
        scopes: Mapping[str, Scope],
        clock: Clock,
        *,
        failed: Callable[[BaseException, str], None],
        show_cache_status: bool,
    ) -> None:
        self._failed = failed
        self._fetch = fetch
        self._store = store
        self._flights = flights
        self._scopes = scopes
        self._clock = clock
        self._show_cache_status = show_cache_status
        self._refreshing = False
        self._uncacheable = Uncacheable()

    async def __call__(self, asked: Asked, wait: Callable[[], None]) -> Response:
        """Answer one request; `wait` is called before anything that takes the upstream's time.

        Raises Fallback, Refusal and UpstreamError.
        """
        key = await self._key(asked)
        asked.line.key_hash = key.hex()
        found = await self._look_up(key, asked)
        entry = found.entry
        verdict = judge(entry, self._clock.wall(), asked.directives)
        asked.line.outcome, asked.line.reason = verdict.outcome, verdict.reason
        if entry is not None and verdict.act is Act.DELIVER:
            return self._stored(entry, asked)
        if entry is not None and verdict.act is Act.REFRESH:
            self._refresh(found, asked)
            return self._stored(entry, asked)
        if "only-if-cached" in asked.directives:
            raise Refusal(504, Reason.ONLY_IF_CACHED, "the client wants a stored answer and there is none")
        if asked.request.method == "HEAD":
            raise Fallback(Reason.METHOD)
        if b"range" in asked.request.fields and verdict.act is Act.FETCH:
            raise Fallback(Reason.RANGE)
        wait()
        return await self._fetched(found, asked, verdict)

    async def _key(self, asked: Asked) -> bytes:
        began = self._clock.timer()
        scope = self._scopes[asked.rule.name]
        wanted = (asked.request, asked.rule, asked.host, scope.secret)
        body = asked.request.body
        if isinstance(body, bytes) and len(body) > _HOLDS_UP_OTHERS_BYTES and asked.rule.normalizers:
            query = await asyncio.to_thread(query_of, *wanted)
        else:
            query = query_of(*wanted)
        key = key_of(query, scope)
        asked.line.normalize_s = self._clock.timer() - began
        return key

    async def _look_up(self, key: bytes, asked: Asked) -> Found:
        began = self._clock.timer()
        place, entry, marker = key, None, None
        try:
            (entry,) = await self._store.get_many((place,))
            if entry is not None and entry.vary:
                marker = entry
                place = variant_key(key, marker.vary, asked.request.headers, marker.body)
                (entry,) = await self._store.get_many((place,))
        except Exception as error:  # noqa: BLE001  a store that fails costs hits, never an answer
            entry = marker = None  # it may be the marker of a varying answer
            self._failed(error, asked.line.request_id)
        asked.line.lookup_s = self._clock.timer() - began
        if entry is not None and entry.guessed and b"cookie" in asked.request.fields:
            entry = None  # a guess for everybody says nothing of somebody
        return Found(key, place, entry, marker)

    def _stored(self, entry: Entry, asked: Asked, member: bytes | None = None) -> Response:
        """Return the view of an entry that its client asked for; `member` is for Cache-Status if it is no hit."""
        now, line = self._clock.wall(), asked.line
        age, ttl = int(age_of(entry, now)), int(left(entry, now))
        line.age_s, line.ttl_s = age, ttl
        line.cost = None if member else entry.cost
        headers = [*entry.headers, (b"age", b"%d" % age), (b"x-request-id", line.request_id.encode("ascii"))]
        if self._show_cache_status:
            headers.append((cache_status.NAME, member or cache_status.hit(ttl, line.reason)))
        return view(asked.request, Response(entry.status, tuple(headers), entry.body), now)

    async def _fetched(self, found: Found, asked: Asked, verdict: Verdict) -> Response:
        """Join the flight for this key or start one, and answer from it."""
        line = asked.line
        # A client that wants something newer must not get an answer that was already under way.
        newer = verdict.reason or wants_newer(asked.directives)
        flight = None if newer else self._flights.join(found.place)
        if flight is None:
            reader = self._take_off(found, asked, verdict)
            line.flight = "lead"
        else:
            reader = flight.reader(lead=False)
            line.flight, line.outcome, line.joined = "follow", Outcome.COLLAPSED, self._clock.timer()
        flight = reader.flight
        line.call = flight.call
        try:
            head = await self._head(reader, asked)
        except UpstreamError as error:
            await reader.aclose()
            if (bridge := self._bridge(found.entry, asked, error.reason)) is not None:
                return bridge
            raise
        except BaseException:
            await reader.aclose()
            raise
        # a failure, or an answer to a condition, says nothing about the answers to come
        if reader.lead and head.status < 500 and not asks_conditionally(reader.flight.request):
            self._uncacheable.note(found.place, self._clock.wall(), shared=flight.shared)
        failed = head.status in _FAILED and not flight.shared
        if failed and (bridge := self._bridge(found.entry, asked, Reason.STATUS)) is not None:
            await reader.aclose()
            return bridge
        line.reason = line.reason or flight.refused
        if flight.confirmed is not None:
            await reader.aclose()
            return self._confirmed(flight.confirmed, asked, stored=flight.refused is None)
        return self._on_its_way(head, line, stored=flight.refused is None)

    def _confirmed(self, entry: Entry, asked: Asked, *, stored: bool) -> Response:
        line = asked.line
        collapsed = line.flight == "follow"
        if not collapsed:
            line.outcome = Outcome.REVALIDATED
        member = cache_status.forwarded(line.outcome, line.reason, status=304, stored=stored, collapsed=collapsed)
        return self._stored(entry, asked, member)

    def _bridge(self, entry: Entry | None, asked: Asked, reason: str) -> Response | None:
        """Return the stale answer that may stand in for a failure of the upstream (RFC 5861 §4), if there is one."""
        now = self._clock.wall()
        if entry is None or left(entry, now) > 0 or not bridges(entry, now) or "no-cache" in asked.directives:
            return None
        line = asked.line
        line.outcome, line.reason = Outcome.STALE, reason
        line.error, line.error_source = reason, "upstream"
        return self._stored(entry, asked)

    def _refresh(self, found: Found, asked: Asked) -> None:
        """Fetch behind a stale answer, one at a time: the upstream is not hit harder because nobody waits."""
        if self._refreshing or self._flights.under_way(found.place) or asked.request.method == "HEAD":
            return
        whole = replace(asked, request=unconditional(asked.request))
        flight = Flight(whole.request, kept=True, most_behind=asked.rule.max_object)
        flight.home, flight.unwatched = found.key, True
        entry = found.entry
        can_be_asked = asked.request.method == "GET" and entry is not None and has_validator(entry.headers)
        stale = entry if can_be_asked else None

        async def fetch(flight: Flight) -> None:
            try:
                await self._fetch(found, flight, whole, stale)
            finally:
                self._refreshing = False

        self._refreshing = True
        self._flights.start(found.place, flight, fetch)

    def _take_off(self, found: Found, asked: Asked, verdict: Verdict) -> Reader:
        stale = found.entry if verdict.act is Act.REVALIDATE and asked.request.method == "GET" else None
        # Without the owner's word or an earlier answer nobody knows yet whether this one may be shared: then it ends
        # when its client leaves, and nobody waits for it; neither does anybody wait for another's 304.
        known = self._uncacheable.holds(found.place, self._clock.wall())
        for_all = (found.entry is not None or not asked.rule.ours) and not known
        kept = for_all and (stale is not None or not asks_conditionally(asked.request))
        flight = Flight(asked.request, kept=kept, most_behind=asked.rule.max_object)
        flight.home = found.key
        reader = flight.reader(lead=True)
        self._flights.start(found.place, flight, lambda flight: self._fetch(found, flight, asked, stale))
        return reader

    @staticmethod
    async def _head(reader: Reader, asked: Asked) -> Response:
        head = await reader.head()
        if not reader.lead:
            vary = vary_of(head)
            ours, theirs = (variant_key(b"", vary, one.headers) for one in (asked.request, reader.flight.request))
            if ours != theirs:
                raise Fallback(Reason.VARY)
        return head

    def _on_its_way(self, head: Response, line: LogLine, *, stored: bool) -> Response:
        headers = answered(head.headers, line.request_id, http_date(self._clock.wall()))
        if self._show_cache_status:
            collapsed = line.flight == "follow"
            member = cache_status.forwarded(line.outcome, line.reason, stored=stored, collapsed=collapsed)
            headers.append((cache_status.NAME, member))
        return Response(head.status, tuple(headers), head.body)

    async def forget(self, asked: Asked) -> None:
        """Drop what is stored for a request, and disown what is being fetched for it.

        Variants go with the marker: the next one begins a new generation.
        """
        try:
            key = await self._key(asked)
        except Fallback:
            return  # what has no key has no entry
        self._flights.disown(key)
        await self._fetch.drop(key, asked)
