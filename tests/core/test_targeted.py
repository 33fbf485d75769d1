"""Targeted cache control (RFC 9213) and cache groups (RFC 9875)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cache_control import seconds
from proxy.core.structured import string
from proxy.core.targeted import MOST_GROUP_CHARS, MOST_GROUPS, NAMES, groups, targeted

CDN, OURS = b"cdn-cache-control", b"frontrunner-cache-control"

CHOSEN = {
    "§2.2: no field, no directives": ((), None),
    "§2.2: Cache-Control is none of them": (((b"cache-control", b"max-age=1"),), None),
    "§2.2: fields of others are none of them": (((b"surrogate-control", b"max-age=1"),), None),
    "§3: the one for CDNs": (((CDN, b"max-age=1"),), {"max-age": "1"}),
    "§2.2: ours": (((OURS, b"max-age=2"),), {"max-age": "2"}),
    "§2.2: ours before the one for CDNs": (((CDN, b"max-age=1"), (OURS, b"max-age=2")), {"max-age": "2"}),
    "§2.1: an empty one is ignored": (((CDN, b""),), None),
    "§2.1: one of spaces too": (((CDN, b"  "),), None),
    "§2.1: a malformed one too": (((CDN, b"max-age=1,, b"),), None),
    "§2.2: then the next one counts": (((CDN, b"max-age=1"), (OURS, b"")), {"max-age": "1"}),
    "§2.2: malformed, then the next one counts": (((CDN, b"max-age=1"), (OURS, b"Max-Age=2")), {"max-age": "1"}),
    "§2.2: one that says nothing we know counts": (((CDN, b"none"), (b"cache-control", b"no-store")), {"none": None}),
    "§2.2: one that only says no counts too": (((CDN, b"no-store=?0"),), {}),
    "RFC 9651 §4.2: several lines are one field": (
        ((CDN, b"max-age=1"), (CDN, b"private")),
        {"max-age": "1", "private": None},
    ),
}


@pytest.mark.parametrize(("headers", "directives"), CHOSEN.values(), ids=CHOSEN)
def test_the_first_valid_field_is_chosen(headers, directives):
    assert targeted(headers, NAMES) == directives


def test_the_list_of_fields_is_its_callers():
    headers = ((CDN, b"max-age=1"), (OURS, b"max-age=2"))
    assert targeted(headers, (CDN, OURS)) == {"max-age": "1"}
    assert targeted(headers, ()) is None


DIRECTIVES = {
    "§2.1: no argument is true": (b"no-store, no-cache, private", {"no-store": None, "no-cache": None, "private": None}),
    "§2.1: true may be written": (b"must-revalidate=?1", {"must-revalidate": None}),
    "false is absent": (b"no-store=?0, private=?0, max-age=1", {"max-age": "1"}),
    "§2.1: an integer": (b"max-age=3600, s-maxage=0", {"max-age": "3600", "s-maxage": "0"}),
    "§2.1: a string of field names": (b'no-cache="a, b", private="c"', {"no-cache": "a, b", "private": "c"}),
    "§2.1: params are ignored": (b"max-age=60;x=1, no-store;y", {"max-age": "60", "no-store": None}),
    "RFC 9651 §3.2: the last of a key counts": (b"max-age=1, max-age=2", {"max-age": "2"}),
    "§2.1: seconds in quotes are none": (b'max-age="60"', {"max-age": None}),
    "§2.1: seconds with a fraction are none": (b"max-age=1.5", {"max-age": None}),
    "§2.1: a word is no seconds": (b"max-age=soon", {"max-age": None}),
    "§2.1: true is no seconds": (b"max-age", {"max-age": None}),
    "§2.1: false is no seconds": (b"max-age=?0", {"max-age": None}),
    "§2.1: a date is no seconds": (b"max-age=@60", {"max-age": None}),
    "negative seconds are none": (b"s-maxage=-1", {"s-maxage": None}),
    "RFC 5861: grace in quotes is none": (b'stale-if-error="60"', {"stale-if-error": None}),
    "RFC 5861: grace": (b"stale-while-revalidate=60", {"stale-while-revalidate": "60"}),
    "a prohibition of the wrong type stands": (b"no-store=1, must-revalidate=x", {"no-store": "1", "must-revalidate": "x"}),
    "for the whole response": (b"no-cache=1, private=(a)", {"no-cache": None, "private": None}),
    "field names as a word too": (b"private=set-cookie, no-cache=a", {"private": None, "no-cache": None}),
    "without a field name too": (b'private="", no-cache=""', {"private": None, "no-cache": None}),
    "a permission of the wrong type is none": (b"public=1, immutable=x, must-understand=()", {}),
    "a permission": (b"public, immutable, must-understand=?1", {"public": None, "immutable": None, "must-understand": None}),
    "RFC 9111 §5.2.3: what we do not know": (
        b'a=1, b=1.50, c=x, d="y", e="", f=:YQ==:, g=@1, h=(1), i',
        {"a": "1", "b": "1.50", "c": "x", "d": "y", "e": None, "f": None, "g": None, "h": None, "i": None},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("value", "directives"), DIRECTIVES.values(), ids=DIRECTIVES)
def test_directives(value, directives):
    assert targeted(((CDN, value),), NAMES) == directives


# The suite's own fields (cdn-cache-control.mjs), and how long an answer with each stays fresh.
SUITE = {
    "cdn-max-age": (b"max-age=3600", 3600.0),
    "cdn-max-age-max": (b"max-age=2147483648", 2.0**31),
    "cdn-max-age-max-plus": (b"max-age=99999999999", 2.0**31),
    "cdn-max-age-0": (b"max-age=0", 0.0),
    "cdn-max-age-extension": (b"foobar, max-age=3600", 3600.0),
    "cdn-cc-invalid-sh-type-wrong": (b'max-age="10000"', 0.0),
    "cdn-cc-invalid-sh-type-unknown": (b"max-age=10000, &&&&&", None),
    "cdn-max-age-space-before-equals": (b"max-age =100", None),
    "cdn-max-age-space-after-equals": (b"max-age= 100", None),
    "cdn-max-age-case-insensitive": (b"MaX-aGe=3600", None),
}


@pytest.mark.parametrize(("value", "fresh"), SUITE.values(), ids=SUITE)
def test_the_suites_fields(value, fresh):
    found = targeted(((CDN, value),), NAMES)
    assert (None if found is None else seconds(found, "max-age")) == fresh


pieces = st.sampled_from([b",", b" ", b"=", b'"', b"max-age", b"no-store", b"public", b"?0", b"1", b"(", b")", b";"])
hostile = st.one_of(st.binary(), st.lists(pieces, max_size=20).map(b"".join))


@given(hostile)
def test_reading_never_raises(value):
    for name, argument in (targeted(((CDN, value),), NAMES) or {}).items():
        assert name == name.lower()
        assert argument != ""
    assert len(groups(value)) <= MOST_GROUPS


GROUPS = {
    "no field": (None, ()),
    "an empty one": (b"", ()),
    "§2: names": (b'"scripts", "styles"', ("scripts", "styles")),
    "§2: params are ignored": (b'"a";x=1, "b"', ("a", "b")),
    "§2.1: case counts": (b'"a", "A"', ("a", "A")),
    "a name counts once": (b'"b", "a", "b"', ("b", "a")),
    "a name may be empty, or hold anything": (b'"", "a, b"', ("", "a, b")),
    "§2: a word is no name": (b'"a", b', ()),
    "§2: a number is none": (b'"a", 1', ()),
    "§2: a text is none": (b'"a", %"b"', ()),
    "§2: a list is none": (b'"a", ("b")', ()),
    "RFC 9651 §4.2: malformed": (b'"a", "b', ()),
    "a name that is too long is left out": (string("x" * (MOST_GROUP_CHARS + 1)) + b', "a"', ("a",)),
    "one as long as may be is not": (string("x" * MOST_GROUP_CHARS), ("x" * MOST_GROUP_CHARS,)),
}


@pytest.mark.parametrize(("value", "names"), GROUPS.values(), ids=GROUPS)
def test_groups(value, names):
    assert groups(value) == names


def test_no_more_than_so_many_groups_are_kept():
    many = [f"group-{number:026}" for number in range(MOST_GROUPS + 1)]
    assert groups(b", ".join(map(string, many))) == tuple(many[:MOST_GROUPS])


@given(st.lists(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40), max_size=32, unique=True))
def test_the_32_groups_that_every_cache_must_hold(names):
    assert groups(b", ".join(map(string, names))) == tuple(names)
