"""Fetching the parts that are missing: several calls where that helps and the upstream can bear it, one where not.

What is fetched belongs to the app: it is kept when its client leaves, and who asks for the same parts meanwhile waits for
them, not for another call.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from proxy.clock import Clock
from proxy.core import lifetime
from proxy.core.coding import plain_body
from proxy.core.composite import Cut, Sliced
from proxy.core.cost_model import CostModel, Fetched, PartCosts, learned
from proxy.core.fan_out import TOO_LARGE, FanOut, Missing, bisected, fan_out, paired
from proxy.core.fan_out import Call as Planned
from proxy.core.log_line import Call
from proxy.core.priority import priority_of
from proxy.core.reasons import Reason
from proxy.core.splitting import Splitting
from proxy.core.storing import Storing, decide, entry_of, groups_of
from proxy.core.types import Entry, Request, Response
from proxy.errors import Fallback, UpstreamError
from proxy.parts import Held, Keys, Parts, is_for, told_apart
from proxy.places import Asked
from proxy.tasks import Tasks
from proxy.upstream.call import Timeouts, Upstream
from proxy.upstream.protection import Demand, Protection
from proxy.whole_answer import whole_answer


@dataclass(frozen=True, slots=True)
class Landed:
    """A part that came just now, with the frame of its answer; `joined`: another request's fetch brought it."""

    part: Held
    frame: Held
    joined: bool = False


@dataclass(slots=True)
class _Flying:
    """A part under way: `call` sums up the fetch that it is of, `asking` is its own call, once there is one."""

    landed: asyncio.Future[Landed]
    call: Call
    asking: Call | None = None
    groups: tuple[bytes, ...] = ()

    @property
    def asked_at(self) -> float:
        """Return when it was asked for, by the wall clock; what waits is yet to be."""
        return inf if self.asking is None or not self.asking.sent else self.asking.asked_at


@dataclass(slots=True)
class _Fetch:
    """One request's fetch of some of its parts; `call` sums its calls up.

    `knows_between`: what stands between items is known already, or may be guessed.
    """

    asked: Asked
    splitting: Splitting
    cut: Cut
    keys: Keys
    flying: Mapping[bytes, _Flying]
    call: Call
    knows_between: bool

    def at(self, place: int) -> _Flying:
        return self.flying[self.keys.parts[place]]

    def of(self, places: Sequence[int]) -> Request:
        return self.splitting.asked(self.asked.request, self.cut, places)


class Fan:
    """Fetches parts, and learns per rule what they cost."""

    def __init__(
        self, parts: Parts, upstream: Upstream, protection: Protection, tasks: Tasks, timeouts: Timeouts, clock: Clock
    ) -> None:
        self._parts = parts
        self._upstream = upstream
        self._protection = protection
        self._tasks = tasks
        self._timeouts = timeouts
        self._clock = clock
        self._flying: dict[bytes, _Flying] = {}
        self._models: dict[str, CostModel] = {}
        self._costs: dict[str, PartCosts] = {}

    def take_extra_call(self) -> bool:
        """Take one call from the budget of extra ones, if there is one."""
        return self._protection.budget.take()

    def planned(self, rule: str, splitting: Splitting, cut: Cut, keys: Keys, places: Sequence[int]) -> FanOut:
        """Plan the calls for the parts at these places, as things are now."""
        costs = self._costs.setdefault(rule, PartCosts())
        missing = [Missing(len(cut.parts[one].raw), costs.get(keys.parts[one])) for one in places]
        return fan_out(
            missing, splitting.residual, self._models.get(rule, CostModel()),
            spare=int(min(self._protection.spare, 1000)) or 1, extra_calls=self._protection.budget.left,
        )  # fmt: skip

    async def fetched(
        self,
        asked: Asked,
        splitting: Splitting,
        cut: Cut,
        keys: Keys,
        missing: Sequence[int],
        *,
        knows_between: bool = True,
    ) -> Mapping[bytes, Landed]:
        """Return the parts at these places, by their keys: joined where they are under way already.

        Unless it `knows_between`, one call asks for several: their answer shows what stands between items.

        Raises Fallback where an answer cannot be cut or is not for all, and UpstreamError.
        """
        wanted = {keys.parts[place]: place for place in missing}
        under_way = {key: self._flying.get(told_apart(key, asked.request)) for key in wanted}
        overtook, rule = self._parts.overtook, asked.rule.name
        joined = {
            key: one
            for key, one in under_way.items()
            if one is not None and not overtook(keys.target(key), rule, one.groups, one.asked_at)
        }
        own = {key: place for key, place in wanted.items() if key not in joined}
        line = asked.line
        if own:
            call = Call()
            loop = asyncio.get_running_loop()
            flying = {key: _Flying(loop.create_future(), call) for key in own}
            self._flying |= {told_apart(key, asked.request): one for key, one in flying.items()}
            fetch = _Fetch(asked, splitting, cut, keys, flying, call, knows_between)
            self._tasks.start(self._fly(fetch, list(own.values())))
            line.call, line.flight = call, "lead"
        else:
            flying = {}
            line.call, line.flight, line.joined = next(iter(joined.values())).call, "follow", self._clock.timer()
        landed = await asyncio.gather(*[asyncio.shield(one.landed) for one in (*flying.values(), *joined.values())])
        if not all(is_for(one.part.entry.vary, asked.request) for one in landed):
            raise Fallback(Reason.VARY)
        return {key: replace(one, joined=key in joined) for key, one in zip((*flying, *joined), landed, strict=True)}

    async def _fly(self, fetch: _Fetch, places: Sequence[int]) -> None:
        error: Exception | None = UpstreamError("the fetch was ended")
        try:
            await self._fan_out(fetch, places)
        except* (Fallback, UpstreamError) as errors:
            error = _first(errors)
        except* Exception:  # a fault of ours, or of somebody else's merge: the whole passes
            error = Fallback(Reason.INTERNAL)
            raise
        finally:
            fetch.call.ended = self._clock.timer()
            for key, one in fetch.flying.items():
                place = told_apart(key, fetch.asked.request)
                if self._flying.get(place) is one:
                    del self._flying[place]
                if not one.landed.done():
                    one.landed.set_exception(error or UpstreamError("the fetch was ended"))
                one.landed.exception()  # who waited for it may have left

    async def _fan_out(self, fetch: _Fetch, places: Sequence[int]) -> None:
        rule = fetch.asked.rule.name
        plan = self.planned(rule, fetch.splitting, fetch.cut, fetch.keys, places)
        if not fetch.knows_between:
            plan = paired(plan)
        began = fetch.call.began = self._clock.timer()
        waiting, took = deque(plan.calls), list[float]()
        async with asyncio.TaskGroup() as group:
            for _ in range(plan.at_once):
                group.create_task(self._calls(fetch, places, waiting, took))
        spent = Fetched(len(places), len(took), sum(took), self._clock.timer() - began, plan.at_once)
        self._models[rule] = learned(self._models.get(rule, CostModel()), spent)  # others learned meanwhile

    async def _calls(self, fetch: _Fetch, places: Sequence[int], waiting: deque[Planned], took: list[float]) -> None:
        """Make one call after another, the longest first; the first one that fails for good ends all."""
        while waiting:
            planned = waiting.popleft()
            call = Call()
            for one in planned.parts:
                fetch.at(places[one]).asking = call
            response, body = await self._answer(fetch, [places[one] for one in planned.parts], call)
            if response.status in TOO_LARGE:
                waiting.extendleft(reversed(bisected(planned)))
                continue
            took.append(call.duration_s(self._clock.timer()))
            await self._land(fetch, [places[one] for one in planned.parts], response, body, call)

    async def _answer(self, fetch: _Fetch, places: Sequence[int], call: Call) -> tuple[Response, bytes]:
        """Ask for some parts; once more where that failed, if the budget of extra calls allows it."""
        while True:
            try:
                response = await self._sent(fetch, places, call)
                body = await whole_answer(response, fetch.splitting.limits.answer_bytes)
            except UpstreamError:
                if call.sent != 1 or not self._protection.budget.take():
                    raise
            else:
                if body is None:
                    raise Fallback(Reason.TOO_LARGE)
                if response.status < 500:
                    return response, body
                if call.sent > 1 or not self._protection.budget.take():
                    raise _failed(response.status)
            call.begin_again()

    async def _sent(self, fetch: _Fetch, places: Sequence[int], call: Call) -> Response:
        asked, before = fetch.asked, call.sent
        ip = asked.request.client.ip
        demand = Demand(ip, priority_of(asked.request), asked.line.expected_s, charge=len(places))
        try:
            response = await self._upstream.send(fetch.of(places), asked.line.request_id, call, self._timeouts, demand)
            for place in places:
                fetch.at(place).groups = groups_of(response, asked.host)
            return response
        finally:
            fetch.call.sent += call.sent - before
            fetch.call.first_byte = fetch.call.first_byte or call.first_byte
            if call.queue_s is not None:
                fetch.call.queue_s = max(fetch.call.queue_s or 0.0, call.queue_s)

    async def _land(self, fetch: _Fetch, places: Sequence[int], response: Response, body: bytes, call: Call) -> None:
        """Cut an answer, keep what may be kept, and let all have its parts who wait for them."""
        asked, now = fetch.asked, self._clock.wall()
        storing = decide(fetch.of(places), response, asked.rule, now, call.ttfb_s or 0.0)
        if reason := not_for_parts(response, storing, asked.request):
            raise Fallback(reason)
        cost = call.duration_s(self._clock.timer()) / len(places)
        if len(places) == 1:
            self._costs[asked.rule.name].learn(fetch.keys.parts[places[0]], cost)
        sliced, plain = cut_answer(fetch.splitting, fetch.cut, places, response, body)
        keys = [fetch.keys.parts[place] for place in places]
        made = entries_of(sliced, keys, fetch.keys.around, replace(response, body=plain), storing, asked, now, cost)
        await self._parts.keep(made.kept, fetch.keys, asked, call.asked_at)
        for key, share in zip(keys, sliced.shares, strict=True):
            landed = fetch.flying[key].landed
            if not landed.done():
                landed.set_result(Landed(Held(made.parts[key], share), Held(made.frame, sliced.frame)))


@dataclass(frozen=True, slots=True)
class Made:
    """The entries of one answer's parts by key, and of its frame; `kept` are those that may be stored."""

    parts: Mapping[bytes, Entry]
    frame: Entry
    kept: Mapping[bytes, Entry]


def cut_answer(
    splitting: Splitting, cut: Cut, places: Sequence[int], response: Response, body: bytes
) -> tuple[Sliced, bytes]:
    """Cut a whole answer to some parts; return its shares and its plain body. Raises Fallback."""
    plain = plain_body(response, body, splitting.limits.answer_bytes)
    headers = tuple([field for field in response.headers if field[0] != b"content-encoding"])
    answer = replace(response, headers=headers, body=plain)
    return splitting.merge.slice(answer, cut.picked(places), splitting.limits), plain


def entries_of(
    sliced: Sliced, keys: Sequence[bytes], around: bytes, response: Response, storing: Storing, asked: Asked,
    now: float, cost: float,
) -> Made:  # fmt: skip
    """Make the entries of an answer's parts, each with a lifetime and a cost (seconds) of its own."""
    base = entry_of(response, b"", storing, asked.rule, now=now, cost=cost, host=asked.host)
    headers = tuple([one for one in base.headers if one[0] not in {b"content-length", b"content-encoding", b"etag"}])
    base = replace(base, headers=headers, tag=b"", vary=storing.vary)
    ttl = {key: lifetime.jittered(base.ttl, key) if storing.by_owner else base.ttl for key in keys}
    parts = {
        key: replace(base, body=share.packed(), ttl=ttl[key]) for key, share in zip(keys, sliced.shares, strict=True)
    }
    frame = replace(base, body=sliced.frame.packed())
    lasting = {key: parts[key] for key, share in zip(keys, sliced.shares, strict=True) if share.lasting}
    return Made(parts, frame, {**lasting, around: frame})


def not_for_parts(response: Response, storing: Storing, request: Request) -> Reason | None:
    """Return why nothing of the answer to a request may be kept apart, if so: then nobody else may have it either."""
    if storing.reason is not None or not storing.is_fresh:
        return storing.reason or Reason.NO_TTL
    if response.status != 200:
        return Reason.PART_ERROR
    if storing.guessed or storing.withheld:
        return Reason.NO_TTL
    return None if is_for(storing.vary, request) else Reason.VARY


def _failed(status: int) -> UpstreamError:
    error = UpstreamError(f"parts were answered with {status}")
    error.reason = Reason.STATUS
    return error


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    """Return the first error of a group: the others came of it."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Exception) else UpstreamError("the fetch was ended")
