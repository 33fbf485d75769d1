"""Counts and timings → what they prove: the bounds and intervals of an A/B report and of a rollout's gates.

`upper_bound` and `lower_bound` hold for one look at a number of trials that was fixed before. Who looks again and again
and stops at a result that suits takes `anytime_upper_bound` and `anytime_lower_bound`, which pay for every look at once.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import ceil, cos, erfc, exp, floor, lgamma, log, log1p, pi, sqrt
from statistics import NormalDist, median
from typing import Final, NamedTuple

from proxy.core.histogram import Histogram

_WITHIN: Final = 1.01
"""A histogram tells a duration within 1 %: an interval is wider by that, or two that are equal might seem apart."""
_LEAST_S: Final = 1e-6
"""A histogram tells no shorter ones apart; none of them makes a ratio infinite."""

_CONVERGED: Final = 1e-13
_NEAR: Final = 1e-10
_NEAREST: Final = 1e-12


class Interval(NamedTuple):
    """Both ends belong to it."""

    low: float
    high: float


def upper_bound(count: int, of: int, confidence: float = 0.95) -> float:
    """Return the rate that is not exceeded, given `count` successes among `of` trials, looked at once.

    One-sided Clopper-Pearson: at least `confidence` whatever the rate. 0 of 59: 4.95 %; without trials 1.0.
    """
    return 1.0 if count >= of else _beta_quantile(confidence, count + 1, of - count)


def lower_bound(count: int, of: int, confidence: float = 0.95) -> float:
    """Return the rate that is reached at least, given `count` successes among `of` trials, looked at once.

    One-sided Clopper-Pearson, as `upper_bound`; without trials 0.0.
    """
    return _beta_quantile(1 - confidence, count, of - count + 1) if count else 0.0


def anytime_upper_bound(
    count: int, of: int, confidence: float = 0.95, prior: tuple[float, float] = (1.0, 1.0)
) -> float:
    """Return the rate that is not exceeded, given `count` successes among `of` trials, however often one looks.

    Against a rate p stands the likelihood of what was seen under rates mixed by Beta(`prior`), divided by that under p.
    Where p is true this is a nonnegative martingale that starts at 1: by Ville's inequality it ever reaches
    1 / (1 - confidence) with a chance of at most 1 - confidence. Rates for which it has are excluded, at all moments at
    once. The mixture is two-sided: both bounds together hold with `confidence`, so either alone holds with more.
    The even prior, Beta(1, 1), makes the chance of each count alike. 0 of 300: 2.9 %, where one look gives 0.99 %.
    """
    if count >= of:
        return 1.0
    a, b = prior
    least = _log_beta(a + count, b + of - count) - _log_beta(a, b) + log(1 - confidence)
    low, high = count / of, 1.0
    while high - low > _NEAREST * high:
        rate = (low + high) / 2
        if count * log(rate) + (of - count) * log1p(-rate) > least:
            low = rate
        else:
            high = rate
    return high


def anytime_lower_bound(
    count: int, of: int, confidence: float = 0.95, prior: tuple[float, float] = (1.0, 1.0)
) -> float:
    """Return the rate that is reached at least, however often one looks; to 1e-12, as `anytime_upper_bound`."""
    return 1.0 - anytime_upper_bound(of - count, of, confidence, prior[::-1])


def needed(share: float, confidence: float = 0.95) -> int:
    """Return the fewest samples of which the longest exceeds this quantile (0 < share < 1) with `confidence`.

    0.5: 5, 0.9: 29, 0.95: 59, 0.99: 299.
    """
    return ceil(log(1 - confidence) / log(share))


def quantile_interval(timings: Histogram, share: float, confidence: float = 0.95) -> Interval | None:
    """Return seconds between which this quantile of all durations lies; None where fewer than `needed` were counted.

    By order statistics: exact binomial tails for any number, whatever the durations' distribution. Either end has half of
    the doubt; where the longest sample needs more of it the low end has the rest, and is 0.0 where no sample is that
    sure. Both ends are moved out by the 1 % within which a histogram tells a duration.
    """
    n = timings.n
    if n < needed(share, confidence):
        return None
    doubt = 1 - confidence
    ranks = range(1, n + 1)
    high = min(bisect_left(ranks, True, key=lambda rank: _at_least(rank, n, share) <= doubt / 2) + 1, n)
    rest = min(doubt / 2, doubt - _at_least(high, n, share))
    low = bisect_left(ranks, True, key=lambda rank: 1 - _at_least(rank, n, share) > rest)
    shortest = timings.at_rank(low) / _WITHIN if low else 0.0
    return Interval(shortest, min(timings.at_rank(high) * _WITHIN, timings.most))


def sample_ratio(observed: int, expected: float, variance: float) -> float:
    """Return the chance (p-value) of so many candidates, or of a number as far off, where `expected` were planned.

    Chi-square with one degree of freedom; `expected` is the sum of the shares p, `variance` that of p (1 - p). Without
    variance the number is certain: 1.0 where they agree, else 0.0.
    """
    apart = abs(observed - expected)
    if variance <= 0:
        return 1.0 if apart < 0.5 else 0.0
    return erfc(apart / sqrt(2 * variance))


def paired_ratio(
    logs: Sequence[float], roll: Callable[[], float], confidence: float = 0.95, rounds: int = 1000
) -> tuple[float, Interval]:
    """Return the median of ratios, given their logarithms, and its percentile-bootstrap interval.

    The places of a resample's middle values are drawn by their own law: the work does not grow with the number of logs.
    Raises ValueError where there are none.
    """
    ordered = sorted(logs)
    middle = median(ordered)
    n = len(ordered)
    below = (n + 1) // 2
    found = []
    for _ in range(rounds):
        place = _place(below, n, roll)
        # of an even number the median lies between two: the next of so many that are spread evenly over the rest
        after = place if n % 2 else 1 - (1 - place) * roll() ** (1 / (n - below))
        found.append((ordered[_rank(place, n) - 1] + ordered[_rank(after, n) - 1]) / 2)
    low, high = _percentiles(found, confidence)
    return exp(middle), Interval(exp(low), exp(high))


def unpaired_ratio(
    candidate: Histogram,
    control: Histogram,
    share: float,
    roll: Callable[[], float],
    confidence: float = 0.95,
    rounds: int = 400,
) -> tuple[float, Interval]:
    """Return the candidate's quantile divided by the control's, and its percentile-bootstrap interval, 2 % wider.

    The places of a resample's quantiles are drawn by their own law: the work does not grow with the number of timings.
    Raises ValueError where one of both counted nothing.
    """
    if not (candidate.n and control.n):
        raise ValueError("nothing was counted")
    found = [_resampled(candidate, share, roll) / _resampled(control, share, roll) for _ in range(rounds)]
    ratio = max(candidate.quantile(share), _LEAST_S) / max(control.quantile(share), _LEAST_S)
    low, high = _percentiles(found, confidence)
    return ratio, Interval(low / _WITHIN**2, high * _WITHIN**2)


def _resampled(timings: Histogram, share: float, roll: Callable[[], float]) -> float:
    """Return the quantile of as many timings drawn from these with replacement."""
    n = timings.n
    place = _place(max(1, ceil(share * n)), n, roll)
    return max(timings.at_rank(_rank(place, n)), _LEAST_S)


def _percentiles(found: list[float], confidence: float) -> Interval:
    found.sort()
    outside = floor(len(found) * (1 - confidence) / 2)
    return Interval(found[outside], found[-1 - outside])


def _place(rank: int, n: int, roll: Callable[[], float]) -> float:
    """Return where (0…1) in a sample of n the value lies that has this rank in a resample: Beta(rank, n + 1 - rank)."""
    one, other = _gamma(rank, roll), _gamma(n + 1 - rank, roll)
    return one / (one + other)


def _rank(place: float, n: int) -> int:
    return max(1, ceil(place * n))


def _gamma(shape: float, roll: Callable[[], float]) -> float:
    """Draw from the gamma distribution of this shape, at least 1 (Marsaglia and Tsang 2000, normals by Box and Muller)."""
    most = shape - 1 / 3
    spread = 1 / sqrt(9 * most)
    while True:
        normal = sqrt(-2 * log1p(-roll())) * cos(2 * pi * roll())
        cube = (1 + spread * normal) ** 3
        if cube > 0 and log1p(-roll()) <= normal**2 / 2 + most * (1 - cube + log(cube)):
            return most * cube


def _at_least(rank: int, n: int, share: float) -> float:
    """Return the chance that at least `rank` of `n` trials succeed, each with chance `share`; of rank 1 to n."""
    return _beta_share(share, rank, n - rank + 1)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _beta_share(x: float, a: float, b: float) -> float:
    """Return the regularized incomplete beta function I_x(a, b), for 0 < x < 1."""
    front = exp(a * log(x) + b * log1p(-x) - _log_beta(a, b))
    if x < (a + 1) / (a + b + 2):
        return front / a * _beta_fraction(x, a, b)
    return 1 - front / b * _beta_fraction(1 - x, b, a)


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of I_x(a, b) by Lentz's method; where x < (a + 1) / (a + b + 2) it converges fast.

    DLMF 8.17.22. About √max(a, b) steps near the mean, a few far from it.
    """
    c = 1.0
    d = value = 1 / (1 - (a + b) * x / (a + 1))
    m, change = 0, 0.0
    while abs(change - 1) > _CONVERGED:
        m += 1
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        c, d = 1 + even / c, 1 / (1 + even * d)
        value *= c * d
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        c, d = 1 + odd / c, 1 / (1 + odd * d)
        change = c * d
        value *= change
    return value


def _beta_quantile(share: float, a: float, b: float) -> float:
    """Return the x for which I_x(a, b) is `share`, for a and b of at least 1: Newton's steps, bisection where they leave."""
    mean = a / (a + b)
    x = mean + NormalDist().inv_cdf(share) * sqrt(mean * (1 - mean) / (a + b + 1))
    x = x if 0 < x < 1 else mean
    front = _log_beta(a, b)
    low, high, step = 0.0, 1.0, 1.0
    while min(abs(step), high - low) > _NEAR * x:
        excess = _beta_share(x, a, b) - share
        density = exp((a - 1) * log(x) + (b - 1) * log1p(-x) - front)
        step = excess / density if density else 1.0
        after = x - step
        is_inside = low < after < high
        low, high = (low, x) if excess > 0 else (x, high)
        x = after if is_inside else (low + high) / 2
    return x
