"""The rules as they are configured, in their order, and in short how each does."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from proxy.admin import shown
from proxy.admin.cache import ByRule
from proxy.admin.performance import Counts
from proxy.config import Rule
from proxy.core.operation import Operation
from proxy.rollouts import Rollouts


class RulesDesk:
    """Tells of the rules."""

    def __init__(self, rules: Sequence[Rule], counts: Counts, by_rule: ByRule, rollouts: Rollouts) -> None:
        self._rules = rules
        self._counts = counts
        self._by_rule = by_rule
        self._rollouts = rollouts

    async def __call__(self, _: Request) -> Response:
        """Tell of all of them; the first that matches decides."""
        seen, held = await self._counts.everybodys(), self._by_rule()
        told = []
        for rule in self._rules:
            one = seen.operations.get(rule.name, Operation())
            done = {
                **shown.share(held, rule.name), "n": one.n, "hit_ratio": shown.rounded(one.hit_ratio()),
                "seconds_saved": shown.rounded(one.seconds_saved), "upstream_s": shown.rounded(one.upstream_s),
            }  # fmt: skip
            told.append({**_configured(rule), "rollout": self._rolled_out(rule.name), **done})
        return JSONResponse({"rules": told})

    def _rolled_out(self, rule: str) -> dict[str, Any]:
        if rule not in self._rollouts:
            return {}
        return {feature: dict(self._rollouts.status(rule, feature)) for feature in self._rollouts.features(rule)}


def _configured(rule: Rule) -> dict[str, Any]:
    match = {"method": list(rule.match.method) or ["GET", "HEAD"], "path": rule.match.path, "host": rule.match.host}
    told = {
        "name": rule.name, "match": match, "safe": rule.safe, "key": [plugin.word for plugin in rule.key],
        "ttl": rule.ttl, "grace": None if rule.grace is None else rule.grace.model_dump(),
        "split": None if rule.split is None else {"by": rule.split.by.word, "merge": rule.split.merge.word},
        "pins": len(rule.pin) or None,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}
