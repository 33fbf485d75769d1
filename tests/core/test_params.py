"""Parameters: parsing, matching names, and changing values."""

from dataclasses import fields, replace
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.params import MAX_PAIRS, matcher, params_of, parse, with_params, with_values
from proxy.core.reasons import Reason
from proxy.core.types import Query
from proxy.errors import Fallback

PARSED = {
    "nothing has no pairs": (b"", ()),
    "a pair is name=value": (b"a=1", ((b"a", b"1"),)),
    "pairs keep their order, and a name may come again": (b"b=1&a=2&b=3", ((b"b", b"1"), (b"a", b"2"), (b"b", b"3"))),
    "the first = ends the name": (b"a=b=c", ((b"a", b"b=c"),)),
    "no = is not an empty value": (b"a&b=", ((b"a", None), (b"b", b""))),
    "a name may be empty": (b"=1", ((b"", b"1"),)),
    "empty pieces count for nothing": (b"&&a=1&", ((b"a", b"1"),)),
    "+ is a space, in names too": (b"a+b=c+d", ((b"a b", b"c d"),)),
    "%2B is a plus": (b"a=1%2b1", ((b"a", b"1+1"),)),
    "%20 and + are the same": (b"a=%20+", ((b"a", b"  "),)),
    "hex digits have no case": (b"a=%C3%a9%c3%A9", ((b"a", "éé".encode()),)),
    "%26, %3D and %3B separate nothing": (b"a=1%262%3D3%3B", ((b"a", b"1&2=3;"),)),
    "; separates nothing": (b"a=1;b=2", ((b"a", b"1;b=2"),)),
    "%25 is decoded once": (b"a=%2541", ((b"a", b"%41"),)),
    "an invalid % stays as it is": (b"a=%zz%4&%=100%&b=%41", ((b"a", b"%zz%4"), (b"%", b"100%"), (b"b", b"A"))),
    "%00 is a byte": (b"a=%00", ((b"a", b"\0"),)),
    "bytes above 127 stay": (b"a=\xff\xe9", ((b"a", b"\xff\xe9"),)),
}


@pytest.mark.parametrize(("raw", "pairs"), PARSED.values(), ids=PARSED)
def test_parse(raw, pairs):
    assert parse(raw) == pairs


@given(st.binary() | st.text("%4aG&=+;", max_size=20).map(str.encode))
def test_any_bytes_are_parsed_as_the_standard_library_decodes_them(raw):
    pieces = [piece.replace(b"+", b" ").split(b"=", 1) for piece in raw.split(b"&") if piece]
    decoded = [[unquote_to_bytes(part) for part in piece] for piece in pieces]
    assert [[part for part in pair if part is not None] for pair in parse(raw)] == decoded


def test_ten_thousand_pairs_are_enough():
    assert len(parse(b"&".join([b"a=1"] * MAX_PAIRS))) == MAX_PAIRS
    with pytest.raises(Fallback) as fallback:
        parse(b"&".join([b"a=1"] * (MAX_PAIRS + 1)))
    assert fallback.value.reason == Reason.KEY_BODY_SIZE


MATCHED = {
    "a name is itself": (["a"], b"a", True),
    "a name is not another": (["a"], b"b", False),
    "a name is not its beginning": (["a"], b"ab", False),
    "case matters": (["a"], b"A", False),
    "one of the names is enough": (["a", "b"], b"b", True),
    "no names match nothing": ([], b"", False),
    "* matches everything": (["x", "*"], b"\xff", True),
    "* at the end": (["utm_*"], b"utm_source", True),
    "* may stand for nothing": (["utm_*"], b"utm_", True),
    "* at the start": (["*_id"], b"request_id", True),
    "* at the start needs the end": (["*_id"], b"request_ids", False),
    "* in the middle": (["a*z"], b"a--z", True),
    "the two ends do not overlap": (["ab*ba"], b"aba", False),
    "many *": (["*a*b*c*"], b"--a-b-b-c", True),
    "many * keep their order": (["*a*b*c*"], b"c-b-a", False),
    "** is *": (["a**z"], b"a12z", True),
    "* matches a line's end": (["a*z"], b"a\nz", True),
    "a name beside a glob": (["utm_*", "_"], b"_", True),
    "neither name nor glob": (["utm_*", "_"], b"__", False),
    "one of two globs": (["a*", "*z"], b"xz", True),
    ". and ? are letters": (["a.*?"], b"a-x?", False),
    "[] are letters": (["filter[*]"], b"filter[name]", True),
    "names are in UTF-8": (["straße"], "straße".encode(), True),
}


@pytest.mark.parametrize(("names", "name", "answer"), MATCHED.values(), ids=MATCHED)
def test_matcher(names, name, answer):
    assert matcher(names)(name) is answer


QUERY = Query("GET", b"host", b"/path", b"a=1", None, b"text/plain", b"body", None, ((b"f", b"1"),), ((b"h", b"2"),))


def test_a_query_with_other_pairs_is_the_same_in_all_else():
    params, form = ((b"b", b"2"),), ((b"c", None),)
    assert with_params(QUERY, params, form) == replace(QUERY, params=params, form=form)
    assert None not in [getattr(with_params(QUERY, params, form), field.name) for field in fields(Query)]


def test_a_query_with_its_own_pairs_is_itself():
    query = replace(QUERY, params=((b"a", b"1"),))
    assert with_params(query, ((b"a", b"1"),), None) is query


def test_pairs_are_parsed_once():
    assert params_of(QUERY) == ((b"a", b"1"),)
    assert params_of(replace(QUERY, params=())) == ()


CHANGED = {
    "a matching value is changed": (b"x", b"X"),
    "a value that is not UTF-8 stays": (b"x\xff", b"x\xff"),
    "an empty value stays": (b"", b""),
    "no value stays none": (None, None),
}


@pytest.mark.parametrize(("value", "changed"), CHANGED.values(), ids=CHANGED)
def test_values_of_query_and_form(value, changed):
    pairs, expected = ((b"a", value), (b"b", b"x")), ((b"a", changed), (b"b", b"x"))
    query = with_values(replace(QUERY, params=pairs, form=pairs), matcher(["a"]), str.upper)
    assert (query.params, query.form) == (expected, expected)


def test_no_form_stays_none():
    assert with_values(replace(QUERY, query=b"a=x"), matcher(["a"]), str.upper).form is None
