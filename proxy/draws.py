"""Which arm a request takes: drawn by its key, the same each time; and which answers are compared for it.

Until there is evidence enough, one answer at a time is served before it is compared, in all processes together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from hashlib import blake2b
from typing import Any, Final

from proxy.asked import Asked
from proxy.core.log_line import Draw
from proxy.core.rollout import SPLIT, Feature, Stage, unit_of
from proxy.core.trial import CANDIDATE, CONTROL
from proxy.core.types import Response
from proxy.rollouts import Rollouts
from proxy.store import Shared
from proxy.tasks import Tasks
from proxy.trials import Trials
from proxy.unseen import EXTRA, Unseen

HELD: Final = "held"
FORCED: Final = "forced"
UNVERIFIED: Final = "unverified"
SOMEBODYS: Final = "somebodys"
"""Why a request has no drawn arm: a difference is looked into; the client or its path chose; another answer is yet to be
compared; it says who asks, and is not asked again for nobody."""
_LEASE_S = 120.0
_FETCHES = 4

Pair = Callable[[Asked, Response], Awaitable[None]]


class Draws:
    """Draws arms; `pair` compares an answer that was served with control's, once it has left."""

    def __init__(
        self,
        rollouts: Rollouts,
        trials: Trials,
        unseen: Unseen,
        tasks: Tasks,
        shared: Shared | None,
        name: str,
        roll: Callable[[], float],
        failed: Callable[[BaseException, str], None],
    ) -> None:
        self._rollouts = rollouts
        self._trials = trials
        self._unseen = unseen
        self._tasks = tasks
        self._shared = shared
        self._name = name
        self._roll = roll
        self._failed = failed
        self._unverified: set[bytes] = set()
        self.pair: Pair = _compares_nothing

    async def split(self, asked: Asked) -> bool:
        """Tell whether a request for many things is answered from its parts, noting its arm in its line."""
        rule, line = asked.rule.name, asked.line
        if line.arm is not None:
            line.drew(SPLIT, Draw(line.arm, None, FORCED))
            return line.arm == CANDIDATE and self._rollouts.forced(rule)
        share = self._rollouts.share(rule)
        if share <= 0:
            line.drew(SPLIT, Draw(CONTROL, None, HELD))
            return False
        if not self.takes(asked):
            line.arm = CONTROL
            line.drew(SPLIT, Draw(CONTROL, share))
            return False
        why = await self._why_not(asked, SPLIT, self.pair)
        line.drew(SPLIT, Draw(CANDIDATE, share, why or ""))
        line.arm = None if why is None else CONTROL
        return why is None

    def takes(self, asked: Asked) -> bool:
        """Tell whether a request is among those that are split."""
        rule = asked.rule.name
        unit = unit_of(self._rollouts.staging(rule), asked.request, asked.line.unit)
        return self._rollouts.takes(rule, SPLIT, unit)

    def still(self, asked: Asked) -> bool:
        """Tell whether a request that was drawn to be split still may be."""
        rule = asked.rule.name
        return self._rollouts.forced(rule) if asked.line.arm == CANDIDATE else self._rollouts.share(rule) > 0

    async def _why_not(self, asked: Asked, feature: Feature, pair: Pair) -> str | None:
        """Return why an answer cannot be served before it is compared; have it compared, if it is one of those."""
        rule = asked.rule.name
        if self._rollouts.is_proven(rule, feature):
            if asked.is_anybodys and self._roll() * 100 < self._audited_share(rule, feature):
                asked.line.afterwards(lambda: self._audit(asked, feature, pair))
            return None
        if not asked.is_anybodys:
            return SOMEBODYS
        place = blake2b(f"{feature} {rule}".encode(), digest_size=20).digest()
        if not await self._take(place, asked):
            return UNVERIFIED
        if not self._unseen.may_pair(asked, feature):
            await self._release(place)
            return EXTRA
        asked.line.afterwards(lambda: self._start(self._verified(asked, place, pair)))
        return None

    def _audited_share(self, rule: str, feature: Feature) -> float:
        """Return the percentage that is compared: of a canary that climbs by that, as much as budgets allow."""
        climbs = self._rollouts.stage(rule, feature) is Stage.CANARY and self._rollouts.fixed(rule, feature) is None
        return 100.0 if climbs else self._rollouts.staging(rule, feature).audit

    async def exposes(self, asked: Asked, feature: Feature, pair: Pair) -> bool:
        """Tell whether an answer may be served before it is compared; then it is, if it is one of those to be."""
        return await self._why_not(asked, feature, pair) is None

    async def _take(self, place: bytes, asked: Asked) -> bool:
        if place in self._unverified:
            return False
        self._unverified.add(place)
        try:
            lasts_s = max(_LEASE_S, _FETCHES * (asked.line.expected_s or 0.0))
            if self._shared is None or await self._shared.lease(place, self._name, lasts_s) is not None:
                return True
        except asyncio.CancelledError:
            self._unverified.discard(place)
            raise
        except Exception as error:  # noqa: BLE001  who cannot be sure of being alone serves nothing unverified
            self._failed(error, asked.line.request_id)
        self._unverified.discard(place)
        return False

    async def _release(self, place: bytes) -> None:
        self._unverified.discard(place)
        if self._shared is not None:
            try:
                await self._shared.release(place, self._name)
            except Exception as error:  # noqa: BLE001  it ends by itself
                self._failed(error, "")

    async def _verified(self, asked: Asked, place: bytes, pair: Pair) -> None:
        try:
            await self._paired(asked, pair)
        finally:
            await self._release(place)

    async def _paired(self, asked: Asked, pair: Pair) -> None:
        candidate = asked.line.candidate
        if candidate is not None:  # else it was answered otherwise after all
            await pair(asked, candidate)

    def _audit(self, asked: Asked, feature: Feature, pair: Pair) -> None:
        self._start(self._audited(asked, feature, pair))

    async def _audited(self, asked: Asked, feature: Feature, pair: Pair) -> None:
        if asked.line.candidate is None:
            return
        async with self._unseen.turn(asked, feature, 1) as may:
            if may:
                await self._paired(asked, pair)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.start(work)


async def _compares_nothing(asked: Asked, candidate: Response) -> None:
    """Do nothing."""
