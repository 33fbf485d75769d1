"""How far splits are rolled out: what was found by comparing answers, and the switch, of one rule or of all."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from proxy.admin.acts import Acts, Ask, Audit, client_ip
from proxy.admin.problems import answer as problem
from proxy.core.reasons import Reason
from proxy.core.splitting import Stage
from proxy.rollouts import ALL, CONFIGURED, Rollouts


class Splitting(Ask):
    """The mode that is wanted; null is as configured."""

    mode: Stage | None


class Rolling(Ask):
    """What is to be set."""

    split: Splitting


class RolloutDesk:
    """Tells how far rules are rolled out, and sets it; `evidence` returns what is known of a rule's answers."""

    def __init__(
        self, rollouts: Rollouts, evidence: Callable[[str], Mapping[str, Any]], acts: Acts, audit: Audit
    ) -> None:
        self._rollouts = rollouts
        self._evidence = evidence
        self._acts = acts
        self._audit = audit

    async def all(self, request: Request) -> Response:
        """Tell it of all rules that split, or set it for all of them: a kill switch."""
        if request.method in {"GET", "HEAD"}:
            return JSONResponse(self._told_of_all())
        return await self._acts.told(request, Rolling, self._set_all)

    async def one(self, request: Request) -> Response:
        """Tell it of one rule, or set it."""
        rule = request.path_params["rule"]
        if rule not in self._rollouts:
            there = ", ".join(self._rollouts.rules) or "none"
            detail = f"no rule that splits is called {rule!r}; there are: {there}"
            return problem(request, 404, Reason.UNKNOWN_NAME, detail)
        if request.method in {"GET", "HEAD"}:
            return JSONResponse(self._told(rule))
        return await self._acts.told(request, Rolling, self._set_one)

    async def _set_all(self, asked: Rolling, sent: Request) -> dict[str, Any]:
        self._rollouts.set(ALL, asked.split.mode)
        self._note(self._rollouts.rules, asked, sent)
        return self._told_of_all()

    async def _set_one(self, asked: Rolling, sent: Request) -> dict[str, Any]:
        rule: str = sent.path_params["rule"]
        self._rollouts.set(rule, asked.split.mode)
        self._note([rule], asked, sent)
        return self._told(rule)

    def _note(self, rules: Iterable[str], asked: Rolling, sent: Request) -> None:
        for rule in rules:
            told = self._rollouts.status(rule)
            self._audit(
                "decision", client_ip=client_ip(sent), rule=rule, asked=asked.split.mode or CONFIGURED,
                mode=told["mode"], state=told["state"],
            )  # fmt: skip

    def _told_of_all(self) -> dict[str, Any]:
        return {"rules": [self._told(rule) for rule in self._rollouts.rules]}

    def _told(self, rule: str) -> dict[str, Any]:
        return {"rule": rule, "split": {**self._rollouts.status(rule), **self._evidence(rule)}}
