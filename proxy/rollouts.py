"""How far each rule's split is rolled out now: as configured, unless an operator or a mismatch says less."""

from collections.abc import Callable, Iterable, Mapping

from proxy.core.rules import Rule
from proxy.core.splitting import Stage

ALL = ""
"""Stands for every rule."""

_ORDER = (Stage.OFF, Stage.SHADOW, Stage.ON)


class Rollouts:
    """The stage of each rule that splits; `tell` reaches the other processes, with a rule and what it was set to."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._configured = {rule.name: rule.splitting.stage for rule in rules if rule.splitting is not None}
        self._set: dict[str, Stage | None] = {}
        self._demoted: set[str] = set()
        self.tell: Callable[[str, str], None] = lambda _rule, _stage: None

    def __contains__(self, rule: str) -> bool:
        return rule in self._configured

    @property
    def rules(self) -> Iterable[str]:
        """Return the names of the rules that split."""
        return self._configured

    def stage(self, rule: str) -> Stage:
        """Return how far a rule's split is trusted now: what stops it comes first."""
        said = [stage for stage in (self._set.get(ALL), self._set.get(rule)) if stage is not None]
        stage = min(said, key=_ORDER.index) if said else self._configured.get(rule, Stage.OFF)
        return Stage.SHADOW if rule in self._demoted and stage is Stage.ON else stage

    def forced(self, rule: str) -> bool:
        """Tell whether a client or an alias may force a split: neither where an operator or a mismatch stopped it."""
        held = rule in self._demoted or Stage.OFF in {self._set.get(ALL), self._set.get(rule)}
        return rule in self._configured and not held

    def set(self, rule: str, stage: Stage | None) -> None:
        """Set a rule's stage, of ALL rules where none is named; None is as configured, and lifts a demotion."""
        self.follow(rule, "" if stage is None else stage)
        self.tell(rule, "" if stage is None else stage)

    def demote(self, rule: str) -> bool:
        """Serve no split of a rule any more; tell whether it was not demoted yet."""
        new = rule not in self._demoted
        self._demoted.add(rule)
        if new:
            self.tell(rule, "demoted")
        return new

    def follow(self, rule: str, said: str) -> None:
        """Do as another process says."""
        if said == "demoted":
            self._demoted.add(rule)
            return
        self._set[rule] = Stage(said) if said else None
        if not said:
            self._demoted -= set(self._configured) if rule == ALL else {rule}

    def status(self, rule: str) -> Mapping[str, str]:
        """Return what is told of a rule."""
        stage = self.stage(rule)
        state = "demoted" if rule in self._demoted else "off" if stage is Stage.OFF else "running"
        return {"mode": stage, "state": state, "configured": self._configured[rule]}
