"""Fetching the parts that are missing: several calls where that helps and the upstream can bear it, one where not.

What is fetched belongs to the app: it is kept when its client leaves, and who asks for the same parts meanwhile waits for
them, not for another call.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.composite import Cut
from proxy.core.cost_model import CostModel, Fetched, PartCosts, learned
from proxy.core.fan_out import TOO_LARGE, FanOut, Missing, bisected, fan_out, paired
from proxy.core.fan_out import Call as Planned
from proxy.core.log_line import Call
from proxy.core.priority import priority_of
from proxy.core.reasons import Reason
from proxy.core.splitting import Splitting
from proxy.core.storing import decide, groups_of
from proxy.core.types import Request, Response
from proxy.cutting import Answer, cut_answer, entries_of, not_for_parts
from proxy.errors import Fallback, UpstreamBusy, UpstreamError, UpstreamTimeout
from proxy.parts import Held, Keys, Parts, is_for, told_apart
from proxy.tasks import Tasks, done_aside
from proxy.upstream.call import Timeouts, Upstream
from proxy.upstream.protection import Demand, Protection, is_endless
from proxy.whole_answer import let_go, whole_answer


@dataclass(frozen=True, slots=True)
class Landed:
    """A part that came just now, with the frame of its answer; `joined`: another request's fetch brought it.

    `lasts`: it is for others too, `stored`: and they will find it.
    """

    part: Held
    frame: Held
    joined: bool = False
    lasts: bool = True
    stored: bool = True


class Uncut(Fallback):
    """The answer to all parts cannot be cut: it is the whole, and its asker's."""

    def __init__(self, reason: str, response: Response) -> None:
        super().__init__(reason)
        self.response = response


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

    `whole` is the answer to all of them, where that cannot be cut. `knows_between`: what stands between items is known
    already, or may be guessed.
    """

    asked: Asked
    splitting: Splitting
    cut: Cut
    keys: Keys
    flying: Mapping[bytes, _Flying]
    call: Call
    knows_between: bool
    whole: Response | None = None

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
        return self._protection.budget.take_for_client()

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
    ) -> dict[bytes, Landed]:
        """Return the parts at these places, by their keys: joined where they are under way already.

        Unless it `knows_between`, one call asks for several: their answer shows what stands between items.

        Raises Fallback where an answer cannot be cut or is not for all, Uncut where it is the whole, and UpstreamError.
        """
        wanted = {keys.parts[place]: place for place in missing}
        joined = self._under_way(asked, keys, wanted)
        own = {key: place for key, place in wanted.items() if key not in joined}
        fetch = self._take_off(asked, splitting, cut, keys, own, knows_between=knows_between) if own else None
        line, flying = asked.line, {} if fetch is None else fetch.flying
        if fetch is not None:
            line.call, line.flight = fetch.call, "lead"
        else:
            line.call, line.flight, line.joined = next(iter(joined.values())).call, "follow", self._clock.timer()
        try:
            came = await asyncio.gather(*[asyncio.shield(one.landed) for one in (*flying.values(), *joined.values())])
        except Fallback as fallback:
            if fetch is not None and fetch.whole is not None and len(own) == len(cut.parts):
                raise Uncut(fallback.reason, fetch.whole) from None
            raise
        if not all(is_for(one.part.entry.vary, asked.request) for one in came):
            raise Fallback(Reason.VARY)
        landed = {key: replace(one, joined=key in joined) for key, one in zip((*flying, *joined), came, strict=True)}
        unsaid = [wanted[key] for key, one in landed.items() if one.joined and not one.lasts]
        if unsaid:  # it may have been said to the other only
            return landed | await self.fetched(asked, splitting, cut, keys, unsaid, knows_between=True)
        return landed

    def _under_way(self, asked: Asked, keys: Keys, wanted: Iterable[bytes]) -> dict[bytes, _Flying]:
        """Return those of the parts that another request's fetch brings, and that were not purged since it began."""
        found = {key: self._flying.get(told_apart(key, asked.request)) for key in wanted}
        rule = asked.rule.name
        return {
            key: one
            for key, one in found.items()
            if one is not None and not self._parts.overtook(keys.target(key), rule, one.groups, one.asked_at)
        }

    def _take_off(
        self, asked: Asked, splitting: Splitting, cut: Cut, keys: Keys, own: Mapping[bytes, int], *, knows_between: bool
    ) -> _Fetch:
        """Begin to fetch parts, for all who ask for them meanwhile."""
        call, loop = Call(), asyncio.get_running_loop()
        flying = {key: _Flying(loop.create_future(), call) for key in own}
        self._flying |= {told_apart(key, asked.request): one for key, one in flying.items()}
        fetch = _Fetch(asked, splitting, cut, keys, flying, call, knows_between)
        task = self._tasks.start(self._fly(fetch, list(own.values())))
        task.add_done_callback(lambda _: self._landed(fetch, UpstreamError("the fetch was ended")))
        return fetch

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
            self._landed(fetch, error or UpstreamError("the fetch was ended"))

    def _landed(self, fetch: _Fetch, error: Exception) -> None:
        """Let nobody wait any longer, nor join."""
        fetch.call.ended = fetch.call.ended or self._clock.timer()
        for key, one in fetch.flying.items():
            place = told_apart(key, fetch.asked.request)
            if self._flying.get(place) is one:
                del self._flying[place]
            if not one.landed.done():
                one.landed.set_exception(error)
            one.landed.exception()  # who waited for it may have left

    async def _fan_out(self, fetch: _Fetch, places: Sequence[int]) -> None:
        rule = fetch.asked.rule.name
        plan = self.planned(rule, fetch.splitting, fetch.cut, fetch.keys, places)
        if not fetch.knows_between:
            plan = paired(plan)
        began = self._clock.timer()
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
            call = Call(rule=fetch.asked.line.rule)
            for one in planned.parts:
                fetch.at(places[one]).asking = call
            asked = [places[one] for one in planned.parts]
            response, body, now = await self._answer(fetch, asked, call)
            if response.status in TOO_LARGE or body is None:
                waiting.extendleft(reversed(bisected(planned)))
                continue
            took.append(call.duration_s(self._clock.timer()))
            fetch.call.add(took[-1])
            try:
                await self._land(fetch, asked, response, body, call, now)
            except Fallback:
                if len(asked) == len(fetch.cut.parts):
                    fetch.whole = replace(response, body=body)
                raise

    async def _answer(self, fetch: _Fetch, places: Sequence[int], call: Call) -> tuple[Response, bytes | None, float]:
        """Ask for some parts; once more where that failed, if the budget of extra calls allows it.

        Returns the answer, its body, and when its head came (wall clock); no body where that is too large.
        """
        while True:
            try:
                response = await self._sent(fetch, places, call)
                now = self._clock.wall()
                if is_endless(response):
                    await let_go(response)
                    raise Fallback(Reason.EVENT_STREAM)
                body = await whole_answer(response, fetch.splitting.limits.answer_bytes)
            except (UpstreamTimeout, UpstreamBusy):
                raise  # it has had its time
            except UpstreamError:
                if call.sent != 1 or not self._protection.budget.take_for_client():
                    raise
            else:
                if response.status < 500:
                    return response, body, now
                is_told_when = response.header(b"retry-after") is not None
                if is_told_when or call.sent > 1 or not self._protection.budget.take_for_client():
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
            fetch.call.sum_up(call, before)

    async def _land(
        self, fetch: _Fetch, places: Sequence[int], response: Response, body: bytes, call: Call, now: float
    ) -> None:
        """Cut an answer whose head came `now`, keep what may be kept, and let all have its parts who wait for them."""
        asked = fetch.asked
        storing = decide(fetch.of(places), response, asked.rule, now, call.ttfb_s or 0.0)
        if reason := not_for_parts(response, storing, asked.request):
            raise Fallback(reason)
        cost = call.duration_s(self._clock.timer())
        if len(places) == 1:
            self._costs[asked.rule.name].learn(fetch.keys.parts[places[0]], cost)
        work = partial(cut_answer, fetch.splitting, fetch.cut, places, response, body)
        sliced, _ = await done_aside(len(body), work)
        keys = [fetch.keys.parts[place] for place in places]
        answer = Answer(asked, response, body, storing, cost, call.asked_at, now)
        made = entries_of(sliced, keys, fetch.keys.around, answer)
        stored = await self._parts.keep(made.kept, fetch.keys, asked, call.asked_at)
        for key, share in zip(keys, sliced.shares, strict=True):
            landed = fetch.flying[key].landed
            if not landed.done():
                frame = Held(made.frame, sliced.frame)
                landed.set_result(Landed(Held(made.parts[key], share), frame, lasts=share.lasting, stored=stored))


def _failed(status: int) -> UpstreamError:
    error = UpstreamError(f"parts were answered with {status}")
    error.reason = Reason.STATUS
    return error


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    error: BaseException = errors  # the others came of it
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Exception) else UpstreamError("the fetch was ended")
