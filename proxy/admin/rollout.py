"""How far rules' features are rolled out: what was found by comparing answers, and the switch, of one rule or of all."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from proxy.admin.acts import Acts, Ask, Audit, client_ip
from proxy.admin.problems import answer as problem
from proxy.core.reasons import Reason
from proxy.core.rollout import FEATURES, Feature, Stage
from proxy.rollouts import ALL, CONFIGURED, Rollouts


class Wanted(Ask):
    """The mode that is wanted, null as configured; of a canary its percentage, without it it climbs by itself."""

    mode: Stage | None
    percent: Annotated[float, Field(ge=0, le=100)] | None = None

    @model_validator(mode="after")
    def _is_of_a_canary(self) -> "Wanted":
        if self.percent is not None and self.mode is not Stage.CANARY:
            raise ValueError("percent is for mode canary")
        return self


class Rolling(Ask):
    """What is to be set, by feature."""

    split: Wanted | None = None
    normalize: Wanted | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Rolling":
        if not self.wanted:
            raise ValueError("nothing is to be set: one of split, normalize is wanted")
        return self

    @property
    def wanted(self) -> Mapping[Feature, Wanted]:
        """Return what is wanted."""
        named = {feature: getattr(self, feature) for feature in FEATURES}
        return {feature: one for feature, one in named.items() if one is not None}


class RolloutDesk:
    """Tells how far rules are rolled out, and sets it; `evidence` returns what is known of a rule's feature."""

    def __init__(
        self,
        rollouts: Rollouts,
        evidence: Callable[[str, Feature], Mapping[str, Any]],
        report: Callable[[str, Feature], Awaitable[Mapping[str, Any]]],
        acts: Acts,
        audit: Audit,
    ) -> None:
        self._rollouts = rollouts
        self._evidence = evidence
        self._report = report
        self._acts = acts
        self._audit = audit

    async def all(self, request: Request) -> Response:
        """Tell it of all rules, or set it for all of them: a kill switch."""
        if request.method in {"GET", "HEAD"}:
            return JSONResponse(self._told_of_all())
        return await self._acts.told(request, Rolling, self._set_all)

    async def one(self, request: Request) -> Response:
        """Tell it of one rule, with its report, or set it."""
        rule = request.path_params["rule"]
        if rule not in self._rollouts:
            there = ", ".join(self._rollouts.rules) or "none"
            detail = f"no rule that splits or normalizes is called {rule!r}; there are: {there}"
            return problem(request, 404, Reason.UNKNOWN_NAME, detail)
        if request.method in {"GET", "HEAD"}:
            return JSONResponse(await self._reported(rule))
        return await self._acts.told(request, Rolling, self._set_one)

    async def _set_all(self, asked: Rolling, sent: Request) -> dict[str, Any]:
        for feature, wanted in asked.wanted.items():
            self._rollouts.set(ALL, wanted.mode, feature, wanted.percent)
        self._note(self._rollouts.rules, asked, sent)
        return self._told_of_all()

    async def _set_one(self, asked: Rolling, sent: Request) -> dict[str, Any]:
        rule: str = sent.path_params["rule"]
        for feature in asked.wanted:
            if feature not in self._rollouts.features(rule):
                raise ValueError(f"rule {rule!r} has nothing to {feature}")
        for feature, wanted in asked.wanted.items():
            self._rollouts.set(rule, wanted.mode, feature, wanted.percent)
        self._note([rule], asked, sent)
        return self._told(rule)

    def _note(self, rules: Iterable[str], asked: Rolling, sent: Request) -> None:
        for rule in rules:
            for feature, wanted in asked.wanted.items():
                if feature in self._rollouts.features(rule):
                    told = self._rollouts.status(rule, feature)
                    self._audit(
                        "decision", client_ip=client_ip(sent), rule=rule, feature=feature,
                        asked=wanted.mode or CONFIGURED, mode=told["mode"], state=told["state"],
                    )  # fmt: skip

    def _told_of_all(self) -> dict[str, Any]:
        return {"rules": [self._told(rule) for rule in self._rollouts.rules]}

    async def _reported(self, rule: str) -> dict[str, Any]:
        told = self._told(rule)
        for feature in self._rollouts.features(rule):
            told[feature]["report"] = await self._report(rule, feature)
        return told

    def _told(self, rule: str) -> dict[str, Any]:
        told: dict[str, Any] = {"rule": rule}
        for feature in self._rollouts.features(rule):
            told[feature] = {**self._rollouts.status(rule, feature), **self._evidence(rule, feature)}
        return told
