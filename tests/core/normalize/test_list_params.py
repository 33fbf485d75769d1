"""`list_params`: lists in one value."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.normalize.list_params import ListParams
from proxy.core.types import Query

ONCE = {"duplicates": "drop"}
LISTED = {
    "members are sorted": ({}, b"b,c,a", b"a,b,c"),
    "as text, not as numbers": ({}, b"9,10", b"10,9"),
    "duplicates stay": ({}, b"b,a,b", b"a,b,b"),
    "unless they are dropped": (ONCE, b"b,a,b,a", b"a,b"),
    "empty members stay": ({}, b"b,,a,", b",,a,b"),
    "even then": (ONCE, b"b,,b,a,", b",,a,b"),
    "an ordered list keeps the first of its duplicates": ({"ordered": True, **ONCE}, b"b,,a,b,,c", b"b,,a,,c"),
    "blanks are part of a member": ({}, b"b, a,a", b" a,a,b"),
    "so is case": (ONCE, b"b,B", b"B,b"),
    "another separator": ({"separator": "|"}, b"c|b,a", b"b,a|c"),
    "one beyond ASCII": ({"separator": "、"}, "b、a".encode(), "a、b".encode()),
    "one member": (ONCE, b"b a", b"b a"),
    "nothing but separators": (ONCE, b",,", b",,"),
    "a value that is not UTF-8 stays": ({}, b"b,a\xff", b"b,a\xff"),
    "an empty value stays": (ONCE, b"", b""),
    "no value stays none": (ONCE, None, None),
}


@pytest.mark.parametrize(("options", "value", "listed"), LISTED.values(), ids=LISTED)
def test_list_params(options, value, listed):
    query = Query("GET", b"h", b"/", params=((b"ids", value), (b"r", b"b,a")), form=((b"ids", value),))
    done = ListParams(("ids",), **options).normalize(query)
    assert (done.params, done.form) == (((b"ids", listed), (b"r", b"b,a")), ((b"ids", listed),))


def test_a_list_over_several_pairs_keeps_their_order():
    assert ListParams(("ids*",)).normalize(Query("GET", b"h", b"/", b"ids[]=b%2Ca&ids[]=a")).params == (
        (b"ids[]", b"a,b"),
        (b"ids[]", b"a"),
    )


REFUSED = {
    "no separator": ({"separator": ""}, "the separator '' is not one character"),
    "a long one": ({"separator": ", "}, "the separator ', ' is not one character"),
    "what changes nothing": ({"ordered": True}, "stay as they are"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        ListParams(("ids",), **options)


MEMBERS = st.lists(st.sampled_from(["a", "b", " a", "", "aa"]), min_size=1, max_size=6)
MEANINGS = {
    "any order": ({}, Counter),
    "any order, once": (ONCE, lambda members: (members.count(""), set(members) - {""})),
    "in order, once": (
        {"ordered": True, **ONCE},
        lambda members: [one for place, one in enumerate(members) if not one or one not in members[:place]],
    ),
}


@pytest.mark.parametrize(("options", "meaning"), MEANINGS.values(), ids=MEANINGS)
@given(one=MEMBERS, other=MEMBERS)
def test_two_lists_are_one_if_they_mean_the_same(options, meaning, one, other):
    def listed(members):
        value = ",".join(members).encode()
        return ListParams(("ids",), **options).normalize(Query("GET", b"h", b"/", params=((b"ids", value),))).params

    assert (listed(one) == listed(other)) is (meaning(one) == meaning(other))
