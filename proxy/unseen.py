"""Calls upstream that no client waits for: to compare answers. Marked, behind all others, within their budgets.

One comparison at a time; what cannot be made now is dropped and counted, never queued.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.coding import plain_body
from proxy.core.fair_queue import Priority
from proxy.core.log_line import Call
from proxy.core.priority import SHADOW
from proxy.core.reasons import Reason
from proxy.core.rollout import Feature
from proxy.core.storing import decide
from proxy.core.trial import add
from proxy.core.types import Response
from proxy.core.validation import for_nobody
from proxy.cutting import Answer
from proxy.errors import Fallback
from proxy.mode import Mode
from proxy.trials import Trials
from proxy.upstream.call import Timeouts, Upstream
from proxy.upstream.protection import Demand, Protection, is_endless
from proxy.whole_answer import let_go, whole_answer

_FOR_CLIENTS = 2
"""So many extra calls are left for answers that a client waits for."""
RUNNING, LOADED, EXTRA, DAY, OBSERVING = "running", "loaded", "extra_calls", "daily_budget", "observe"
"""Why a comparison was not made: another one was, the upstream had work to do, a budget was spent, nothing is served."""


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer that was asked for unseen: plain (not compressed), and as it came."""

    response: Response
    answer: Answer

    @property
    def took(self) -> float:
        """Return how long it took, in seconds."""
        return self.answer.cost


def marked(asked: Asked) -> Asked:
    """Return a request as it is asked unseen: for the whole, in a line of its own, marked for the upstream."""
    request = for_nobody(asked.request)
    request = replace(request, method="GET") if request.method == "HEAD" else request
    line = replace(asked.line, call=None, draws=None, after=None, sent_before=0, spent_before_s=0.0, joined=None)
    return replace(asked, request=replace(request, headers=(*request.headers, SHADOW)), line=line, directives={})


class Unseen:
    """Makes such calls."""

    def __init__(
        self,
        upstream: Upstream,
        protection: Protection,
        trials: Trials,
        timeouts: Timeouts,
        clock: Clock,
        mode: Mode,
    ) -> None:
        self._mode = mode
        self._upstream = upstream
        self._protection = protection
        self._trials = trials
        self._timeouts = timeouts
        self._clock = clock
        self._is_running = False

    @asynccontextmanager
    async def turn(self, asked: Asked, feature: Feature, calls: int) -> AsyncIterator[bool]:
        """Take the turn for a comparison of so many calls; whether it may be made is what is yielded."""
        trial = self._trials.own(asked.rule.name, feature)
        why = self._why_not(asked, calls)
        if why is not None:
            add(trial.dropped, {why: 1})
            yield False
            return
        self._is_running = True
        try:
            self.spent(asked, feature, calls)
            yield True
        finally:
            self._is_running = False

    def _why_not(self, asked: Asked, calls: int) -> str | None:
        if self._mode.observing:
            return OBSERVING
        if self._is_running:
            return RUNNING
        if not self.is_idle:
            return LOADED
        if self._spent_today(asked) + calls > asked.rule.trust.budget:
            return DAY
        return None if self._protection.budget.take(calls, keep=_FOR_CLIENTS) else EXTRA

    @property
    def is_idle(self) -> bool:
        """Tell whether the upstream has less than half of what it can do to do."""
        now = self._protection.status()
        return not now.waiting and (now.limit is None or now.in_flight < max(1, int(now.limit) // 2))

    def may_pair(self, asked: Asked, feature: Feature) -> bool:
        """Take the call that an answer will cost which is served before it is compared, if there is one."""
        if self._spent_today(asked) >= asked.rule.trust.budget or not self._protection.budget.take(keep=_FOR_CLIENTS):
            return False
        self.spent(asked, feature, 1)
        return True

    def owes(self, asked: Asked, feature: Feature, calls: int) -> None:
        """Take calls that must be made now, to find out whose fault a difference is: later comparisons wait for them."""
        self._protection.budget.owe(calls)
        self.spent(asked, feature, calls)

    def spent(self, asked: Asked, feature: Feature, calls: int) -> None:
        """Count the calls of a comparison."""
        add(self._trials.own(asked.rule.name, feature).spent, {self._today: calls})

    def _spent_today(self, asked: Asked) -> int:
        return self._trials.spent(asked.rule.name, self._today)

    @property
    def _today(self) -> str:
        return datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y-%m-%d")

    async def whole(self, asked: Asked) -> Whole:
        """Ask for a request's answer as the upstream gives it.

        Raises Fallback where it has no end or is too large to be compared, and UpstreamError.
        """
        one, call = marked(asked), Call(rule=asked.line.rule)
        demand = Demand(one.request.client.ip, Priority.SHADOW, one.line.expected_s)
        response = await self._upstream.send(one.request, one.line.request_id, call, self._timeouts, demand)
        now = self._clock.wall()
        if is_endless(response):
            await let_go(response)
            raise Fallback(Reason.EVENT_STREAM)
        body = await whole_answer(response, one.rule.max_object)
        if body is None:
            raise Fallback(Reason.TOO_LARGE)
        storing = decide(one.request, response, one.rule, now, call.ttfb_s or 0.0)
        answer = Answer(one, response, body, storing, call.duration_s(self._clock.timer()), call.asked_at, now)
        return Whole(plain(response, body, one.rule.max_object), answer)


def plain(response: Response, body: bytes, most: int) -> Response:
    """Return a whole answer without its content coding. Raises Fallback where it cannot be undone."""
    headers = tuple([field for field in response.headers if field[0] != b"content-encoding"])
    return replace(response, headers=headers, body=plain_body(response, body, most))
