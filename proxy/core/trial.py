"""What is counted to compare two arms: control (the request as it came) and candidate (split, or normalized).

Counts of several processes are merged; times are seconds, moments are of the wall clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from proxy.core.histogram import Histogram
from proxy.core.log_line import Draw, LogLine
from proxy.core.types import Outcome

ArmName = Literal["control", "candidate"]
CONTROL: Final[ArmName] = "control"
CANDIDATE: Final[ArmName] = "candidate"
ARMS: Final[tuple[ArmName, ...]] = (CONTROL, CANDIDATE)

PAIR, OVERLAP, REASSEMBLY, NORMALIZATION = "pair", "overlap", "reassembly", "normalization"
CHECKS: Final = (REASSEMBLY, OVERLAP, NORMALIZATION, PAIR)
"""How answers are compared, the cheapest first."""
CLEAN: Final = "clean"
MISMATCH: Final = "mismatch"
NOISY: Final = "noisy"
CHANGED: Final = "changed"
UNCLEAR: Final = "unclear"
VERDICTS: Final = (CLEAN, MISMATCH, NOISY, CHANGED, UNCLEAR)
"""noisy: two control answers differ there as well; changed: it is another now; unclear: it could not be asked again."""
MOST_RATIOS = 1000


@dataclass(slots=True)
class Arm:
    """One arm's answers: `timings` are of those that were fetched, `known` of those that were there or another's.

    `busy` is the sum of the seconds of its calls upstream, `wall` how long the upstream was at them, `longest` the sum
    of the longest call of each: `busy / wall` is the overlap that was achieved, `longest / wall` the critical part.
    """

    timings: Histogram = field(default_factory=Histogram)
    known: Histogram = field(default_factory=Histogram)
    errors: int = 0
    fallbacks: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    busy: float = 0.0
    wall: float = 0.0
    longest: float = 0.0

    @property
    def answers(self) -> int:
        """Return how many answers there were, errors aside."""
        return self.timings.n + self.known.n

    def fetched(self, took: float, calls: int, busy: float, wall: float, longest: float) -> None:
        """Count an answer that was fetched."""
        self.timings.add(took)
        self.calls += calls
        self.busy += busy
        self.wall += wall
        self.longest += longest

    def merge(self, other: "Arm") -> None:
        """Count all that `other` counted."""
        self.timings.merge(other.timings)
        self.known.merge(other.known)
        add(self.fallbacks, other.fallbacks)
        self.errors += other.errors
        self.calls += other.calls
        self.busy += other.busy
        self.wall += other.wall
        self.longest += other.longest


@dataclass(slots=True)
class Trial:
    """What was seen of a rule's feature since a moment.

    `requests` were for the rule; of the `eligible` ones `drawn` got the candidate where `expected` (± `variance`) were
    planned; others, and some of these, were `excluded`, by reason. `served` are candidate answers by the percentage that they were
    drawn at. `ratios` are natural logarithms of candidate's over control's seconds, of pairs. `checks` count verdicts
    by kind of check, `noise` how control answers compare with one another (clean, noisy). `exposed` are answers that
    left before they were found wrong. `dropped` counts comparisons that were not made, by reason; `spent` is how many
    calls they took, by day. `not_cut` counts whole answers that could not be cut into parts, by reason. `full` is how full the upstream was (0…1, summed over `looks`).
    """

    since: float = 0.0
    until: float = 0.0
    requests: int = 0
    eligible: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    drawn: int = 0
    expected: float = 0.0
    variance: float = 0.0
    served: dict[str, int] = field(default_factory=dict)
    arms: dict[str, Arm] = field(default_factory=lambda: {name: Arm() for name in ARMS})
    ratios: list[float] = field(default_factory=list)
    checks: dict[str, dict[str, int]] = field(default_factory=dict)
    noise: dict[str, int] = field(default_factory=dict)
    exposed: int = 0
    not_cut: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    full: float = 0.0
    looks: int = 0

    @property
    def answered(self) -> int:
        """Return how many answers candidate gave, and failed to give."""
        return sum(self.served.values())

    def verdicts(self, verdict: str, checks: Iterable[str] = CHECKS) -> int:
        """Return how often some kinds of checks ended so."""
        return sum([self.checks.get(check, {}).get(verdict, 0) for check in checks])

    def judged(self, check: str, verdict: str) -> None:
        """Count a check's verdict."""
        add(self.checks.setdefault(check, {}), {verdict: 1})

    def assigned(self, share: float, *, drawn: bool) -> None:
        """Count one request that was drawn for an arm, where `share` percent get the candidate."""
        planned = share / 100
        self.expected += planned
        self.variance += planned * (1 - planned)
        self.drawn += drawn

    def paired(self, ratio: float) -> None:
        """Keep the logarithm of a pair's ratio."""
        self.ratios.append(round(ratio, 4))
        del self.ratios[:-MOST_RATIOS]

    def merge(self, other: "Trial") -> None:
        """Count all that `other` counted."""
        self.since = min(self.since, other.since)
        self.until = max(self.until, other.until)
        for name in ("requests", "eligible", "drawn", "expected", "variance", "exposed", "full", "looks"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("excluded", "served", "noise", "not_cut", "dropped", "spent"):
            add(getattr(self, name), getattr(other, name))
        for name, arm in other.arms.items():
            self.arms[name].merge(arm)
        for check, verdicts in other.checks.items():
            add(self.checks.setdefault(check, {}), verdicts)
        self.ratios = [*self.ratios, *other.ratios][-MOST_RATIOS:]

    def written(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def counted(trial: Trial, line: LogLine, draw: Draw | None, now: float) -> None:
    """Count one finished request of a rule; what was drawn for an arm counts there, even if it ended as another."""
    trial.requests += 1
    trial.until = max(trial.until, now)
    if draw is None or draw.share is None:
        add(trial.excluded, {_why(line) if draw is None else draw.why: 1})
        return
    trial.eligible += 1
    is_candidate = draw.arm == CANDIDATE
    trial.assigned(draw.share, drawn=is_candidate)
    if draw.why:
        add(trial.excluded, {draw.why: 1})
        return
    if is_candidate:
        add(trial.served, {f"{draw.share:g}": 1})
    arm = trial.arms[draw.arm]
    if line.fell_back is not None:
        add(arm.fallbacks, {line.fell_back: 1})
    if line.error_source == "client":
        return  # it left, or asked for what cannot be: that says nothing of its arm
    if line.error_source is not None:
        arm.errors += 1
    elif line.outcome in _KNOWN or line.joined is not None:
        arm.known.add(line.duration_s)
    else:
        call, waited = line.call, line.upstream_s or 0.0
        busy, longest = (waited, waited) if call is None or not call.busy_s else (call.busy_s, call.longest_s)
        arm.fetched(line.duration_s, line.upstream_calls, busy, waited, longest)


def _why(line: LogLine) -> str:
    """Return why a request was not drawn for an arm."""
    if line.outcome is Outcome.PASSTHROUGH:
        return str(line.reason)
    return str(line.outcome) if line.outcome in _KNOWN or line.outcome is Outcome.ERROR else NOT_DRAWN


NOT_DRAWN: Final = "not_drawn"
"""It was for one thing only, quicker than is worth a split, or its rule is in shadow."""
_KNOWN = frozenset({Outcome.HIT, Outcome.STALE, Outcome.COLLAPSED})


def add(counts: dict[str, int], more: Mapping[str, int]) -> None:
    """Add counts by name."""
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count


def merged(trials: Sequence[Trial]) -> Trial:
    """Return what several processes have counted together; nothing where there are none."""
    if not trials:
        return Trial()
    together = Trial(since=trials[0].since)
    for one in trials:
        together.merge(one)
    return together


def read(written: Mapping[str, Any]) -> Trial:
    """Read what `Trial.written` returned. Raises KeyError, TypeError or ValueError for what is none."""
    try:
        found = _read(written)
        Trial().merge(found)  # what cannot be counted with others is none
    except AttributeError as error:
        raise TypeError("that is no trial") from error
    return found


def _read(written: Mapping[str, Any]) -> Trial:
    arms = {
        name: Arm(**{**arm, "timings": _timings(arm["timings"]), "known": _timings(arm["known"])})
        for name, arm in written["arms"].items()
        if name in ARMS
    }
    return Trial(**{**written, "arms": {name: Arm() for name in ARMS} | arms})


def _timings(written: Mapping[str, Any]) -> Histogram:
    buckets = {int(bucket): count for bucket, count in written["buckets"].items()}
    return Histogram(written["n"], written["total"], written["most"], buckets)
