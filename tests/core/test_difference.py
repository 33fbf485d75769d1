"""Differences: a place, what kind of thing stands there, and never what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import json_path
from proxy.core.difference import (
    ABSENT,
    LONGEST_NAME,
    LONGEST_PATH,
    Difference,
    at_place,
    described,
    path_of,
    same_place,
)
from proxy.core.json_text import Verbatim

DESCRIBED = {
    "a number": (Verbatim("-12.50e3"), "number, 5 digits"),
    "a digit": (Verbatim("7"), "number, 1 digit"),
    "a text": ("x" * 12, "string of 12 characters"),
    "one character": ("é", "string of 1 character"),
    "no text": ("", "string of 0 characters"),
    "an array": ([None, None], "array of 2"),
    "an object": ({"a": None}, "object of 1 member"),
    "true": (True, "boolean"),
    "false": (False, "boolean"),
    "null": (None, "null"),
    "nothing": (ABSENT, "absent"),
}


@pytest.mark.parametrize(("value", "words"), DESCRIBED.values(), ids=DESCRIBED)
def test_values_are_told_by_kind_and_size(value, words):
    assert described(value) == words


PATHS = {
    "the document": ([], "$"),
    "names and numbers": (["items", 3, "unit_price"], "$.items[3].unit_price"),
    "an odd name": (["a b", "", "0"], "$['a b']['']['0']"),
    "quotes": (["it's", "\\"], "$['it\\'s']['\\\\']"),
    "a name with a dot": (["a.b"], "$['a.b']"),
    "a name in other letters": (["größe"], "$['größe']"),
    "a line's end": (["a\nb\x00"], "$['a\\u000ab\\u0000']"),
    "what turns the line around": (["\u202e"], "$['\\u202e']"),
    "half a character": (["\ud800"], "$['\\ud800']"),
    "what is not printed, beyond 16 bits": (["\U000e0001"], "$['\\U000e0001']"),
    "our own mark": (["…"], "$['\\u2026']"),
    "the longest name": (["n" * 40], f"$.{'n' * 40}"),
    "a longer name": (["n" * 41, 0], f"$['{'n' * 39}…'][0]"),
    "the longest path": ([*["abcdefghi"] * 19, "abcdefg"], f"${'.abcdefghi' * 19}.abcdefg"),
    "a longer path": (["abcdefghi"] * 20, f"${'.abcdefghi' * 19}…"),
    "a name that alone is too long": (["\x00" * 40], "$…"),
}


@pytest.mark.parametrize(("steps", "path"), PATHS.values(), ids=PATHS)
def test_paths(steps, path):
    assert path_of(steps) == path


STEPS = st.lists(st.text(max_size=60) | st.integers(0, 10**6) | st.characters(), max_size=30)


@given(STEPS)
def test_any_path_fits_a_log_line(steps):
    path = path_of(steps)
    assert path.startswith("$")
    assert len(path) <= LONGEST_PATH
    assert path.isprintable()
    assert path.encode()


@given(st.lists(st.from_regex(r"\A[a-z '.\[\]\\$*]{0,12}\Z") | st.integers(0, 99), max_size=8))
def test_a_short_path_leads_where_it_says(steps):
    assert list(json_path.parse(path_of(steps))) == steps


@given(STEPS)
def test_what_differs_at_one_place_is_there_again(steps):
    path = path_of(steps)
    found = Difference(path, "value", "", "")
    assert same_place(found, found) is ("…" not in path)


def test_a_difference_says_whether_both_are_times():
    told = at_place(["at"], "value", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z")
    assert told == Difference("$.at", "value", "string of 20 characters", "string of 20 characters", True)
    assert not at_place(["at"], "type", "2026-01-01T00:00:00Z", None).is_time
    assert not at_place(["at"], "missing", Verbatim("1767222003"), ABSENT).is_time
    assert at_place(["at"], "number", Verbatim("1767222003"), Verbatim("1767222003155")).is_time
    assert not at_place(["id"], "value", "1767222003", "1767222004").is_time


EXPLAINED = {
    "one path": ("$.a.b", "value", "$.a.b", "value"),
    "one path, another kind": ("$.a.b", "value", "$.a.b", "type"),
    "another element": ("$.items[3].ts", "value", "$.items[7].ts", "value"),
    "other elements of elements": ("$[0][1]", "number", "$[12][0]", "number"),
    "an array of another length": ("$.items", "length", "$.items[3].price", "number"),
    "an array in another order": ("$.items", "order", "$.items[3]", "value"),
    "an array that is not there": ("$.items", "missing", "$.items[3].a[0].b", "missing"),
    "an array that is there": ("$.items", "extra", "$.items[0]", "value"),
    "an array of an element": ("$[1].items", "length", "$[2].items[3].price", "number"),
    "the document": ("$", "length", "$[0].a", "value"),
    "an array's length again": ("$.items", "length", "$.items", "order"),
    "the status": ("status", "status", "status", "status"),
    "the media type": ("media_type", "media_type", "media_type", "media_type"),
    "bytes nearby": ("byte 1000", "bytes", "byte 1064", "bytes"),
    "bytes nearby, before": ("byte 1064", "bytes", "byte 1000", "bytes"),
    "a longer path, below an array": ("$.items", "order", "$.items[3]['nnn…']", "value"),
}
NOT_EXPLAINED = {
    "another member": ("$.a.b", "value", "$.a.c", "value"),
    "what is below a value": ("$.a", "value", "$.a.b", "value"),
    "what is above": ("$.items[0].price", "number", "$.items", "length"),
    "elements of what is no array then": ("$.items", "type", "$.items[0]", "value"),
    "a member of what is missing": ("$.items", "missing", "$.items.a", "value"),
    "a member with such a name": ("$['items[3]']", "value", "$['items[4]']", "value"),
    "a member that begins so": ("$.item", "length", "$.items[0]", "value"),
    "bytes further on": ("byte 1000", "bytes", "byte 1065", "bytes"),
    "bytes and a path": ("byte 1", "bytes", "$", "length"),
    "the status and the media type": ("status", "status", "media_type", "media_type"),
    "a name that was cut": ("$['nnn…']", "value", "$['nnn…']", "value"),
    "a path that was cut": ("$.items…", "length", "$.items…", "length"),
    "a member, not the element": ("$.a[0]", "value", "$.a['0']", "value"),
}


def differences(one, kind, other, of_kind):
    return Difference(one, kind, "", ""), Difference(other, of_kind, "", "")


@pytest.mark.parametrize("four", EXPLAINED.values(), ids=EXPLAINED)
def test_noise_that_explains(four):
    assert same_place(*differences(*four))


@pytest.mark.parametrize("four", NOT_EXPLAINED.values(), ids=NOT_EXPLAINED)
def test_noise_that_does_not_explain(four):
    assert not same_place(*differences(*four))


def test_a_name_keeps_its_beginning():
    assert path_of(["abc" * 100]) == f"$['{('abc' * 100)[: LONGEST_NAME - 1]}…']"
