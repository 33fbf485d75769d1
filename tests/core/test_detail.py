"""What is counted of one rule beside its timings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.detail import MOST_KEYS, TOLD_KEYS, Detail, Details, details_of
from proxy.core.log_line import Call, LogLine
from proxy.core.types import Outcome

SENT = Call(sent=1, began=0.0, ended=1.0)


def stored(key: str = "k", saved: float = 10.0, age: int = 0, ttl: int = 60, path: str = "/a") -> LogLine:
    return LogLine("", "GET", path, 0.0, rule="r", outcome=Outcome.HIT, cost=saved, age_s=age, ttl_s=ttl, key_hash=key)


def counted(*lines: LogLine) -> Detail:
    details = Details()
    for line in lines:
        details.count(line)
    return details.get("r", Detail())


def told_again(one: Detail) -> Detail:
    return details_of(json.loads(json.dumps(Details(r=one).written())))["r"]


AGES = {0: 0, 1: 1, 2: 2, 3: 2, 4: 3, 7: 3, 3600: 12}


@pytest.mark.parametrize(("age", "bits"), AGES.items())
def test_ages_are_counted_by_powers_of_two(age, bits):
    assert counted(stored(age=age)).ages == {bits: 1}


def test_ttls_too_and_stale_answers_apart():
    assert counted(stored(ttl=60), stored(ttl=40), stored(ttl=0), stored(ttl=-5)).ttls == {6: 2, -1: 2}


def test_keys_by_what_they_saved():
    found = counted(stored("a", 1.0), stored("b", 5.0), stored("a", 1.5)).costliest()
    assert [(name, key.hits, key.saved_s) for name, key in found.items()] == [("b", 1, 5.0), ("a", 2, 2.5)]


def test_a_key_that_saves_much_is_not_lost_among_many_that_save_little():
    lines = [stored(f"small-{number}", 1.0) for number in range(10 * MOST_KEYS)]
    lines[::MOST_KEYS] = [stored("large", 50.0)] * 10
    found = counted(*lines)
    assert len(found.keys) <= 2 * MOST_KEYS
    assert next(iter(found.costliest())) == "large"
    assert found.keys["large"].hits == 10


def test_a_copy_counts_for_itself_and_has_only_the_keys_that_are_told():
    details = Details(r=counted(*[stored(str(number), float(number)) for number in range(50)]))
    copy = details.copied()
    details.count(stored("49"))
    details.count(LogLine("", "GET", "/", 0.0, rule="r", parts=3, call=SENT))
    assert set(copy["r"].keys) == {str(number) for number in range(30, 50)}
    assert (copy["r"].keys["49"].hits, copy["r"].ages, copy["r"].by_parts) == (1, {0: 50}, {})


def test_of_a_key_is_told_what_the_owner_allows_of_its_query():
    line = stored()
    line.shown = {"query_page": "3", "header_user_agent": "curl"}
    one = told_again(counted(line))
    assert one.keys["k"].shown == {"query_page": "3"}
    merged = Detail()
    merged.merge(one)
    assert merged.keys["k"].shown == {"query_page": "3"}


def test_a_key_that_was_counted_before_its_query_might_be_told_stayed_without_it():
    """The counts outlive the config: the name was allowed at the next start."""
    allowed = stored()
    allowed.shown = {"query_page": "3"}
    before = told_again(counted(stored()))
    before.count(allowed)
    assert before.keys["k"].shown == {"query_page": "3"}
    merged = counted(stored())
    merged.merge(counted(allowed))
    merged.count(stored())
    assert (merged.keys["k"].shown, merged.keys["k"].hits) == ({"query_page": "3"}, 3)


def test_what_is_told_of_a_copy_is_not_changed_by_what_is_counted_later():
    first, second = stored(), stored()
    first.shown, second.shown = {"query_page": "3"}, {"query_page": "4"}
    details = Details(r=counted(first))
    copy = details.copied()
    details.count(second)
    assert details["r"].keys["k"].shown == {"query_page": "4"}
    assert copy["r"].keys["k"].shown == {"query_page": "3"}


def test_a_long_path_is_cut():
    (key,) = counted(stored(path="/" + "x" * 10_000)).keys.values()
    assert len(key.path) == 200


PARTS = {
    "split": ({"parts": 3, "merge_s": 0.1, "call": SENT}, {3: {"split": 1}}),
    "whole": ({"parts": 3, "call": SENT}, {3: {"whole": 1}}),
    "known already": ({"parts": 3, "merge_s": 0.1}, {}),
    "no parts": ({"call": SENT}, {}),
    "sixteen": ({"parts": 16, "call": SENT}, {16: {"whole": 1}}),
    "more are rounded up": ({"parts": 17, "call": SENT}, {24: {"whole": 1}}),
    "very many": ({"parts": 1000, "call": SENT}, {65: {"whole": 1}}),
}


def test_an_answer_of_which_parts_were_missing_is_none_from_the_store():
    one = LogLine(
        "", "GET", "/", 0.0, rule="r", outcome=Outcome.PARTIAL, cost=9.0, age_s=1, ttl_s=1, key_hash="k", parts=2
    )
    assert (counted(one).ages, counted(one).ttls, counted(one).keys) == ({}, {}, {})


@pytest.mark.parametrize(("known", "found"), PARTS.values(), ids=PARTS)
def test_parts_against_time(known, found):
    line = LogLine("", "GET", "/", 0.0, rule="r", duration_s=7.0, **known)
    by_parts = counted(line).by_parts
    assert {parts: {arm: of.n for arm, of in arms.items()} for parts, arms in by_parts.items()} == found


lines = st.builds(
    lambda key, saved, age, parts: LogLine(
        "", "GET", "/", 0.0, rule="r", cost=saved, age_s=age, ttl_s=60 - age, key_hash=key, parts=parts, call=SENT
    ),
    st.none() | st.sampled_from("abc"), st.floats(0, 100), st.integers(0, 100), st.none() | st.integers(1, 100),
)  # fmt: skip


@given(st.lists(lines), st.lists(lines))
def test_merged_is_as_if_all_were_counted_in_one_place(some, more):
    merged = told_again(counted(*some))
    merged.merge(told_again(counted(*more)))
    both = counted(*some, *more)
    assert (merged.ages, merged.ttls) == (both.ages, both.ttls)
    assert {name: key.hits for name, key in merged.keys.items()} == {name: key.hits for name, key in both.keys.items()}
    assert {parts: {arm: of.n for arm, of in arms.items()} for parts, arms in merged.by_parts.items()} == {
        parts: {arm: of.n for arm, of in arms.items()} for parts, arms in both.by_parts.items()
    }


def test_merging_stays_bounded_and_the_costliest_are_told():
    merged = Detail()
    for process in range(5):
        merged.merge(counted(*[stored(f"{process}-{number}", number) for number in range(MOST_KEYS)]))
    assert len(merged.keys) <= 2 * MOST_KEYS
    told = told_again(merged)
    assert len(told.keys) == TOLD_KEYS
    assert min(key.saved_s for key in told.keys.values()) >= MOST_KEYS - TOLD_KEYS
