"""Request → Query → Key: what shares a key, what never does, and the exact digests of five queries."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core import key as keys
from proxy.core.key import ALWAYS_KEYED, Scope, hidden, key_of, normal_host, query_of, variant_key
from proxy.core.rules import Rule, path_pattern
from proxy.core.types import Client, Query, Request

SECRET = b"s" * 16
RULE = Rule("r", path_pattern("/**"))
SCOPE = Scope.of("legacy", "http://legacy:8000", RULE, SECRET)

# A change here empties every store in use: it belongs to a release that raises VERSION.
DIGESTS = {
    "a path": (Query("GET", b"example.com", b"/search"), "3b7b6c17953e41002ac5333df4389ae52d115643"),
    "a query as it came": (Query("GET", b"example.com", b"/search", b"q=a&page=1"), "1bab2a79f8415617b36d1fa52a2e49d3f236a3b4"),
    "a query in pairs": (
        Query("GET", b"example.com", b"/search", b"?", params=((b"page", b"1"), (b"q", b"a"), (b"debug", None))), "561d33e10ca75a776b5c8e2eb404fb8c13fcfaf2",
    ),
    "a body": (
        Query("POST", b"example.com", b"/query", media_type=b"application/json", body=b'{"q":"a"}'), "0973b75d4844c6814f82e1e70f0e065deb423831",
    ),
    "a form and fields": (
        Query(
            "POST", b"example.com", b"/query", media_type=b"application/x-www-form-urlencoded", body=b"?",
            form=((b"q", b"a"),), fields=((b"accept-language", b"de"), (b"x-forwarded-host", b"a")),
        ), "3f56d4c9d2c43199e7d6fa3324472589e6fe7509",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("query", "digest"), DIGESTS.values(), ids=DIGESTS)
def test_exact_keys(query, digest):
    assert key_of(query, SCOPE).hex() == digest


# Encoding: every piece with its length before it.

WORDS = [b"", *b"a 1 2 query params pair bare body form field 1:a,".split(), b"media type"]
word = st.sampled_from(WORDS) | st.binary(max_size=3)
pairs = st.lists(st.tuples(word, st.none() | word), max_size=3).map(tuple)
queries = st.builds(
    Query,
    method=st.sampled_from(["GET", "POST", "query"]),
    host=word,
    path=word,
    query=st.none() | word,
    params=st.none() | pairs,
    media_type=word,
    body=word,
    form=st.none() | pairs,
    fields=st.lists(st.tuples(word, word), max_size=2).map(tuple),
)


def meaning(query: Query) -> tuple:
    """Return what two queries must differ in to be different: pairs stand for what they were parsed from."""
    asked = (None, query.query) if query.params is None else (query.params,)
    sent = (None, query.body) if query.form is None else (query.form,)
    return query.method, query.host, query.path, asked, query.media_type, sent, query.fields


def read(written: bytes) -> list[bytes]:
    pieces = []
    while written:
        length, _, rest = written.partition(b":")
        piece, comma, written = rest[: int(length)], rest[int(length) : int(length) + 1], rest[int(length) + 1 :]
        assert comma == b","
        pieces.append(piece)
    return pieces


@given(st.lists(st.binary(max_size=20)))
def test_what_is_written_can_be_read_back(pieces):
    assert read(keys._written(pieces)) == pieces


@given(queries, queries)
@example(Query("GET", b"h", b"/", b""), Query("GET", b"h", b"/"))
@example(Query("GET", b"h", b"/", params=()), Query("GET", b"h", b"/"))
@example(Query("POST", b"h", b"/", form=()), Query("POST", b"h", b"/"))
@example(Query("GET", b"h", b"/", params=((b"a", b""),)), Query("GET", b"h", b"/", params=((b"a", None),)))
@example(Query("GET", b"h", b"/", params=((b"a", None),)), Query("GET", b"h", b"/", b"a"))
@example(Query("GET", b"h", b"/", fields=((b"a", b"b"),)), Query("GET", b"h", b"/", params=((b"a", b"b"),)))
def test_two_queries_share_pieces_and_key_only_if_they_mean_the_same(one, other):
    same = meaning(one) == meaning(other)
    assert (keys._pieces(one) == keys._pieces(other)) == same
    assert (key_of(one, SCOPE) == key_of(other, SCOPE)) == same


@given(queries, st.data())
def test_a_changed_piece_is_another_key(query, data):
    pieces = keys._pieces(query)
    place = data.draw(st.integers(0, len(pieces) - 1))
    changed = [*pieces[:place], data.draw(st.binary()), *pieces[place + 1 :]]
    assert (keys._written(changed) == keys._written(pieces)) == (changed == pieces)


@given(queries, st.data())
def test_a_byte_across_a_border_is_another_key(query, data):
    pieces = keys._pieces(query)
    place = data.draw(st.integers(0, len(pieces) - 2))
    left, right = pieces[place : place + 2]
    moved = [[left + right[:1], right[1:]], [left[:-1], left[-1:] + right], [left + right], [left, b"", right]]
    for other in (one for one in moved if one != [left, right]):
        assert keys._written([*pieces[:place], *other, *pieces[place + 2 :]]) != keys._written(pieces)


def test_what_stands_for_something_else_hides_it():
    query = Query("POST", b"h", b"/", params=(), media_type=b"t", form=())
    assert key_of(query, SCOPE) == key_of(replace(query, query=b"a", body=b"b", headers=((b"a", b"b"),)), SCOPE)


OTHER_SCOPES = {
    "another namespace": Scope.of("other", "http://legacy:8000", RULE, SECRET),
    "another upstream": Scope.of("legacy", "http://legacy:8001", RULE, SECRET),
    "a byte moved between them": Scope.of("legacyh", "ttp://legacy:8000", RULE, SECRET),
    "a rule with another meaning": Scope.of("legacy", "http://legacy:8000", replace(RULE, cookies="ignore"), SECRET),
}


@pytest.mark.parametrize("scope", OTHER_SCOPES.values(), ids=OTHER_SCOPES)
def test_scopes_keep_keys_apart(scope):
    query = Query("GET", b"h", b"/")
    assert key_of(query, scope) != key_of(query, SCOPE)
    assert key_of(query, SCOPE) == key_of(query, SCOPE)


# Request → Query.

HOSTS = {
    "no Host": ((), "http", b""),
    "lower case": (((b"host", b"Example.COM"),), "http", b"example.com"),
    "the default port is dropped": (((b"host", b"a:80"),), "http", b"a"),
    "that of https too": (((b"host", b"a:443"),), "https", b"a"),
    "another one is kept": (((b"host", b"a:443"),), "http", b"a:443"),
    "an IPv6 address keeps its colons": (((b"host", b"[::80]:80"),), "http", b"[::80]"),
    "an unknown scheme has no default port": (((b"host", b"a:80"),), "ws", b"a:80"),
}


@pytest.mark.parametrize(("headers", "scheme", "host"), HOSTS.values(), ids=HOSTS)
def test_normal_host(headers, scheme, host):
    assert normal_host(Request("GET", b"/", headers, client=Client(scheme=scheme))) == host


async def nothing():
    yield b""


TYPE = (b"content-type", b"text/plain")
QUERIES = {
    "path and query as they came": (Request("GET", b"/%7e//a?b=%41&a"), Query("GET", b"h", b"/%7e//a", b"b=%41&a")),
    "an empty query is not none": (Request("GET", b"/?"), Query("GET", b"h", b"/", b"")),
    "HEAD is answered as GET": (Request("HEAD", b"/"), Query("GET", b"h", b"/")),
    "a POST has its type and body": (
        Request("POST", b"/", (TYPE,), b"x"), Query("POST", b"h", b"/", media_type=b"text/plain", body=b"x"),
    ),
    "the type of a GET means nothing": (Request("GET", b"/", (TYPE,), b"x"), Query("GET", b"h", b"/")),
    "a body that is still arriving is in no key": (Request("POST", b"/", (), nothing()), Query("POST", b"h", b"/")),
    "a field that an upstream may build on": (
        Request("GET", b"/", ((b"forwarded", b"for=a"), (b"accept", b"*"))),
        Query("GET", b"h", b"/", fields=((b"forwarded", b"for=a"),)),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "query"), QUERIES.values(), ids=QUERIES)
def test_query_of(request_, query):
    assert query_of(request_, RULE, b"h", SECRET) == replace(query, headers=request_.headers)


@dataclass(frozen=True, slots=True)
class Add:
    version: ClassVar[int] = 1

    text: bytes

    def normalize(self, query: Query) -> Query:
        return replace(query, path=query.path + self.text)


def test_normalizers_run_in_the_rules_order():
    rule = replace(RULE, normalizers=(Add(b"1"), Add(b"2")))
    assert query_of(Request("GET", b"/"), rule, b"h", SECRET).path == b"/12"


@pytest.mark.parametrize("name", sorted(ALWAYS_KEYED))
def test_fields_that_route_are_always_keyed(name):
    bare, evil = Request("GET", b"/"), Request("GET", b"/", ((name, b"evil"),))
    assert query_of(bare, RULE, b"h", SECRET).fields != query_of(evil, RULE, b"h", SECRET).fields


def cookies(*lines: bytes) -> tuple:
    rule = replace(RULE, cookies=("role", "lang"))
    headers = ((b"accept", b"role=x"), *[(b"cookie", line) for line in lines])
    return query_of(Request("GET", b"/", headers), rule, b"h", SECRET).fields


def role(value: bytes) -> tuple[bytes, bytes]:
    return b"cookie:role", hidden(value, SECRET)


COOKIES = {
    "no cookies, no fields": ((), ()),
    "one that the rule names": ((b"role=a",), (role(b"a"),)),
    "others are not in the key": ((b"x=1; role=a; y=2",), (role(b"a"),)),
    "blanks around a pair mean nothing": ((b" role=a ;x=1",), (role(b"a"),)),
    "the first = ends the name": ((b"role=a=b",), (role(b"a=b"),)),
    "names have case": ((b"Role=a",), ()),
    "an empty one is not absent": ((b"role=",), (role(b""),)),
    "a name at the end of another is another": ((b"xrole=a",), ()),
}


@pytest.mark.parametrize(("lines", "fields"), COOKIES.values(), ids=COOKIES)
def test_cookies_in_the_key(lines, fields):
    assert cookies(*lines) == fields


DIFFERENT_COOKIES = {
    "a value": ((b"role=a",), (b"role=b",)),
    "a value with a comma and a blank is not cut there": ((b"role=a, b",), (b"role=a",)),
    "a blank before = hides no cookie from us that an upstream sees": ((b"role =a",), ()),
    "the order of two with one name, of which an upstream takes one": ((b"role=a; role=b",), (b"role=b; role=a",)),
    "that order over two lines": ((b"role=a", b"role=b"), (b"role=b", b"role=a")),
}


@pytest.mark.parametrize(("one", "other"), DIFFERENT_COOKIES.values(), ids=DIFFERENT_COOKIES)
def test_different_cookies_never_share_a_key(one, other):
    assert cookies(*one) != cookies(*other)


def test_the_order_of_lines_of_one_routing_field_counts():
    lines = ((b"x-forwarded-host", b"a"), (b"x-forwarded-host", b"b"))
    one, other = Request("GET", b"/", lines), Request("GET", b"/", lines[::-1])
    assert query_of(one, RULE, b"h", SECRET).fields != query_of(other, RULE, b"h", SECRET).fields


def test_credentials_are_in_the_key_as_their_keyed_hash():
    """RFC 9111 §7.3."""
    rule = replace(RULE, private_by=(b"authorization", b"x-user"))
    request = Request("GET", b"/", ((b"authorization", b"Bearer abc"),))
    query = query_of(request, rule, b"h", SECRET)
    assert query.fields == ((b"authorization", hidden(b"Bearer abc", SECRET)),)
    assert query_of(request, rule, b"h", b"t" * 16).fields != query.fields
    assert not any(b"abc" in piece for piece in keys._pieces(query))


VARIANTS = {
    "§4.1: the named fields select": ((b"a",), ((b"a", b"1"),), ((b"a", b"2"),), False),
    "§4.1: others do not": ((b"a",), ((b"a", b"1"), (b"b", b"1")), ((b"a", b"1"), (b"b", b"2")), True),
    "§4.1: absent matches absent": ((b"a",), (), ((b"b", b"2"),), True),
    "§4.1: absent is not empty": ((b"a",), (), ((b"a", b""),), False),
    "§4.1: nor the word for it": ((b"a",), (), ((b"a", b"absent"),), False),
    "§4.1: blanks around a value mean nothing": ((b"a",), ((b"a", b" 1 "),), ((b"a", b"1"),), True),
    "§4.1: lines are one list": ((b"a",), ((b"a", b"1"), (b"a", b"2")), ((b"a", b"1, 2"),), True),
    "a value cannot leak into the next field": (
        (b"a", b"b"), ((b"a", b"1b"), (b"b", b"")), ((b"a", b"1"), (b"b", b"b")), False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("vary", "one", "other", "same"), VARIANTS.values(), ids=VARIANTS)
def test_variants(vary, one, other, same):
    assert (variant_key(b"k", vary, one) == variant_key(b"k", vary, other)) == same


def test_a_variant_belongs_to_its_key():
    assert variant_key(b"k", (b"a",), ()) != variant_key(b"l", (b"a",), ())
    assert variant_key(b"k", (b"a",), ()) != variant_key(b"k", (b"b",), ())
    assert len(variant_key(b"k", (), ())) == 20
