"""The other arm, unseen: what splitting would have answered, or what the whole request would have been answered with.

It begins once the client has its answer, and can neither alter nor delay it.
"""

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from math import log
from typing import Any

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.composite import Composites
from proxy.core.log_line import Call
from proxy.core.reasons import Reason
from proxy.core.rollout import SPLIT
from proxy.core.trial import CANDIDATE, CONTROL, PAIR, UNCLEAR, Trial, add
from proxy.core.types import Response
from proxy.cutting import Answer
from proxy.errors import Fallback, UpstreamError
from proxy.tasks import Tasks
from proxy.trials import Trials
from proxy.unseen import Unseen, marked, plain
from proxy.verify import Case, Verify

_LEAST_S = 1e-4
"""What takes less is not worth a ratio."""


class Shadow:
    """Compares whole answers with split ones; `learn` gets the whole answers that were asked for."""

    def __init__(
        self,
        composites: Composites,
        trials: Trials,
        unseen: Unseen,
        verify: Verify,
        tasks: Tasks,
        clock: Clock,
        *,
        learn: Callable[[Answer], Awaitable[None]],
        failed: Callable[[BaseException, str], None],
    ) -> None:
        self._learn = learn
        self._composites = composites
        self._trials = trials
        self._unseen = unseen
        self._verify = verify
        self._tasks = tasks
        self._clock = clock
        self._failed = failed

    def split(self, answer: Answer) -> None:
        """Split a request whose whole answer was given, once that has left."""
        asked = answer.asked
        if not asked.is_anybodys:
            return
        asked.line.afterwards(lambda: self._start(self._guarded(asked, partial(self._split, answer), is_pair=False)))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.start(work)

    async def _guarded(self, asked: Asked, work: Callable[[], Awaitable[None]], *, is_pair: bool) -> None:
        """Bear what a comparison raises; that of a client's answer is then one without a verdict."""
        trial = self._trials.own(asked.rule.name, SPLIT)
        try:
            await work()
            return
        except Fallback as fallback:
            why = fallback.reason
        except UpstreamError as error:
            why = error.reason
        except Exception as error:  # noqa: BLE001  a splitter of somebody else's may raise anything
            self._failed(error, asked.line.request_id)
            why = Reason.INTERNAL
        if is_pair:
            trial.judged(PAIR, UNCLEAR)
        else:
            add(trial.dropped, {why: 1})

    async def _split(self, answer: Answer) -> None:
        asked = answer.asked
        calls = await self._composites.calls_anew(asked)
        if calls is None:
            return
        async with self._unseen.turn(asked, SPLIT, calls) as may:
            if not may:
                return
            control = plain(answer.response, answer.body, asked.rule.max_object)
            began, unseen = self._clock.timer(), marked(asked)
            candidate = await self._composites.anew(unseen)
            took = self._clock.timer() - began
        self._time(self._trials.own(asked.rule.name, SPLIT), answer.cost, took, unseen)
        await self._judged(asked, control, candidate)

    def _time(self, trial: Trial, control_s: float, candidate_s: float, unseen: Asked) -> None:
        """Count what both arms took where neither was served to a client by lot."""
        call = unseen.line.call or Call()
        trial.eligible += 1
        trial.arms[CONTROL].fetched(control_s, 1, control_s, control_s, control_s)
        trial.arms[CANDIDATE].fetched(candidate_s, call.sent, call.busy_s, candidate_s, call.longest_s)
        self._pair(trial, control_s, candidate_s)

    @staticmethod
    def _pair(trial: Trial, control_s: float, candidate_s: float) -> None:
        if min(control_s, candidate_s) > _LEAST_S:
            trial.paired(log(candidate_s / control_s))

    async def _judged(self, asked: Asked, control: Response, candidate: Response, *, is_served: bool = False) -> None:
        async def control_again() -> Response:
            return (await self._unseen.whole(asked)).response

        async def candidate_again() -> Response:
            return await self._composites.anew(marked(asked))

        await self._verify(
            Case(
                asked,
                SPLIT,
                PAIR,
                control,
                candidate,
                control_again,
                candidate_again,
                is_exposed=is_served,
                is_older=is_served and bool(asked.line.parts_hit),
            )
        )

    async def pair(self, asked: Asked, candidate: Response) -> None:
        """Ask for the whole answer to a request whose client has a split one, and compare."""
        await self._guarded(asked, partial(self._paired, asked, candidate), is_pair=True)

    async def _paired(self, asked: Asked, candidate: Response) -> None:
        whole = await self._unseen.whole(asked)
        if asked.line.call is not None:  # else there was nothing to fetch: that is no race
            self._pair(self._trials.own(asked.rule.name, SPLIT), whole.took, asked.line.duration_s)
        await self._learn(whole.answer)
        await self._judged(asked, whole.response, candidate, is_served=True)
