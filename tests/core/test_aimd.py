"""The limit: how it falls, how it rises, and that it finds a capacity it was not told."""

import heapq
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.aimd import Aimd, ForAll, Sign, sign_of

OVERLOAD = (Sign.BUSY, Sign.SLOW, Sign.REFUSED)


SIGNS = {
    "answered": ((200, None), Sign.FINE),
    "an error of the upstream's own": ((500, None), Sign.FINE),
    "asked to come later": ((429, None), Sign.LIMITED),
    "unavailable": ((503, None), Sign.BUSY),
    "too slow": ((None, "upstream_timeout"), Sign.SLOW),
    "no connection": ((None, "upstream_refused"), Sign.REFUSED),
    "connection lost": ((None, "upstream_reset"), Sign.RESET),
    "the body too slow": ((200, "upstream_timeout"), Sign.SLOW),
    "the body cut": ((200, "upstream_cut"), Sign.NOTHING),
    "the body left": ((200, "abandoned"), Sign.NOTHING),
    "given up while the body came": ((200, "CancelledError"), Sign.NOTHING),
    "busy, and nobody reads what it says": ((503, "abandoned"), Sign.BUSY),
    "cut": ((None, "upstream_cut"), Sign.NOTHING),
    "given up": ((None, "CancelledError"), Sign.NOTHING),
    "nothing known": ((None, None), Sign.NOTHING),
}


@pytest.mark.parametrize(("said", "sign"), SIGNS.values(), ids=SIGNS)
def test_what_an_end_says(said, sign):
    assert sign_of(*said) is sign


FOR_ALL = {  # (client, when) of 429s, how long calls last → what the latest says
    "one": ([("a", 0.0)], 5.0, Sign.NOTHING),
    "one client again and again": ([("a", n / 10) for n in range(50)], 5.0, Sign.NOTHING),
    "two clients": ([("a", 0.0), ("b", 3.0)], 5.0, Sign.BUSY),
    "two clients, and one of them again": ([("a", 0.0), ("b", 3.0), ("b", 4.0)], 5.0, Sign.BUSY),
    "two clients, long ago": ([("a", 0.0), ("b", 3.0), ("b", 5.5)], 5.0, Sign.NOTHING),
    "two clients, each at its own time": ([("a", 0.0), ("b", 6.0), ("a", 12.0)], 5.0, Sign.NOTHING),
    "where it is not known how long calls last": ([("a", 0.0), ("b", 0.9)], None, Sign.BUSY),
    "where it is not known, later": ([("a", 0.0), ("b", 1.1)], None, Sign.NOTHING),
}


@pytest.mark.parametrize(("got", "mean_s", "sign"), FOR_ALL.values(), ids=FOR_ALL)
def test_a_429_says_something_for_all_only_where_two_clients_get_it(got, mean_s, sign):
    for_all = ForAll()
    signs = [for_all.sign(Sign.LIMITED, client, now, mean_s) for client, now in got]
    assert signs[-1] is sign


@pytest.mark.parametrize("sign", [one for one in Sign if one is not Sign.LIMITED])
def test_whatever_else_a_client_gets_is_said_for_all(sign):
    assert ForAll().sign(sign, "a", 0.0, 5.0) is sign


FALLS = {  # signs of calls that each began after the limit last fell → the limit from 20
    "busy once: one slot": ([Sign.BUSY], 19.0),
    "busy again, with nothing fine between: a tenth": ([Sign.BUSY, Sign.BUSY], 17.1),
    "busy, fine, busy: one slot each": ([Sign.BUSY, Sign.FINE, Sign.BUSY], 18.0),
    "too slow": ([Sign.SLOW], 14.0),
    "no connection": ([Sign.REFUSED], 14.0),
    "reset": ([Sign.RESET], 20.0),
    "nothing": ([Sign.NOTHING], 20.0),
    "fine at the ceiling": ([Sign.FINE], 20.0),
    "never below one": ([Sign.SLOW] * 30, 1.0),
}


@pytest.mark.parametrize(("signs", "limit"), FALLS.values(), ids=FALLS)
def test_how_it_falls(signs, limit):
    aimd = Aimd(20)
    for second, sign in enumerate(signs):
        changed = aimd.limit
        assert aimd.ended(sign, second + 0.1, second + 0.5) is (aimd.limit != changed)
    assert aimd.limit == pytest.approx(limit)


@pytest.mark.parametrize("sign", OVERLOAD)
def test_calls_of_one_generation_let_it_fall_once(sign):
    aimd = Aimd(20)
    aimd.ended(sign, 1.0, 60.0)
    once = aimd.limit
    for began in (0.0, 5.0, 59.0, 60.0):
        assert not aimd.ended(sign, began, 61.0)
    assert aimd.limit == once
    assert aimd.ended(sign, 60.1, 61.0)


def rounds_until(aimd, room, began, most=200):
    """Return after how many calls, each begun when somebody waited, the room is reached."""
    for calls in range(most):
        if aimd.room >= room:
            return calls
        aimd.crowded(began + calls + 0.5)
        aimd.ended(Sign.FINE, began + calls, began + calls + 1)
    raise AssertionError(aimd.limit)


def test_it_rises_by_one_in_a_round():
    aimd = Aimd(20)
    aimd.adopt(5.0, 0.0)
    assert rounds_until(aimd, 6, 1.0) == 5
    assert rounds_until(aimd, 7, 100.0) == 6


def test_it_rises_only_while_somebody_wants_more():
    aimd = Aimd(20)
    aimd.adopt(5.0, 0.0)
    for second in range(1, 100):
        aimd.ended(Sign.FINE, second, second + 0.5)
    assert aimd.limit == 5.0
    aimd.crowded(200.0)
    aimd.ended(Sign.FINE, 201.0, 202.0)  # began after
    assert aimd.limit == 5.0
    aimd.ended(Sign.FINE, 199.0, 202.0)
    assert aimd.limit == pytest.approx(5.2)


def test_a_level_that_was_refused_is_tried_less_and_less_often_until_it_holds():
    aimd, waits = Aimd(20), []
    aimd.adopt(5.0, 0.0)
    for now in range(1_000, 8_000, 1_000):
        waits.append(rounds_until(aimd, 5, now))
        aimd.ended(Sign.BUSY, now + 900, now + 901)
    assert waits == [0, 4, 8, 16, 32, 64, 64]
    rounds_until(aimd, 5, 8_000)
    assert rounds_until(aimd, 6, 9_000) == 5  # it holds
    aimd.ended(Sign.BUSY, 9_900, 9_901)
    assert rounds_until(aimd, 6, 10_000) == 5


def test_after_an_outage_it_doubles_up_to_the_ceiling():
    aimd = Aimd(8)
    aimd.restart(100.0)
    rooms, began = [aimd.room], 101.0
    for _ in range(4):
        aimd.crowded(began)
        for _ in range(aimd.room):
            aimd.ended(Sign.FINE, began, began + 1)
        rooms.append(aimd.room)
        began += 10
    assert rooms == [1, 2, 4, 8, 8]


def test_an_overload_ends_the_doubling():
    aimd = Aimd(100)
    aimd.restart(100.0, 10.0)
    aimd.ended(Sign.BUSY, 101.0, 102.0)
    assert rounds_until(aimd, 10, 103.0) == 9


def test_what_ran_before_an_outage_says_nothing_after_it():
    aimd = Aimd(8)
    aimd.crowded(99.0)
    aimd.restart(100.0)
    assert not aimd.ended(Sign.FINE, 50.0, 101.0)
    assert not aimd.ended(Sign.SLOW, 50.0, 101.0)


def test_another_process_takes_it_over_by_one_number():
    first, second = Aimd(8), Aimd(8)
    first.ended(Sign.SLOW, 1.0, 2.0)
    second.adopt(first.limit, 2.5)
    assert second.limit == first.limit
    assert not second.ended(Sign.SLOW, 1.0, 3.0)  # of the same generation
    second.adopt(7.0, 4.0)
    assert second.ended(Sign.SLOW, 3.5, 5.0)  # one that rose says nothing of generations


@pytest.mark.parametrize(("told", "taken"), [(0.0, 1.0), (-5.0, 1.0), (3.5, 3.5), (100.0, 8.0)])
def test_what_is_told_stays_within_the_ceiling(told, taken):
    aimd = Aimd(8)
    aimd.adopt(told, 1.0)
    assert aimd.limit == taken


STEPS = st.lists(st.tuples(st.sampled_from(["restart", "adopt", "crowded", *Sign]), st.floats(0, 100)), max_size=60)


@given(st.integers(1, 50), STEPS)
def test_it_stays_between_one_and_the_ceiling(ceiling, steps):
    aimd = Aimd(ceiling)
    for now, (step, number) in enumerate(steps):
        if isinstance(step, Sign):
            aimd.ended(step, now - number, float(now))
        elif step == "crowded":
            aimd.crowded(float(now))
        elif step == "adopt":
            aimd.adopt(number, float(now))
        else:
            aimd.restart(float(now))
        assert 1.0 <= aimd.limit <= ceiling
        assert 1 <= aimd.room <= ceiling


def answered_in(hours, capacity, aimd, seed, now=0.0):
    """Return how many calls of 1 to 69 s an upstream answers of endless demand, and how many it refuses at once."""
    dice, calls, running, fine, refused = random.Random(seed), [], 0, 0, 0
    end = now + hours * 3600
    while now < end:
        while len(calls) < aimd.room:
            takes = dice.uniform(1, 69) if running < capacity else 0.005
            accepted = running < capacity
            running += accepted
            heapq.heappush(calls, (now + takes, now, accepted))
        aimd.crowded(now)
        now, began, accepted = heapq.heappop(calls)
        running -= accepted
        fine, refused = fine + accepted, refused + (not accepted)
        aimd.ended(Sign.FINE if accepted else Sign.BUSY, began, now)
    return fine, refused


@pytest.mark.parametrize("capacity", [3, 8, 20])
@pytest.mark.parametrize("times", [1, 2])
def test_it_answers_as_many_as_a_perfect_limit_with_few_refused(capacity, times):
    perfect, _ = answered_in(4, capacity, Aimd(capacity), seed=1)
    fine, refused = answered_in(4, capacity, Aimd(capacity * times), seed=2)
    assert fine >= 0.95 * perfect
    assert refused <= 0.06 * fine


def test_it_follows_a_capacity_that_changes():
    aimd, now = Aimd(40), 0.0
    for capacity in (20, 3, 12):
        answered_in(1, capacity, aimd, seed=capacity, now=now)
        fine, _ = answered_in(1, capacity, aimd, seed=capacity, now=now + 3700)
        assert fine >= 0.95 * answered_in(1, capacity, Aimd(capacity), seed=capacity)[0]
        now += 10_000
