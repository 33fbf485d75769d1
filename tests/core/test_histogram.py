"""Durations → quantiles: within 1 % of the true one, and 1 µs where it is shorter; mergeable."""

from math import ceil

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.histogram import Histogram, read

BOUND_S = 1.01e-6  # what is shorter than 1 µs counts as 1 µs
SHARES = [0.5, 0.9, 0.99]

durations = st.floats(0, 1e5) | st.floats(0, 1e-5) | st.sampled_from([0.0, 1e-6, 1.0, 1.02, 40.0, 69.0])
some = st.lists(durations, min_size=1, max_size=200)


def counted(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(some, st.sampled_from([*SHARES, 1.0]))
@example([1.02**power for power in range(-100, 100)], 0.5)
@example([5e-7], 0.5)
def test_quantiles_are_within_one_percent(values, share):
    exact = sorted(values)[ceil(share * len(values)) - 1]
    assert abs(counted(values).quantile(share) - exact) <= max(exact * 0.01, BOUND_S)


@given(some, st.data())
def test_each_rank_is_within_one_percent(values, drawn):
    rank = drawn.draw(st.integers(1, len(values)))
    exact = sorted(values)[rank - 1]
    assert abs(counted(values).at_rank(rank) - exact) <= max(exact * 0.01, BOUND_S)


@pytest.mark.parametrize(("rank", "same_as"), [(-1, 1), (0, 1), (4, 3), (100, 3)])
def test_a_rank_outside_is_the_nearest_inside(rank, same_as):
    histogram = counted([1.0, 2.0, 3.0])
    assert histogram.at_rank(rank) == histogram.at_rank(same_as)


@given(some)
def test_number_sum_and_most_are_exact(values):
    histogram = counted(values)
    assert (histogram.n, histogram.most) == (len(values), max(values))
    assert histogram.total == pytest.approx(sum(values))


@given(some)
def test_a_larger_share_is_no_shorter_and_none_is_longer_than_the_longest(values):
    histogram = counted(values)
    found = [histogram.quantile(share) for share in (0.0, *SHARES, 1.0)]
    assert found == sorted(found)
    assert found[-1] <= max(values)


@given(some, some)
def test_merged_is_as_if_all_were_added(some_values, more_values):
    merged = counted(some_values)
    other = counted(more_values)
    merged.merge(other)
    together = counted(some_values + more_values)
    assert (merged.n, merged.most, merged.buckets) == (together.n, together.most, together.buckets)
    assert merged.total == pytest.approx(together.total)
    assert other == counted(more_values)


@given(some, st.floats(1e-6, 1e5))
def test_at_most_is_right_to_the_bucket(values, bound):
    found = counted(values).at_most(bound)
    assert sum(value <= bound * 0.999999 for value in values) <= found
    assert found <= sum(value <= bound * 1.020001 for value in values)


def test_nothing_counted():
    empty = Histogram()
    assert (empty.at_rank(1), empty.quantile(0.5), empty.at_most(1.0), empty.n, empty.total, empty.most) == (
        0.0,
        0.0,
        0,
        0,
        0.0,
        0.0,
    )
    empty.merge(Histogram())
    assert empty == Histogram()


def test_it_stays_small_whatever_it_counts():
    histogram = counted([power / 7 for power in range(100_000)])
    assert len(histogram.buckets) < 1000


@given(some, st.integers(2, 40))
def test_with_few_buckets_quantiles_are_within_one_of_them(values, most):
    narrow = counted(values).within(most)
    assert len(narrow.buckets) <= most
    assert (narrow.n, narrow.total, narrow.most) == (counted(values).n, counted(values).total, counted(values).most)
    width = 1.02 ** (1 << narrow.shift)
    for share in SHARES:
        exact = max(sorted(values)[ceil(share * len(values)) - 1], 1e-6)
        assert exact / width * 0.9999 - 1e-6 <= narrow.quantile(share) <= exact * width * 1.0001


@given(some, some, st.integers(2, 40), st.integers(2, 40))
def test_merged_is_as_coarse_as_the_coarser_and_loses_nothing(some_values, more_values, few, many):
    one, other = counted(some_values).within(few), counted(more_values).within(many)
    shift = max(one.shift, other.shift)
    merged = Histogram()
    merged.merge(one)
    merged.merge(other)
    assert (merged.n, merged.shift) == (len(some_values) + len(more_values), shift)
    together = counted(some_values + more_values)
    together._coarsen(shift)
    assert merged.buckets == together.buckets


@given(some, st.integers(2, 1000))
def test_what_is_written_is_read(values, most):
    histogram = counted(values).within(most)
    again = read(histogram.written())
    assert (again.n, again.buckets, again.shift) == (histogram.n, histogram.buckets, histogram.shift)
    assert again.total == pytest.approx(histogram.total, abs=1e-6)
    assert again.most == pytest.approx(histogram.most, abs=1e-6)


@pytest.mark.parametrize(
    "told", [[], [0], [0, 0], [-1, 0, 0], [17, 0, 0], [0, 0, 0, 1], [0, 0, 0, "x", 1], [0, 0, 0, 1, "x"]]
)
def test_what_was_never_written_is_refused(told):
    with pytest.raises((ValueError, TypeError)):
        read(told)
