"""Counts and timings by weight; a line may hold anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.log_counts import MOST_WORD, MOST_WORDS, OTHERS, Counts, Timings, number, weight, word

NUMBERS = {
    "a float": (1.5, 1.5), "an int": (2, 2.0), "zero": (0, 0.0), "below zero": (-1.5, 0.0), "beyond all": (1e308, 0.0), "text": ("1.5", 0.0),
    "a bool": (True, 0.0), "a list": ([1], 0.0), "nothing": (None, 0.0),
}  # fmt: skip


@pytest.mark.parametrize(("value", "told"), NUMBERS.values(), ids=NUMBERS)
def test_a_number_is_a_number_or_0(value, told):
    assert number({"a": value}, "a") == told
    assert number({}, "a") == 0.0


WORDS = {"text": ("hit", "hit"), "long": ("x" * 999, "x" * MOST_WORD), "a number": (1, ""), "a dict": ({}, "")}


@pytest.mark.parametrize(("value", "told"), WORDS.values(), ids=WORDS)
def test_a_word_is_text_of_bounded_length_or_empty(value, told):
    assert word({"a": value}, "a") == told
    assert word({}, "a") == ""


WEIGHTS = {
    "one in ten": (0.1, 10.0), "all": (1, 1.0), "all, as a float": (1.0, 1.0), "none": (0, 1.0), "too small": (1e-7, 1.0),
    "below zero": (-0.5, 1.0), "above one": (2, 1.0), "text": ("0.1", 1.0), "a bool": (True, 1.0),
}  # fmt: skip


@pytest.mark.parametrize(("rate", "stands_for"), WEIGHTS.values(), ids=WEIGHTS)
def test_a_line_stands_for_as_many_as_its_sampling_left_out(rate, stands_for):
    assert weight({"sample_rate": rate}) == pytest.approx(stands_for)
    assert weight({}) == 1.0


def test_words_are_told_the_most_frequent_first():
    counts = Counts()
    for name, count in (("a", 1), ("b", 2.4), ("c", 2.4), ("a", 0.2)):
        counts.add(name, count)
    assert list(counts.told().items()) == [("b", 2), ("c", 2), ("a", 1)]


def test_beyond_so_many_words_the_rest_is_counted_together():
    counts = Counts()
    for number_ in range(MOST_WORDS + 7):
        counts.add(f"{number_}", 1)
    counts.add("0", 1)
    assert len(counts.by_word) == MOST_WORDS + 1
    assert (counts.by_word[OTHERS], counts.by_word["0"]) == (7, 2)


def test_timings_tell_number_quantiles_and_the_longest():
    timings = Timings()
    for tenth in range(1, 101):
        timings.add(tenth / 10, 1.0)
    told = timings.told()
    assert (told["n"], told["max_s"]) == (100, 10.0)
    assert [told["p50_s"], told["p90_s"], told["p99_s"]] == pytest.approx([5.0, 9.0, 9.9], rel=0.011)


@given(st.lists(st.tuples(st.floats(0.001, 90), st.sampled_from([1.0, 1 / 0.3, 10.0, 4 / 3])), max_size=50))
def test_no_weight_is_lost_in_whole_counts(added):
    timings = Timings()
    for seconds, stands_for in added:
        timings.add(seconds, stands_for)
    assert timings.n == pytest.approx(sum(stands_for for _, stands_for in added))
    assert abs(timings.timed.n - timings.n) < 1


def test_a_weighted_line_moves_the_quantiles_as_its_many_would():
    timings = Timings()
    timings.add(1.0, 1.0)
    timings.add(9.0, 10.0)
    assert timings.told()["p50_s"] == pytest.approx(9.0, rel=0.011)
