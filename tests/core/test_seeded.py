"""Seeded rolls: the same each time, even, and SplitMix64's own."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.seeded import seeded


def rolls(seed: int, number: int) -> list[float]:
    return list(islice(iter(seeded(seed), None), number))


def test_a_seed_of_nought_gives_the_published_words_of_splitmix64():
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert rolls(0, 3) == [(word >> 11) / 2**53 for word in published]


@given(st.integers())
def test_one_seed_rolls_the_same_and_within_its_bounds(seed):
    assert rolls(seed, 50) == rolls(seed, 50)
    assert all(0 <= one < 1 for one in rolls(seed, 50))


def test_another_seed_rolls_otherwise():
    assert not set(rolls(1, 1000)) & set(rolls(-1, 1000))


def test_rolls_are_even():
    assert sum(rolls(7, 10_000)) / 10_000 == pytest.approx(0.5, abs=0.01)
