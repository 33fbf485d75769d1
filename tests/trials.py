"""Trials as they would be after so many requests: for what judges and tells of them."""

from math import log

from proxy.core.trial import CANDIDATE, CLEAN, CONTROL, MISMATCH, Arm, Trial


def arm(seconds=(), *, errors=0, **counted) -> Arm:
    """Return an arm that took these seconds."""
    made = Arm(errors=errors, **counted)
    for one in seconds:
        made.timings.add(one)
    return made


def judged(*, clean=0, mismatch=0, **others) -> dict[str, int]:
    """Return the verdicts of one kind of check, as a trial counts them: none that did not come."""
    return {verdict: count for verdict, count in {CLEAN: clean, MISMATCH: mismatch, **others}.items() if count}


def trial(candidate=None, control=None, *, pairs=None, ratios=(), **counted) -> Trial:
    """Return a trial of two arms, with its pairs' verdicts and their ratios (not their logarithms)."""
    made = Trial(**counted)
    made.arms = {CANDIDATE: candidate or Arm(), CONTROL: control or Arm()}
    if pairs is not None:
        made.checks["pair"] = dict(pairs)
    made.ratios = [log(one) for one in ratios]
    return made


def spread(middle: float, number: int) -> list[float]:
    """Return so many seconds, evenly within 10 % of a middle."""
    return [middle * (0.9 + 0.2 * place / max(number - 1, 1)) for place in range(number)]
