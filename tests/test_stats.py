"""LogLines → what this process has counted: in all, and in spans of time."""

import pytest
from fakes import NOON, FakeClock

from proxy.core.history import FINEST, unpacked
from proxy.core.log_line import Call, LogLine, Purpose
from proxy.core.types import Outcome
from proxy.stats import Stats


def line(seconds: float = 10.0, **known) -> LogLine:
    return LogLine("id", "GET", "/", 0.0, **{"rule": "r", "outcome": Outcome.MISS, "duration_s": seconds, **known})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def spans(stats: Stats, word: str) -> dict[int, int]:
    """Return how many requests each span of a grain holds, by its place after the first."""
    grain = stats.history.rings[word].grain
    found = {number: unpacked(span).all().n for number, span in stats.history.all()[word].items()}
    number, counted = stats.history.open()
    if counted:
        number = number * FINEST.width_s // grain.width_s
        found[number] = found.get(number, 0) + counted.all().n
    return {number - int(NOON // grain.width_s): n for number, n in found.items()}


def test_it_knows_when_it_began(clock):
    assert Stats(clock).since == NOON


def test_what_is_counted_is_there_at_once(clock):
    stats = Stats(clock)
    stats.count(line())
    assert stats.operations["r"].n == 1
    stats.count(line())
    assert stats.operations["r"].n == 2
    assert stats.operations.all().n == 2


def test_each_request_is_in_the_span_in_which_it_ended(clock):
    stats = Stats(clock)
    for pause in (0.0, 9.0, 1.0, 290.0, 3600.0):
        clock.advance(pause)
        stats.count(line())
    stats.fold()
    assert spans(stats, "10s") == {30: 1, 390: 1}, "an hour is kept, and what is open"
    assert spans(stats, "5m") == {0: 3, 1: 1, 13: 1}
    assert sum(spans(stats, "5m").values()) == sum(spans(stats, "1h").values()) == 5


def test_a_span_of_ten_seconds_is_what_ended_in_it(clock):
    stats = Stats(clock)
    for pause in (0.0, 9.0, 1.0, 25.0):
        clock.advance(pause)
        stats.count(line())
    stats.fold()
    assert spans(stats, "10s") == {0: 2, 1: 1, 3: 1}


def test_a_call_is_in_the_span_in_which_it_ended_whether_or_not_anybody_asked_then(clock):
    stats = Stats(clock)
    stats.count(line())
    clock.advance(20.0)
    stats.count_call(Call(began=clock.timer() - 15.0, ended=clock.timer(), rule="r", purpose=Purpose.REFRESH))
    clock.advance(10.0)
    stats.fold()
    found = {number - int(NOON // 10): unpacked(one)["r"] for number, one in stats.history.all()["10s"].items()}
    assert {number: (one.n, one.upstream_s) for number, one in found.items()} == {0: (1, 0.0), 2: (0, 15.0)}
    assert (stats.operations["r"].upstream_calls, stats.counted) == (1, 2)


def test_a_clock_that_goes_back_loses_nothing(clock):
    stats = Stats(clock)
    stats.count(line())
    stats.fold()
    clock.advance(-500.0)
    stats.count(line())
    stats.fold()
    assert spans(stats, "10s") == {-51: 1, -50: 1}, "what was counted now is there now, and not once 500 s are over"
    clock.advance(1000.0)
    stats.count(line())
    stats.fold()
    assert stats.operations["r"].n == 3
    assert sum(spans(stats, "10s").values()) == 3


def test_what_another_process_took_is_forgotten(clock):
    stats = Stats(clock)
    stats.count(line(cost=60.0, age_s=1, ttl_s=1, key_hash="k"))
    clock.advance(5.0)
    stats.forget()
    assert (stats.operations, stats.details, stats.since, spans(stats, "10s")) == ({}, {}, NOON + 5.0, {})
    assert stats.counted == 0
    stats.count(line())
    assert stats.operations["r"].n == 1
