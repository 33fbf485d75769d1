"""The machine's clocks."""

import time

from proxy.clock import SystemClock


def test_wall_time_is_the_machines():
    before = time.time()
    assert before <= SystemClock().wall() <= time.time()


def test_the_timer_never_goes_back():
    clock = SystemClock()
    times = [clock.timer() for _ in range(1000)]
    assert times == sorted(times)
