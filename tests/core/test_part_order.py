"""The order of parts in an answer: what names them, and what an answer must keep."""

import pytest

from proxy.core.composite import Part
from proxy.core.part_order import arranged, check_apart, check_order, cut_off, labels_of
from proxy.core.reasons import Reason
from proxy.errors import Fallback

ORDERS = {
    "request": [0, 1, 2, 3],
    "number_up": [2, 1, 3, 0],
    "number_down": [0, 1, 3, 2],
    "text_up": [2, 0, 1, 3],
    "text_down": [1, 3, 0, 2],
}


@pytest.mark.parametrize(("order", "places"), ORDERS.items())
def test_places_in_the_order_of_an_answer_keep_equal_ones_as_asked(order, places):
    assert arranged(["10", "9", "-3", "9"], order) == places


@pytest.mark.parametrize("label", ["a", "1.0", "", "٣", "+1", "9" * 31, "--1"])
def test_what_is_no_whole_number_is_not_sorted_as_one(label):
    with pytest.raises(Fallback) as refused:
        arranged(["1", label], "number_up")
    assert refused.value.reason == Reason.PART_ORDER
    assert arranged(["1", label], "text_down")


def test_text_is_sorted_by_code_point():
    assert arranged(["é", "z", "Z", "\udc80"], "text_up") == [2, 1, 0, 3]


def test_every_part_needs_a_name():
    assert labels_of([Part(b"1", b"1", "a"), Part(b"2", b"2", "")]) == ["a", ""]
    with pytest.raises(Fallback) as refused:
        labels_of([Part(b"1", b"1", "a"), Part(b"2", b"2")])
    assert refused.value.reason == Reason.FRAME


@pytest.mark.parametrize(
    ("found", "expected", "unsaid"),
    [
        ("abc", "abc", ""),
        ("ac", "abc", ""),
        ("ab", "abcd", "cd"),
        ("b", "abc", "c"),
        ("", "abc", "abc"),
        ("", "a", ""),
        ("", "aa", ""),
        ("b", "aba", ""),
        ("b", "bab", ""),
        ("b", "bac", "ac"),
    ],
)
def test_what_an_answer_that_was_cut_off_would_not_say(found, expected, unsaid):
    assert cut_off(found, expected) == set(unsaid)


@pytest.mark.parametrize("found", [[], ["a"], ["c"], ["a", "c"], ["a", "b", "c"]])
def test_some_may_be_missing_where_the_others_keep_their_order(found):
    check_order(found, ["a", "b", "c"])


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (["b", "a"], Reason.PART_ORDER),
        (["a", "x"], Reason.FRAME),
        (["a", "a"], Reason.DUPLICATE_PART),
        (["x", "x"], Reason.FRAME),
    ],
)
def test_an_answer_in_another_order_or_with_others(found, reason):
    with pytest.raises(Fallback) as refused:
        check_order(found, ["a", "b", "c"])
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "two", [("7", "07"), ("a", "A"), ("a", " a"), ("1", "+1"), ("0", "00"), ("ß", "SS"), ("é", "e\u0301")]
)
def test_names_that_may_be_one_to_a_service_are_kept_apart_by_not_being_split(two):
    with pytest.raises(Fallback) as refused:
        check_apart(two)
    assert refused.value.reason == Reason.DUPLICATE_PART


@pytest.mark.parametrize("labels", [(), ("a", "a"), ("7", "70", "-7", "a7"), ("é", "e")])
def test_names_that_nobody_takes_for_one(labels):
    check_apart(labels)
