"""The heaviest of many keys: exact while they fit, and within what is told when they do not."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.heaviest import Heaviest

ADDED = st.lists(st.tuples(st.sampled_from("abcdefghijkl"), st.integers(0, 100)), max_size=200)


def counted(added, most):
    heaviest, true = Heaviest(most), Counter()
    for key, amount in added:
        heaviest.add(key, amount, 1, f"note of {key}")
        true[key] += amount
    return heaviest, true


@given(ADDED)
def test_keys_that_fit_are_counted_exactly(added):
    heaviest, true = counted(added, most=6)
    assert {key: (one.amount, one.missed) for key, one in heaviest.held.items()} == {
        key: (amount, 0) for key, amount in true.items()
    }


@given(ADDED, st.integers(1, 4))
def test_of_keys_that_do_not_fit_none_above_the_floor_is_missing_and_each_sum_is_within_its_bounds(added, most):
    heaviest, true = counted(added, most)
    assert len(heaviest.held) <= 2 * most
    for key, amount in true.items():
        if amount > heaviest.floor:
            assert key in heaviest.held
    for key, one in heaviest.held.items():
        assert one.amount <= true[key] <= one.amount + one.missed
        assert one.note == f"note of {key}"


def test_one_heavy_key_among_many_light_ones_is_found():
    added = [pair for number in range(10_000) for pair in ((f"light {number}", 1), ("heavy", 3))]
    heaviest, _ = counted(added, most=50)
    ((key, one),) = heaviest.top(1)
    assert (key, one.amount, one.n, one.missed) == ("heavy", 30_000, 10_000, 0)
    assert len(heaviest.held) <= 100


def test_the_top_is_the_heaviest_first_and_no_longer_than_asked():
    heaviest, _ = counted([("a", 1), ("b", 3), ("c", 2), ("d", 3)], most=10)
    assert [key for key, _ in heaviest.top(3)] == ["b", "d", "c"]
