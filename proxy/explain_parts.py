"""How a request for many things would be answered from its parts, or why it goes whole; values as `explain` shows them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from proxy.asked import Asked
from proxy.clock import Clock
from proxy.composite import Composite, Composites
from proxy.core.composite import Cut
from proxy.core.explain import form_of, labels_shown
from proxy.core.freshness import Verdict, wants_newer
from proxy.core.key import Scope, key_of, normal_host, query_of
from proxy.core.part_key import around_key
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.core.splitting import Splitting
from proxy.core.types import Entry, Outcome, Request
from proxy.errors import Fallback
from proxy.rollouts import Rollouts

MOST_LABELS = 64
_MERGE = "answer from its parts"
_FETCH_PARTS = "fetch what is missing of its parts, and answer from them"

Told = dict[str, Any]


def cut_told(request: Request, rule: Rule, splitting: Splitting, scope: Scope, now: float) -> Told:
    """Return what can be said without a store: the parts of a request, the key around them, why it is not cut."""
    told: Told = {"mode": rule.trust.split.stage}
    try:
        cut = splitting.named(request)
        if cut is None:
            return told | {"whole": "it names no parts"}
        told |= _parts_told(request, cut, rule, scope, now)
        told["frame"] = around_key(_frame_key(cut, rule, scope, now), splitting.signature).hex()
        if len(cut.parts) < splitting.min_parts:
            return told | {"whole": f"it has fewer than {splitting.min_parts} parts"}
        splitting.merge.check(cut.parts)
    except Fallback as fallback:
        return told | {"whole": fallback.reason}
    return told


def _parts_told(request: Request, cut: Cut, rule: Rule, scope: Scope, now: float) -> Told:
    bare, host = replace(rule, normalizers=()), normal_host(request)
    asked, frame = (form_of(query_of(one, bare, host, scope.secret, now)) for one in (request, cut.frame))
    labels = [part.label for part in cut.parts[:MOST_LABELS]]
    return {"parts": len(cut.parts), "each": [{"label": label} for label in labels_shown(labels, asked, frame)]}


def _frame_key(cut: Cut, rule: Rule, scope: Scope, now: float) -> bytes:
    return key_of(query_of(cut.frame, rule, normal_host(cut.frame), scope.secret, now), scope)


class ExplainParts:
    """Explains how requests are split now; `usual_s` tells what a rule's answers take."""

    def __init__(
        self, composites: Composites, rollouts: Rollouts, usual_s: Callable[[str], float | None], clock: Clock
    ) -> None:
        self._composites = composites
        self._rollouts = rollouts
        self._usual_s = usual_s
        self._clock = clock

    async def __call__(self, told: Told, entry: Entry | None, verdict: Verdict, asked: Asked) -> Told | None:
        """Add to what is told of a request's split how its parts stand; return what would happen, None where it goes whole."""
        told |= self._rollouts.status(asked.rule.name)
        if "whole" in told:
            return None
        expected_s = (entry.cost if entry is not None else 0.0) or self._usual_s(asked.rule.name)
        whole = self._composites.why_whole(asked, expected_s)
        if verdict.reason or wants_newer(asked.directives):
            whole = "its client wants a newer answer"
        try:
            composite = await self._composites.cut(asked)
        except Fallback as fallback:
            told["whole"] = fallback.reason
            return None
        if composite is not None:
            self._add(told, composite)
        if whole is None and composite is not None and self._composites.goes_whole(composite):
            whole = Reason.SPLIT_LATELY
        if whole is not None:
            told["whole"] = whole
        return None if composite is None or whole is not None else self._would(composite)

    def _add(self, told: Told, composite: Composite) -> None:
        known, keys = composite.known, composite.keys
        states = ["fresh" if key in known.fresh else "stale" if key in known.stale else "missing" for key in keys.parts]
        told |= {state: states.count(state) for state in ("fresh", "stale", "missing")}
        told["frame_known"] = known.frame is not None
        for part, state in zip(told["each"], states, strict=False):
            part["state"] = state
        told["residual"] = composite.splitting.residual.residual
        plan = self._composites.planned(composite)
        if plan is not None:
            told["fetch"] = {
                "parts": len(composite.missing), "calls": len(plan.calls), "at_once": min(plan.at_once, len(plan.calls)),
            }  # fmt: skip

    def _would(self, composite: Composite) -> Told:
        """Return what would happen now, as `Composites.answer` does it."""
        missing = {composite.keys.parts[place] for place in composite.missing}
        if not missing:
            return {"outcome": Outcome.HIT, "do": _MERGE}
        some = not missing.issuperset(composite.keys.parts)
        told: Told = {"outcome": Outcome.PARTIAL if some else Outcome.MISS, "do": _FETCH_PARTS}
        if composite.standing_in(self._clock.wall()) is not None:
            told["if_it_fails"] = _MERGE
        return told
