"""Greedy Dual Size Frequency with measured cost: upstream seconds per byte, above a floor that rises."""

import pytest

from proxy.core.evict.gdsf import Gdsf

ORDERED = {
    "what took longer": ((1, 2.0, 1000), (1, 1.0, 1000)),
    "what is smaller": ((1, 1.0, 500), (1, 1.0, 1000)),
    "what is asked for more often": ((3, 1.0, 1000), (2, 1.0, 1000)),
    "what saved as many seconds with fewer bytes": ((2, 1.0, 900), (1, 2.0, 1000)),
    "what took no time, but is smaller": ((1, 0.0, 500), (1, 0.0, 1000)),
}


@pytest.mark.parametrize("name", ORDERED)
def test_who_ranks_higher(name: str):
    higher, lower = (Gdsf().rank(*facts, 5.0, 0.0) for facts in ORDERED[name])
    assert higher > lower > 5.0


def test_the_floor_lifts_what_is_used_now_above_what_was_used_once():
    once_costly = Gdsf().rank(1, 60.0, 1000, 0.0, 0.0)
    assert Gdsf().rank(1, 0.1, 1000, once_costly, 0.0) > once_costly


def test_when_does_not_matter():
    assert Gdsf().rank(1, 1.0, 1000, 0.0, 0.0) == Gdsf().rank(1, 1.0, 1000, 0.0, 1e9)
