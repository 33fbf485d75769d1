"""A failing thing is left alone for a while, longer each time."""

from fakes import FakeClock

from proxy.store.breaker import Breaker


def test_it_is_left_alone_twice_as_long_each_time_up_to_half_a_minute():
    clock = FakeClock()
    breaker, pauses = Breaker(clock), []
    assert (breaker.is_open, breaker.has_failed) == (False, False)
    for _ in range(7):
        breaker.failed()
        began = clock.timer()
        while breaker.is_open:
            clock.advance(0.5)
        pauses.append(clock.timer() - began)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert breaker.has_failed


def test_those_under_way_when_it_opened_say_nothing_new():
    clock = FakeClock()
    breaker = Breaker(clock)
    for _ in range(10):
        breaker.failed()
    clock.advance(1.0)
    assert not breaker.is_open


def test_one_success_and_it_is_trusted_again():
    clock = FakeClock()
    breaker = Breaker(clock)
    breaker.failed()
    breaker.succeeded()
    assert (breaker.is_open, breaker.has_failed) == (False, False)
    breaker.failed()
    clock.advance(1.0)
    assert not breaker.is_open, "it begins with a short pause again"
