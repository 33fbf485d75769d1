"""The road of a request that may be answered from the store: key → look up → judge → fetch → store → deliver.

Every way off it is a Fallback with its reason: then the original request goes upstream whole.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from proxy.asked import Asked
from proxy.boarding import Boarding
from proxy.clock import Clock
from proxy.composite import Composite, Composites
from proxy.core import cache_status
from proxy.core.freshness import Act, Verdict, age_of, bridges, judge, left, wants_newer
from proxy.core.headers import answered
from proxy.core.http_date import render as http_date
from proxy.core.log_line import LogLine
from proxy.core.partial import cut_part
from proxy.core.reasons import Reason
from proxy.core.trial import CONTROL
from proxy.core.types import Entry, Outcome, Response
from proxy.core.validation import asks_conditionally
from proxy.core.variants import has_room
from proxy.core.views import view
from proxy.errors import Fallback, Refusal, UpstreamBusy, UpstreamError, UpstreamTimeout
from proxy.places import Found, Places
from proxy.refresh import Refresh
from proxy.spellings import Spellings
from proxy.upstream.collapse import Flight, Reader
from proxy.whole_answer import let_go

FAILED = frozenset({500, 502, 503, 504})
"""The answers that a stale one may stand in for (RFC 5861 §4)."""


class Accelerate:
    """Answers requests from the store, and fetches what is missing once for all who ask."""

    def __init__(
        self,
        refresh: Refresh,
        composites: Composites,
        places: Places,
        boarding: Boarding,
        spellings: Spellings,
        clock: Clock,
    ) -> None:
        self._spellings = spellings
        self._composites = composites
        self._refresh = refresh
        self._places = places
        self._boarding = boarding
        self._clock = clock

    async def __call__(self, asked: Asked, wait: Callable[[], None]) -> Response:
        """Answer one request; `wait` is called before anything that takes the upstream's time.

        Raises Fallback, Refusal and UpstreamError.
        """
        found = await self._places.find(asked)
        is_normal, entry = asked.rule.normalizers and not asked.is_raw, found.entry
        verdict = judge(entry, self._clock.wall(), asked.directives)
        asked.line.outcome, asked.line.reason = verdict.outcome, verdict.reason
        if entry is not None and verdict.act in {Act.DELIVER, Act.REFRESH}:
            if is_normal and not await self._spellings.may_serve(found, entry, asked):
                return await self(replace(asked, is_raw=True), wait)
            if verdict.act is Act.REFRESH:
                self._refresh.behind(found, asked)
            elif verdict.outcome is Outcome.HIT:
                self._refresh.ahead(found, entry, asked)
            return self._stored(entry, asked)
        if is_normal and self._is_anothers(found, asked):
            return await self(replace(asked, is_raw=True), wait)
        if found.part is not None and (part := self._part_of(found.part, asked)) is not None:
            return part
        if "only-if-cached" in asked.directives:
            raise Refusal(504, Reason.ONLY_IF_CACHED, "the client wants a stored answer and there is none")
        if asked.request.method == "HEAD":
            raise Fallback(Reason.METHOD)
        if entry is None and found.marker is not None and not has_room(found.marker, found.place, self._clock.wall()):
            raise Fallback(Reason.VARIANTS)
        asked.line.expected_s = (entry.cost if entry is not None else 0.0) or self._boarding.usual_s(asked.rule.name)
        return await self._in_parts(found, asked, verdict, wait)

    def _is_anothers(self, found: Found, asked: Asked) -> bool:
        """Tell whether another spelling's answer, on its way or stale, is not for this one yet."""
        is_trusted = self._spellings.is_trusted(asked.rule.name)
        awaited = not is_trusted and self._boarding.is_spelled_otherwise(found, asked)
        return awaited or self._spellings.is_anothers(found, asked)

    async def _in_parts(self, found: Found, asked: Asked, verdict: Verdict, wait: Callable[[], None]) -> Response:
        """Answer from the request's parts where it has any and that is certain; else fetch it whole."""
        composite, line = None, asked.line
        try:
            if asked.rule.splitting is not None and not (verdict.reason or wants_newer(asked.directives)):
                composite = await self._composites.of(asked, line.expected_s)
            if composite is not None:
                return await self._composites.answer(composite, wait)
            line.arm = line.arm and CONTROL
        except Fallback as fallback:
            _whole_after_all(line, verdict, fallback.reason, self._clock.timer())
        except UpstreamError as error:
            had_its_time = isinstance(error, UpstreamTimeout | UpstreamBusy)
            if had_its_time or not self._composites.may_ask_again():
                return self._stale_parts(composite, error.reason) or self._failed(error, found, asked)
            _whole_after_all(line, verdict, error.reason, self._clock.timer())
        wait()
        try:
            response = await self._fetched(found, asked, verdict)
        except UpstreamError as error:
            if (stale := self._stale_parts(composite, error.reason)) is None:
                raise
            return stale
        if response.status in FAILED and (stale := self._stale_parts(composite, Reason.STATUS)) is not None:
            await let_go(response)
            return stale
        return response

    def _stale_parts(self, composite: Composite | None, reason: str) -> Response | None:
        """Return the answer of stale parts that may stand in for a failed fetch, if there is one."""
        return None if composite is None else self._composites.stale(composite, reason)

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
        try:
            reader = self._boarding.board(found, asked, verdict)
            line.call = reader.flight.call
            head = await self._head_in_time(reader, found, asked)
        except UpstreamError as error:
            return self._failed(error, found, asked)
        if isinstance(head, Entry):
            return self._stale(head, asked, Reason.SLOW)
        flight = reader.flight
        is_failure = head.status in FAILED and not flight.shared
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

    async def _head_in_time(self, reader: Reader, found: Found, asked: Asked) -> Response | Entry:
        """Return the head, or the stale answer where its rule says that it takes too long."""
        soft, entry = asked.rule.soft_deadline, found.entry
        if soft is None or entry is None or not reader.flight.kept or not self._may_bridge(entry, asked):
            return await self._boarding.head(reader, found, asked)
        try:
            async with asyncio.timeout(soft):
                return await self._boarding.head(reader, found, asked)
        except TimeoutError:
            return entry


def _whole_after_all(line: LogLine, verdict: Verdict, reason: str, now: float) -> None:
    """Begin again, as for any request: only what was spent so far, and why, is remembered."""
    line.spent_before_s += line.waited_s(now) or 0.0
    line.sent_before, line.call, line.flight, line.joined = line.upstream_calls, None, None, None
    line.outcome, line.reason, line.arm, line.fell_back = verdict.outcome, reason, CONTROL, reason
