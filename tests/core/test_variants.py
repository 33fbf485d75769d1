"""The answers to one key that differ by request fields (RFC 9111 §4.1): what their marker knows of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.types import Entry
from proxy.core.variants import MOST, Variant, has_room, in_language, marker_for, variants, with_variant

AT = 1_000_000.0
LANGUAGE = (b"accept-language",)


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
    "in its language": (entry((b"content-language", b"de")), Variant(b"p", AT + 60, b"de")),
    "RFC 9110 §8.5.1: a language has no case": (entry((b"content-language", b" de-CH\t")), Variant(b"p", AT + 60, b"de-ch")),
    "in two languages": (entry((b"content-language", b"de, en")), Variant(b"p", AT + 60, b"de, en")),
    "in two languages, in two lines": (
        entry((b"content-language", b"de"), (b"content-language", b"en")), Variant(b"p", AT + 60, b"de, en"),
    ),
    "in no language": (entry((b"content-language", b"")), Variant(b"p", AT + 60)),
}  # fmt: skip


@pytest.mark.parametrize(("stored", "variant"), KNOWN.values(), ids=KNOWN)
def test_what_a_marker_knows_of_a_variant(stored, variant):
    assert list(variants(with_variant(EMPTY, b"p", stored, AT))) == [variant]


@given(st.floats(0, 1e10), st.floats(0, 2.0**31), st.floats(0, 1e6), st.binary(min_size=1), st.binary(max_size=9))
def test_what_a_marker_is_told_it_tells(stored_at, ttl, age, where, language):
    said = entry((b"content-language", language), stored_at=stored_at, ttl=ttl, age=age)
    (found,) = variants(with_variant(EMPTY, where, said, AT))
    assert found == Variant(where, stored_at + ttl - age, language.strip().lower())


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


SPOKEN = (b"de", b"en", b"de-ch", b"", b"*")


def spoken(vary: tuple[bytes, ...] = LANGUAGE) -> Entry:
    marker = marker_for(vary, entry())
    for language in SPOKEN:
        marker = with_variant(marker, b"in " + language, entry((b"content-language", language)), AT)
    return marker


LIKED = {
    "§12.5.4: one language": (b"de", b"in de"),
    "§12.5.4: it has no case": (b"DE-ch", b"in de-ch"),
    "§12.5.4: a part of it is another": (b"de-at", None),
    "§12.5.4: one that nothing is in": (b"fr", None),
    "§12.4.2: liked best": (b"de;q=0.4, en;q=0.6", b"in en"),
    "§12.4.2: one without a weight": (b"de;q=0.9, en", b"in en"),
    "§12.4.2: a weight of 1": (b"de;q=0.999, en;q=1.000", b"in en"),
    "§12.4.2: a weight in capitals": (b"de;Q=0.4, en;Q=0.6", b"in en"),
    "§5.6.3: space around": (b" de ; q=0.4\t,\ten ;\tq=0.6 ", b"in en"),
    "§5.3: two lines": (b"de;q=0.4|en;q=0.6", b"in en"),
    "liked best is what nothing is in": (b"fr, de;q=0.9", None),
    "two liked as much": (b"de, en", None),
    "two liked as much, less than another": (b"de;q=0.5, fr;q=0.5, en", b"in en"),
    "two liked as much, by their weight": (b"de;q=0.5, en;q=0.50", None),
    "§12.4.2: not at all": (b"de;q=0", None),
    "not at all beside one that is": (b"de;q=0, en;q=0.1", b"in en"),
    "§12.5.4: any": (b"*", None),
    "any other as much": (b"de, *", None),
    "any other more": (b"de;q=0.5, *", None),
    "any other less": (b"de, *;q=0.5", b"in de"),
    "§12.4.2: a weight of more than 1": (b"de;q=2", None),
    "a weight below 0": (b"de;q=-1", None),
    "a weight that is a word": (b"de, en;q=best", None),
    "a weight without end": (b"de, en;q=inf", None),
    "a weight with something behind it": (b"de, en;q=0.5;x=1", None),
    "an empty one does not like what is in no language": (b"", None),
    "none": (None, None),
}


@pytest.mark.parametrize(("accepted", "where"), LIKED.values(), ids=LIKED)
def test_the_variant_in_the_language_that_is_liked_best(accepted, where):
    """RFC 9110 §12.5.4."""
    lines = () if accepted is None else tuple((LANGUAGE[0], line) for line in accepted.split(b"|"))
    assert in_language(spoken(), lines) == where


UNCERTAIN = {
    "§5.6.1.2: empty members are ignored": (b",de,", b"in de"),
    "a weight that is no number": (b"de;q=0.9, fr;q=0.5, it;q=nan, en", None),
    "a weight of nothing": (b"de;q=", None),
}


@pytest.mark.parametrize(("accepted", "where"), UNCERTAIN.values(), ids=UNCERTAIN)
def test_members_and_weights_are_read_as_the_grammar_has_them(accepted, where):
    """RFC 9110 §5.6.1.2, §12.4.2."""
    assert in_language(spoken(), ((LANGUAGE[0], accepted),)) == where


@pytest.mark.parametrize("vary", [(), (b"accept",), (b"accept-encoding", *LANGUAGE)])
def test_the_language_decides_only_where_nothing_else_does(vary):
    assert in_language(spoken(vary), ((LANGUAGE[0], b"de"),)) is None


def test_of_two_in_one_language_the_first_is_as_good():
    german = entry((b"content-language", b"de"))
    marker = with_variant(with_variant(spoken(), b"x", german, AT), b"y", german, AT)
    assert in_language(marker, ((LANGUAGE[0], b"de"),)) == b"in de"


weights = st.dictionaries(st.sampled_from([b"de", b"en", b"fr", b"*"]), st.integers(0, 1000), min_size=1)


@given(weights)
def test_a_language_is_given_where_it_alone_is_liked_best(liked):
    accepted = b", ".join(b"%b;q=%.3f" % (language, weight / 1000) for language, weight in liked.items())
    most = max(liked.values())
    best = [language for language, weight in liked.items() if weight == most > 0]
    wanted = b"in " + best[0] if len(best) == 1 and best[0] in {b"de", b"en"} else None
    assert in_language(spoken(), ((LANGUAGE[0], accepted),)) == wanted


@given(st.binary() | st.lists(st.sampled_from([b"de", b"en", b",", b";q=", b"0.5", b"1", b"*", b" "])).map(b"".join))
def test_reading_never_raises(accepted):
    assert in_language(spoken(), ((LANGUAGE[0], accepted),)) in {None, b"in de", b"in en", b"in de-ch"}
