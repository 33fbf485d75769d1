"""What fetches took → what the next will take."""

import json
import random
from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cost_model import (
    LEAST_FETCHES,
    MOST_FETCHES,
    CostModel,
    Fetched,
    Line,
    PartCosts,
    dumped,
    fitted,
    learned,
    loaded,
)

SIZES = (1, 30, 4, 17, 9, 2, 24, 6, 12, 50)


def taught(fetches, model=None):
    model = CostModel() if model is None else model
    for one in fetches:
        model = learned(model, one)
    return model


def alone(parts, took):
    """One call for all parts."""
    return Fetched(parts, 1, took, took)


def together(parts, took, calls, upstream_s=None):
    return Fetched(parts, calls, took * calls if upstream_s is None else upstream_s, took, at_once=calls)


# The line


def test_the_model_says_nothing_before_it_has_seen_five_fetches():
    fetches = [alone(parts, 1.0 + parts) for parts in SIZES]
    assert taught(fetches[: LEAST_FETCHES - 1]).line is None
    assert taught(fetches[:LEAST_FETCHES]).line is not None
    assert LEAST_FETCHES == 5


@given(st.floats(0, 100), st.floats(0.01, 100), st.permutations(SIZES), st.integers(5, len(SIZES)))
def test_five_fetches_of_sizes_that_differ_tell_a_from_b(a, b, sizes, number):
    line = taught([alone(parts, a + b * parts) for parts in sizes[:number]]).line
    assert line.told
    for parts in SIZES:
        assert line.seconds(parts) == pytest.approx(a + b * parts, rel=1e-6)
        assert line.seconds(parts, calls=3) == pytest.approx(3 * a + b * parts, rel=1e-5, abs=1e-5)


def test_fetches_of_one_size_leave_it_all_to_the_parts():
    assert taught([alone(8, 54.5)] * 6).line == Line(0.0, 54.5 / 8, told=False)


TIMES = st.floats(0.001, 1e6)


@given(st.lists(st.tuples(st.integers(1, 64).map(float), TIMES), min_size=LEAST_FETCHES, max_size=MOST_FETCHES))
def test_neither_a_nor_b_is_ever_negative(means):
    line = fitted(means)
    assert line.a >= 0
    assert line.b >= 0
    assert line.a + line.b > 0


def test_where_all_calls_take_the_same_parts_cost_nothing():
    assert fitted([(parts, 7.0) for parts in SIZES]) == Line(pytest.approx(7.0), 0.0)


def test_where_larger_calls_are_quicker_parts_cost_nothing():
    line = fitted([(parts, 8.0 - parts / 10) for parts in SIZES])
    assert line.b == 0
    assert 3 <= line.a <= 8


def test_where_larger_calls_cost_more_than_their_share_a_call_costs_nothing():
    assert fitted([(parts, parts**2 / 10) for parts in SIZES]).a == 0


def test_two_fetches_in_ten_may_be_far_off():
    fetches = [(parts, 10.0 + 2 * parts) for parts in SIZES]
    fetches[3], fetches[6] = (17, 400.0), (24, 0.5)
    line = fitted(fetches)
    assert line.a == pytest.approx(10, rel=0.1)
    assert line.b == pytest.approx(2, rel=0.1)


def lines(a, spread):
    """Fit 30 lines to noisy fetches that take a + 2·n."""
    dice = random.Random(7)
    for _ in range(30):
        sizes = [dice.randint(1, 32) for _ in range(MOST_FETCHES)]
        yield fitted([(parts, (a + 2 * parts) * dice.lognormvariate(0, spread)) for parts in sizes])


def test_chance_hardly_ever_shows_a_fixed_cost():
    assert sum(line.a > 0 for line in lines(0.0, 0.5)) <= 3


def test_a_fixed_cost_is_mostly_seen_through_noise():
    assert sum(5 <= line.a <= 20 for line in lines(10.0, 0.3)) >= 20
    assert sum(8 <= line.a <= 12 for line in lines(10.0, 0.03)) == 30


def test_what_the_upstream_took_lately_counts():
    slow, quick = ([alone(parts, each * parts) for parts in SIZES * 2] for each in (5.0, 1.0))
    assert taught([*slow, *quick]).line.b == pytest.approx(1.0)


def test_a_bounded_number_of_fetches_is_remembered_of_all_sizes():
    fetches = [alone(2, 5.0), alone(30, 61.0), *[alone(8, 17.0)] * 200]
    model = taught(fetches)
    assert len(model.means) == MOST_FETCHES
    assert model.line == Line(pytest.approx(1.0), pytest.approx(2.0))


NOTHING = {
    "no parts": Fetched(0, 1, 1.0, 1.0),
    "no calls": Fetched(1, 0, 1.0, 1.0),
    "no time": Fetched(1, 1, 1.0, 0.0),
    "no time upstream": Fetched(1, 1, 0.0, 1.0),
    "a clock that went backwards": Fetched(1, 1, -1.0, -1.0),
    "no end": Fetched(1, 1, inf, inf),
    "no number": Fetched(1, 1, nan, 1.0),
}


@pytest.mark.parametrize("fetched", NOTHING.values(), ids=NOTHING)
def test_what_cannot_be_teaches_nothing(fetched):
    assert taught([fetched]) == CostModel()


# Calls at once: `KNOWN` takes 8 s for 8 parts, each time the same

KNOWN = taught([alone(parts, parts) for parts in SIZES])
GAINS, IN_LINE = together(8, 4.0, 2), together(8, 8.0, 2, upstream_s=12.0)


def test_any_number_of_calls_at_once_is_worth_trying_first():
    assert CostModel().most_at_once is None
    assert taught([GAINS], KNOWN).most_at_once is None


def test_calls_at_once_are_given_up_where_they_gain_less_than_a_fifth():
    assert taught([together(8, 8 / 1.21, 2)], KNOWN).most_at_once is None
    assert taught([together(8, 8 / 1.19, 2)], KNOWN).most_at_once == 1


def test_calls_that_waited_for_each_other_do_not_tell_what_one_takes():
    assert taught([IN_LINE], KNOWN).means == KNOWN.means
    assert taught([GAINS], KNOWN).means == (*KNOWN.means, (4.0, 4.0))


def test_two_at_once_are_tried_again_after_eight_fetches_in_one_call():
    model = taught([IN_LINE, *[alone(8, 8.0)] * 7], KNOWN)
    assert model.most_at_once == 1
    assert taught([alone(8, 8.0)], model).most_at_once == 2


def test_a_fetch_of_one_part_does_not_count_for_it():
    model = taught([IN_LINE, *[alone(1, 1.0)] * 9], KNOWN)
    assert model.rest == 8


def test_each_time_that_it_fails_the_rest_is_twice_as_long():
    rests, model = [], KNOWN
    for _ in range(9):
        model = taught([IN_LINE], model)
        rests.append(model.rest)
        model = replace(model, rest=0)
    assert rests == [8, 16, 32, 64, 128, 256, 512, 512, 512]


def test_calls_at_once_come_back_by_doubling():
    model = taught([IN_LINE, *[alone(8, 8.0)] * 8, GAINS], KNOWN)
    assert model.most_at_once == 4
    model = taught([together(8, 2.0, 4)], model)
    assert model.most_at_once == 8
    model = taught([GAINS], model)  # fewer were asked for than were allowed
    assert model.most_at_once is None
    assert model.next_rest == 8


def test_they_do_not_come_back_where_they_gain_too_little():
    dice = random.Random(3)
    noisy = taught([alone(8, 8 * dice.lognormvariate(0, 0.5)) for _ in range(20)])
    coming_back = replace(noisy, ceiling=2)
    assert taught([together(8, noisy.line.seconds(8) / 1.1, 2)], coming_back).most_at_once == 2
    assert taught([together(8, noisy.line.seconds(8) / 1.3, 2)], coming_back).most_at_once == 4


@pytest.mark.parametrize(("fetches", "has_gained"), [([], False), ([GAINS], True), ([IN_LINE], False)])
def test_calls_at_once_have_gained_once_they_were_seen_to(fetches, has_gained):
    assert taught(fetches, KNOWN).has_gained is has_gained


def test_a_dear_question_is_no_slow_upstream():
    dice = random.Random(3)
    noisy = taught([alone(8, 8 * dice.lognormvariate(0, 0.5)) for _ in range(20)])
    assert taught([together(8, 12.0, 2)], noisy).most_at_once is None
    assert taught([together(8, 12.0, 2)] * 9, noisy).most_at_once == 1


def test_where_calls_at_once_leave_doubt_some_fetches_go_in_one_call():
    dice = random.Random(3)
    noisy = taught([alone(8, 8 * dice.lognormvariate(0, 0.5)) for _ in range(20)])
    so_so = together(8, noisy.line.seconds(8) / 1.2, 2)
    assert taught([so_so] * 15, noisy).most_at_once is None
    model = taught([so_so] * 16, noisy)
    assert model.most_at_once == 1
    assert model.next_rest == 8


def test_before_there_is_a_line_calls_at_once_are_not_judged():
    model = taught([IN_LINE] * 5)
    assert model.most_at_once is None
    assert model.line == Line(0.0, 1.5, told=False)


# Kept


MODELS = {
    "new": CostModel(),
    "fitted": KNOWN,
    "given up": taught([IN_LINE], KNOWN),
    "coming back": taught([IN_LINE, *[alone(8, 8.0)] * 8], KNOWN),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_model_is_kept_as_numbers_and_read_back(model):
    text = json.dumps(dumped(model))
    assert len(text) < 2000
    assert loaded(json.loads(text)) == model
    assert loaded(json.loads(text)).line == model.line


GOOD = {"means": [[1, 1.0]] * 5, "ceiling": None, "rest": 0, "next_rest": 8}
BAD = {
    "no dump": None,
    "a list": [],
    "no means": {},
    "means of another kind": GOOD | {"means": "1"},
    "a mean of three": GOOD | {"means": [[1, 1.0, 1.0]]},
    "a mean that is none": GOOD | {"means": [1.0]},
    "text": GOOD | {"means": [["1", 1.0]]},
    "a truth": GOOD | {"means": [[True, 1.0]]},
    "less than one part": GOOD | {"means": [[0.5, 1.0]]},
    "no time": GOOD | {"means": [[1, 0.0]]},
    "no number": GOOD | {"means": [[1, nan]]},
    "for ever": GOOD | {"means": [[1, inf]]},
    "too many": GOOD | {"means": [[1, 1.0]] * (MOST_FETCHES + 1)},
    "a ceiling of one": GOOD | {"ceiling": 1},
    "a negative rest": GOOD | {"rest": -1},
    "no end of rest": GOOD | {"rest": 513},
    "no next rest": GOOD | {"next_rest": 0},
    "half a fetch": GOOD | {"rest": 1.5},
}


def test_a_good_dump_is_read():
    assert loaded(GOOD).line == Line(0.0, 1.0, told=False)


@pytest.mark.parametrize("dump", BAD.values(), ids=BAD)
def test_what_is_no_dump_is_a_new_model(dump):
    assert loaded(dump) == CostModel()


# Single parts


def test_a_part_costs_half_of_what_it_took_before_and_half_of_what_it_takes_now():
    costs = PartCosts()
    assert costs.get(b"a") is None
    costs.learn(b"a", 8.0)
    assert costs.get(b"a") == 8.0
    costs.learn(b"a", 4.0)
    assert costs.get(b"a") == 6.0


def test_the_parts_that_nobody_asked_for_longest_are_forgotten():
    costs = PartCosts(most=2)
    costs.learn(b"a", 1.0)
    costs.learn(b"b", 2.0)
    costs.get(b"a")
    costs.learn(b"c", 3.0)
    assert len(costs) == 2
    assert [costs.get(key) for key in (b"a", b"b", b"c")] == [1.0, None, 3.0]
