"""How long somebody has to wait, by what was measured."""

import pytest

from proxy.core.pace import Pace, expected_end


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


ENDS = {  # how long it was expected to last, how long it has lasted → in how many seconds it is done
    "as expected": (60.0, 20.0, 40.0),
    "longer than expected: in half as long again": (60.0, 80.0, 40.0),
    "nothing is expected": (None, 20.0, 10.0),
}


@pytest.mark.parametrize(("expected_s", "lasted_s", "left_s"), ENDS.values(), ids=ENDS)
def test_when_an_upstream_is_done_with_what_was_given_up(expected_s, lasted_s, left_s):
    assert expected_end(100.0, 100.0 + lasted_s, expected_s) == 100.0 + lasted_s + left_s
