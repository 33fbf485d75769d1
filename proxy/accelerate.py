"""The road of a request that may be answered from the store: key → look up → judge → fetch → store → deliver.

Every way off it is a Fallback with its reason: then the original request goes upstream whole.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from proxy.clock import Clock
from proxy.core import cache_status
from proxy.core.cache_control import Directives
from proxy.core.freshness import Act, Verdict, age_of, judge, left, wants_newer
from proxy.core.headers import answered
from proxy.core.http_date import render as http_date
from proxy.core.key import Scope, key_of, query_of, variant_key
from proxy.core.log_line import LogLine
from proxy.core.plan import asks_conditionally
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.core.storing import Storing, content_length, decide, entry_of, variants_of, vary_of
from proxy.core.types import Entry, Outcome, Request, Response
from proxy.core.validation import confirms, freshened, unconditional, validating
from proxy.core.views import view
from proxy.errors import Fallback, Refusal, UpstreamCut
from proxy.store import Store
from proxy.upstream.call import UNLIMITED, Timeouts, Upstream
from proxy.upstream.collapse import Flight, Flights, Reader

_HOLDS_UP_OTHERS_BYTES = 2**18
"""A dense JSON body takes up to 0.7 s a MiB to normalize: a larger one is normalized beside the loop."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request on this road: what was asked, under which rule, with which of its client's directives."""

    request: Request
    rule: Rule
    host: bytes
    directives: Directives
    line: LogLine


@dataclass(frozen=True, slots=True)
class Found:
    """What the look-up gave: the request's key, the place of the variant that it selects, the entry there."""

    key: bytes
    place: bytes
    entry: Entry | None


class Accelerate:
    """Answers requests from the store, and fetches what is missing once for all who ask."""

    def __init__(
        self,
        upstream: Upstream,
        store: Store,
        flights: Flights,
        scopes: Mapping[str, Scope],
        timeouts: Timeouts,
        clock: Clock,
        *,
        failed: Callable[[BaseException, str], None],
        show_cache_status: bool,
    ) -> None:
        self._failed = failed
        self._upstream = upstream
        self._store = store
        self._flights = flights
        self._scopes = scopes
        self._timeouts = timeouts
        self._clock = clock
        self._show_cache_status = show_cache_status

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
        place, entry = key, None
        try:
            (entry,) = await self._store.get_many((place,))
            if entry is not None and entry.vary:
                place = variant_key(key, entry.vary, asked.request.headers)
                (entry,) = await self._store.get_many((place,))
        except Exception as error:  # noqa: BLE001  a store that fails costs hits, never an answer
            entry = None  # it may be the marker of a varying answer
            self._failed(error, asked.line.request_id)
        asked.line.lookup_s = self._clock.timer() - began
        return Found(key, place, entry)

    def _stored(self, entry: Entry, asked: Asked, member: bytes | None = None) -> Response:
        """Return the view of an entry that its client asked for; `member` is for Cache-Status if it is no hit."""
        now, line = self._clock.wall(), asked.line
        age, ttl = int(age_of(entry, now)), int(left(entry, now))
        line.age_s, line.ttl_s = age, ttl
        line.cost = None if member else entry.cost
        headers = [*entry.headers, (b"age", b"%d" % age), (b"x-request-id", line.request_id.encode("ascii"))]
        if self._show_cache_status:
            headers.append((cache_status.NAME, member or cache_status.hit(ttl)))
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
        except BaseException:
            await reader.aclose()
            raise
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

    def _take_off(self, found: Found, asked: Asked, verdict: Verdict) -> Reader:
        stale = found.entry if verdict.act is Act.REVALIDATE else None
        # Without the owner's word or an earlier answer nobody knows yet whether this one may be shared: then it ends
        # when its client leaves, and nobody waits for it; neither does anybody wait for another's 304.
        for_all = found.entry is not None or not asked.rule.ours
        kept = for_all and (stale is not None or not asks_conditionally(asked.request))
        flight = Flight(asked.request, kept=kept, most_behind=asked.rule.max_object)
        reader = flight.reader(lead=True)
        self._flights.start(found.place, flight, lambda flight: self._fetch(found, flight, asked, stale))
        return reader

    @staticmethod
    async def _head(reader: Reader, asked: Asked) -> Response:
        head = await reader.head()
        if not reader.lead:
            for name in vary_of(head):
                if asked.request.header(name) != reader.flight.request.header(name):
                    raise Fallback(Reason.VARY)
        return head

    def _on_its_way(self, head: Response, line: LogLine, *, stored: bool) -> Response:
        headers = answered(head.headers, line.request_id, http_date(self._clock.wall()))
        if self._show_cache_status:
            collapsed = line.flight == "follow"
            reason = None if line.reason is None else Reason(line.reason)
            member = cache_status.forwarded(line.outcome, reason, stored=stored, collapsed=collapsed)
            headers.append((cache_status.NAME, member))
        return Response(head.status, tuple(headers), head.body)

    async def _fetch(self, found: Found, flight: Flight, asked: Asked, stale: Entry | None) -> None:
        """Fly: fetch, let all read, and as the last act before the last byte, store."""
        request = asked.request if stale is None else validating(asked.request, stale)
        response = await self._send(request, flight, asked)
        if stale is not None and response.status == 304:
            await _let_go(response)
            if confirms(stale, response):
                await self._freshen(found, flight, asked, freshened(stale, response), stale)
                return
            response = await self._send(unconditional(asked.request), flight, asked)
        try:
            storing, now = self._decided(response, flight, asked)
            flight.open(response, storing.reason, shared=storing.is_fresh)
            last = await self._body(flight, response, asked.rule)
            if flight.kept:
                entry = self._entry(response, flight.body + last, storing, flight, asked, now)
                await self._keep(found.key, entry, storing, flight, asked)
            if last:
                flight.add(last)
            flight.end()
        finally:
            await _let_go(response)

    async def _send(self, request: Request, flight: Flight, asked: Asked) -> Response:
        timeouts = UNLIMITED if asked.rule.ours else self._timeouts
        return await self._upstream.send(request, asked.line.request_id, flight.call, timeouts)

    def _decided(self, response: Response, flight: Flight, asked: Asked) -> tuple[Storing, float]:
        now, delay = self._clock.wall(), flight.call.ttfb_s or 0.0
        return decide(asked.request, response, asked.rule, now, delay), now

    async def _freshen(self, found: Found, flight: Flight, asked: Asked, confirmed: Response, stale: Entry) -> None:
        """Let all read what was stored, with the fields of a 304, and store it so."""
        storing, now = self._decided(confirmed, flight, asked)
        entry = replace(self._entry(confirmed, stale.body, storing, flight, asked, now), cost=stale.cost)
        flight.confirmed = entry
        if storing.reason is None:
            await self._keep(found.key, entry, storing, flight, asked)
        else:
            await self._drop(found.place, asked)
        flight.open(confirmed, storing.reason, shared=storing.is_fresh)
        flight.end()

    @staticmethod
    async def _body(flight: Flight, response: Response, rule: Rule) -> bytes:
        """Pass on the body as it arrives, all but its last bytes where their place is known; return those."""
        if isinstance(response.body, bytes):
            return response.body
        length = content_length(response)
        arrived, last = 0, b""
        async for chunk in response.body:
            arrived += len(chunk)
            if flight.kept and arrived > rule.max_object:
                flight.spill(Reason.TOO_LARGE)
            if flight.kept and arrived == length:
                last = chunk
            else:
                flight.add(chunk)
            await flight.room()
        if flight.kept and length not in {None, arrived}:
            raise UpstreamCut(f"{arrived} bytes of {length}")
        return last

    def _entry(
        self, response: Response, body: bytes, storing: Storing, flight: Flight, asked: Asked, now: float
    ) -> Entry:
        cost = flight.call.duration_s(self._clock.timer())
        return entry_of(response, body, storing, rule=asked.rule.name, now=now, cost=cost)

    async def _keep(self, key: bytes, entry: Entry, storing: Storing, flight: Flight, asked: Asked) -> None:
        began = self._clock.timer()
        entries = {key: entry}
        if storing.vary:
            variant = variant_key(key, storing.vary, asked.request.headers)
            entries = {key: variants_of(storing.vary, entry), variant: entry}
        try:
            await self._store.set_many(entries)
        except Exception as error:  # noqa: BLE001  a store that fails costs hits, never an answer
            self._failed(error, asked.line.request_id)
        flight.call.store_s = self._clock.timer() - began

    async def forget(self, asked: Asked) -> None:
        """Drop what is stored for a request; variants go with the entry that leads to them."""
        try:
            key = await self._key(asked)
        except Fallback:
            return  # what has no key has no entry
        await self._drop(key, asked)

    async def _drop(self, place: bytes, asked: Asked) -> None:
        try:
            await self._store.delete((place,))
        except Exception as error:  # noqa: BLE001  a store that fails costs hits, never an answer
            self._failed(error, asked.line.request_id)


async def _let_go(response: Response) -> None:
    if not isinstance(response.body, bytes):
        await response.body.aclose()
