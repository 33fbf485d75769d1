"""What trust is earned with, in one process: rollouts, trials, and calls that nobody waits for."""

from typing import Any

from fakes import VIA, FakeClock, FakeEngine, LineKeeper, limited, unlimited
from shop import Shop, shop_rule
from world import asked

from proxy.asked import Asked
from proxy.core.log_line import LogLine
from proxy.core.normalize.sort_params import SortParams
from proxy.core.rollout import Stage, Staging
from proxy.core.rules import Rule
from proxy.core.trial import CLEAN, PAIR
from proxy.draws import Draws
from proxy.mode import Mode
from proxy.rollouts import Rollouts
from proxy.store import Shared
from proxy.tasks import Tasks
from proxy.trials import Trials
from proxy.unseen import Unseen
from proxy.upstream.call import Timeouts, Upstream

SHOP = "/kept/shop?ids=1,2&lang=de"
KEY = "ab" * 20


def two_rule(stage: Stage = Stage.CANARY, percent: float | None = 100.0, name: str = "kept", **more: Any) -> Rule:
    """Return a rule that splits and normalizes, both rolled out so far; `trusted` is what else is said of its trust."""
    staging = Staging(stage, percent, audit=more.pop("audit", 0.0), sticky=more.pop("sticky", None))
    trusted = {"split": staging, "normalize": staging, **more.pop("trusted", {})}
    return shop_rule(name=name, normalizers=(SortParams(),), trusted=trusted, **more)


def asks(rule: Rule, target: str = SHOP, *fields: tuple[bytes, bytes], body: bytes = b"", **line: Any) -> Asked:
    """Return a request on the accelerated road."""
    request = asked(target, *fields, method="POST" if body else "GET", body=body)
    known = LogLine("id", request.method, "/kept/shop", 0.0, **{"key_hash": KEY, "rule": rule.name, **line})
    return Asked(request, rule, b"site.test", {}, known)


class Trusted:
    """One process in front of a shop."""

    def __init__(
        self,
        rule: Rule | None = None,
        *answers: Any,
        ceiling: int | None = None,
        clock: FakeClock | None = None,
        shared: Shared | None = None,
        name: str = "here",
        roll: float = 0.5,
        takes: float = 0.0,
    ) -> None:
        self.clock, self.log, self.mode = clock or FakeClock(), LineKeeper(), Mode()
        self.rule = rule or two_rule()
        self.tasks = Tasks(self.log.failed)
        self.engine = FakeEngine(*(answers or (Shop(),)), clock=self.clock, takes=takes)
        self.protection = unlimited(self.clock, self.log) if ceiling is None else limited(ceiling, self.clock)
        upstream = Upstream(self.engine, self.protection, self.clock, self.log.upstream_call, VIA, host=None)
        self.rollouts = Rollouts((self.rule,), self.clock)
        self.trials = Trials((self.rule,), self.rollouts, self.clock, name)
        self.unseen = Unseen(upstream, self.protection, self.trials, Timeouts(), self.clock, self.mode)
        self.draws = Draws(
            self.rollouts, self.trials, self.unseen, self.tasks, shared, name, lambda: roll, self.log.failed
        )

    def asks(self, *fields: tuple[bytes, bytes], target: str = SHOP, **line: Any) -> Asked:
        """Return a request for this process's rule."""
        return asks(self.rule, target, *fields, **line)

    def trial(self, feature: Any = "split") -> Any:
        """Return what this process counts."""
        return self.trials.own(self.rule.name, feature)

    def prove(self, pairs: int, feature: Any = "split") -> None:
        """Let so many pairs have been compared without a difference."""
        for _ in range(pairs):
            self.trial(feature).judged(PAIR, CLEAN)
