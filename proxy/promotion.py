"""Canaries that climb by themselves: each step is decided by what was counted, by one process for all, and is logged."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from proxy.clock import Clock
from proxy.core.gates import Decision, Measured, decide
from proxy.core.rollout import STEPS, Feature, Stage
from proxy.core.rules import Rule
from proxy.rollouts import Rollouts
from proxy.store import Shared
from proxy.trials import KEEP_UP_EVERY_S, Trials
from proxy.upstream.protection import Protection

_LEASE: Final = b"decides on rollouts".ljust(20, b".")
_LEASE_S = 15.0
BUDGET_S = 5.0


class Promotion:
    """Looks at each canary every now and then; `tell` gets events of the log."""

    def __init__(
        self,
        rules: Sequence[Rule],
        rollouts: Rollouts,
        trials: Trials,
        protection: Protection,
        shared: Shared | None,
        name: str,
        clock: Clock,
        *,
        tell: Callable[..., None],
        failed: Callable[[BaseException, str], None],
    ) -> None:
        self._rules = [rule for rule in rules if rule.features]
        self._rollouts = rollouts
        self._trials = trials
        self._protection = protection
        self._shared = shared
        self._name = name
        self._clock = clock
        self._tell = tell
        self._failed = failed
        self._last: dict[tuple[str, Feature], str] = {}

    async def keep(self) -> None:
        """Go on looking; where the board cannot be reached, nothing climbs."""
        while self._rules:
            try:
                async with asyncio.timeout(BUDGET_S):
                    await self.look()
            except Exception as error:  # noqa: BLE001  that costs a step, never an answer
                self._failed(error, "")
            await asyncio.sleep(KEEP_UP_EVERY_S)

    async def look(self) -> None:
        """Share what was counted, and decide on each canary, if that is this process's task."""
        canaries = [
            (rule, feature)
            for rule in self._rules
            for feature in rule.features
            if self._rollouts.stage(rule.name, feature) is Stage.CANARY
        ]
        self._note_fullness(canaries)
        if self._shared is not None:
            await self._trials.keep_up(self._shared)
            if canaries and await self._shared.lease(_LEASE, self._name, _LEASE_S) is None:
                return
        for rule, feature in canaries:
            if self._rollouts.fixed(rule.name, feature) is None and not self._rollouts.is_held(rule.name, feature):
                self._decide(rule, feature)

    def _note_fullness(self, canaries: Sequence[tuple[Rule, Feature]]) -> None:
        now = self._protection.status()
        if now.limit is None:
            return
        for rule, feature in canaries:
            trial = self._trials.own(rule.name, feature)
            trial.full += min(1.0, (now.in_flight + now.waiting) / max(1.0, now.limit))
            trial.looks += 1

    def _decide(self, rule: Rule, feature: Feature) -> None:
        name, since = rule.name, self._rollouts.since(rule.name, feature)
        if since is None:
            self._rollouts.climb(name, feature, STEPS[0])
            self._say(name, feature, Decision("climb", STEPS[0], (), "the canary begins"), 0.0)
            return
        share = self._rollouts.step(name, feature)
        trial = self._trials.everybodys(name, feature)
        decision = decide(trial, rule.trust.gates, share, since=since, now=self._clock.wall())
        if decision.share != share:
            self._rollouts.climb(name, feature, decision.share)
        told = f"{decision.act} {decision.share:g} {[(one.gate, one.result) for one in decision.measured]}"
        if self._last.get((name, feature)) != told:  # what is held for the same reason is said once
            self._last[name, feature] = told
            self._say(name, feature, decision, share)

    def _say(self, rule: str, feature: Feature, decision: Decision, before: float) -> None:
        self._tell(
            "decision", rule=rule, feature=feature, act=decision.act, percent=decision.share, percent_before=before,
            why=decision.why, **_numbers(decision.measured),
        )  # fmt: skip


def _numbers(measured: Sequence[Measured]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for one in measured:
        told[f"{one.gate}_gate"] = f"{one.result} (dry run)" if one.dry_run else one.result
        if one.value is not None:
            told[f"{one.gate}_value"] = round(one.value, 6)
        told[f"{one.gate}_limit"] = one.limit
    return told
