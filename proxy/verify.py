"""Whose fault it is that two answers differ: the candidate's, or the service's own.

A first difference holds the rule. Control and candidate are asked for again, in turns, until control differs from itself
at that place (noise: known from then on), the candidate no longer differs there, or it has differed every time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.difference import Difference, same_place
from proxy.core.noise import difference as difference_but_for_noise
from proxy.core.rollout import Feature
from proxy.core.trial import CHANGED, CLEAN, MISMATCH, NOISY, UNCLEAR, add
from proxy.core.types import Response
from proxy.errors import Fallback, UpstreamError
from proxy.rollouts import HELD, Rollouts
from proxy.tasks import done_aside
from proxy.trials import Mismatch, Trials
from proxy.unseen import Unseen

A_TICK_S = 1.1
"""Clocks that tell seconds have moved on then."""
ROUNDS = 5
"""A service that tosses a coin is taken for steady, and its candidate for wrong, once in 1,000 times."""
_MOST_UNSEEN = 2
"""What has shown at a place so often and never again, the service does by itself."""
_MOST_PLACES = 40
_MOST_NOISE = 200
_LATELY_S, _LONG_S = 3600.0, 86400.0
_FAILED = 500
_MOST_TRIES, _LATER = 4, 3
"""So often is asked again where the upstream fails, after 1, 3, 10 and 30 seconds."""
_SHORTEST_HOLD_S = 600.0
_FETCHES = 10

Answered = Callable[[], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Case:
    """Two plain answers to one request, and how to ask for both again; `candidate_again` is None where nobody knows how.

    `is_exposed`: a client has the candidate. `is_older`: some of it was known before control was asked.
    """

    asked: Asked
    feature: Feature
    check: str
    control: Response
    candidate: Response
    control_again: Answered
    candidate_again: Answered | None = None
    is_exposed: bool = False
    is_older: bool = False


class Verify:
    """Compares, and draws the consequences; `tell` gets events of the log."""

    def __init__(
        self,
        rollouts: Rollouts,
        trials: Trials,
        unseen: Unseen,
        clock: Clock,
        *,
        tell: Callable[..., None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rollouts = rollouts
        self._trials = trials
        self._unseen = unseen
        self._clock = clock
        self._tell = tell
        self.sleep = sleep
        self._one_at_a_time: dict[tuple[str, Feature], asyncio.Lock] = {}
        self._held: dict[tuple[str, Feature], float] = {}
        self._noise: dict[str, tuple[tuple[float, Difference], ...]] = {}
        self._passing: dict[str, tuple[tuple[float, Difference], ...]] = {}

    async def __call__(self, case: Case) -> str:
        """Judge a pair of answers; demote what is wrong."""
        rule, feature = case.asked.rule.name, case.feature
        if max(case.control.status, case.candidate.status) >= _FAILED:
            self._count(case, UNCLEAR)  # that it failed just now says nothing of what it answers
            return UNCLEAR
        difference = await self.difference(case.asked, case.control, case.candidate)
        if difference is None:
            self._count(case, CLEAN)
            return CLEAN
        if case.is_older and await self._is_another_now(case):
            self._conclude(case, difference, CHANGED)
            return CHANGED
        if not self._rollouts.is_demoted(rule, feature):
            self._hold(case)
            self._say(case, difference, HELD)
        async with self._one_at_a_time.setdefault((rule, feature), asyncio.Lock()):
            if self._rollouts.is_demoted(rule, feature):  # perhaps while this one waited
                self._exposed(case)
                return UNCLEAR
            return await self._looked_into(case, difference)

    async def _is_another_now(self, case: Case) -> bool:
        """Tell whether the candidate is what control is, once both are asked for: what is older may have been true."""
        if case.candidate_again is None:
            return True
        self._unseen.owes(case.asked, case.feature, 1)
        try:
            return await self.difference(case.asked, case.control, await _answered(case.candidate_again)) is None
        except (Fallback, UpstreamError):
            return False

    def _hold(self, case: Case) -> None:
        rule, feature, expected = case.asked.rule.name, case.feature, case.asked.line.expected_s or 0.0
        until = self._held[rule, feature] = self._clock.wall() + max(_SHORTEST_HOLD_S, _FETCHES * expected)
        self._rollouts.hold(rule, feature, until)

    async def difference(self, asked: Asked, control: Response, candidate: Response) -> Difference | None:
        """Return the first difference of two plain answers that is no known noise, by the rule's own measure."""
        compare, now = asked.rule.trust.compare, self._clock.wall()
        noise = [one for until, one in self._noise.get(asked.rule.name, ()) if until > now]
        work = partial(difference_but_for_noise, compare, control, candidate, now, noise)
        return await done_aside(_size(control, candidate), work)

    async def _looked_into(self, case: Case, difference: Difference) -> str:
        verdict, found = UNCLEAR, difference
        for _ in range(_MOST_PLACES):
            verdict = await self._verdict_in_the_end(case, found)
            left = await self.difference(case.asked, case.control, case.candidate) if verdict == NOISY else None
            if left is None:
                break
            found = left  # below the noise there is something else
        self._conclude(case, found, verdict)
        return verdict

    async def _verdict_in_the_end(self, case: Case, difference: Difference) -> str:
        """Return the verdict on one place; where the upstream fails, try again later, but not for ever.

        Without one it stays held: until that is over, nothing is served that may be wrong.
        """
        for tried in range(_MOST_TRIES):
            try:
                return await self._verdict(case, difference)
            except (Fallback, UpstreamError):
                await self.sleep(A_TICK_S * _LATER**tried)
        return UNCLEAR

    async def _verdict(self, case: Case, difference: Difference) -> str:
        if case.candidate_again is None:
            return CHANGED
        controls: list[Response] = []
        for _ in range(ROUNDS):
            if await self._is_noisy(case, difference, controls):
                return NOISY
            self._unseen.owes(case.asked, case.feature, 1)
            again = await self.difference(case.asked, controls[-1], await _answered(case.candidate_again))
            if again is None or not same_place(again, difference):
                self._not_again(case, difference)
                return CHANGED
            if difference.is_time:
                await self.sleep(A_TICK_S)
        return NOISY if await self._is_noisy(case, difference, controls) else MISMATCH

    async def _is_noisy(self, case: Case, difference: Difference, controls: list[Response]) -> bool:
        """Ask for control once more; tell whether it differs from itself at that place."""
        if self._rollouts.is_held(case.asked.rule.name, case.feature):  # else somebody has ended it
            self._hold(case)
        self._unseen.owes(case.asked, case.feature, 1)
        control = await _answered(case.control_again)
        noise = [found for one in controls for found in await self._all_noise(case, one, control)]
        controls.append(control)
        if len(controls) > 1:
            add(self._trials.own(case.asked.rule.name, case.feature).noise, {NOISY if noise else CLEAN: 1})
        if not any(same_place(one, difference) for one in noise):
            return False
        self._is_noise(case, difference)
        return True

    async def _all_noise(self, case: Case, one: Response, other: Response) -> list[Difference]:
        """Learn wherever two controls differ: what is known of them needs no more calls."""
        found: list[Difference] = []
        while len(found) < _MOST_PLACES and (noise := await self.difference(case.asked, one, other)) is not None:
            found.append(noise)
            self._is_noise(case, noise)
        return found

    def _not_again(self, case: Case, difference: Difference) -> None:
        """Note that what was asked for just now differed there once, and does no more."""
        if case.is_older:
            return
        rule, now = case.asked.rule.name, self._clock.wall()
        lately = [(at, one) for at, one in self._passing.get(rule, ()) if at > now - _LATELY_S]
        before = [one for _, one in lately if same_place(one, difference)]
        self._passing[rule] = (*lately, (now, difference))[-_MOST_PLACES:]
        if len(before) + 1 >= _MOST_UNSEEN:
            self._is_noise(case, difference)

    def _is_noise(self, case: Case, difference: Difference) -> None:
        """Let a place be known for noise: for a while, as data change now and then; for long where it was before."""
        rule, now = case.asked.rule.name, self._clock.wall()
        known = self._noise.get(rule, ())
        was_before = any(until < now and same_place(one, difference) for until, one in known)
        self._noise[rule] = (*known, (now + (_LONG_S if was_before else _LATELY_S), difference))[-_MOST_NOISE:]

    def wrong(self, case: Case, difference: Difference) -> None:
        """Take a difference for the candidate's fault without asking again: no service had a part in it."""
        self._conclude(case, difference, MISMATCH)

    def _conclude(self, case: Case, difference: Difference, verdict: str) -> None:
        rule, feature = case.asked.rule.name, case.feature
        self._count(case, verdict)
        if verdict == CHANGED and case.is_older:  # asked for again, both were equal
            self._count(case, CLEAN)
        if verdict == MISMATCH or self._rollouts.is_demoted(rule, feature):
            self._exposed(case)
        self._say(case, difference, verdict)
        told = (rule, feature, case.check, verdict, case.asked.line.request_id, self._clock.wall())
        self._trials.note(Mismatch.of(difference, *told))
        if verdict == MISMATCH:
            self._rollouts.demote(rule, feature)
        elif verdict != UNCLEAR:
            self._rollouts.release(rule, feature, self._held.get((rule, feature)))

    def _exposed(self, case: Case) -> None:
        self._trials.own(case.asked.rule.name, case.feature).exposed += case.is_exposed

    def _count(self, case: Case, verdict: str) -> None:
        self._trials.own(case.asked.rule.name, case.feature).judged(case.check, verdict)

    def _say(self, case: Case, difference: Difference, verdict: str) -> None:
        rule, feature = case.asked.rule.name, case.feature
        trial = self._trials.everybodys(rule, feature)
        state = "demoted" if verdict == MISMATCH else HELD if verdict in {HELD, UNCLEAR} else "running"
        self._tell(
            "decision", rule=rule, feature=feature, request_id=case.asked.line.request_id, state=state, check=case.check,
            verdict=verdict, path=difference.path, kind=difference.kind, control=difference.control,
            candidate=difference.candidate, clean=trial.verdicts(CLEAN), mismatches=trial.verdicts(MISMATCH),
            noisy=trial.verdicts(NOISY), exposed=trial.exposed, mode=self._rollouts.stage(rule, feature),
        )  # fmt: skip


async def _answered(again: Answered) -> Response:
    """Ask again; raises UpstreamError where the upstream fails."""
    response = await again()
    if response.status >= _FAILED:
        raise UpstreamError(f"what was asked again was answered with {response.status}")
    return response


def _size(control: Response, candidate: Response) -> int:
    """Return how much there is to read, in bytes: nothing of equal bodies."""
    bodies = [one.body for one in (control, candidate) if isinstance(one.body, bytes)]
    return 0 if len(set(bodies)) == 1 else sum(map(len, bodies))
