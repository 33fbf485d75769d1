"""Missing parts → calls upstream."""

import random
from math import inf
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schedules import (
    Upstream,
    composite,
    equal,
    exponential,
    fetch,
    heavy,
    run,
    warmed,
)

from proxy.core.cost_model import CostModel, Fetched, learned
from proxy.core.fan_out import MOST_HALVINGS, TOO_LARGE, Bounds, Call, Missing, balanced, bisected, fan_out, paired
from proxy.core.reasons import Reason
from proxy.errors import Fallback

SIZES = (1, 30, 4, 17, 9, 2, 24, 6)


def model_of(a, b, sizes=SIZES, *, gained=True):
    """Return the model of an upstream that takes a + b·n, and for 30 parts half of it where two calls ask for them."""
    model = CostModel()
    for parts in sizes:
        model = learned(model, Fetched(parts, 1, a + b * parts, a + b * parts))
    return learned(model, Fetched(30, 2, 2 * a + b * 30, a / 2 + b * 15, at_once=2)) if gained and model.line else model


def parts(number, costs=(), size=0):
    return [Missing(size, costs[place] if place < len(costs) else None) for place in range(number)]


def planned(missing, spare=inf, model=None, extra_calls=inf, **bounds):
    return fan_out(
        missing, Bounds(**bounds), CostModel() if model is None else model, spare=spare, extra_calls=extra_calls
    )


def groups(plan):
    return [call.parts for call in plan.calls]


# What the config asks for


AS_ASKED = {
    "single": ("single", [(0, 1, 2, 3, 4)], 1),
    "each": ("each", [(0,), (1,), (2,), (3,), (4,)], 3),
    "two in each": (2, [(0,), (1, 2), (3, 4)], 3),
    "more in each than there are": (9, [(0, 1, 2, 3, 4)], 1),
    "auto, before it knows anything": ("auto", [(0, 1, 2, 3, 4)], 1),
}


@pytest.mark.parametrize(("residual", "calls", "at_once"), AS_ASKED.values(), ids=AS_ASKED)
def test_parts_are_asked_for_as_the_config_says(residual, calls, at_once):
    plan = planned(parts(5), residual=residual, max_parallel=3)
    assert sorted(groups(plan)) == calls
    assert plan.at_once == at_once


@pytest.mark.parametrize(
    ("max_parallel", "spare", "at_once"), [(1, 9, 1), (4, 9, 4), (4, 3, 3), (4, 0, 1), (4, -1, 1), (8, 9, 5)]
)
def test_never_more_at_once_than_the_rule_allows_and_slots_are_spare(max_parallel, spare, at_once):
    assert planned(parts(5), residual="each", max_parallel=max_parallel, spare=spare).at_once == at_once


def test_the_longest_starts_first():
    assert groups(planned(parts(4, [1.0, 9.0, 3.0, 5.0]), residual="each")) == [(1,), (3,), (2,), (0,)]


def test_what_is_not_known_counts_as_the_mean():
    assert groups(planned(parts(4, [1.0, 9.0]), residual="each")) == [(1,), (2,), (3,), (0,)]


def test_what_nobody_knows_starts_in_the_order_in_which_it_was_asked():
    assert groups(planned(parts(4), residual="each")) == [(0,), (1,), (2,), (3,)]


def test_groups_are_made_to_take_about_as_long():
    assert sorted(groups(planned(parts(6, [9.0, 8.0, 7.0, 3.0, 2.0, 1.0]), residual=2))) == [(0, 5), (1, 4), (2, 3)]


def test_a_group_has_no_more_than_asked_for_even_where_its_parts_are_quick():
    plan = planned(parts(6, [9.0, 0.1, 0.1, 0.1, 0.1, 0.1]), residual=3)
    assert sorted(len(group) for group in groups(plan)) == [3, 3]


COSTS = st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=40)
RESIDUALS = st.sampled_from(["auto", "single", "each"]) | st.integers(1, 9)


@given(
    costs=COSTS, residual=RESIDUALS, a=st.floats(0, 9), b=st.floats(0.1, 9), at_once=st.integers(1, 9),
    sizes=st.integers(1, 9), most_bytes=st.just(inf) | st.integers(1, 40), extra=st.floats(0, 3),
)  # fmt: skip
def test_each_part_is_asked_for_once_and_every_bound_is_kept(costs, residual, a, b, at_once, sizes, most_bytes, extra):
    missing = [Missing(sizes, cost) for cost in costs]
    plan = planned(
        missing, model=model_of(a, b), residual=residual, max_parallel=at_once, extra_work=extra, most_bytes=most_bytes
    )
    assert sorted(part for group in groups(plan) for part in group) == list(range(len(costs)))
    assert all(group == tuple(sorted(group)) and group for group in groups(plan))
    assert 1 <= plan.at_once <= min(at_once, len(plan.calls))
    assert not any(call.halved for call in plan.calls)
    if residual not in {"single", "each"}:
        assert all(len(group) == 1 or len(group) * sizes <= most_bytes for group in groups(plan))
    if isinstance(residual, int):
        assert all(len(group) <= residual for group in groups(plan))


# auto


def test_auto_asks_once_before_the_model_has_five_fetches():
    four, five = model_of(0, 2.0, SIZES[:4]), model_of(0, 2.0, SIZES[:5])
    assert len(planned(parts(8), model=four, max_parallel=4).calls) == 1
    assert planned(parts(8), model=five, max_parallel=4).at_once == 4


def test_auto_asks_once_where_the_rule_allows_one_at_once():
    assert len(planned(parts(30), model=model_of(0, 2.0)).calls) == 1


# W_k = k·a + b·n ≤ (1 + extra)·(a + b·n), the figures of three upstreams that take about 70 s for 30 parts
WORK = {
    "10 s a call, a quarter more": (10.0, 2.0, 0.25, 2),
    "10 s a call, half as much again": (10.0, 2.0, 0.5, 4),
    "10 s a call, twice as much": (10.0, 2.0, 1.0, 8),
    "20 s a call, a quarter more": (20.0, 1.6, 0.25, 1),
    "20 s a call, a third more": (20.0, 1.6, 0.34, 2),
    "1 s a call, a quarter more": (1.0, 2.0, 0.25, 16),
    "1 s a call, nothing more": (1.0, 2.0, 0.0, 1),
}


@pytest.mark.parametrize(("a", "b", "extra", "most"), WORK.values(), ids=WORK)
def test_auto_never_adds_more_work_than_the_rule_allows(a, b, extra, most):
    plan = planned(parts(30), model=model_of(a, b), max_parallel=8, extra_work=extra)
    assert len(plan.calls) <= most
    assert plan.at_once == min(8, most)
    assert len(plan.calls) * a + b * 30 <= (1 + extra) * (a + b * 30) + 1e-6


@given(st.floats(0, 30), st.floats(0.1, 5), st.floats(0, 2), st.integers(1, 40), st.integers(1, 16))
def test_the_work_of_all_calls_stays_within_extra_work(a, b, extra, number, at_once):
    model = model_of(a, b)
    plan = planned(parts(number), model=model, max_parallel=at_once, extra_work=extra)
    assert model.line.seconds(number, len(plan.calls)) <= (1 + extra) * model.line.seconds(number) * (1 + 1e-6)


@pytest.mark.parametrize(("extra_calls", "calls"), [(0, 1), (-3, 1), (1, 2), (2, 3)])
def test_auto_stays_within_the_budget_for_extra_calls(extra_calls, calls):
    assert len(planned(parts(30), model=model_of(0, 2.0), max_parallel=8, extra_calls=extra_calls).calls) == calls


def test_auto_asks_once_where_more_calls_promise_too_little():
    costs = [50.0, 1.0, 1.0, 1.0]  # the end is that of the first
    assert len(planned(parts(4, costs), model=model_of(0, 2.0), max_parallel=4).calls) == 1
    assert len(planned(parts(4, [20.0, 20.0, 1.0, 1.0]), model=model_of(0, 2.0), max_parallel=4).calls) > 1


def test_auto_asks_once_where_calls_at_once_were_given_up():
    model = learned(model_of(0, 2.0, gained=False), Fetched(8, 2, 24.0, 16.0, at_once=2))
    assert len(planned(parts(8), model=model, max_parallel=8).calls) == 1
    for _ in range(8):
        model = learned(model, Fetched(8, 1, 16.0, 16.0))
    plan = planned(parts(8), model=model, max_parallel=8)
    assert (len(plan.calls), plan.at_once) == (2, 2)


def test_auto_makes_no_more_calls_than_at_once_where_nobody_knows_what_one_costs():
    assert len(planned(parts(32), model=model_of(0, 2.0, [8] * 5, gained=False), max_parallel=4).calls) == 4
    assert len(planned(parts(32), model=model_of(0, 2.0), max_parallel=4).calls) > 4


def test_auto_makes_no_more_calls_than_at_once_before_these_have_gained():
    assert len(planned(parts(32), model=model_of(0, 2.0, gained=False), max_parallel=4).calls) == 4


def test_auto_takes_parts_that_cost_nothing_as_they_come():
    assert min(groups(planned(parts(4, [0.0] * 4), model=model_of(0, 2.0), max_parallel=2))) == (0, 1)


# Bounds of a call


def test_a_call_asks_for_no_more_bytes_than_fit():
    plan = planned(parts(5, size=10), residual="auto", most_bytes=25)
    assert sorted(len(group) for group in groups(plan)) == [1, 2, 2]
    assert plan.at_once == 1


def test_a_part_that_does_not_fit_anywhere_goes_alone():
    missing = [Missing(10), Missing(99), Missing(10)]
    assert sorted(groups(planned(missing, residual="auto", most_bytes=20))) == [(0, 2), (1,)]


def test_small_parts_fill_the_room_beside_large_ones():
    missing = [Missing(90), Missing(90), Missing(10), Missing(10)]
    assert sorted(groups(planned(missing, residual="auto", most_bytes=100))) == [(0, 2), (1, 3)]


def test_sharing_out_keeps_the_order_of_what_takes_as_long():
    assert balanced(parts(5), [1.0] * 5, 2) == [(0, 1), (2, 3, 4)]
    assert balanced(parts(2), [1.0] * 2, 5) == [(0,), (1,)]


# Too much


def test_what_was_too_much_is_asked_for_in_halves():
    assert bisected(Call((3, 5, 8), 1)) == (Call((3, 5), 2), Call((8,), 2))
    assert {413, 414} == TOO_LARGE


@pytest.mark.parametrize("call", [Call((3,)), Call((3, 4), MOST_HALVINGS)])
def test_halving_ends(call):
    with pytest.raises(Fallback) as fallback:
        bisected(call)
    assert fallback.value.reason == Reason.TOO_LARGE


@given(st.integers(1, 300), st.integers(0, 6))
def test_halving_asks_for_every_part_in_a_bounded_number_of_calls(number, most_halvings):
    """At most 2^(d+1) − 1 calls."""
    asked, calls, last = [Call(tuple(range(number)))], 0, []
    while asked:
        call, calls = asked.pop(), calls + 1
        try:
            asked += bisected(call, most_halvings=most_halvings)
        except Fallback:
            last.append(call)
    assert sorted(part for call in last for part in call.parts) == list(range(number))
    assert calls < 2 ** (most_halvings + 1)


# In virtual time: how soon a composite is done that was never asked before


COLD = [(number, at_once) for number in (4, 8, 16, 32) for at_once in (2, 4, 8)]
SPREADS = {"equal": equal, "exponential": exponential, "heavy": heavy}
MODES = ["each", "auto"]


def runs(residual, costs, number, at_once, *, known):
    done = [
        one for seed in range(4) for one in run(residual, costs, number, at_once, known=known, rounds=40, seed=seed)
    ]
    return [sum(values) for values in zip(*[(one.took, one.listed, one.bound) for one in done], strict=True)]


@pytest.mark.parametrize("residual", MODES)
@pytest.mark.parametrize("costs", SPREADS.values(), ids=SPREADS)
@pytest.mark.parametrize(("number", "at_once"), COLD)
def test_a_cold_composite_is_as_quick_as_list_scheduling(residual, costs, number, at_once):
    took, listed, _ = runs(residual, costs, number, at_once, known=False)
    assert took <= 1.03 * listed


def test_auto_loses_little_where_two_calls_gain_hardly_more_than_the_least():
    """Of two exponential parts the longer takes three quarters of all: a speed-up of 1.33."""
    took, listed, _ = runs("auto", exponential, 2, 2, known=False)
    assert took <= 1.08 * listed


@pytest.mark.parametrize("residual", MODES)
@pytest.mark.parametrize("costs", SPREADS.values(), ids=SPREADS)
@pytest.mark.parametrize(("number", "at_once"), [shape for shape in COLD if shape[0] >= 2 * shape[1]])
def test_with_remembered_costs_it_is_within_a_tenth_of_the_bound(residual, costs, number, at_once):
    took, _, bound = runs(residual, costs, number, at_once, known=True)
    assert took <= 1.10 * bound


@pytest.mark.parametrize("residual", MODES)
@pytest.mark.parametrize(("at_once", "most"), [(2, 28.0), (4, 14.5)])
@pytest.mark.parametrize("shares", [(1, 0.5, 1, 0.3, 0.7), (1, 1, 1, 1, 1)], ids=["of several sizes", "of one size"])
def test_eight_equal_parts_of_54_s_in_all(residual, at_once, most, shares):
    model = warmed(Upstream(), equal, random.Random(1), 8, shares) if residual == "auto" else CostModel()
    took, _, _ = fetch(model, Upstream(), [54.5 / 8] * 8, Bounds(residual, at_once))
    assert took <= most


@pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS)
@pytest.mark.parametrize("per_call", [0.0, 0.005, 0.01], ids=["free", "half a hundredth a call", "a hundredth a call"])
@pytest.mark.parametrize(("number", "at_once"), [(8, 2), (8, 4), (8, 8), (32, 8)])
def test_a_serial_upstream_loses_at_most_a_fiftieth(spread, per_call, number, at_once):
    dice, model = random.Random(5), CostModel()
    upstream = Upstream(per_call * 54.5, workers=1)
    took = whole = 0.0
    for place in range(200):
        costs = composite(dice, spread, number)
        end, _, model = fetch(model, upstream, costs, Bounds("auto", at_once))
        if place >= 5:
            took, whole = took + end, whole + sum(costs) + upstream.per_call
    assert took <= 1.02 * whole


def test_planning_fifty_parts_takes_no_time_that_anybody_would_notice():
    """It takes a third of a millisecond (tests/bench/parts.py judges the whole of it); here it must not get out of hand."""
    missing, model = parts(50, [float(place % 7 + 1) for place in range(50)], size=30), model_of(0.2, 2.0)
    bounds = Bounds("auto", 8, most_bytes=2000)
    times = []
    for _ in range(50):
        began = process_time()
        fan_out(missing, bounds, model, spare=8)
        times.append(process_time() - began)
    assert min(times) < 0.02


@pytest.mark.parametrize(
    ("plan", "expected", "at_once"),
    [
        (planned(parts(4, (3.0, 1.0, 2.0, 4.0)), residual="each", max_parallel=2), [(1, 2), (3,), (0,)], 2),
        (planned(parts(2), residual="each", max_parallel=2), [(0, 1)], 1),
        (planned(parts(1), residual="each", max_parallel=2), [(0,)], 1),
        (planned(parts(5), residual=2, max_parallel=2), [(1, 2), (3, 4), (0,)], 2),
    ],
)
def test_one_call_asks_for_two_parts_where_each_asks_for_one(plan, expected, at_once):
    pair = paired(plan)
    assert (groups(pair), pair.at_once) == (expected, at_once)
