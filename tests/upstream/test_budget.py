"""The budget: extra calls are a tenth of clients' calls, whatever their order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.budget import Budget


def test_it_begins_with_ten_and_ten_calls_add_one():
    budget = Budget()
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]
    for calls in range(1, 11):
        budget.add()
        assert budget.take() is (calls == 10)


def test_ten_are_the_most_that_are_saved():
    budget = Budget()
    for _ in range(10_000):
        budget.add()
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]


@given(st.lists(st.booleans(), max_size=400))
def test_extra_calls_are_never_more_than_a_tenth_and_ten(steps):
    budget, calls, extra = Budget(), 0, 0
    for is_extra in steps:
        if is_extra:
            extra += budget.take()
        else:
            budget.add()
            calls += 1
        assert extra <= calls * 0.1 + 10 + 1e-6


def spent(calls):
    """Return a budget of which so many calls were taken."""
    budget = Budget()
    assert all(budget.take() for _ in range(calls))
    return budget


MANY = {
    "some of what is left": (4, 5, True),
    "all of it": (4, 6, True),
    "more than is left": (5, 6, False),
    "more than there ever are, where it is full": (0, 25, True),
    "more than there ever are, where it is not": (1, 25, False),
}


@pytest.mark.parametrize(("before", "calls", "taken"), MANY.values(), ids=MANY)
def test_several_are_taken_together_or_not_at_all(before, calls, taken):
    budget = spent(before)
    left = budget.left
    assert budget.take(calls) is taken
    assert budget.left == (left - calls if taken else left)


def until_it_may(budget):
    """Return how many calls of clients it takes until an extra one may be made."""
    for calls in range(1_000):
        if budget.take():
            return calls
        budget.add()
    return None


def test_what_was_taken_beyond_the_last_one_is_waited_for():
    budget = Budget()
    assert budget.take(25)
    assert until_it_may(budget) == 160


@pytest.mark.parametrize(("calls", "waits"), [(3, 0), (10, 10), (13, 40)])
def test_what_is_owed_is_taken_in_any_case_and_waited_for_later(calls, waits):
    budget = Budget()
    budget.owe(calls)
    assert until_it_may(budget) == waits


TAKES = st.tuples(st.sampled_from(["add", "take", "owe"]), st.integers(1, 30))


@given(st.lists(TAKES, max_size=200))
def test_whatever_is_taken_at_once_in_the_end_it_is_a_tenth_and_ten(steps):
    """A batch may run ahead of that by what it needs itself; then nothing more is given until it is made good."""
    budget, calls, extra = Budget(), 0, 0
    for act, number in steps:
        if act == "add":
            budget.add()
            calls += 1
        elif act == "owe":
            budget.owe(number)
            extra += number
        else:
            before = extra
            extra += number * budget.take(number)
            assert extra == before or before <= calls * 0.1 + 1e-6 or number + before <= calls * 0.1 + 10 + 1e-6
    assert budget.left <= 10 + calls * 0.1 - extra + 1e-6


def test_what_stood_in_for_a_lost_call_is_given_back_but_never_more_than_the_most():
    budget = Budget()
    budget.give_back()
    assert until_taken(budget) == 10
    budget = spent(10)
    budget.give_back()
    assert until_taken(budget) == 1


def until_taken(budget):
    """Return how many extra calls it gives at once."""
    return next(calls for calls in range(1_000) if not budget.take())


def test_who_waits_for_an_answer_was_let_down_because_others_compared():
    budget = Budget()
    budget.owe(30)
    assert [budget.take_for_client() for _ in range(3)] == [True, True, False]
    for _ in range(10):
        budget.add()
    assert (budget.take(), budget.take_for_client(), budget.take_for_client()) == (False, True, False)


def test_where_nothing_is_owed_clients_have_the_tenth_and_no_more():
    budget = Budget()
    assert [budget.take_for_client() for _ in range(11)] == [True] * 10 + [False]
