"""What this process and all others have counted of each trial: a rule's feature, as it is configured now."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from typing import Any

import orjson

from proxy import __version__
from proxy.clock import Clock
from proxy.core.ab_report import report
from proxy.core.difference import Difference
from proxy.core.log_line import LogLine
from proxy.core.rollout import SPLIT, Feature, Stage
from proxy.core.rules import Rule
from proxy.core.trial import CLEAN, MISMATCH, NORMALIZATION, PAIR, REASSEMBLY, Trial, counted, merged, read
from proxy.rollouts import Rollouts
from proxy.store import Shared
from proxy.store.tiers import LONGEST_S

MOST_MISMATCHES = 200
KEEP_UP_EVERY_S = 2.0
BUDGET_S = 2.0
"""How long the board may take before a report goes without it."""
_NOTE, _MISMATCHES = "trial ", "mismatches "
_STILL_THERE_S = 600.0
"""How often a process that counts nothing says that it is there."""
_GONE_AFTER_S = 3600.0
_GONE_S = 0.001
_FORGOTTEN_AFTER_S = 30 * 86_400.0
"""How long the evidence of a configuration is kept that is not in use."""
_ENOUGH_PAIRS = 60


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Two answers that differed, and what became of it; no value of theirs is in it. `at` is wall-clock seconds."""

    at: float
    rule: str
    feature: Feature
    check: str
    verdict: str
    request_id: str
    path: str
    kind: str
    control: str
    candidate: str

    @classmethod
    def of(
        cls, difference: Difference, rule: str, feature: Feature, check: str, verdict: str, request_id: str, at: float
    ) -> "Mismatch":
        """Make one of the first difference of two answers."""
        told = (difference.path, difference.kind, difference.control, difference.candidate)
        return cls(round(at, 3), rule, feature, check, verdict, request_id, *told)


class Trials:
    """Keeps the trials of all rules; `name` is this process's."""

    def __init__(
        self, rules: Sequence[Rule], rollouts: Rollouts, clock: Clock, name: str, config_hash: str = ""
    ) -> None:
        self._config_hash = config_hash
        self._rules = {rule.name: rule for rule in rules if rule.features}
        self._rollouts = rollouts
        self._clock = clock
        self._name = name
        self._own: dict[str, Trial] = {}
        self._others: dict[str, list[Trial]] = {}
        self.mismatches: deque[Mismatch] = deque(maxlen=MOST_MISMATCHES)
        self._others_mismatches: list[Mismatch] = []
        self._pinned: dict[str, bytes] = {}
        self._pinned_at = 0.0
        self._has_adopted = False
        self._shared: Shared | None = None
        rollouts.has_evidence = self.is_trusted

    def _id(self, rule: str, feature: Feature) -> str:
        """Return what a trial is known by: evidence of another configuration, or from before a demotion, is none."""
        made = self._rules[rule]
        splitting = made.splitting
        signature = splitting.signature if feature == SPLIT and splitting is not None else made.signature()
        return f"{rule} {feature} {signature.hex()} {self._rollouts.epoch(rule, feature)}"

    def is_watched(self, rule: str, feature: Feature) -> bool:
        """Tell whether anything is counted of a rule's feature."""
        if rule not in self._rules or feature not in self._rules[rule].features:
            return False
        return feature == SPLIT or not self._rollouts.is_as_ever(rule) or self._audit(rule, feature) > 0

    def _audit(self, rule: str, feature: Feature) -> float:
        return self._rollouts.staging(rule, feature).audit

    def own(self, rule: str, feature: Feature) -> Trial:
        """Return what this process counts."""
        made, now = self._id(rule, feature), self._clock.wall()
        if made not in self._own:
            self._own[made] = Trial(since=now, until=now)
        return self._own[made]

    def everybodys(self, rule: str, feature: Feature) -> Trial:
        """Return what all processes have counted, as far as they have told."""
        return merged([self.own(rule, feature), *self._others.get(self._id(rule, feature), ())])

    def clean_pairs(self, rule: str, feature: Feature) -> int:
        """Return in how many comparisons that cost a call no difference was found."""
        trials = (self.own(rule, feature), *self._others.get(self._id(rule, feature), ()))
        return sum([one.verdicts(CLEAN, (PAIR, NORMALIZATION)) for one in trials])

    def spent(self, rule: str, day: str) -> int:
        """Return how many calls comparing took a rule's answers on a day: of all features, in all processes."""
        own = [(name, [trial]) for name, trial in self._own.items()]
        known = [
            trial for name, trials in (*own, *self._others.items()) if name.startswith(f"{rule} ") for trial in trials
        ]
        return sum([one.spent.get(day, 0) for one in known])

    def is_trusted(self, rule: str, feature: Feature) -> bool:
        """Tell whether there is evidence enough that not each answer has to be compared."""
        return self.clean_pairs(rule, feature) >= _ENOUGH_PAIRS

    def count(self, line: LogLine) -> None:
        """Count one finished request."""
        if line.rule is None or (rule := self._rules.get(line.rule)) is None:
            return
        for feature in rule.features:
            if self.is_watched(rule.name, feature) and self._rollouts.stage(rule.name, feature) is not Stage.OFF:
                draw = (line.draws or {}).get(feature)
                counted(self.own(rule.name, feature), line, draw, self._clock.wall())

    def told(self, rule: str, feature: Feature) -> dict[str, Any]:
        """Return in short what was found by comparing answers."""
        trial = self.everybodys(rule, feature)
        told: dict[str, Any] = {"checks": trial.checks, "exposed": trial.exposed}
        if feature == SPLIT:
            equal, different = (trial.verdicts(verdict, (REASSEMBLY,)) for verdict in (CLEAN, MISMATCH))
            told = {"equal": equal, "different": different, "not_cut": trial.not_cut, **told}
        return told

    async def report(self, rule: str, feature: Feature) -> dict[str, Any]:
        """Report on a rule's feature, with its last mismatches, as all processes know it now."""
        if self._shared is not None:
            try:
                async with asyncio.timeout(BUDGET_S):
                    await self.keep_up(self._shared)
            except Exception:  # noqa: BLE001, S110  then what was known a moment ago must do; `Promotion` tells
                pass
        status = {**self._rollouts.status(rule, feature), "since": self._rollouts.since(rule, feature)}
        status["climbs"] = self._rollouts.fixed(rule, feature) is None
        trial, gates = self.everybodys(rule, feature), self._rules[rule].trust.gates
        work = partial(
            report, rule, feature, trial, gates=gates, status=_known(status), now=self._clock.wall(),
            version=__version__, config_hash=self._config_hash,
        )  # fmt: skip
        found = await asyncio.to_thread(work)
        return {**found, "mismatches": self.last_mismatches(rule, feature)}

    def note(self, mismatch: Mismatch) -> None:
        """Keep a mismatch in the ring of the last ones."""
        self.mismatches.append(mismatch)

    def last_mismatches(self, rule: str, feature: Feature) -> list[dict[str, Any]]:
        """Return the last mismatches of a rule's feature, in any process, the newest first."""
        known = chain(self.mismatches, self._others_mismatches)
        mine = [one for one in known if (one.rule, one.feature) == (rule, feature)]
        return [asdict(one) for one in sorted(mine, key=lambda one: -one.at)[:MOST_MISMATCHES]]

    async def keep_up(self, shared: Shared) -> None:
        """Tell the other processes what was counted here, and learn what was there."""
        now, self._shared = self._clock.wall(), shared
        if not self._rules:
            return
        if now - self._pinned_at >= _STILL_THERE_S:
            self._pinned, self._pinned_at = {}, now
        await self._pin(shared, f"{_NOTE}{self._name}", self._written(now), empty=not self._own)
        ring = orjson.dumps([asdict(one) for one in self.mismatches])
        await self._pin(shared, f"{_MISMATCHES}{self._name}", ring, empty=not self.mismatches)
        await self._learn(shared, now)

    async def _pin(self, shared: Shared, name: str, note: bytes, *, empty: bool) -> None:
        if not empty and self._pinned.get(name) != note:
            await shared.pin(name, note, LONGEST_S)
            self._pinned[name] = note

    def _written(self, now: float) -> bytes:
        return orjson.dumps({"at": self._pinned_at or now, "trials": self._own}, option=orjson.OPT_NON_STR_KEYS)

    async def _learn(self, shared: Shared, now: float) -> None:
        notes = {name: _parsed(note) for name, note in (await shared.notes(_NOTE)).items() if self._is_others(name)}
        if not self._has_adopted:
            self._has_adopted = True
            await self._adopt(shared, notes, now)
        self._others = {}
        for note in notes.values():
            for name, trial in _trials(note):
                self._others.setdefault(name, []).append(trial)
        rings = [_parsed(note) for name, note in (await shared.notes(_MISMATCHES)).items() if self._is_others(name)]
        self._others_mismatches = list(_mismatches(chain.from_iterable(one for one in rings if isinstance(one, list))))

    def _is_others(self, name: str) -> bool:
        return name.rpartition(" ")[2] != self._name

    async def _adopt(self, shared: Shared, notes: dict[str, Any], now: float) -> None:
        """Count as one's own what processes counted that are gone, so that their notes do not pile up."""
        gone = [name for name, note in notes.items() if _at(note) < now - _GONE_AFTER_S]
        if not gone or await shared.lease(b"adopts trials".ljust(20, b"."), self._name, _STILL_THERE_S) is None:
            return
        current = {self._id(rule.name, feature) for rule in self._rules.values() for feature in rule.features}
        for name in gone:
            for known, trial in _trials(notes.pop(name)):
                if known not in current and trial.until < now - _FORGOTTEN_AFTER_S:
                    continue
                self._own.setdefault(known, Trial(since=trial.since)).merge(trial)
        await self._pin(shared, f"{_NOTE}{self._name}", self._written(now), empty=not self._own)
        for name in gone:
            await shared.pin(name, b"", _GONE_S)


def _known(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in told.items() if one is not None}


def _parsed(note: bytes) -> Any:
    try:
        return orjson.loads(note)
    except orjson.JSONDecodeError:
        return {}


def _at(note: Any) -> float:
    at = note.get("at") if isinstance(note, dict) else None
    return at if isinstance(at, float) else 0.0


def _trials(note: Any) -> Iterable[tuple[str, Trial]]:
    """Yield what a process has told of its trials; what another release wrote otherwise is left out."""
    told = note.get("trials") if isinstance(note, dict) else None
    for name, written in (told if isinstance(told, Mapping) else {}).items():
        try:
            yield name, read(written)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue


def _mismatches(told: Iterable[Any]) -> Iterable[Mismatch]:
    for one in told:
        try:
            yield Mismatch(**one)
        except TypeError:
            continue
