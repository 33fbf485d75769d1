"""What whole answers tell of splitting, for free: each is cut, put together again and compared.

Where some of its parts were known already, these are compared as well. Then its parts are kept.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.compare.bytes import Bytes
from proxy.core.composite import Cut, Frame, Share, Sliced, united
from proxy.core.difference import Difference
from proxy.core.reasons import Reason
from proxy.core.rollout import SPLIT, Stage
from proxy.core.splitting import Splitting
from proxy.core.trial import CHANGED, CLEAN, OVERLAP, REASSEMBLY, UNCLEAR, add
from proxy.core.types import Response
from proxy.cutting import Answer, cut_answer, entries_of, not_for_parts
from proxy.errors import Fallback, UpstreamError
from proxy.origins import Origins
from proxy.parts import Keys, Parts
from proxy.rollouts import Rollouts
from proxy.tasks import done_aside
from proxy.trials import Trials
from proxy.unseen import Unseen
from proxy.verify import Case, Verify


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole answer, how its request is cut, and the keys of its parts."""

    answer: Answer
    splitting: Splitting
    cut: Cut
    keys: Keys


class Reassembly:
    """Compares whole answers with what splitting would make of them; `shadow` gets those that it could split."""

    def __init__(
        self,
        parts: Parts,
        rollouts: Rollouts,
        trials: Trials,
        unseen: Unseen,
        verify: Verify,
        origins: Origins,
        clock: Clock,
        *,
        failed: Callable[[BaseException, str], None],
        roll: Callable[[], float],
    ) -> None:
        self._parts = parts
        self._rollouts = rollouts
        self._trials = trials
        self._unseen = unseen
        self._verify = verify
        self._origins = origins
        self._clock = clock
        self._failed = failed
        self._roll = roll
        self.shadow: Callable[[Answer], None] = _shadows_nothing

    async def __call__(self, answer: Answer) -> None:
        """Learn from a whole answer that has left and may be stored; nothing here reaches its client."""
        asked = answer.asked
        rule, splitting = asked.rule.name, asked.rule.splitting
        stage = self._rollouts.stage(rule)
        if splitting is None or stage is Stage.OFF or self._rollouts.is_demoted(rule):
            return
        sampled = self._rollouts.sampled(rule)
        if stage is Stage.SHADOW and sampled < 100 and self._roll() * 100 >= sampled:
            return
        trial = self._trials.own(rule, SPLIT)
        await asyncio.sleep(0)  # first of all who waits for it has it
        try:
            await self._learn(answer, splitting)
        except Fallback as fallback:
            add(trial.not_cut, {fallback.reason: 1})
        except Exception as error:  # noqa: BLE001  a splitter of somebody else's may raise anything
            add(trial.not_cut, {Reason.INTERNAL: 1})
            self._failed(error, asked.line.request_id)

    async def _learn(self, answer: Answer, splitting: Splitting) -> None:
        asked = answer.asked
        cut = splitting.cut(asked.request, least=1)
        if cut is None:
            return
        reason = not_for_parts(answer.response, answer.storing, asked.request)
        is_composite = len(cut.parts) >= splitting.min_parts
        if reason is not None:
            if is_composite:
                raise Fallback(reason)
            return
        whole = Whole(answer, splitting, cut, await self._parts.keys(asked, cut, splitting))
        if not is_composite:
            await self._keep_few(whole)
            return
        sliced, difference = await done_aside(len(answer.body), partial(_put_together_again, whole))
        if difference is not None:
            self._verify.wrong(_case(asked, REASSEMBLY), difference)
            return
        self._trials.own(asked.rule.name, SPLIT).judged(REASSEMBLY, CLEAN)
        await self._overlap(whole, sliced)
        await self._keep(whole, sliced)
        rule = asked.rule.name
        if self._rollouts.stage(rule) is Stage.SHADOW and not self._rollouts.is_demoted(rule):
            self.shadow(answer)

    async def _keep_few(self, whole: Whole) -> None:
        """Keep the parts of an answer to fewer than are worth a split, if it is written as answers to more are.

        That it can be put together again proves nothing.
        """
        around = (await self._parts.known(whole.keys, whole.answer.asked)).frame
        try:
            sliced = await _cut(whole)
            if around is None or not isinstance(around.share, Frame):
                return
            united([around.share, sliced.frame])
        except Fallback:
            return
        await self._keep(whole, sliced)

    async def _keep(self, whole: Whole, sliced: Sliced) -> None:
        answer, keys = whole.answer, whole.keys
        if self._rollouts.is_demoted(answer.asked.rule.name):
            return
        made = entries_of(sliced, keys.parts, keys.around, answer)
        await self._parts.keep(made.kept, keys, answer.asked, answer.asked_at)

    async def _overlap(self, whole: Whole, sliced: Sliced) -> None:
        """Compare the parts that were known, and fresh, with what this answer says of them."""
        asked, keys = whole.answer.asked, whole.keys
        known = (await self._parts.known(keys, replace(asked, directives={}))).fresh  # whatever its client wanted
        overlapping = [(key, share) for key, share in zip(keys.parts, sliced.shares, strict=True) if key in known]
        if not overlapping:
            return
        for key, share in overlapping:
            stored = known[key].share
            if stored == share or not isinstance(stored, Share):
                continue
            difference = await self._verify.difference(asked, shown(share), shown(stored))
            if difference is not None:
                await self._doubt(whole, key, shown(share))
                return  # one is enough: its rule is looked into
        self._trials.own(asked.rule.name, SPLIT).judged(OVERLAP, CLEAN)

    async def _doubt(self, whole: Whole, key: bytes, share: Response) -> None:
        """Find out whether a part is another now, or whether two questions share its key."""
        asked, origin = whole.answer.asked, self._origins.get(key)
        trial = self._trials.own(asked.rule.name, SPLIT)
        if origin is None or origin.is_spelled(asked):
            trial.judged(OVERLAP, CHANGED)
            return
        async with self._unseen.turn(asked, SPLIT, 1) as may:
            if not may:
                return
            try:
                candidate = await self._share_now(origin, key)
            except (Fallback, UpstreamError):
                trial.judged(OVERLAP, UNCLEAR)
                return
        again = partial(self._share_now, asked, key), partial(self._share_now, origin, key)
        if await self._verify.difference(asked, share, candidate) is None:
            trial.judged(OVERLAP, CHANGED)
            return
        await self._verify(Case(asked, SPLIT, OVERLAP, share, candidate, *again))

    async def _share_now(self, asked: Asked, key: bytes) -> Response:
        """Ask for a whole answer; return what it says of a part. Raises Fallback and UpstreamError."""
        answer = (await self._unseen.whole(asked)).answer
        splitting = asked.rule.splitting
        cut = None if splitting is None else splitting.cut(asked.request, least=1)
        if splitting is None or cut is None:
            raise Fallback(Reason.SPLIT_SYNTAX)
        if answer.response.status != 200:
            raise UpstreamError(f"a whole request was answered with {answer.response.status}")
        keys = await self._parts.keys(asked, cut, splitting)
        if key not in keys.parts:  # its rule was demoted meanwhile
            raise Fallback(Reason.SPLIT_LATELY)
        sliced = await _cut(Whole(answer, splitting, cut, keys))
        return shown(sliced.shares[keys.parts.index(key)])


def shown(share: Share) -> Response:
    """Return a part's share of an answer as one that can be compared."""
    body = b"[" + b",".join([b'"%b"' % share.kind.encode(), *share.items]) + b"]"
    return Response(200, ((b"content-type", b"application/json"),), body)


def _case(asked: Asked, check: str) -> Case:
    """Return a case that nobody asks again."""
    nothing = Response(200, (), b"")

    async def never() -> Response:
        raise UpstreamError("nobody asks")

    return Case(asked, SPLIT, check, nothing, nothing, never)


async def _cut(whole: Whole) -> Sliced:
    answer, places = whole.answer, range(len(whole.cut.parts))
    work = partial(cut_answer, whole.splitting, whole.cut, places, answer.response, answer.body)
    return (await done_aside(len(answer.body), work))[0]


def _put_together_again(whole: Whole) -> tuple[Sliced, Difference | None]:
    splitting, cut, answer = whole.splitting, whole.cut, whole.answer
    sliced, plain = cut_answer(splitting, cut, range(len(cut.parts)), answer.response, answer.body)
    again = splitting.merge.merge(sliced.frame, cut.parts, sliced.shares, splitting.limits)
    if splitting.merge.equal(again, plain):
        return sliced, None
    one, other = (Response(200, (), body) for body in (plain, again))
    return sliced, Bytes().difference(one, other) or Difference("body", "bytes", "", "", is_time=False)


def _shadows_nothing(answer: Answer) -> None:
    """Do nothing."""
