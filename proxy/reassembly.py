"""What whole answers tell of splitting, for free: each is cut, put together again and compared.

Where splits are served, its parts are kept.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from proxy.core.composite import Cut, Frame, Sliced, united
from proxy.core.reasons import Reason
from proxy.core.splitting import Splitting, Stage
from proxy.cutting import Answer, cut_answer, entries_of, not_for_parts
from proxy.errors import Fallback
from proxy.parts import Keys, Parts
from proxy.places import Asked
from proxy.rollouts import Rollouts
from proxy.tasks import done_aside


def _put_together_again(splitting: Splitting, cut: Cut, answer: Answer) -> tuple[Sliced, bool]:
    sliced, plain = cut_answer(splitting, cut, range(len(cut.parts)), answer.response, answer.body)
    again = splitting.merge.merge(sliced.frame, cut.parts, sliced.shares, splitting.limits)
    return sliced, splitting.merge.equal(again, plain)


@dataclass(slots=True)
class Evidence:
    """How many whole answers were equal when put together again, how many were not, and how many could not be cut."""

    equal: int = 0
    different: int = 0
    not_cut: Counter[str] = field(default_factory=Counter)


class Reassembly:
    """Compares whole answers with what splitting would make of them; `tell` gets events of the log."""

    def __init__(
        self,
        parts: Parts,
        rollouts: Rollouts,
        *,
        tell: Callable[..., None],
        failed: Callable[[BaseException, str], None],
        roll: Callable[[], float],
    ) -> None:
        self._parts = parts
        self._rollouts = rollouts
        self._tell = tell
        self._failed = failed
        self._roll = roll
        self._evidence: dict[str, Evidence] = {}

    async def __call__(self, answer: Answer) -> None:
        """Learn from a whole answer that has left and may be stored; nothing here reaches its client."""
        asked = answer.asked
        splitting, stage = asked.rule.splitting, self._rollouts.stage(asked.rule.name)
        if splitting is None or stage is Stage.OFF:
            return
        if stage is Stage.SHADOW and self._roll() * 100 >= splitting.shadow_percent:
            return
        evidence = self._evidence.setdefault(asked.rule.name, Evidence())
        await asyncio.sleep(0)  # first of all who waits for it has it
        try:
            await self._compare(answer, splitting, evidence)
        except Fallback as fallback:
            evidence.not_cut[fallback.reason] += 1
        except Exception as error:  # noqa: BLE001  a splitter of somebody else's may raise anything
            evidence.not_cut[Reason.INTERNAL] += 1
            self._failed(error, asked.line.request_id)

    async def _compare(self, answer: Answer, splitting: Splitting, evidence: Evidence) -> None:
        asked = answer.asked
        cut = splitting.cut(asked.request, least=1)
        if cut is None:
            return
        is_on = self._rollouts.stage(asked.rule.name) is Stage.ON
        reason = not_for_parts(answer.response, answer.storing, asked.request)
        if len(cut.parts) < splitting.min_parts:
            if is_on and reason is None:
                await self._keep_few(answer, splitting, cut)
            return
        if reason is not None:
            raise Fallback(reason)
        work = partial(_put_together_again, splitting, cut, answer)
        sliced, is_equal = await done_aside(len(answer.body), work)
        if not is_equal:
            self._differs(asked, evidence)
            return
        evidence.equal += 1
        if is_on:
            await self._keep(answer, sliced, await self._parts.keys(asked, cut, splitting))

    async def _keep_few(self, answer: Answer, splitting: Splitting, cut: Cut) -> None:
        """Keep the parts of an answer to fewer than are worth a split, if it is written as answers to more are.

        That it can be put together again proves nothing.
        """
        keys = await self._parts.keys(answer.asked, cut, splitting)
        around = (await self._parts.known(keys, answer.asked)).frame
        try:
            work = partial(cut_answer, splitting, cut, range(len(cut.parts)), answer.response, answer.body)
            sliced, _ = await done_aside(len(answer.body), work)
            if around is None or not isinstance(around.share, Frame):
                return
            united([around.share, sliced.frame])
        except Fallback:
            return
        await self._keep(answer, sliced, keys)

    async def _keep(self, answer: Answer, sliced: Sliced, keys: Keys) -> None:
        made = entries_of(sliced, keys.parts, keys.around, answer)
        await self._parts.keep(made.kept, keys, answer.asked, answer.asked_at)

    def _differs(self, asked: Asked, evidence: Evidence) -> None:
        evidence.different += 1
        if self._rollouts.stage(asked.rule.name) is Stage.ON:
            self._rollouts.demote(asked.rule.name)
        self._tell(
            "decision", rule=asked.rule.name, request_id=asked.line.request_id, state="different",
            equal=evidence.equal, different=evidence.different, mode=self._rollouts.stage(asked.rule.name),
        )  # fmt: skip

    def status(self, rule: str) -> Mapping[str, Any]:
        """Return what is known of a rule."""
        known = self._evidence.get(rule, Evidence())
        return {"equal": known.equal, "different": known.different, "not_cut": dict(known.not_cut)}
