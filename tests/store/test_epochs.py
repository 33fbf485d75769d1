"""When groups were last invalidated (RFC 9875 §2.2.1): what was asked for before is never used again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.store.epochs import MOST, Epochs

A, B, C, D = b"a", b"b", b"c", b"d"


def epochs(*begun: tuple[bytes, float], most: int = MOST) -> Epochs:
    """Invalidate groups, each named by one letter, at their moments."""
    known = Epochs(most)
    for groups, at in begun:
        known.begin([bytes([letter]) for letter in groups], at)
    return known


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
    assert known.overtook(groups, asked_at) is overtook


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
    assert epochs((b"a", 1), (b"b", 2), (b"c", 3), most=2).overtook(groups, asked_at) is overtook


def test_a_group_that_is_touched_again_is_not_the_longest_untouched():
    known = epochs((b"a", 1), (b"b", 2), (b"a", 3), (b"c", 4), most=2)
    assert known.overtook([A], 3)
    assert known.overtook([B], 2)
    assert not known.overtook([B], 2.5)


def test_more_groups_at_once_than_are_kept():
    known = epochs((b"abc", 5), most=2)
    assert [known.overtook([group], 5) for group in (A, B, C)] == [True] * 3
    assert [known.overtook([group], 5.1) for group in (A, B, C)] == [False] * 3


def test_ten_thousand_are_told_apart_and_no_more_are_kept():
    known, groups = Epochs(), [b"%d" % number for number in range(MOST + 1)]
    known.begin(groups[:-1], 5.0)
    assert not known.overtook([b"other"], 4.0)
    known.begin(groups[-1:], 6.0)
    assert len(known._at) == MOST
    assert known.overtook([b"other"], 4.0)


def test_a_clock_that_goes_back_brings_nothing_back():
    assert epochs((b"a", 100), (b"a", 50)).overtook([A], 70)


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
    assert known.overtook(groups, asked_at) >= gone
    if len(moments) <= most:
        assert known.overtook(groups, asked_at) == gone
    if asked_at > now:
        assert not known.overtook(groups, asked_at)
