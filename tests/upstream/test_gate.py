"""The gate: when it shuts, how often the upstream is tried, and what opens it."""

import pytest

from proxy.core.aimd import Sign
from proxy.errors import UpstreamRefused
from proxy.upstream.gate import Gate, Turned, Way

ERROR = UpstreamRefused("connection refused")


def shut(at=100.0):
    """Make a gate that shut at a time, after five quick failures."""
    gate = Gate()
    turns = [gate.ended(Sign.REFUSED, at - 5 + n, at - 4.9 + n, ERROR) for n in range(4)]
    turns.append(gate.ended(Sign.REFUSED, at - 0.1, at, ERROR))
    assert turns == [None] * 4 + [Turned.SHUT]
    return gate


FAILURES = {  # (sign, began, ended) → whether it is shut
    "five in a row": ([(Sign.REFUSED, n, n + 0.01) for n in range(5)], True),
    "five in quick succession": ([(Sign.REFUSED, n / 100, n / 100 + 0.001) for n in range(5)], True),
    "four": ([(Sign.REFUSED, n, n + 0.01) for n in range(4)], False),
    "twenty that began together": ([(Sign.REFUSED, n / 1000, 5 + n / 1000) for n in range(20)], False),
    "five that began apart and ended together": ([(Sign.REFUSED, n, 180.0) for n in range(5)], True),
    "one of five was answered": ([(Sign.FINE if n == 3 else Sign.REFUSED, n, n + 0.1) for n in range(5)], False),
    "one of five was busy, thus is there": (
        [(Sign.BUSY if n == 3 else Sign.REFUSED, n, n + 0.1) for n in range(5)], False,
    ),
    "one of five was given up": ([(Sign.NOTHING if n == 3 else Sign.REFUSED, n, n + 0.1) for n in range(6)], True),
    "a URL that is always reset": ([(Sign.RESET, n, n + 0.01) for n in range(50)], False),
    "a dashboard's panels that are too slow": ([(Sign.SLOW, n / 5, 180.0 + n / 5) for n in range(50)], False),
    "429 of one client": ([(Sign.LIMITED, n, n + 0.1) for n in range(50)], False),
    "answers of 503": ([(Sign.BUSY, n, n + 0.1) for n in range(50)], False),
}  # fmt: skip


@pytest.mark.parametrize(("calls", "is_shut"), FAILURES.values(), ids=FAILURES)
def test_what_shuts_it(calls, is_shut):
    gate = Gate()
    for sign, began, ended in calls:
        gate.ended(sign, began, ended, ERROR)
    assert gate.is_shut is is_shut
    assert (gate.way(1000.0) is Way.PROBE) is is_shut


def test_while_shut_one_at_a_time_tries_and_the_pauses_grow_to_ten_seconds():
    gate, now, pauses = shut(), 100.0, []
    for _ in range(6):
        pause = 0.0
        while gate.way(now + pause) is Way.SHUT:
            pause += 0.25
        pauses.append(pause)
        now += pause
        gate.probe_begins(now)
        assert gate.way(now) is gate.way(now + 0.5) is Way.SHUT
        assert gate.ended(Sign.REFUSED, now, now, ERROR, probe=True) is None
    assert pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@pytest.mark.parametrize("sign", [Sign.FINE, Sign.BUSY, Sign.LIMITED, Sign.RESET, Sign.SLOW])
def test_a_probe_that_is_not_refused_opens_it(sign):
    gate = shut()
    assert gate.way(101.0) is Way.PROBE
    assert gate.ended(sign, 101.0, 102.0, probe=True) is Turned.OPENED
    assert gate.way(102.0) is Way.THROUGH


def test_after_it_opened_the_pauses_are_short_again():
    gate = shut()
    for now in (101.0, 103.0):
        gate.way(now)
        gate.ended(Sign.REFUSED, now, now, ERROR, probe=True)
    gate.open(107.0)
    for second in range(5):
        gate.ended(Sign.REFUSED, 110.0 + second, 110.5 + second, ERROR)
    assert gate.way(115.4) is Way.SHUT
    assert gate.way(115.5) is Way.PROBE


def test_a_probe_that_says_nothing_lets_the_next_one_try_at_once():
    gate = shut()
    assert gate.way(101.0) is Way.PROBE
    gate.ended(Sign.NOTHING, 101.0, 101.5, probe=True)
    assert gate.way(101.5) is Way.PROBE


@pytest.mark.parametrize("sign", [Sign.FINE, Sign.BUSY, Sign.LIMITED])
def test_whatever_is_answered_while_it_is_shut_opens_it(sign):
    gate = shut()
    assert gate.ended(sign, 50.0, 100.5) is Turned.OPENED
    assert gate.way(100.5) is Way.THROUGH


@pytest.mark.parametrize("sign", [Sign.REFUSED, Sign.RESET, Sign.SLOW, Sign.NOTHING])
def test_what_was_under_way_when_it_shut_and_fails_says_nothing(sign):
    gate = shut()
    assert gate.ended(sign, 50.0, 100.5, ERROR) is None
    assert gate.way(100.9) is Way.SHUT
    assert gate.way(101.0) is Way.PROBE


def test_a_probe_of_an_earlier_outage_decides_nothing_in_this_one():
    gate = shut()
    assert gate.way(102.0) is Way.PROBE
    gate.probe_begins(102.0)
    gate.open(103.0)  # another process saw it answer
    for second in range(5):
        gate.ended(Sign.REFUSED, 110.0 + second, 110.5 + second, ERROR)
    assert gate.ended(Sign.REFUSED, 102.0, 115.0, ERROR, probe=True) is None
    assert gate.way(115.5) is Way.PROBE, "its pause did not grow"


def test_a_probe_that_waited_until_the_gate_was_open_is_a_call_like_any_other():
    gate = shut()
    assert gate.way(102.0) is Way.PROBE
    gate.open(103.0)
    gate.probe_begins(104.0)
    for second in range(5):
        gate.ended(Sign.REFUSED, 110.0 + second, 110.5 + second, ERROR)
    assert not gate.outlived(500.0)


def test_what_began_before_it_opened_does_not_shut_it_again():
    gate = shut()
    gate.open(200.0)
    for second in range(20):
        gate.ended(Sign.REFUSED, 100.0 + second, 280.0 + second, ERROR)
    assert not gate.is_shut


def test_a_probe_that_lasts_longer_than_failures_did_opens_it():
    gate = shut()
    gate.way(101.0)
    assert not gate.outlived(110.0)  # it waits for its slot
    gate.probe_begins(110.0)
    assert not gate.outlived(111.0)
    assert gate.outlived(111.1)
    assert gate.way(111.1) is Way.THROUGH
    assert gate.ended(Sign.REFUSED, 110.0, 112.0, ERROR, probe=True) is None
    assert not gate.is_shut


def test_where_failures_took_minutes_a_probe_may_take_minutes():
    gate = Gate()
    for second in range(5):
        gate.ended(Sign.REFUSED, float(second), 180.0 + second, ERROR)
    gate.way(200.0)
    gate.probe_begins(200.0)
    assert not gate.outlived(559.0)
    assert gate.outlived(561.0)


def test_how_long_failures_took_before_the_last_answer_does_not_count():
    gate = Gate()
    gate.ended(Sign.REFUSED, 0.0, 180.0, ERROR)
    gate.ended(Sign.FINE, 180.0, 181.0)
    for second in range(5):
        gate.ended(Sign.REFUSED, 190.0 + second, 190.1 + second, ERROR)
    assert gate.way(200.0) is Way.PROBE
    gate.probe_begins(200.0)
    assert gate.outlived(202.0)


def test_who_is_not_let_through_is_told_the_last_failure_and_when_to_come_again():
    gate = shut()
    first, second = gate.refusal(100.0), gate.refusal(100.0)
    assert first is not second  # each is raised with a traceback of its own
    assert (type(first), str(first), first.status, first.reason) == (
        UpstreamRefused, "connection refused", 502, "upstream_refused",
    )  # fmt: skip
    assert first.retry_after_s == 1.0
    gate.way(101.0)
    gate.ended(Sign.REFUSED, 101.0, 103.0, UpstreamRefused("no route"), probe=True)
    assert (str(gate.refusal(103.5)), gate.refusal(103.5).retry_after_s) == ("no route", 1.5)
    gate.way(105.0)
    gate.ended(Sign.REFUSED, 105.0, 106.0, probe=True)
    assert str(gate.refusal(106.0)) == "no route"
    assert gate.refusal(200.0).retry_after_s == 1.0


def test_a_quiet_hour_of_failures_costs_one_call_in_ten_seconds():
    gate, now, tried = shut(), 100.0, 0
    while now < 3700.0:
        if gate.way(now) is Way.PROBE:
            tried += 1
            gate.ended(Sign.REFUSED, now, now + 0.01, ERROR, probe=True)
        now += 0.05
    assert 350 <= tried <= 365
