"""No-Vary-Search (draft-ietf-httpbis-no-vary-search): how it is read, and which queries it makes equal."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.no_vary_search import Variance, variance
from proxy.core.params import parse


def told(*names: bytes, in_order: bool = True, except_: bool = False) -> Variance:
    return Variance(in_order, frozenset(names), except_)


READ = {
    "§5.2: the order of names": (b"key-order", told(in_order=False)),
    "§5.2: some names": (b'params=("a")', told(b"a")),
    "§5.2: all names but some": (b'except=("x")', told(b"x", except_=True)),
    "§5.2: all names": (b"except=()", told(except_=True)),
    "§5.2: written out": (b"key-order=?1", told(in_order=False)),
    "§5.2: in another order": (b'except=("x"), key-order', told(b"x", in_order=False, except_=True)),
    "the order and some names": (b'key-order, params=("a" "b")', told(b"a", b"b", in_order=False)),
    "the order, and the names count": (b"key-order, params=()", told(in_order=False)),
    "the names, and the order counts": (b'key-order=?0, params=("a")', told(b"a")),
    "a name twice": (b'params=("a" "a")', told(b"a")),
    "a name may be empty": (b'params=("")', told(b"")),
    "§5.1: a name may hold anything ASCII": (b'params=("a\\"b" "c\\\\d" "e&f=g")', told(b'a"b', b"c\\d", b"e&f=g")),
    "§5.1: parameters mean nothing": (b'params=("a";x=1 "b";y);z, key-order;w=?0', told(b"a", b"b", in_order=False)),
    "RFC 9651 §3.2: the last of a key counts": (b"key-order=?0, params=1, key-order, params=()", told(in_order=False)),
    "RFC 9651 §4.2: spaces around": (b' key-order \t,\t params=( "a"  "b" ) ', told(b"a", b"b", in_order=False)),
    "earlier drafts: all names": (b"params", told(except_=True)),
    "earlier drafts: all names, written out": (b"params=?1", told(except_=True)),
    "earlier drafts: all names, and the order": (b"params, key-order", told(in_order=False, except_=True)),
    "earlier drafts: all names but some": (b'params, except=("x")', told(b"x", except_=True)),
    "earlier drafts: all of it": (b'params, key-order, except=("x")', told(b"x", in_order=False, except_=True)),
    "earlier drafts: all names but none": (b"params=?1, except=()", told(except_=True)),
    "earlier drafts: no names, but the order": (b"params=?0, key-order", told(in_order=False)),
}


@pytest.mark.parametrize(("value", "read"), READ.values(), ids=READ)
def test_what_the_field_says(value, read):
    assert variance(value) == read


EXACT = {
    "§5.1: no field": None,
    "an empty one": b"",
    "§5.2: the default, by the order": b"key-order=?0",
    "§5.2: the default, by the names": b"params=()",
    "the default, by both": b"key-order=?0, params=()",
    "earlier drafts: the default": b"params=?0",
    "§5.2: malformed": b"key-order,",
    "RFC 9651 §4.2: malformed behind what is not": b"key-order, params=(",
    "RFC 9651 §3.2: keys have a case": b"Key-Order",
    "§5.2: an order that is a string": b'key-order="not a boolean"',
    "an order that is a number": b"key-order=1",
    "an order that is a list": b"key-order=(?1)",
    "§5.2: names that are a string": b'params="not an inner list"',
    "names that are a token": b"params=a",
    "names that are a number": b"params=1",
    "§5.2: names that are tokens": b"params=(not-a-string)",
    "one name that is a token": b'params=("a" b)',
    "names that are bytes": b"params=(:YQ==:)",
    "names that are display strings": b'params=(%"a")',
    "names that are booleans": b"params=(?1)",
    "§5.2: exceptions that are a string": b'except="not an inner list"',
    "§5.2: exceptions that are tokens": b"except=(not-a-string)",
    "§5.2: exceptions that are true": b"except=?1",
    "exceptions that are false": b"except=?0",
    "§5.2: both lists": b'params=("a"), except=("x")',
    "§5.2: both lists, empty": b"params=(), except=()",
    "no names but for some": b'params=?0, except=("x")',
    "earlier drafts: exceptions that are tokens": b"params, except=(not-a-string)",
    "earlier drafts: exceptions that are a string": b'params, except="not an inner list"',
    "earlier drafts: exceptions that are true": b"params, except=?1",
    "names that are a token, with exceptions": b'params=a, except=("x")',
    "an order that makes no sense beside names that do": b'key-order=1, params=("a")',
    "names that make no sense beside an order that does": b"key-order, params=(a)",
    "nothing that we know": b"unknown-key",
    "something that we do not know, stricter than §3": b'key-order, params=("a"), unknown-key',
}


@pytest.mark.parametrize("value", EXACT.values(), ids=EXACT)
def test_what_leaves_every_difference_its_meaning(value):
    assert variance(value) is None


def equal(field: bytes, one: bytes, other: bytes) -> bool:
    read = variance(field)
    assert read is not None
    return read.simplified(parse(one)) == read.simplified(parse(other))


ORDER, SOME, BUT = b"key-order", b'params=("u" "v")', b'except=("a" "b")'
COMPARED = {
    "§6.1: no query and an empty one": (ORDER, b"", b"&", True),
    "§6.1: decoded": (ORDER, b"a=x", b"%61=%78", True),
    "§6.1: decoded, beyond ASCII": (ORDER, "a=é".encode(), b"a=%C3%A9", True),
    "§6.1: empty pieces": (ORDER, b"a=x&&&&", b"a=x", True),
    "§6.1: no = and an empty value": (ORDER, b"a=", b"a", True),
    "§6.1: a space": (ORDER, b"a=%20", b"a=+&", True),
    "§6.1: %2B is a plus": (ORDER, b"a=%2B", b"a=+", False),
    "§6.1: no Unicode normalization": (ORDER, b"a=%C3%A9", b"a=e%CC%81", False),
    "§6: names in any order": (ORDER, b"a=1&b=2", b"b=2&a=1", True),
    "§6: the values of one name in theirs": (ORDER, b"a=1&a=2", b"a=2&a=1", False),
    "§6: the values of one name among others": (ORDER, b"b=1&a=1&b=2", b"a=1&b=1&b=2", True),
    "§6: another value": (ORDER, b"a=1&b=2", b"a=2&b=1", False),
    "§6: another name": (ORDER, b"a=1", b"b=1", False),
    "§6: one more": (ORDER, b"a=1", b"a=1&a=1", False),
    "§6: one more without value": (ORDER, b"a=1", b"a=1&b", False),
    "§6: what does not count has other values": (SOME, b"a=1&u=1", b"a=1&u=2", True),
    "§6: what does not count is not there": (SOME, b"a=1", b"v=1&a=1&u&v=2", True),
    "§6: what does not count, encoded": (SOME, b"%75=1", b"", True),
    "§6: what counts": (SOME, b"a=1&u=1", b"a=2&u=1", False),
    "§6: names have a case": (SOME, b"U=1", b"U=2", False),
    "§6: the order of what counts": (SOME, b"a=1&u=1&b=2", b"b=2&a=1", False),
    "§6: unless it does not": (b"key-order, " + SOME, b"a=1&u=1&b=2", b"b=2&a=1", True),
    "§6: a name in no value": (SOME, b"a=u", b"a=v", False),
    "§6: all but some": (BUT, b"a=1&c=1", b"a=1&c=2&d", True),
    "§6: those some": (BUT, b"a=1&c=1", b"a=2&c=1", False),
    "§6: those some are not there": (BUT, b"c=1", b"a=&c=1", False),
    "§6: those some in their order": (BUT, b"a=1&c=1&b=2", b"b=2&a=1", False),
    "§6: or in any": (b"key-order, " + BUT, b"a=1&c=1&b=2", b"b=2&a=1", True),
    "§6: none but some": (b"except=()", b"a=1&b=2", b"", True),
    "a name of nothing": (b'params=("")', b"=1&a=1", b"a=1&=2", True),
    "invalid UTF-8, stricter than §6.1": (ORDER, b"a=%f6", b"a=%ef%bf%bd", False),
}


@pytest.mark.parametrize(("field", "one", "other", "same"), COMPARED.values(), ids=COMPARED)
def test_queries_that_mean_the_same(field, one, other, same):
    assert equal(field, one, other) is same


ENCODED = {
    "the draft's own": (b'params=("%C3%A9+%E6%B0%97")', "é+気=1".encode(), b"%C3%A9%20%E6%B0%97=2", True),
    "a name with a plus": (b'params=("a%2Bb")', b"a%2bb=1", b"a%2bb=2", True),
    "a plus is a space": (b'params=("a+b")', b"a%2Bb=1", b"a%2Bb=2", False),
    "an exception with a space": (b'except=("a+b")', b"a+b=1", b"a+b=2", False),
    "an encoded exception": (b'except=("%61")', b"a=1", b"a=2", False),
}


@pytest.mark.parametrize(("field", "one", "other", "same"), ENCODED.values(), ids=ENCODED)
def test_names_in_the_field_are_encoded_like_those_of_a_query(field, one, other, same):
    assert equal(field, one, other) is same


names = st.frozensets(st.sampled_from(["a", "b", "c d"]), max_size=2)
variances = st.builds(
    Variance,
    st.booleans(),
    st.frozensets(st.binary(max_size=3) | st.sampled_from([b"a", b"a' b'b", b'"'])),
    st.booleans(),
)
pieces = st.sampled_from(["a=1", "a=2", "b=1", "b", "b=", "%61=1", "c+d=1", "c%20d=1", "%C3%A9", "", "=", "a=1=2"])
queries = st.lists(pieces, max_size=4).map("&".join)


def as_the_draft_compares(query: str, in_order: bool, listed: frozenset[str], except_: bool) -> list[tuple[str, str]]:
    """§6, with the standard library's parser and texts instead of bytes."""
    pairs = parse_qsl(query, keep_blank_values=True, encoding="utf-8", errors="replace")
    kept = [pair for pair in pairs if (pair[0] in listed if except_ else pair[0] not in listed)]
    return kept if in_order else sorted(kept, key=lambda pair: pair[0].encode("utf-16-be"))


@given(queries, queries, st.booleans(), names, st.booleans())
def test_queries_are_equal_where_the_draft_says_so(one, other, in_order, listed, except_):
    ours = told(*[name.encode() for name in listed], in_order=in_order, except_=except_)
    theirs = [as_the_draft_compares(query, in_order, listed, except_) for query in (one, other)]
    same = ours.simplified(parse(one.encode())) == ours.simplified(parse(other.encode()))
    assert same == (theirs[0] == theirs[1])


@given(variances, variances)
def test_what_is_written_is_the_same_for_the_same_meaning_only(one, other):
    assert (one.written() == other.written()) == (one == other)


@given(variances, st.binary() | queries.map(str.encode))
def test_what_is_simplified_stays_so_and_invents_nothing(read, query):
    pairs = read.simplified(parse(query))
    assert read.simplified(pairs) == pairs
    assert {(name, value or b"") for name, value in parse(query)} >= set(pairs)


parts = [b"key-order", b"params", b"except", b"=", b"(", b")", b'"', b"a", b" ", b",", b"?0", b"?1", b";"]


@given(st.binary() | st.lists(st.sampled_from(parts), max_size=20).map(b"".join))
def test_reading_never_raises_and_gives_nothing_that_says_nothing(value):
    assert variance(value) != Variance()
