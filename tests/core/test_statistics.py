"""Counts and timings → what they prove, beside published figures and SciPy's."""

import random
from math import ceil, erfc, exp, inf, log, sqrt
from statistics import median

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from proxy.core.histogram import Histogram
from proxy.core.statistics import (
    lower_bound,
    needed,
    paired_ratio,
    quantile_interval,
    sample_ratio,
    unpaired_ratio,
    upper_bound,
)

GRID = [
    (count, of)
    for of in (1, 2, 5, 59, 300, 3000, 100_000, 10_000_000)
    for count in sorted({0, 1, min(of, 17), of // 1000, of // 10, of // 2, of - 1, of})
]
SHARES = (0.05, 0.5, 0.9, 0.95, 0.99)
CONFIDENCES = (0.5, 0.8, 0.95, 0.99)

confidences = st.sampled_from([0.5, 0.9, 0.95, 0.999, 0.999_999])


@st.composite
def counts(draw, most=10_000_000):
    of = draw(st.integers(1, most))
    return draw(st.integers(0, of)), of


def counted(values):
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def ladder(n):
    """Return a histogram in which each of n durations has a bucket of its own."""
    return counted(1.05**rank for rank in range(1, n + 1))


def ranks(interval):
    """Return which rungs of a ladder an interval ends at."""
    return 0 if interval.low == 0 else round(log(interval.low, 1.05)), round(log(interval.high, 1.05))


# --- one look at a count


@pytest.mark.parametrize(
    ("count", "of", "percent"),
    [(0, 59, 4.95), (0, 100, 2.95), (0, 300, 0.994), (0, 3000, 0.0998), (1, 100, 4.66), (3, 10, 60.66), (1, 1, 100)],
)
def test_the_upper_bound_is_the_published_one(count, of, percent):
    assert 100 * upper_bound(count, of) == pytest.approx(percent, rel=2e-3)


@pytest.mark.parametrize(("count", "of"), GRID)
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_both_bounds_are_those_of_scipy(count, of, confidence):
    most = stats.beta.ppf(confidence, count + 1, of - count) if count < of else 1.0
    least = stats.beta.ppf(1 - confidence, count, of - count + 1) if count else 0.0
    assert upper_bound(count, of, confidence) == pytest.approx(most, rel=1e-7)
    assert lower_bound(count, of, confidence) == pytest.approx(least, rel=1e-7)


@pytest.mark.parametrize(("count", "of"), [(0, 59), (3, 59), (59, 59), (7, 1000)])
def test_both_bounds_are_the_ends_of_the_exact_interval(count, of):
    trial = stats.binomtest(count, of, alternative="less").proportion_ci(0.95, method="exact")
    assert upper_bound(count, of) == pytest.approx(trial.high, abs=1e-9)
    trial = stats.binomtest(count, of, alternative="greater").proportion_ci(0.95, method="exact")
    assert lower_bound(count, of) == pytest.approx(trial.low, abs=1e-9)


@given(counts(), confidences)
@example((5_000_000, 10_000_000), 0.5)
def test_at_the_upper_bound_so_few_have_the_chance_that_is_left(trial, confidence):
    count, of = trial
    bound = upper_bound(count, of, confidence)
    if count < of:
        assert stats.binom.cdf(count, of, bound) == pytest.approx(1 - confidence, rel=1e-5)
    assert lower_bound(of - count, of, confidence) == pytest.approx(1 - bound, abs=1e-9)


@pytest.mark.parametrize("confidence", [1 - 1e-12, 1 - 1e-15])
def test_more_confidence_than_floats_can_tell_ends_nevertheless(confidence):
    assert 0.4 < upper_bound(40, 100, confidence) < 1
    assert 0 < lower_bound(40, 100, confidence) < 0.4


def test_without_trials_everything_is_possible():
    assert (lower_bound(0, 0), upper_bound(0, 0)) == (0.0, 1.0)


@given(counts(100_000))
def test_more_successes_raise_the_bounds_and_more_trials_lower_them(trial):
    count, of = trial
    for bound in (upper_bound, lower_bound):
        assert bound(count, of) <= bound(count + 1, of + 1)
        assert bound(count, of + 1) <= bound(count, of)
    assert lower_bound(count, of) <= count / of <= upper_bound(count, of)


# --- quantiles


@pytest.mark.parametrize(("share", "n"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2995)])
def test_so_many_samples_are_needed(share, n):
    assert needed(share) == n
    assert 1 - share**n >= 0.95 > 1 - share ** (n - 1)


@given(st.floats(0.01, 0.99), st.floats(0.5, 0.999))
def test_no_fewer_samples_would_do(share, confidence):
    n = needed(share, confidence)
    assert share**n <= (1 - confidence) * 1.000001
    assert share ** (n - 1) > (1 - confidence) * 0.999999


@pytest.mark.parametrize("share", SHARES)
def test_there_is_an_interval_from_the_number_on_that_is_needed(share):
    n = needed(share)
    assert quantile_interval(ladder(n - 1), share) is None
    assert quantile_interval(ladder(n), share) is not None


@pytest.mark.parametrize(
    ("n", "share", "expected"),
    [  # the binomial's tails, by hand or from tables of order statistics
        (5, 0.5, (0, 5)),  # 1 − 2⁻⁵ = 97 % below the longest; above the shortest as well would be 94 %
        (6, 0.5, (1, 6)),
        (10, 0.5, (2, 9)),
        (20, 0.5, (6, 15)),
        (100, 0.5, (40, 61)),
        (59, 0.95, (50, 59)),  # 4.85 % for the longest alone, 0.15 % is left
        (1, 0.05, (0, 1)),
    ],
)
def test_the_interval_ends_at_these_ranks(n, share, expected):
    found = quantile_interval(ladder(n), share)
    assert found is not None
    assert ranks(found) == expected


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("n", [5, 6, 29, 59, 72, 73, 100, 299, 400])
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_an_interval_has_its_coverage_and_a_narrower_one_has_not(n, share, confidence):
    found = quantile_interval(ladder(n), share, confidence)
    if found is None:
        assert share**n > 1 - confidence
        return
    low, high = ranks(found)
    doubt = 1 - confidence

    def outside(low, high):
        """Return the chance that the quantile is before this rank, and that it is at this one or behind it."""
        return stats.binom.cdf(low - 1, n, share), stats.binom.sf(high - 1, n, share)

    before, behind = outside(low, high)
    assert before + behind <= doubt + 1e-9
    assert before <= doubt / 2
    assert behind <= doubt / 2 or high == n
    assert outside(low + 1, high)[0] > min(doubt / 2, doubt - behind)
    assert outside(low, high - 1)[1] > doubt / 2


@pytest.mark.parametrize(
    ("n", "share", "times"), [(59, 0.95, 1000), (200, 0.95, 400), (200, 0.5, 400), (30, 0.9, 1000), (2500, 0.99, 40)]
)
def test_the_interval_covers_the_true_quantile_of_any_durations(n, share, times):
    dice = random.Random(n)
    true = exp(stats.norm.ppf(share))
    covered = 0
    for _ in range(times):
        found = quantile_interval(counted(dice.lognormvariate(0, 1) for _ in range(n)), share)
        covered += found is not None and found.low <= true <= found.high
    chance = 2 * sqrt(0.95 * 0.05 / times)  # of the simulation; the coverage itself is exact above
    assert covered / times >= 0.95 - chance


@given(st.floats(1e-5, 1e5), st.sampled_from(SHARES))
def test_the_interval_of_one_duration_holds_it(duration, share):
    histogram = Histogram()
    histogram.add(duration)
    histogram.buckets = dict.fromkeys(histogram.buckets, 10_000_000)
    histogram.n = 10_000_000
    found = quantile_interval(histogram, share)
    assert found is not None
    assert found.low <= duration <= found.high
    assert found.high <= 1.03 * found.low


# --- the sample ratio


@pytest.mark.parametrize(
    ("observed", "of", "share"),
    [(60, 100, 0.5), (10, 1000, 0.01), (25, 1000, 0.01), (4900, 10_000, 0.5), (1, 300, 0.05)],
)
def test_the_sample_ratio_is_a_chi_square_test(observed, of, share):
    exact = stats.chisquare([observed, of - observed], [of * share, of * (1 - share)]).pvalue
    assert sample_ratio(observed, of * share, of * share * (1 - share)) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    ("observed", "expected", "variance", "p"),
    [
        (1960, 0.0, 1e6, 0.05),
        (0, 3.290527, 1.0, 0.001),
        (7, 7.0, 2.5, 1.0),
        (0, 0.0, 0.0, 1.0),
        (30, 30.000_000_1, 0.0, 1.0),
        (31, 30.0, 0.0, 0.0),
    ],
)
def test_the_chance_of_a_sample_ratio(observed, expected, variance, p):
    assert sample_ratio(observed, expected, variance) == pytest.approx(p, rel=1e-3)


@given(st.integers(0, 1000), st.floats(0, 1000), st.floats(0.01, 1000))
def test_the_farther_off_the_less_likely(observed, expected, variance):
    p = sample_ratio(observed, expected, variance)
    assert p == pytest.approx(erfc(sqrt((observed - expected) ** 2 / variance / 2)))
    assert sample_ratio(observed + (1 if observed >= expected else -1), expected, variance) <= p


# --- ratios


def resampled_medians(logs, rounds, dice):
    """The bootstrap as the textbook has it: draw as many with replacement, take their median."""
    drawn = dice.choice(np.array(logs), size=(rounds, len(logs)))
    return np.median(drawn, axis=1)


@pytest.mark.parametrize("n", [1, 2, 5, 20, 21, 300, 301])
def test_the_paired_interval_is_that_of_drawing_with_replacement(n):
    dice = random.Random(n)
    logs = [dice.gauss(-1, 0.5) for _ in range(n)]
    ratio, found = paired_ratio(logs, dice.random, rounds=20_000)
    low, high = np.percentile(resampled_medians(logs, 20_000, np.random.default_rng(n)), [2.5, 97.5])
    # both are drawn: their ends lie apart by a small part of the interval
    near = 0.08 * (high - low) + 1e-9
    assert ratio == pytest.approx(exp(median(logs)))
    assert log(found.low) == pytest.approx(low, abs=near)
    assert log(found.high) == pytest.approx(high, abs=near)


@pytest.mark.parametrize(("n", "share"), [(1, 0.5), (10, 0.0), (10, 1.0), (59, 0.95), (300, 0.5), (300, 0.05)])
def test_a_resamples_quantile_has_the_binomials_law(n, share):
    dice = random.Random(n)
    ones = counted([1.0])
    rungs = ladder(n)
    drawn = [
        round(log(sqrt(found.low * found.high), 1.05))
        for found in [unpaired_ratio(rungs, ones, share, dice.random, rounds=1)[1] for _ in range(2000)]
    ]
    rank = max(1, ceil(share * n))
    assert unpaired_ratio(rungs, ones, share, dice.random, rounds=1)[0] == pytest.approx(1.05**rank, rel=0.02)
    # a resample's quantile is at most the value of rank k where at least `rank` of its n draws are
    law = [stats.binom.sf(rank - 1, n, k / n) for k in range(n + 1)]
    shares = [sum(k <= most for k in drawn) / len(drawn) for most in range(n + 1)]
    assert max(abs(one - other) for one, other in zip(law, shares, strict=True)) < 1.63 / sqrt(2000)  # 1 % by chance


def test_the_paired_interval_covers_the_true_ratio():
    dice = random.Random(7)
    covered = 0
    for _ in range(300):
        found = paired_ratio([dice.gauss(log(0.4), 0.6) for _ in range(60)], dice.random, rounds=400)[1]
        covered += found.low <= 0.4 <= found.high
    assert 0.92 <= covered / 300 <= 0.99


def test_the_unpaired_interval_covers_the_true_ratio():
    dice = random.Random(8)
    covered = 0
    for _ in range(150):
        candidate = counted(dice.lognormvariate(log(20), 0.6) for _ in range(80))
        control = counted(dice.lognormvariate(log(50), 0.6) for _ in range(120))
        found = unpaired_ratio(candidate, control, 0.5, dice.random, rounds=200)[1]
        covered += found.low <= 0.4 <= found.high
    assert covered / 150 >= 0.92


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.integers())
def test_the_same_dice_give_the_same_interval_and_the_order_does_not_matter(logs, seed):
    ratio, found = paired_ratio(logs, random.Random(seed).random, rounds=50)
    assert (ratio, found) == paired_ratio(sorted(logs), random.Random(seed).random, rounds=50)
    assert exp(min(logs)) <= found.low <= found.high <= exp(max(logs))
    assert ratio == exp(median(logs))


@pytest.mark.parametrize("face", [0.0, 0.5, 1 - 2**-53])
def test_dice_that_always_fall_alike_end_the_drawing(face):
    histogram = ladder(100)
    paired = paired_ratio([0.1 * place for place in range(10)], lambda: face, rounds=3)[1]
    unpaired = unpaired_ratio(histogram, histogram, 0.95, lambda: face, rounds=3)[1]
    assert 1 <= paired.low == paired.high <= exp(0.9)
    assert unpaired.low <= 1 <= unpaired.high


def test_more_confidence_and_fewer_pairs_make_the_interval_wider():
    dice = random.Random(3)
    logs = [dice.gauss(0, 1) for _ in range(1000)]

    def width(logs, confidence):
        found = paired_ratio(logs, random.Random(1).random, confidence)[1]
        return found.high / found.low

    assert width(logs, 0.8) < width(logs, 0.95) < width(logs, 0.99)
    assert width(logs, 0.95) < width(logs[:100], 0.95)


@pytest.mark.parametrize("n", [100, 10_000_000])
def test_drawing_takes_as_long_for_many_as_for_few(n):
    rolled = 0
    dice = random.Random(5)

    def roll():
        nonlocal rolled
        rolled += 1
        return dice.random()

    histogram = Histogram(n, 0.0, inf, dict.fromkeys(range(100), n // 100))
    unpaired_ratio(histogram, histogram, 0.5, roll, rounds=100)
    assert 2 * 2 * 3 * 100 <= rolled <= 2 * 2 * 3 * 110


def test_equal_times_on_both_sides_of_a_buckets_border_are_not_told_apart():
    edge = 1.02**200
    candidate, control = counted([edge * 0.9999] * 100), counted([edge * 1.0001] * 100)
    assert candidate.quantile(0.5) < 0.991 * control.quantile(0.5)
    found = unpaired_ratio(candidate, control, 0.5, random.Random(1).random)[1]
    assert found.low < 0.9998 < found.high


def test_times_too_short_to_tell_make_no_ratio_infinite():
    none, some = counted([0.0] * 60), counted([1.0] * 60)
    assert unpaired_ratio(some, none, 0.5, random.Random(1).random)[0] == pytest.approx(1e6, rel=0.02)
    assert unpaired_ratio(none, none, 0.5, random.Random(1).random)[0] == 1.0


@pytest.mark.parametrize(("candidate", "control"), [([], [1.0]), ([1.0], []), ([], [])])
def test_nothing_has_no_ratio(candidate, control):
    with pytest.raises(ValueError):
        unpaired_ratio(counted(candidate), counted(control), 0.5, random.Random(1).random)
    with pytest.raises(ValueError):
        paired_ratio([], random.Random(1).random)
