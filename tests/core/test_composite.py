"""The values between a composite request and its answer: what is stored of them, and what several answers agree on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.composite import (
    MISSING,
    Around,
    Cut,
    Frame,
    Kind,
    Part,
    Share,
    alike,
    pack,
    sorted_somehow,
    united,
    unpack,
)  # fmt: skip
from proxy.core.reasons import Reason
from proxy.core.types import Request
from proxy.errors import Fallback

TEXTS = st.binary(max_size=6) | st.sampled_from([b"-,", b"1:a,", b"", b":", b","])
SHARES = st.builds(Share, st.lists(TEXTS, max_size=3).map(tuple), st.sampled_from(Kind))


@st.composite
def drawn_frames(draw):
    holes = draw(st.lists(st.sampled_from(["items", "count", "any", "sum $.n"]), min_size=1, max_size=3))
    pieces, fill = ([draw(TEXTS) for _ in range(count)] for count in (len(holes) + 1, len(holes)))
    return Frame(tuple(pieces), tuple(holes), tuple(fill), *[draw(st.none() | TEXTS) for _ in range(5)])


@given(st.lists(st.none() | TEXTS))
def test_what_is_packed_is_unpacked(texts):
    assert unpack(pack(texts)) == texts


@given(st.text("0123:,-a", max_size=8).map(str.encode) | st.binary(max_size=8))
def test_nothing_but_what_pack_writes_is_read(packed):
    try:
        texts = unpack(packed)
    except ValueError:
        return
    assert len(pack(texts)) <= len(packed)
    assert unpack(pack(texts)) == texts


@pytest.mark.parametrize(
    "packed", [b"1:a", b"2:a,", b":a,", b"-1:a,", b"+1:a,", b"x:a,", b"1", b"1:ab", b"9:a,", b" 1:a,"]
)
def test_what_was_cut_short_is_refused(packed):
    with pytest.raises(ValueError, match=r".*"):
        unpack(packed)


@given(SHARES)
def test_a_share_is_read_as_it_was_stored(share):
    assert Share.unpacked(share.packed()) == share


@given(drawn_frames())
def test_a_frame_is_read_as_it_was_stored(frame):
    assert Frame.unpacked(frame.packed()) == frame


@pytest.mark.parametrize("stored", [b"", b"P", b"x=1", b"P-1:x,", b"P*-,", b"P*1:x", b"present"])
def test_what_is_no_share_is_refused(stored):
    with pytest.raises(ValueError, match=r".*"):
        Share.unpacked(stored)


@pytest.mark.parametrize(
    "texts",
    [[], [None] * 5, [None] * 6, [None] * 5 + [b"a"], [None] * 5 + [b"a"] * 3, [None] * 5 + [b"a"] * 5, [b"a"] * 4],
)
def test_what_is_no_frame_is_refused(texts):
    with pytest.raises(ValueError, match=r".*"):
        Frame.unpacked(pack(texts))


@pytest.mark.parametrize("kind", Kind)
def test_only_what_was_said_for_certain_is_kept(kind):
    assert Share((), kind).lasting is (kind in {"present", "missing"})


def test_a_text_around_its_parts():
    around = Around(b"<", b"|", b">")
    assert [around.of([]), around.of([b"a"]), around.of([b"a", b"b"])] == [b"<>", b"<a>", b"<a|b>"]


def test_a_cut_gives_the_parts_at_some_places():
    one, two = Part(b"1", b"1"), Part(b"2", b"2")
    assert Cut((one, two, one), Request("GET", b"/")).picked([0, 2]) == (one, one)


def test_one_part_is_answered_in_one_way():
    one, two, same = Part(b"1", b"1"), Part(b"2", b"2"), Part(b"1", b"01")
    said = (Share((b"a",)), MISSING, Share((b"a",)))
    assert alike([one, two, same], said) == said
    with pytest.raises(Fallback) as refused:
        alike([one, two, same], [*said[:2], Share((b"b",))])
    assert refused.value.reason == Reason.DUPLICATE_PART


FRAME = Frame((b"{", b"}"), ("items",), (b"",))


def test_frames_are_united_where_each_shows_something():
    one = FRAME._replace(lead=b"\n", trail=b"", guess=b",")
    two = FRAME._replace(lead=b"\n", between=b", ", guess=b",")
    three = FRAME._replace(empty=b" ")
    expected = Frame((b"{", b"}"), ("items",), (b"",), b"\n", b", ", b"", b" ", b",")
    assert united([one, two, three], guess=True) == expected
    assert united([one, two, three]) == expected._replace(guess=None)
    assert united([one, two]).shows_between
    assert not united([one, three]).shows_between


def test_a_list_that_was_empty_or_held_one_item_shows_nothing_of_two():
    assert not FRAME._replace(lead=b"", trail=b"", guess=b",").shows_between
    assert not FRAME._replace(empty=b"", between=b",").shows_between


def test_no_frames_show_nothing():
    with pytest.raises(Fallback) as refused:
        united([])
    assert refused.value.reason == Reason.FRAME


def test_guesses_that_differ_are_none():
    assert united([FRAME._replace(guess=b","), FRAME._replace(guess=b", ")], guess=True).guess is None


def test_of_totals_that_nobody_computes_the_first_ones_stay():
    one, two = (FRAME._replace(holes=("any",), fill=(fill,)) for fill in (b"1", b"2"))
    assert united([one, two]).fill == (b"1",)


@pytest.mark.parametrize(
    "change",
    [
        {"pieces": (b"{ ", b"}")},
        {"holes": ("any",)},
        {"lead": b" "},
        {"between": b", "},
        {"trail": b" "},
        {"empty": b" "},
    ],
    ids=str,
)
def test_frames_that_differ_have_no_union(change):
    whole = FRAME._replace(lead=b"", between=b",", trail=b"", empty=b"")
    with pytest.raises(Fallback) as refused:
        united([whole, whole._replace(**change)])
    assert refused.value.reason == Reason.FRAME


@pytest.mark.parametrize(
    ("labels", "sorted_"),
    [
        ("", True), ("a", True), ("ab", True), ("ba", True), ("aab", True), ("bac", False), ("acb", False),
        (["9", "10"], True), (["10", "9", "-1"], True), (["9", "1", "10"], False), (["9", "10", "a"], False),
        ("aBc", True), ("aBbAc", False),
        (["1" * 30, "9", "5"], True), (["2" * 41, "11", "3"], False),
    ],
    ids=str,
)  # fmt: skip
def test_an_order_that_sorting_explains(labels, sorted_):
    assert sorted_somehow(list(labels)) is sorted_
