"""When groups were last invalidated (RFC 9875 §2.2.1): what was asked for before is never used again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.types import Entry
from proxy.store.epochs import ALL, MOST, Epochs, Purges

A, B, C, D = b"a", b"b", b"c", b"d"


def epochs(*begun: tuple[bytes, float], most: int = MOST) -> Epochs:
    """Invalidate groups, each named by one letter, at their moments."""
    known = Epochs(most)
    for groups, at in begun:
        known.begin([bytes([letter]) for letter in groups], at)
    return known


def overtook(known: Epochs, groups, asked_at: float) -> bool:
    return asked_at <= known.last(groups)


OVERTOOK = {
    "nothing was invalidated": (epochs(), [A], 5, False),
    "asked before": (epochs((b"a", 5)), [A], 4.9, True),
    "asked at that moment: nobody knows which came first": (epochs((b"a", 5)), [A], 5, True),
    "asked after": (epochs((b"a", 5)), [A], 5.1, False),
    "another group": (epochs((b"a", 5)), [B], 4, False),
    "no group": (epochs((b"a", 5)), [], 4, False),
    "one of its groups": (epochs((b"b", 5)), [A, B, C], 4, True),
    "one of several invalidated": (epochs((b"abc", 5)), [C], 4, True),
    "none was": (epochs((b"", 5)), [A], 4, False),
    "again: the later moment counts": (epochs((b"a", 5), (b"a", 7)), [A], 6, True),
    "case counts": (epochs((b"A", 5)), [A], 4, False),
    "its latest group decides": (epochs((b"a", 5), (b"b", 9)), [A, B], 7, True),
}


@pytest.mark.parametrize(("known", "groups", "asked_at", "overtook"), OVERTOOK.values(), ids=OVERTOOK)
def test_what_was_asked_for_before_its_group_was_invalidated(known, groups, asked_at, overtook):
    assert (asked_at <= known.last(groups)) is overtook


TOGETHER = {
    "the longest untouched is told with the rest: still overtaken": ([A], 1, True),
    "and nothing newer is": ([A], 1.1, False),
    "a group that never was: overtaken too, if it is older": ([D], 1, True),
    "a group that never was, but newer": ([D], 1.1, False),
    "those that are left keep their moments": ([B], 2, True),
    "no more than that": ([B], 2.1, False),
    "the newest too": ([C], 3, True),
    "what belongs to none": ([], 0, False),
}


@pytest.mark.parametrize(("groups", "asked_at", "overtook"), TOGETHER.values(), ids=TOGETHER)
def test_of_more_than_two_groups_the_longest_untouched_are_told_together(groups, asked_at, overtook):
    assert (asked_at <= epochs((b"a", 1), (b"b", 2), (b"c", 3), most=2).last(groups)) is overtook


def test_a_group_that_is_touched_again_is_not_the_longest_untouched():
    known = epochs((b"a", 1), (b"b", 2), (b"a", 3), (b"c", 4), most=2)
    assert overtook(known, [A], 3)
    assert overtook(known, [B], 2)
    assert not overtook(known, [B], 2.5)


def test_more_groups_at_once_than_are_kept():
    known = epochs((b"abc", 5), most=2)
    assert [overtook(known, [group], 5) for group in (A, B, C)] == [True] * 3
    assert [overtook(known, [group], 5.1) for group in (A, B, C)] == [False] * 3


def test_ten_thousand_are_told_apart_and_no_more_are_kept():
    known, groups = Epochs(), [b"%d" % number for number in range(MOST + 1)]
    known.begin(groups[:-1], 5.0)
    assert not overtook(known, [b"other"], 4.0)
    known.begin(groups[-1:], 6.0)
    assert len(known._at) == MOST
    assert overtook(known, [b"other"], 4.0)


def test_a_clock_that_goes_back_brings_nothing_back():
    assert overtook(epochs((b"a", 100), (b"a", 50)), [A], 70)


steps = st.lists(st.tuples(st.sets(st.sampled_from([A, B, C, D])), st.integers(0, 3)), max_size=10)
asked = st.tuples(st.sets(st.sampled_from([A, B, C, D])), st.integers(0, 30))


@given(steps, asked, st.integers(1, 5))
def test_nothing_that_was_invalidated_comes_back_and_nothing_else_goes_while_all_are_known(taken, question, most):
    known, moments, now = Epochs(most), {}, 0
    for groups, passes in taken:
        now += passes
        known.begin(groups, now)
        moments |= dict.fromkeys(groups, now)
    groups, asked_at = question
    gone = any(asked_at <= moments.get(group, -1) for group in groups)
    assert overtook(known, groups, asked_at) >= gone
    if len(moments) <= most:
        assert overtook(known, groups, asked_at) == gone
    if asked_at > now:
        assert not overtook(known, groups, asked_at)


def kept(rule: str = "search", *groups: bytes, at: float = 10.0, age: float = 0.0) -> Entry:
    return Entry(200, (), b"", stored_at=at, ttl=60.0, age=age, rule=rule, groups=groups)


PURGES = {
    "its rule": (lambda purges: purges.rules([b"search"], 11), kept(), None),
    "another rule": (lambda purges: purges.rules([b"other"], 11), kept(), 60.0),
    "all": (lambda purges: purges.rules([ALL], 11), kept(), None),
    "before it was stored": (lambda purges: purges.rules([ALL], 9), kept(), 60.0),
    "its group": (lambda purges: purges.groups([A, B], 11), kept("search", B), None),
    "another group": (lambda purges: purges.groups([A], 11), kept("search", B), 60.0),
    "softly: its time ends then": (lambda purges: purges.rules([b"search"], 15, soft=True), kept(), 5.0),
    "softly, with an age": (lambda purges: purges.rules([b"search"], 15, soft=True), kept(age=7.0), 12.0),
    "softly by its group": (lambda purges: purges.groups([A], 15, soft=True), kept("search", A), 5.0),
    "softly when it was over": (lambda purges: purges.rules([ALL], 999, soft=True), kept(), 60.0),
    "softly before it was stored": (lambda purges: purges.rules([ALL], 9, soft=True), kept(), 60.0),
    "nothing was purged": (lambda purges: None, kept(), 60.0),
}


@pytest.mark.parametrize(("purge", "entry", "ttl"), PURGES.values(), ids=PURGES)
def test_what_a_purge_leaves(purge, entry, ttl):
    purges = Purges()
    purge(purges)
    left = purges.left_of(entry)
    assert (None if left is None else left.ttl) == ttl
