"""The bounds that hold however often one looks, beside those for one look, in streams of trials."""

from math import exp, lgamma, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.statistics import anytime_lower_bound, anytime_upper_bound, lower_bound, upper_bound

STREAMS, TRIALS = 2000, 2000
PRIORS = [(1.0, 1.0), (0.5, 0.5), (0.5, 20.0)]


@st.composite
def counts(draw):
    of = draw(st.integers(1, 10_000_000))
    return draw(st.integers(0, of)), of


def streams(rate):
    """Return the successes among the first 1, 2, … trials of each stream."""
    seeded = np.random.default_rng(20_000 + round(rate * 10_000))
    return np.cumsum(seeded.random((STREAMS, TRIALS)) < rate, axis=1)


def ever_excluded(rate, upper, lower):
    """Return in which share of streams a bound of somebody who looks after every trial excludes the true rate."""
    least, most = 0, 0  # a count has to reach `least`, or the upper bound is below the rate; and not `most`
    leasts, mosts = [], []
    for of in range(1, TRIALS + 1):
        while upper(least, of) < rate:
            least += 1
        while most <= of and lower(most, of) <= rate:
            most += 1
        leasts.append(least)
        mosts.append(most)
    seen = streams(rate)
    return (seen < leasts).any(axis=1).mean(), (seen >= mosts).any(axis=1).mean()


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1, 0.5])
def test_who_looks_all_the_time_is_hardly_ever_wrong(rate):
    below, above = ever_excluded(rate, anytime_upper_bound, anytime_lower_bound)
    assert below + above <= 0.05
    assert below + above > 0  # these streams are long enough for some bad luck


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_the_bounds_for_one_look_are_wrong_far_too_often_if_one_looks_all_the_time(rate):
    below, above = ever_excluded(rate, upper_bound, lower_bound)
    assert below > 0.1
    assert above > 0.1


@pytest.mark.parametrize(("of", "percent"), [(59, 11.3), (100, 7.3), (300, 2.9), (1000, 0.99), (3000, 0.37)])
def test_none_of_so_many(of, percent):
    bound = 100 * anytime_upper_bound(0, of)
    assert float(f"{bound:.{3 if of == 59 else 2}g}") == percent


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize(("count", "of"), [(0, 1), (0, 300), (3, 300), (290, 300), (50_000, 10_000_000)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_at_the_bounds_the_evidence_is_what_the_confidence_asks_for(count, of, confidence, prior):
    a, b = prior

    def evidence(rate):
        mixed = lgamma(a + count) + lgamma(b + of - count) - lgamma(a + b + of)
        return mixed - (lgamma(a) + lgamma(b) - lgamma(a + b)) - count * log(rate) - (of - count) * log(1 - rate)

    assert exp(evidence(anytime_upper_bound(count, of, confidence, prior))) == pytest.approx(
        1 / (1 - confidence), rel=1e-5
    )
    if count:
        least = anytime_lower_bound(count, of, confidence, prior)
        assert exp(evidence(least)) == pytest.approx(1 / (1 - confidence), rel=1e-5)


@given(counts())
def test_looking_often_costs_and_both_bounds_mirror_each_other(trial):
    count, of = trial
    assert anytime_upper_bound(count, of) >= upper_bound(count, of)
    assert anytime_lower_bound(count, of) <= lower_bound(count, of)
    assert anytime_lower_bound(of - count, of) == pytest.approx(1 - anytime_upper_bound(count, of), abs=1e-11)


@given(counts())
def test_more_successes_raise_the_anytime_bounds(trial):
    count, of = trial
    for bound in (anytime_upper_bound, anytime_lower_bound):
        assert bound(count, of + 1) <= bound(count + 1, of + 1) + 1e-11


@pytest.mark.parametrize("count", [0, 1, 5])
def test_more_clean_trials_lower_the_upper_bound(count):
    bounds = [anytime_upper_bound(count, of) for of in range(count, 3000)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] == 1.0


def test_without_trials_nothing_is_excluded():
    assert (anytime_lower_bound(0, 0), anytime_upper_bound(0, 0)) == (0.0, 1.0)
    assert (anytime_lower_bound(0, 9), anytime_upper_bound(9, 9)) == (0.0, 1.0)
