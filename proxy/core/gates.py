"""Whether a canary climbs: each of its gates as measured, and what follows from all of them.

Who looks every minute would find anything in the end: what stops a canary is judged by bounds that hold at every
moment at once. No data is never a success.
"""

from dataclasses import dataclass
from typing import Final, Literal

from proxy.core.rollout import STEPS, Gate, Gates
from proxy.core.seeded import seeded
from proxy.core.statistics import (
    anytime_lower_bound,
    anytime_upper_bound,
    needed,
    paired_ratio,
    quantile_interval,
)
from proxy.core.trial import CANDIDATE, CLEAN, CONTROL, MISMATCH, NORMALIZATION, PAIR, Trial

Result = Literal["pass", "fail", "wait", "unclear"]
Act = Literal["climb", "hold", "pause", "back"]

PAIRS: Final = (PAIR, NORMALIZATION)
"""The checks whose two answers were both fetched: they alone tell how often a client would get a wrong one."""
ENOUGH_LOOKS: Final = 30
"""So often is looked at how full the upstream is, every other second, before that counts."""
SETTLED_S: Final = 60.0
"""So long at least a step lasts: what took it back once must not take it back again before it has shown anything."""
ENOUGH_RATIOS: Final = 20
"""So many pairs tell of times where an arm has too few answers for its own."""
MOST_PAIRS: Final = 10_000_000

_P95: Final = 0.95
_ACTS: Final[tuple[tuple[Result, Act], ...]] = (
    ("fail", "back"),
    ("unclear", "pause"),
    ("wait", "hold"),
    ("pass", "climb"),
)
"""The worst result of all gates → what follows."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One gate as it was measured: its value against its limit, from `n` observations.

    `gate`: samples, time, mismatch, errors, latency, in_flight or fallbacks. wait: there is not enough yet; unclear:
    there is, and it says neither. `value` is None where nothing was measured; `dry_run` ones are told and change nothing.
    """

    gate: str
    result: Result
    value: float | None
    limit: float
    n: int
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows: one step up, stay, stay because it is inconclusive (pause), or one step back.

    `share` is the percentage from now on, 0.0: nothing is served; `why` is one sentence with numbers.
    """

    act: Act
    share: float
    measured: tuple[Measured, ...]
    why: str


_Told = tuple[Measured, str]


def above(share: float) -> float:
    """Return the step after a share, in percent; the last one has none after it."""
    return next((step for step in STEPS if step > share), STEPS[-1])


def below(share: float) -> float:
    """Return the step before a share, in percent; before the first nothing is served."""
    return max((step for step in STEPS if step < share), default=0.0)


def decide(trial: Trial, gates: Gates, share: float, *, since: float, now: float) -> Decision:
    """Decide what becomes of a canary that serves `share` percent `since` a moment."""
    told = (
        _samples(trial, gates, share),
        _time(trial, gates, share, now - since),
        _mismatch(trial, gates.mismatch, share),
        _errors(trial, gates),
        _latency(trial, gates.latency),
        _in_flight(trial, gates.in_flight),
        _fallbacks(trial, gates.fallbacks),
    )
    acting = [(one.result, phrase) for one, phrase in told if not one.dry_run]
    results = {result for result, _ in acting}
    worst, act = next((result, act) for result, act in _ACTS if result in results)
    phrases = "; ".join([phrase for result, phrase in acting if result == worst])
    measured = tuple([one for one, _ in told])
    if act == "climb" and share >= STEPS[-1]:
        return Decision("hold", share, measured, f"arrived at {share:g} %: {phrases}")
    if act == "back" and now - since < min(gates.time, SETTLED_S):
        return Decision("hold", share, measured, f"hold at {share:g} %, where it has just come to: {phrases}")
    after = {"climb": above(share), "back": below(share)}.get(act, share)
    way = {"climb": f"climb to {after:g} %", "back": f"back to {after:g} %", "pause": f"pause at {after:g} %"}
    return Decision(act, after, measured, f"{way.get(act, f'hold at {after:g} %')}: {phrases}")


def more_clean(mismatches: int, pairs: int, share: float, limit: float) -> int | None:
    """Return how many more clean pairs bring the wrong answers among all below `limit`, if `share` percent are served.

    None is more than 10 million.
    """

    def is_enough(more: int) -> bool:
        return share / 100 * anytime_upper_bound(mismatches, pairs + more) <= limit

    few, enough = 0, MOST_PAIRS
    if not is_enough(enough):
        return None
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if is_enough(middle) else (middle, enough)
    return enough


def _samples(trial: Trial, gates: Gates, share: float) -> _Told:
    n = trial.served.get(f"{share:g}", 0)
    result: Result = "pass" if n >= gates.samples else "wait"
    return Measured("samples", result, n, gates.samples, n), f"{n:,} of {gates.samples:,} answers served at this step"


def _time(trial: Trial, gates: Gates, share: float, seconds: float) -> _Told:
    n = trial.served.get(f"{share:g}", 0)
    result: Result = "pass" if seconds >= gates.time else "wait"
    return Measured("time", result, seconds, gates.time, n), f"{seconds:,.0f} of {gates.time:,.0f} s at this step"


def _mismatch(trial: Trial, gate: Gate, share: float) -> _Told:
    wrong = trial.verdicts(MISMATCH, PAIRS)
    n = wrong + trial.verdicts(CLEAN, PAIRS)
    after = above(share)
    differ = f"{wrong:,} of {n:,} pairs differ"
    if (least := share / 100 * anytime_lower_bound(wrong, n)) > gate.limit:
        measured = Measured("mismatch", "fail", least, gate.limit, n, gate.dry_run)
        return measured, f"{differ}: at least {_percent(least)} of all answers are wrong (limit {_percent(gate.limit)})"
    most = after / 100 * anytime_upper_bound(wrong, n)
    at_most = f"at most {_percent(most)} of all answers would be wrong at {after:g} % (limit {_percent(gate.limit)})"
    if n and most <= gate.limit:
        return Measured("mismatch", "pass", most, gate.limit, n, gate.dry_run), f"{differ}: {at_most}"
    more = more_clean(wrong, n, after, gate.limit)
    wanted = f"more than {MOST_PAIRS:,}" if more is None else f"about {more:,}"
    measured = Measured("mismatch", "wait", most if n else None, gate.limit, n, gate.dry_run)
    return measured, f"{differ}: {at_most}: it needs {wanted} more clean pairs"


def _errors(trial: Trial, gates: Gates) -> _Told:
    gate, candidate, control = gates.errors, trial.arms[CANDIDATE], trial.arms[CONTROL]
    n, of = candidate.answers + candidate.errors, control.answers + control.errors
    if not n:
        return Measured("errors", "wait", None, gate.limit, 0, gate.dry_run), "no candidate answered or failed"
    # over one denominator: 7 % less 6 % is to be 1 % exactly
    more = (candidate.errors * max(of, 1) - control.errors * n) / (n * max(of, 1))
    phrase = (
        f"{candidate.errors:,} of {n:,} candidates failed, {control.errors:,} of {of:,} controls "
        f"({100 * more:+.3g} percentage points, limit {100 * gate.limit:+.3g})"
    )
    least, most = anytime_lower_bound(candidate.errors, n), anytime_upper_bound(control.errors, of)
    result: Result = "unclear"
    if least > most + gate.limit:
        result = "fail"
    elif candidate.answers < gates.samples:
        result = "wait"
    elif more <= gate.limit:
        result = "pass"
    return Measured("errors", result, more, gate.limit, n, gate.dry_run), phrase


def _latency(trial: Trial, gate: Gate) -> _Told:
    candidate, control = (trial.arms[name].timings for name in (CANDIDATE, CONTROL))
    ours, theirs = quantile_interval(candidate, _P95), quantile_interval(control, _P95)
    if ours is not None and theirs is not None:
        slow, before = candidate.quantile(_P95), control.quantile(_P95)
        result = _compared(ours.low, slow, gate.limit * theirs.high, gate.limit * before)
        phrase = f"p95 is {slow:.3g} s in {candidate.n:,} candidates, {before:.3g} s in {control.n:,} controls"
        ratio = slow / before if before else None
        return Measured("latency", result, ratio, gate.limit, candidate.n, gate.dry_run), _times(phrase, gate)
    n = len(trial.ratios)
    if n >= ENOUGH_RATIOS:
        median, interval = paired_ratio(trial.ratios, seeded(0))
        result = _compared(interval.low, median, gate.limit, gate.limit)
        phrase = f"candidates take {median:.3g} of the time of controls in {n:,} pairs"
        return Measured("latency", result, median, gate.limit, n, gate.dry_run), _times(phrase, gate)
    phrase = (
        f"{candidate.n:,} candidates, {control.n:,} controls and {n:,} pairs tell no times: it needs "
        f"{needed(_P95)} of each, or {ENOUGH_RATIOS} pairs"
    )
    return Measured("latency", "wait", None, gate.limit, candidate.n, gate.dry_run), phrase


def _compared(least: float, value: float, least_bad: float, most_good: float) -> Result:
    """Judge a value by its interval: fail where all of it is too much, pass where the value is not."""
    if least > least_bad:
        return "fail"
    return "pass" if value <= most_good else "unclear"


def _times(phrase: str, gate: Gate) -> str:
    return f"{phrase} (limit {gate.limit:g} times)"


def _in_flight(trial: Trial, gate: Gate) -> _Told:
    if not trial.looks:  # without a cap nobody looks, ever: to wait would be to wait for good
        return Measured("in_flight", "pass", None, gate.limit, 0, gate.dry_run), "no cap that could be full was seen"
    if trial.looks < ENOUGH_LOOKS:
        phrase = f"{trial.looks} of {ENOUGH_LOOKS} looks at how full the upstream is"
        return Measured("in_flight", "wait", None, gate.limit, trial.looks, gate.dry_run), phrase
    full = trial.full / trial.looks
    phrase = f"the upstream is {_percent(full)} full (limit {_percent(gate.limit)})"
    result: Result = "pass" if full <= gate.limit else "fail"
    return Measured("in_flight", result, full, gate.limit, trial.looks, gate.dry_run), phrase


def _fallbacks(trial: Trial, gate: Gate) -> _Told:
    n = trial.answered
    if not n:
        return Measured("fallbacks", "wait", None, gate.limit, 0, gate.dry_run), "no candidate was drawn"
    count = min(sum(trial.arms[CANDIDATE].fallbacks.values()), n)  # of those that a client forced there is no number
    share = count / n
    result = _compared(anytime_lower_bound(count, n), share, gate.limit, gate.limit)
    phrase = f"{count:,} of {n:,} candidates ended as whole requests (limit {_percent(gate.limit)})"
    return Measured("fallbacks", result, share, gate.limit, n, gate.dry_run), phrase


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
