"""The answers to one key that differ by request fields (RFC 9111 §4.1): what their marker knows of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.types import Entry
from proxy.core.variants import MOST, Variant, has_room, marker_for, variants, with_variant

AT = 1_000_000.0


def entry(*headers: tuple[bytes, bytes], **times) -> Entry:
    return Entry(200, headers, b"body", **{"stored_at": AT, "ttl": 60.0, **times})


EMPTY = marker_for((b"a",), entry())


def place(number: int) -> bytes:
    return b"%020d" % number


def full(marker: Entry = EMPTY) -> Entry:
    """Know as many as may be: number n is good for a minute and n seconds."""
    for number in range(MOST):
        marker = with_variant(marker, place(number), entry(ttl=60.0 + number), AT)
    return marker


def places(marker: Entry) -> list[bytes]:
    return [one.place for one in variants(marker)]


def test_a_marker_is_no_answer_and_knows_nothing_yet():
    like = entry((b"vary", b"a, b"), age=5.0, rule="r", cost=2.0, groups=(b"g",), tag=b"t", strict=True, error=9.0)
    marker = marker_for((b"a", b"b"), like)
    assert marker == Entry(0, (), b"1000000.0", AT, 60.0, 5.0, rule="r", vary=(b"a", b"b"))
    assert list(variants(marker)) == []


def test_a_later_marker_is_of_another_generation():
    assert EMPTY.body != marker_for((b"a",), entry(stored_at=AT + 0.001)).body


KNOWN = {
    "to the end of its lifetime": (entry(), Variant(b"p", AT + 60)),
    "§4.2.3: less the age it came with": (entry(age=15.5), Variant(b"p", AT + 44.5)),
    "RFC 5861 §3: and while it may be refreshed": (entry(refresh=5.0), Variant(b"p", AT + 65)),
    "RFC 5861 §4: and while it may stand for an error": (entry(error=7.0), Variant(b"p", AT + 67)),
    "RFC 5861: the longer of both": (entry(refresh=5.0, error=7.0), Variant(b"p", AT + 67)),
    "stale as it came": (entry(ttl=0.0), Variant(b"p", AT)),
}  # fmt: skip


@pytest.mark.parametrize(("stored", "variant"), KNOWN.values(), ids=KNOWN)
def test_what_a_marker_knows_of_a_variant(stored, variant):
    assert list(variants(with_variant(EMPTY, b"p", stored, AT))) == [variant]


@given(st.floats(0, 1e10), st.floats(0, 2.0**31), st.floats(0, 1e6), st.binary(min_size=1))
def test_what_a_marker_is_told_it_tells(stored_at, ttl, age, where):
    (found,) = variants(with_variant(EMPTY, where, entry(stored_at=stored_at, ttl=ttl, age=age), AT))
    assert found == Variant(where, stored_at + ttl - age)


def test_a_marker_is_told_of_variants_and_changes_in_nothing_else():
    told = with_variant(EMPTY, b"p", entry(ttl=5.0, age=1.0, rule="other"), AT)
    assert replace(told, headers=()) == EMPTY


def test_variants_are_known_in_the_order_in_which_they_came():
    assert places(full()) == [place(number) for number in range(MOST)]


def test_a_variant_that_comes_again_is_known_once():
    again = with_variant(full(), place(3), entry(ttl=1.0), AT)
    assert sorted(places(again)) == sorted(places(full()))
    assert list(variants(again))[-1] == Variant(place(3), AT + 1)


def test_what_is_over_stays_known_where_there_is_room():
    one = with_variant(EMPTY, b"old", entry(ttl=1.0), AT)
    assert places(with_variant(one, b"new", entry(), AT + 99)) == [b"old", b"new"]


ROOM = {
    "none while all are good": (place(MOST), 0, None),
    "none until the moment at which one is over": (place(MOST), 59.9, None),
    "from that moment": (place(MOST), 60, 1),
    "all that are over go": (place(MOST), 63, 4),
    "all": (place(MOST), 1000, MOST),
    "for one that is known already": (place(0), 0, 1),
    "for one that is known already and over": (place(0), 1000, 1),
}


@pytest.mark.parametrize(("where", "later", "gone"), ROOM.values(), ids=ROOM)
def test_room_for_one_more_of_ten(where, later, gone):
    told = with_variant(full(), where, entry(stored_at=AT + later), AT + later)
    assert has_room(full(), where, AT + later) is (gone is not None)
    assert (told is None) if gone is None else (places(told) == [*places(full())[gone:], where])


told_of = st.lists(st.tuples(st.integers(0, 2 * MOST), st.integers(0, 50), st.integers(0, 9)), max_size=40)


@given(told_of)
def test_there_is_room_exactly_where_one_more_is_kept(steps):
    marker, now = EMPTY, AT
    for number, ttl, passes in steps:
        now += passes
        told = with_variant(marker, place(number), entry(stored_at=now, ttl=float(ttl)), now)
        assert has_room(marker, place(number), now) == (told is not None)
        kept = places(marker if told is None else told)
        assert len(kept) == len(set(kept)) <= MOST
        assert {one.place for one in variants(marker) if one.until > now} <= set(kept)
        marker = marker if told is None else told
