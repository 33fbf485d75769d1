"""How far each rule's features are rolled out now: as configured, unless an operator, a gate or a mismatch says otherwise.

Of what processes say of a feature the latest counts, whatever order it comes in, so that all end up with the same.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Final, Self, cast, get_args

from proxy.clock import Clock
from proxy.core.rollout import FEATURES, NORMALIZE, SPLIT, STEPS, Feature, Stage, Staging, bucket
from proxy.core.rules import Rule

ALL = ""
"""Stands for every rule."""
CONFIGURED, DEMOTED, HELD, RELEASED, STEP = "configured", "demoted", "held", "released", "step"

_ORDER = (Stage.OFF, Stage.SHADOW, Stage.CANARY, Stage.ON)
_SAFEST_LAST = (STEP, RELEASED, CONFIGURED, Stage.ON, Stage.CANARY, Stage.SHADOW, Stage.OFF, HELD, DEMOTED)
_KINDS: Final[Mapping[str, str]] = {DEMOTED: DEMOTED, HELD: HELD, RELEASED: HELD, STEP: STEP}
_SET: Final = "set"
_A_MOMENT_S = 0.001
_OFF = Staging(Stage.OFF)


@dataclass(frozen=True, slots=True)
class Said:
    """A word about a rule's feature, and when it was said, by the wall clock.

    `number` is a percentage, until when it is held, or which generation was demoted.
    """

    rule: str
    feature: Feature
    word: str
    at: float
    number: float | None = None

    @classmethod
    def read(cls, message: bytes) -> Self:
        """Read a message. Raises ValueError for what is none."""
        moment, written, feature, rule = message.decode().split(" ")
        word, has_number, number = written.partition("=")
        at, told = float(moment), float(number) if has_number else None
        if word not in _SAFEST_LAST or not isfinite(at) or feature not in get_args(Feature):
            raise ValueError(f"nobody says {word} of {feature} at {at}")
        if (told is not None and not isfinite(told)) or (told is None and word in {HELD, STEP}):
            raise ValueError(f"nobody says {written}")
        return cls(rule, cast("Feature", feature), word, at, told)

    @property
    def message(self) -> bytes:
        """Return it as other processes read it."""
        number = "" if self.number is None else f"={self.number!r}"
        return f"{self.at!r} {self.word}{number} {self.feature} {self.rule}".encode()

    @property
    def kind(self) -> str:
        """Return the name under which only the last one of its kind counts."""
        return f"{_KINDS.get(self.word, _SET)} {self.feature} {self.rule}"

    @property
    def rank(self) -> tuple[float, int, float]:
        """Return what a later one has more of; of two at the same time, the safer."""
        number = inf if self.number is None else self.number
        return self.at, _SAFEST_LAST.index(self.word), number if self.word == HELD else -number


class Rollouts:
    """The stage of each rule's features; `tell` reaches the other processes, with a message and the name of its kind."""

    def __init__(self, rules: Iterable[Rule], clock: Clock) -> None:
        self._configured: dict[tuple[str, Feature], Staging] = {}
        self._clock = clock
        self._said: dict[str, Said] = {}
        self._as_ever: dict[str, bool] = {}
        self.tell: Callable[[bytes, str], None] = _tell_nobody
        self.has_evidence: Callable[[str, Feature], bool] = lambda *_: False
        for rule in rules:
            for feature in rule.features:
                self.restage(rule, feature)

    def restage(self, rule: Rule, feature: Feature) -> None:
        """Take what a rule's config says now of a feature."""
        self._configured[rule.name, feature] = rule.trust.staging(feature)
        self._as_ever.clear()

    def __contains__(self, rule: str) -> bool:
        return any((rule, feature) in self._configured for feature in FEATURES)

    @property
    def rules(self) -> Iterable[str]:
        """Return the names of the rules that have anything to roll out."""
        return dict.fromkeys(rule for rule, _ in self._configured)

    def features(self, rule: str) -> tuple[Feature, ...]:
        """Return what a rule has to roll out."""
        return tuple([feature for feature in FEATURES if (rule, feature) in self._configured])

    def staging(self, rule: str, feature: Feature = SPLIT) -> Staging:
        """Return what the config says of a rule's feature; that it is off where it has none."""
        return self._configured.get((rule, feature), _OFF)

    def stage(self, rule: str, feature: Feature = SPLIT) -> Stage:
        """Return how far a rule's feature is trusted now: what stops it comes first."""
        if (rule, feature) not in self._configured:
            return Stage.OFF
        said = [one for one in (self._set(ALL, feature), self._set(rule, feature)) if one is not None]
        stage = min([Stage(one.word) for one in said], key=_ORDER.index) if said else self.staging(rule, feature).stage
        return Stage.SHADOW if stage in {Stage.CANARY, Stage.ON} and self.is_demoted(rule, feature) else stage

    def _set(self, rule: str, feature: Feature) -> Said | None:
        said = self._said.get(f"{_SET} {feature} {rule}")
        return None if said is None or said.word == CONFIGURED else said

    def _since_set(self, kind: str, rule: str, feature: Feature) -> Said | None:
        """Return the last word of a kind, if it came after what an operator last set of this rule."""
        said, since = self._said.get(f"{_SET} {feature} {rule}"), self._said.get(f"{kind} {feature} {rule}")
        return since if since is not None and since.at > (-inf if said is None else said.at) else None

    def is_demoted(self, rule: str, feature: Feature = SPLIT) -> bool:
        """Tell whether answers did not match since an operator last set this rule's stage."""
        return self._since_set(DEMOTED, rule, feature) is not None

    def is_held(self, rule: str, feature: Feature = SPLIT) -> bool:
        """Tell whether a mismatch is being looked into: nothing is served meanwhile."""
        held = self._since_set(HELD, rule, feature)
        return held is not None and held.word == HELD and (held.number or 0.0) > self._clock.wall()

    def generation(self, rule: str, feature: Feature = SPLIT) -> int:
        """Return what grows with each demotion: nothing that was kept before is used again, by any process."""
        demoted = self._said.get(f"{DEMOTED} {feature} {rule}")
        return 0 if demoted is None else int(demoted.at * 1000)

    def epoch(self, rule: str, feature: Feature = SPLIT) -> int:
        """Return the generation that evidence is of: of a demoted feature, the one that it was demoted for."""
        demoted = self._since_set(DEMOTED, rule, feature)
        return self.generation(rule, feature) if demoted is None else int(demoted.number or 0)

    def share(self, rule: str, feature: Feature = SPLIT) -> float:
        """Return the percentage of the requests that is served so now."""
        stage = self.stage(rule, feature)
        if stage in {Stage.OFF, Stage.SHADOW} or self.is_held(rule, feature):
            return 0.0
        return 100.0 if stage is Stage.ON else self.step(rule, feature)

    def step(self, rule: str, feature: Feature = SPLIT) -> float:
        """Return the percentage of the requests that a canary serves: as said, as configured, or where it has climbed to."""
        fixed = self.fixed(rule, feature)
        if fixed is not None:
            return fixed
        climbed = self._since_set(STEP, rule, feature)
        return STEPS[0] if climbed is None else climbed.number or 0.0

    def fixed(self, rule: str, feature: Feature = SPLIT) -> float | None:
        """Return the percentage that somebody set, the smaller of two; None where a canary climbs by itself."""
        said = [one for one in (self._set(ALL, feature), self._set(rule, feature)) if one and one.word == Stage.CANARY]
        if not said:
            return self.staging(rule, feature).percent
        return min([one.number for one in said if one.number is not None], default=None)

    def sampled(self, rule: str, feature: Feature = SPLIT) -> float:
        """Return the percentage of the whole answers that is compared in shadow."""
        staging = self.staging(rule, feature)
        return 100.0 if staging.stage is not Stage.SHADOW or staging.percent is None else staging.percent

    def since(self, rule: str, feature: Feature = SPLIT) -> float | None:
        """Return when a canary came to the step where it is, by the wall clock; None where it has not climbed yet."""
        climbed = self._since_set(STEP, rule, feature)
        return None if climbed is None else climbed.at

    def takes(self, rule: str, feature: Feature, unit: bytes) -> bool:
        """Tell whether a feature is served to a unit: once it is, a larger share does not change that."""
        share = self.share(rule, feature)
        return share >= 100 or (share > 0 and bucket(rule, feature, unit) < share)

    def is_proven(self, rule: str, feature: Feature) -> bool:
        """Tell whether answers may be served that nobody compares: by their owner's word, or by evidence."""
        return self.stage(rule, feature) is Stage.ON or self.has_evidence(rule, feature)

    def is_as_ever(self, rule: str) -> bool:
        """Tell whether a rule's keys are made as its config says, and always were."""
        known = self._as_ever.get(rule)
        if known is None:
            says = [f"{kind} {NORMALIZE} {name}" for kind in (_SET, HELD, DEMOTED) for name in (ALL, rule)]
            is_on = self.staging(rule, NORMALIZE).stage is Stage.ON or (rule, NORMALIZE) not in self._configured
            known = self._as_ever[rule] = is_on and self._said.keys().isdisjoint(says)
        return known

    def forced(self, rule: str) -> bool:
        """Tell whether a client or an alias may force a split: neither where an operator or a mismatch stopped it."""
        stopped = [one for one in (self._set(ALL, SPLIT), self._set(rule, SPLIT)) if one and one.word == Stage.OFF]
        return (rule, SPLIT) in self._configured and not (stopped or self.is_demoted(rule) or self.is_held(rule))

    def set(self, rule: str, stage: Stage | None, feature: Feature = SPLIT, percent: float | None = None) -> None:
        """Set the stage of a rule's feature, of ALL rules where none is named; None is as configured.

        Whoever sets one rule by its name has seen to its demotion: it ends.
        """
        self._say(Said(rule, feature, stage or CONFIGURED, 0.0, percent if stage is Stage.CANARY else None))

    def demote(self, rule: str, feature: Feature = SPLIT) -> bool:
        """Serve no answers of a feature any more, until an operator sets its stage; tell whether that is new."""
        if self.is_demoted(rule, feature):
            return False
        self._say(Said(rule, feature, DEMOTED, 0.0, float(self.generation(rule, feature))))
        return True

    def hold(self, rule: str, feature: Feature, until: float) -> None:
        """Serve no answers of a feature until a moment (wall clock), or until it is released."""
        self._say(Said(rule, feature, HELD, 0.0, until))

    def release(self, rule: str, feature: Feature, until: float | None) -> None:
        """End the hold that was to last until then; another's goes on."""
        held = self._since_set(HELD, rule, feature)
        if held is None or held.number != until:
            return
        self._say(Said(rule, feature, RELEASED, 0.0))

    def climb(self, rule: str, feature: Feature, percent: float) -> None:
        """Let a canary serve this percentage from now on."""
        self._say(Said(rule, feature, STEP, 0.0, percent))

    def _say(self, said: Said) -> None:
        # later than all that is known of it, though another machine's clock be fast
        known = [
            one.at + _A_MOMENT_S for one in self._said.values() if (one.rule, one.feature) == (said.rule, said.feature)
        ]
        dated = Said(said.rule, said.feature, said.word, max([self._clock.wall(), *known]), said.number)
        self._note(dated)
        self.tell(dated.message, dated.kind)

    def _note(self, said: Said) -> None:
        self._said[said.kind] = said
        self._as_ever.clear()

    def follow(self, message: bytes) -> None:
        """Take note of what another process says; what is old or no message changes nothing."""
        try:
            said = Said.read(message)
        except ValueError:
            return
        known = self._said.get(said.kind)
        if known is None or known.rank < said.rank:
            self._note(said)

    def told(self) -> Mapping[str, bytes]:
        """Return all that was said and counts, by the names of its kinds: who follows it is of the same mind."""
        return {kind: said.message for kind, said in self._said.items()}

    def status(self, rule: str, feature: Feature = SPLIT) -> Mapping[str, Any]:
        """Return what is told of a rule's feature."""
        stage = self.stage(rule, feature)
        told: dict[str, Any] = {"mode": stage, "state": self._state(rule, feature, stage)}
        if stage is Stage.CANARY:
            told["percent"] = self.step(rule, feature)
        elif stage is Stage.SHADOW:
            told["percent"] = self.sampled(rule, feature)
        elif stage is Stage.ON:
            told["percent"] = 100.0
        configured = self.staging(rule, feature).stage
        return {**told, "configured": configured, "generation": self.generation(rule, feature)}

    def _state(self, rule: str, feature: Feature, stage: Stage) -> str:
        if self.is_demoted(rule, feature):
            return DEMOTED
        if stage is Stage.OFF:
            return "off"
        return HELD if self.is_held(rule, feature) else "running"


def _tell_nobody(message: bytes, kind: str) -> None:
    """Do nothing: there is no other process."""
