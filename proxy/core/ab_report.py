"""What a trial of two arms shows: whole requests (control) against split or normalized ones (candidate), as numbers.

The same numbers as text are `proxy.core.ab_text`, what follows from them is `proxy.core.ab_verdict`. Members carry their
units (`p95_s`); what is not known is absent.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from proxy.core.ab_text import told
from proxy.core.ab_verdict import verdict
from proxy.core.gates import PAIRS, decide
from proxy.core.histogram import Histogram
from proxy.core.rollout import Feature, Gates, Stage
from proxy.core.seeded import seeded
from proxy.core.statistics import (
    Interval,
    anytime_upper_bound,
    needed,
    paired_ratio,
    quantile_interval,
    sample_ratio,
    unpaired_ratio,
    upper_bound,
)
from proxy.core.trial import ARMS, CANDIDATE, CHECKS, CLEAN, CONTROL, MISMATCH, NOISY, VERDICTS, Arm, Trial

__all__ = ["report", "told"]

_QUANTILES: Final = {"p50_s": 0.50, "p90_s": 0.90, "p95_s": 0.95}
_RATIOS: Final = {"p50_ratio": 0.50, "p95_ratio": 0.95}
_FLAGGED_BELOW: Final = 0.001
_DIGITS: Final = 6
_Told = dict[str, Any]


def report(
    rule: str,
    feature: Feature,
    trial: Trial,
    *,
    gates: Gates,
    status: Mapping[str, Any],
    now: float,
    version: str,
    config_hash: str,
    seed: int = 0,
) -> dict[str, Any]:
    """Report on a rule's feature: plain values, ready to be written as JSON.

    `status` is what is told of its rollout: mode, state, and where it is known its percent and since when (`since`,
    seconds of the wall clock) it is that, and whether it `climbs`. What is told of chance follows from `seed` alone.
    """
    found: _Told = {
        "rule": rule,
        "feature": feature,
        "status": _known({name: status.get(name) for name in ("mode", "state", "percent")}),
        "version": version,
        "config_hash": config_hash,
        "seed": seed,
        "window": _window(trial, now),
        "population": _population(trial),
        "arms": {name: _arm(trial.arms[name]) for name in ARMS},
        "effect": _effect(trial, seeded(seed)),
        "correctness": _correctness(trial),
        "fallbacks": _fallbacks(trial),
        "comparing": {"not_compared": dict(trial.dropped), "calls_by_day": dict(sorted(trial.spent.items()))},
    }
    if status.get("mode") == Stage.CANARY and status.get("percent") is not None and status.get("climbs", True):
        decision = decide(trial, gates, status["percent"], since=status.get("since", trial.since), now=now)
        measured = [_known(asdict(one)) for one in decision.measured]
        found["gates"] = {"act": decision.act, "percent": decision.share, "why": decision.why, "measured": measured}
    rounded: _Told = _plain(found)
    return {**asdict(verdict(rounded)), **rounded}


def _window(trial: Trial, now: float) -> _Told:
    moments = {"since": trial.since, "until": trial.until, "told": now}
    return {name: f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}" for name, at in moments.items() if at}


def _population(trial: Trial) -> _Told:
    found: _Told = {
        "requests": trial.requests,
        "eligible": trial.eligible,
        "excluded": dict(trial.excluded),
        "assigned": {CONTROL: max(trial.eligible - trial.drawn, 0), CANDIDATE: trial.drawn},
        "served_by_percent": dict(trial.served),
    }
    if trial.drawn or trial.expected:
        p = sample_ratio(trial.drawn, trial.expected, trial.variance)
        found["sample_ratio"] = {
            "drawn": trial.drawn,
            "expected": trial.expected,
            "p": p,
            "flagged": p < _FLAGGED_BELOW,
        }
    return found


def _arm(arm: Arm) -> _Told:
    return {
        **_timings(arm.timings),
        "errors": arm.errors,
        "known": _timings(arm.known),
        "upstream_calls": arm.calls,
        "busy_s": arm.busy,
    }


def _timings(timings: Histogram) -> _Told:
    found: _Told = {"n": timings.n}
    if timings.n:
        found |= {name: _quantile(timings, share) for name, share in _QUANTILES.items()}
        found["max_s"] = timings.most
    return found


def _quantile(timings: Histogram, share: float) -> _Told:
    interval = quantile_interval(timings, share)
    if interval is None:
        return {"value": None, "needs": needed(share), "n": timings.n}
    return _estimated((timings.quantile(share), interval))


def _estimated(estimate: tuple[float, Interval]) -> _Told:
    value, interval = estimate
    return {"value": value, "low": interval.low, "high": interval.high}


def _effect(trial: Trial, roll: Callable[[], float]) -> _Told:
    """Return how candidate's times relate to control's: in pairs, by quantiles of the arms, and why."""
    found: _Told = {}
    candidate, control = trial.arms[CANDIDATE], trial.arms[CONTROL]
    if trial.ratios:
        found["paired_ratio"] = _estimated(paired_ratio(trial.ratios, roll)) | {"n": len(trial.ratios)}
    for name, share in _RATIOS.items():
        if min(candidate.timings.n, control.timings.n) >= needed(share):
            found[name] = _estimated(unpaired_ratio(candidate.timings, control.timings, share, roll))
    if candidate.wall:
        found["overlap"] = candidate.busy / candidate.wall
        found["critical_part"] = candidate.longest / candidate.wall
    return found


def _correctness(trial: Trial) -> _Told:
    checks = {
        check: {verdict: trial.verdicts(verdict, (check,)) for verdict in VERDICTS} | _differ(trial, (check,))
        for check in CHECKS
        if check in trial.checks
    }
    noisy = trial.noise.get(NOISY, 0)
    return {
        "checks": checks,
        "pairs": _differ(trial, PAIRS),
        "all": _differ(trial, CHECKS),
        "noise": {"noisy": noisy, "of": noisy + trial.noise.get(CLEAN, 0)},
        "exposed": trial.exposed,
    }


def _differ(trial: Trial, checks: tuple[str, ...]) -> _Told:
    """Return how many of those that could be judged differ, with bounds where there are any."""
    wrong = trial.verdicts(MISMATCH, checks)
    of = wrong + trial.verdicts(CLEAN, checks)
    found: _Told = {"differ": wrong, "of": of}
    if of:
        found["at_most_look_once"] = upper_bound(wrong, of)
        found["at_most_anytime"] = anytime_upper_bound(wrong, of)
    return found


def _fallbacks(trial: Trial) -> _Told:
    reasons = trial.arms[CANDIDATE].fallbacks
    return {"count": sum(reasons.values()), "of": trial.answered, "reasons": dict(reasons)}


def _known(members: _Told) -> _Told:
    return {name: value for name, value in members.items() if value is not None}


def _plain(value: Any) -> Any:
    """Return a value with its floats cut to six significant digits: more would claim what nobody measured."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
