"""How far each rule's split is rolled out now: as configured, unless an operator or a mismatch says otherwise.

Of what processes say of a rule the latest counts, whatever order it comes in, so that all end up with the same.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Self

from proxy.clock import Clock
from proxy.core.rules import Rule
from proxy.core.splitting import Stage

ALL = ""
"""Stands for every rule."""
CONFIGURED, DEMOTED = "configured", "demoted"

_ORDER = (Stage.OFF, Stage.SHADOW, Stage.ON)
_SAFEST_LAST = (CONFIGURED, Stage.ON, Stage.SHADOW, Stage.OFF, DEMOTED)
_A_MOMENT_S = 0.001


@dataclass(frozen=True, slots=True)
class _Said:
    """A word about a rule, and when it was said, by the wall clock."""

    rule: str
    word: str
    at: float

    @classmethod
    def read(cls, message: bytes) -> Self:
        """Read a message. Raises ValueError for what is none."""
        at, word, rule = message.decode().split(" ")
        if word not in _SAFEST_LAST or not isfinite(float(at)):
            raise ValueError(f"nobody says {word} at {at}")
        return cls(rule, word, float(at))

    @property
    def message(self) -> bytes:
        return f"{self.at!r} {self.word} {self.rule}".encode()

    @property
    def kind(self) -> str:
        """Return the name under which only the last one of its kind counts."""
        return f"{'demoted' if self.word == DEMOTED else 'set'} {self.rule}"

    @property
    def rank(self) -> tuple[float, int]:
        """Return what a later one has more of; of two at the same time, the safer."""
        return self.at, _SAFEST_LAST.index(self.word)


class Rollouts:
    """The stage of each rule that splits; `tell` reaches the other processes, with a message and the name of its kind."""

    def __init__(self, rules: Iterable[Rule], clock: Clock) -> None:
        self._configured = {rule.name: rule.splitting.stage for rule in rules if rule.splitting is not None}
        self._clock = clock
        self._said: dict[str, _Said] = {}
        self.tell: Callable[[bytes, str], None] = _tell_nobody

    def __contains__(self, rule: str) -> bool:
        return rule in self._configured

    @property
    def rules(self) -> Iterable[str]:
        """Return the names of the rules that split."""
        return self._configured

    def stage(self, rule: str) -> Stage:
        """Return how far a rule's split is trusted now: what stops it comes first."""
        said = [stage for stage in (self._set(ALL), self._set(rule)) if stage is not None]
        stage = min(said, key=_ORDER.index) if said else self._configured.get(rule, Stage.OFF)
        return Stage.SHADOW if stage is Stage.ON and self.is_demoted(rule) else stage

    def _set(self, rule: str) -> Stage | None:
        said = self._said.get(f"set {rule}")
        return None if said is None or said.word == CONFIGURED else Stage(said.word)

    def is_demoted(self, rule: str) -> bool:
        """Tell whether answers did not match since an operator last set this rule's stage."""
        said, since = self._said.get(f"set {rule}"), self._said.get(f"demoted {rule}")
        return since is not None and since.at > (-inf if said is None else said.at)

    def forced(self, rule: str) -> bool:
        """Tell whether a client or an alias may force a split: neither where an operator or a mismatch stopped it."""
        held = self.is_demoted(rule) or Stage.OFF in {self._set(ALL), self._set(rule)}
        return rule in self._configured and not held

    def set(self, rule: str, stage: Stage | None) -> None:
        """Set a rule's stage, of ALL rules where none is named; None is as configured.

        Whoever sets one rule by its name has seen to its demotion: it ends.
        """
        self._say(rule, stage or CONFIGURED)

    def demote(self, rule: str) -> bool:
        """Serve no split of a rule any more, until an operator sets its stage; tell whether it was not demoted yet."""
        if self.is_demoted(rule):
            return False
        self._say(rule, DEMOTED)
        return True

    def _say(self, rule: str, word: str) -> None:
        # later than all that is known of it, though another machine's clock be fast
        known = [one.at + _A_MOMENT_S for one in self._said.values() if one.rule == rule]
        said = _Said(rule, word, max([self._clock.wall(), *known]))
        self._said[said.kind] = said
        self.tell(said.message, said.kind)

    def follow(self, message: bytes) -> None:
        """Take note of what another process says; what is old or no message changes nothing."""
        try:
            said = _Said.read(message)
        except ValueError:
            return
        known = self._said.get(said.kind)
        if known is None or known.rank < said.rank:
            self._said[said.kind] = said

    def told(self) -> Mapping[str, bytes]:
        """Return all that was said and counts, by the names of its kinds: who follows it is of the same mind."""
        return {kind: said.message for kind, said in self._said.items()}

    def status(self, rule: str) -> Mapping[str, str]:
        """Return what is told of a rule."""
        stage = self.stage(rule)
        state = DEMOTED if self.is_demoted(rule) else "off" if stage is Stage.OFF else "running"
        return {"mode": stage, "state": state, "configured": self._configured[rule]}


def _tell_nobody(message: bytes, kind: str) -> None:
    """Do nothing: there is no other process."""
