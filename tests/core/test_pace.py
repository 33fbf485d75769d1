"""How long somebody has to wait, by what was measured."""

import pytest

from proxy.core.pace import Pace


def test_nothing_is_known_before_a_call_has_ended():
    assert Pace().wait_s(5, 1) is None


WAITS = {  # calls, ahead, room → seconds
    "the next, where one is served at a time": ([60.0], 0, 1, 30.0),
    "behind three": ([60.0], 3, 1, 210.0),
    "behind three, four at a time": ([60.0], 3, 4, 52.5),
    "the mean of few": ([10.0, 20.0, 60.0], 0, 1, 15.0),
}


@pytest.mark.parametrize(("calls", "ahead", "room", "wait"), WAITS.values(), ids=WAITS)
def test_the_expected_wait(calls, ahead, room, wait):
    pace = Pace()
    for took in calls:
        pace.add(took)
    assert pace.wait_s(ahead, room) == pytest.approx(wait)


def test_it_follows_an_upstream_that_became_slow():
    pace = Pace()
    for took in [1.0] * 1000 + [60.0] * 30:
        pace.add(took)
    assert pace.mean_s == pytest.approx(60.0, rel=0.05)
