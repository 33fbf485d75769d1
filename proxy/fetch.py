"""One flight's fetch: ask the upstream, let all read its answer as it arrives, and store it before its last byte."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from proxy.clock import Clock
from proxy.core.cache_control import Directives
from proxy.core.key import variant_key
from proxy.core.log_line import LogLine
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.core.storing import Storing, content_length, decide, entry_of, variants_of
from proxy.core.types import Entry, Request, Response
from proxy.core.validation import confirms, freshened, unconditional, validating
from proxy.errors import UpstreamCut
from proxy.store import Store
from proxy.upstream.call import UNLIMITED, Timeouts, Upstream
from proxy.upstream.collapse import Flight

# A 304 to a client's own condition, and failures: what is stored may still be good.
_TELLS_NOTHING = frozenset({304, *range(500, 600)})


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
    """What the look-up gave: the request's key, the place of the variant that it selects, the entry there.

    `marker` is what stands at the key where its answers vary.
    """

    key: bytes
    place: bytes
    entry: Entry | None
    marker: Entry | None = None


class Fetch:
    """Fetches for flights, and keeps what may be kept."""

    def __init__(
        self,
        upstream: Upstream,
        store: Store,
        timeouts: Timeouts,
        clock: Clock,
        failed: Callable[[BaseException, str], None],
    ) -> None:
        self._upstream = upstream
        self._store = store
        self._timeouts = timeouts
        self._clock = clock
        self._failed = failed

    async def __call__(self, found: Found, flight: Flight, asked: Asked, stale: Entry | None) -> None:
        """Fly: fetch, let all read, and as the last act before the last byte, store."""
        request = asked.request if stale is None else validating(asked.request, stale)
        response = await self._send(request, flight, asked)
        if stale is not None and response.status == 304:
            await _drained(response)
            if confirms(stale, response):
                await self._freshen(found, flight, asked, freshened(stale, response), stale)
                return
            flight.call.begin_again()
            response = await self._send(unconditional(asked.request), flight, asked)
        try:
            storing, now = self._decided(response, flight, asked)
            flight.open(response, storing.reason, shared=storing.is_fresh)
            if storing.reason and found.entry is not None and response.status not in _TELLS_NOTHING:
                await self.drop(found.place, asked)  # it was overtaken by what may not be stored
            last = await self._body(flight, response, asked.rule)
            if flight.kept:
                entry = self._entry(response, flight.body + last, storing, flight, asked, now)
                await self._keep(found, entry, storing, flight, asked)
            if last:
                flight.add(last)
            flight.end()
        finally:
            await _let_go(response)

    async def _send(self, request: Request, flight: Flight, asked: Asked) -> Response:
        # where a client waits under no rule of the owner's, the client says when it has waited enough
        timeouts = UNLIMITED if asked.rule.ours and not flight.unwatched else self._timeouts
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
            await self._keep(found, entry, storing, flight, asked)
        else:
            await self.drop(found.place, asked)
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

    async def _keep(self, found: Found, entry: Entry, storing: Storing, flight: Flight, asked: Asked) -> None:
        began = self._clock.timer()
        entries = {found.key: entry}
        if storing.vary:
            known = found.marker is not None and found.marker.vary == storing.vary
            marker = found.marker if known and found.marker is not None else variants_of(storing.vary, entry)
            variant = variant_key(found.key, storing.vary, asked.request.headers, marker.body)
            entries = {found.key: marker, variant: entry}
        try:
            await self._store.set_many(entries)
        except Exception as error:  # noqa: BLE001  a store that fails costs hits, never an answer
            self._failed(error, asked.line.request_id)
        flight.call.store_s = self._clock.timer() - began

    async def drop(self, place: bytes, asked: Asked) -> None:
        """Forget what is stored at one place."""
        try:
            await self._store.delete((place,))
        except Exception as error:  # noqa: BLE001  a store that fails costs hits, never an answer
            self._failed(error, asked.line.request_id)


async def _drained(response: Response) -> None:
    """Read what has no body to its end, so that its connection can serve again."""
    if not isinstance(response.body, bytes):
        async for _ in response.body:
            pass


async def _let_go(response: Response) -> None:
    if not isinstance(response.body, bytes):
        await response.body.aclose()
