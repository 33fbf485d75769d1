"""One flight's fetch: ask the upstream, let all read its answer as it arrives, and store it before its last byte."""

from dataclasses import replace

from proxy.clock import Clock
from proxy.core.partial import completed, completing
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.core.storing import Storing, content_length, decide, entry_of
from proxy.core.types import Entry, Request, Response
from proxy.core.validation import confirms, freshened, unconditional, validating
from proxy.errors import UpstreamCut
from proxy.places import Asked, Found, Places
from proxy.upstream.call import UNLIMITED, Timeouts, Upstream
from proxy.upstream.collapse import Flight

# A 304 to a client's own condition, a part, and failures: what is stored may still be good.
_TELLS_NOTHING = frozenset({206, 304, 416, *range(500, 600)})


class Fetch:
    """Fetches for flights, and keeps what may be kept."""

    def __init__(self, upstream: Upstream, places: Places, timeouts: Timeouts, clock: Clock) -> None:
        self._upstream = upstream
        self._places = places
        self._timeouts = timeouts
        self._clock = clock

    async def __call__(self, found: Found, flight: Flight, asked: Asked, stale: Entry | None) -> None:
        """Fly: fetch, let all read, and as the last act before the last byte, store."""
        rest = completing(asked.request, found.part)
        if stale is not None:
            response = await self._validated(found, flight, asked, stale)
        elif rest is not None and found.part is not None:
            response = await self._completed(rest, found.part, flight, asked)
        else:
            response = await self._send(asked.request, flight, asked)
        if response is not None:
            await self._received(response, found, flight, asked)

    async def _send(self, request: Request, flight: Flight, asked: Asked) -> Response:
        # where a client waits under no rule of the owner's, the client says when it has waited enough
        timeouts = UNLIMITED if asked.rule.ours and not flight.unwatched else self._timeouts
        return await self._upstream.send(request, asked.line.request_id, flight.call, timeouts)

    async def _validated(self, found: Found, flight: Flight, asked: Asked, stale: Entry) -> Response | None:
        """Ask whether what is stored is still good; return the answer if that is another one."""
        response = await self._send(validating(asked.request, stale), flight, asked)
        if response.status != 304:
            return response
        try:
            await _whole(response, 0)
        finally:
            await _let_go(response)
        if confirms(stale, response):
            await self._freshen(found, flight, asked, freshened(stale, response), stale)
            return None
        flight.call.begin_again()
        return await self._send(unconditional(asked.request), flight, asked)

    async def _completed(self, rest: Request, part: Entry, flight: Flight, asked: Asked) -> Response:
        """Ask for what is missing of a stored part; return the whole."""
        response = await self._send(rest, flight, asked)
        if response.status not in {206, 416}:
            return response
        try:
            body = await _whole(response, asked.rule.max_object) if response.status == 206 else None
        finally:
            await _let_go(response)
        if body is not None and (whole := completed(part, response, body)) is not None:
            flight.completed = True
            return whole
        flight.call.begin_again()
        return await self._send(asked.request, flight, asked)

    async def _received(self, response: Response, found: Found, flight: Flight, asked: Asked) -> None:
        """Let all read an answer while it arrives; store it, or forget what it overtook."""
        try:
            storing, now = self._decided(response, flight, asked)
            flight.open(response, storing.reason, shared=storing.is_fresh)
            if storing.reason and found.entry is not None and response.status not in _TELLS_NOTHING:
                await self._places.drop(found, asked)
            last = await self._body(flight, response, asked.rule)
            if flight.kept:
                entry = self._entry(response, flight.body + last, storing, flight, asked, now)
                await self._keep(found, entry, storing, flight, asked)
            if last:
                flight.add(last)
            flight.end()
        finally:
            await _let_go(response)

    def _decided(self, response: Response, flight: Flight, asked: Asked) -> tuple[Storing, float]:
        now, delay = self._clock.wall(), flight.call.ttfb_s or 0.0
        return decide(asked.request, response, asked.rule, now, delay), now

    async def _freshen(self, found: Found, flight: Flight, asked: Asked, confirmed: Response, stale: Entry) -> None:
        """Let all read what was stored, with the fields of a 304, and store it so."""
        whole = replace(asked, request=unconditional(asked.request))
        storing, now = self._decided(confirmed, flight, whole)
        entry = replace(self._entry(confirmed, stale.body, storing, flight, asked, now), cost=stale.cost)
        flight.confirmed = entry
        if storing.reason is None:
            await self._keep(found, entry, storing, flight, asked)
        else:
            await self._places.drop(found, asked)
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
        return entry_of(response, body, storing, asked.rule, now=now, cost=cost, host=asked.host)

    async def _keep(self, found: Found, entry: Entry, storing: Storing, flight: Flight, asked: Asked) -> None:
        began = self._clock.timer()
        asked_at = self._clock.wall() - (began - flight.call.began)
        await self._places.keep(found, entry, storing, asked, asked_at)
        flight.overtake()
        flight.call.store_s = self._clock.timer() - began


async def _whole(response: Response, most: int) -> bytes | None:
    """Read a body to its end, so that its connection can serve again; None where it has more than `most` bytes."""
    if isinstance(response.body, bytes):
        return response.body
    chunks: list[bytes] = []
    left = most
    async for chunk in response.body:
        left -= len(chunk)
        if left < 0:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


async def _let_go(response: Response) -> None:
    if not isinstance(response.body, bytes):
        await response.body.aclose()
