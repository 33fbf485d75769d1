"""One flight's fetch: ask the upstream, let all read its answer as it arrives, and store it before its last byte."""

from dataclasses import replace
from functools import partial
from math import inf

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.fair_queue import Priority
from proxy.core.freshness import judge
from proxy.core.partial import completed, completing
from proxy.core.priority import priority_of
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.core.storing import FOR_ONE, Storing, content_length, decide, entry_of, groups_of
from proxy.core.types import Entry, Outcome, Request, Response
from proxy.core.validation import confirms, freshened, has_credentials, has_validator, unconditional, validating
from proxy.cutting import Answer
from proxy.errors import Fallback, UpstreamCut, UpstreamError
from proxy.evidence import Evidence
from proxy.places import Found, Places
from proxy.turns import Turns
from proxy.upstream.call import UNLIMITED, Timeouts, Upstream
from proxy.upstream.collapse import Flight
from proxy.upstream.flights import Flights
from proxy.upstream.protection import Demand
from proxy.whole_answer import let_go, whole_answer

# A 304 to a client's own condition, a part, who must wait, and failures: what is stored may still be good.
_TELLS_NOTHING = frozenset({206, 304, 408, 416, 429, *range(500, 600)})


class Fetch:
    """Fetches for flights, and keeps what may be kept."""

    def __init__(
        self,
        upstream: Upstream,
        places: Places,
        flights: Flights,
        turns: Turns,
        evidence: Evidence,
        timeouts: Timeouts,
        clock: Clock,
    ) -> None:
        self._evidence = evidence
        self._upstream = upstream
        self._flights = flights
        self._turns = turns
        self._places = places
        self._timeouts = timeouts
        self._clock = clock

    @property
    def longest_s(self) -> float | None:
        """Return how long an answer may take to begin, in seconds."""
        return self._timeouts.first_byte

    async def __call__(self, found: Found, flight: Flight, asked: Asked, stale: Entry | None) -> None:
        """Fly: fetch, let all read, and as the last act before the last byte, store.

        Where another process fetches the same, wait for what it stores.
        """
        if flight.kept and flight.patience_s is not None:
            known = found.entry.stored_at if flight.unwatched and found.entry is not None else -inf
            look = partial(self._stored_meanwhile, asked, known)
            turn = await self._turns.take(flight.place, look, patience_s=flight.patience_s)
            if turn is None:
                flight.fail(Fallback(Reason.LEADER_TIMEOUT))  # who has joined need not wait either
                return
            if isinstance(turn, Entry):
                flight.elsewhere, flight.guessed = turn, turn.guessed
                flight.open(Response(turn.status, turn.headers), None)
                flight.end()
                return
            flight.lead(turn)
            if not (flight.followers or flight.unwatched):
                flight.fail(UpstreamError("all who asked have left"))
                return
        await self._fly(found, flight, asked, stale)

    async def _stored_meanwhile(self, asked: Asked, after: float) -> Entry | None:
        """Return what another process has stored for a request meanwhile, if it is fresh and what its client wants.

        A refresh wants what was stored `after` (wall clock) the one that it knows.
        """
        found = await self._places.find(replace(asked, line=replace(asked.line)))
        verdict = judge(found.entry, self._clock.wall(), asked.directives)
        is_new = found.entry is not None and found.entry.stored_at > after
        return found.entry if verdict.outcome is Outcome.HIT and is_new else None

    async def _fly(self, found: Found, flight: Flight, asked: Asked, stale: Entry | None) -> None:
        rest = completing(asked.request, found.part)
        if stale is not None:
            response = await self._validated(found, flight, asked, stale)
        elif rest is not None and found.part is not None:
            response = await self._completed(rest, found.part, flight, asked)
        else:
            response = await self._send(asked.request, flight, asked)
        if response is not None:
            await self._received(response, found, flight, asked)

    def flight(self, found: Found, asked: Asked, *, kept: bool) -> Flight:
        """Make a flight, yet to be started."""
        flight = Flight(asked.request, kept=kept, most_behind=asked.rule.max_object)
        flight.key, flight.home, flight.query = found.key, found.home, found.query
        flight.bare, flight.rule, flight.call.rule = found.bare, asked.rule.name, asked.line.rule
        flight.priority = priority_of(asked.request)
        return flight

    async def _send(self, request: Request, flight: Flight, asked: Asked) -> Response:
        # where a client waits under no rule of the owner's, the client says when it has waited enough
        timeouts = UNLIMITED if asked.rule.ours and not flight.unwatched else self._timeouts
        held_up = not asked.rule.ours or flight.priority is not Priority.CLIENT
        demand = Demand(request.client.ip, flight.priority, asked.line.expected_s) if held_up else None
        return await self._upstream.send(request, asked.line.request_id, flight.call, timeouts, demand)

    async def _validated(self, found: Found, flight: Flight, asked: Asked, stale: Entry) -> Response | None:
        """Ask whether what is stored is still good; return the answer if that is another one."""
        response = await self._send(validating(asked.request, stale), flight, asked)
        if response.status != 304:
            return response
        try:
            await whole_answer(response, 0)
        finally:
            await let_go(response)
        if confirms(stale, response):
            await self._freshen(found, flight, asked, response, stale, self._clock.wall())
            return None
        flight.call.begin_again()
        return await self._send(unconditional(asked.request), flight, asked)

    async def _completed(self, rest: Request, part: Entry, flight: Flight, asked: Asked) -> Response:
        """Ask for what is missing of a stored part; return the whole."""
        response = await self._send(rest, flight, asked)
        if response.status not in {206, 416}:
            return response
        try:
            body = await whole_answer(response, asked.rule.max_object) if response.status == 206 else None
        finally:
            await let_go(response)
        if body is not None and (whole := completed(part, response, body)) is not None:
            flight.completed = True
            return whole
        flight.call.begin_again()
        return await self._send(asked.request, flight, asked)

    async def _received(self, response: Response, found: Found, flight: Flight, asked: Asked) -> None:
        """Let all read an answer while it arrives; store it, or forget what it overtook."""
        try:
            answer = await self._taken(response, found, flight, asked, self._clock.wall())
            if answer is not None:
                self._evidence(answer, found)
        finally:
            await let_go(response)

    async def overhear(
        self, response: Response, found: Found, flight: Flight, asked: Asked, now: float
    ) -> Answer | None:
        """Keep an answer that its client has already – whole, its body in bytes, or a 304 – as if it had been fetched.

        Its head came `now` (wall clock). Return what can be learned from it.
        """
        stale = found.entry
        if (
            stale is not None
            and response.status == 304
            and has_validator(response.headers)
            and confirms(stale, response)
        ):
            await self._freshen(found, flight, asked, response, stale, now)
            return None
        return await self._taken(response, found, flight, asked, now)

    async def _taken(self, response: Response, found: Found, flight: Flight, asked: Asked, now: float) -> Answer | None:
        storing = self._decided(response, flight, asked, now)
        self._open(flight, response, storing, asked)
        if storing.reason and response.status not in _TELLS_NOTHING:
            await self._drop(found, flight, asked)
        last = await self._body(flight, response, asked.rule)
        body = flight.body + last if flight.kept else None
        if body is not None:
            entry = self._entry(response, body, storing, flight, asked, now)
            await self._keep(found, entry, storing, flight, asked)
        if last:
            flight.add(last)
        flight.end()
        if body is None or not asked.rule.features:
            return None
        cost = flight.call.duration_s(self._clock.timer())
        return Answer(asked, response, body, storing, cost, flight.call.asked_at, now)

    @staticmethod
    def _decided(response: Response, flight: Flight, asked: Asked, now: float) -> Storing:
        return decide(asked.request, response, asked.rule, now, flight.call.ttfb_s or 0.0)

    def _open(self, flight: Flight, response: Response, storing: Storing, asked: Asked) -> None:
        """Let all see the head; who only waited sees no more of it than would be stored."""
        flight.groups = groups_of(response, asked.host)
        flight.guessed, flight.withheld = storing.guessed, storing.withheld | FOR_ONE
        if self._places.purges.took(asked.rule.name, flight.groups, flight.bare, flight.call.asked_at):
            flight.disown()
        flight.open(response, storing.reason, shared=storing.is_fresh)

    async def _freshen(
        self, found: Found, flight: Flight, asked: Asked, answer: Response, stale: Entry, now: float
    ) -> None:
        """Let all read what was stored, with the fields of a 304, and store it so."""
        for_one = has_credentials(asked.request)
        told, confirmed = freshened(stale, answer), freshened(stale, answer, for_one=for_one)
        storing = self._decided(confirmed, flight, replace(asked, request=unconditional(asked.request)), now)
        flight.confirmed = self._entry(confirmed, stale.body, storing, flight, asked, now)
        flight.confirmed = replace(flight.confirmed, cost=stale.cost)
        for_leader = replace(storing, withheld=frozenset())
        flight.told = replace(self._entry(told, stale.body, for_leader, flight, asked, now), cost=stale.cost)
        if storing.reason is None and not flight.disowned:
            await self._keep(found, flight.confirmed, storing, flight, asked)
        elif storing.reason is not None:
            await self._drop(found, flight, asked)
        self._open(flight, confirmed, storing, asked)
        flight.end()

    async def _drop(self, found: Found, flight: Flight, asked: Asked) -> None:
        """Forget what was overtaken by an answer that may not be stored."""
        if flight.disowned:
            return
        self._flights.overtake(flight, ())
        if found.entry is not None or found.part is not None:
            await self._places.drop(found, asked)

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
        return entry_of(response, body, storing, asked.rule, now=now, cost=cost, host=asked.host, key=flight.key)

    async def _keep(self, found: Found, entry: Entry, storing: Storing, flight: Flight, asked: Asked) -> None:
        began = self._clock.timer()
        if flight.turn is not None and flight.turn.is_lost:
            return  # another process may have stored a newer one
        if await self._places.keep(found, entry, storing, asked, flight.call.asked_at):
            self._flights.overtake(flight, storing.vary)
        flight.call.store_s = self._clock.timer() - began
