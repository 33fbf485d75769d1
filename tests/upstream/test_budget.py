"""The budget: extra calls are a tenth of clients' calls, whatever their order."""

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
