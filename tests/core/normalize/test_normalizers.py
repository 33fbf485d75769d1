"""What every normalizer in the folder promises; a new one is held to it as soon as its file is there."""

from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from inspect import getdoc
from pkgutil import iter_modules
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core import normalize
from proxy.core.types import Query
from proxy.errors import Fallback

FORM = b"application/x-www-form-urlencoded"

# Options to try, where no options will not do or are not enough; none of them may touch what is named `kept`.
OPTIONS = {
    "drop_params": [{"names": ("a", "*b*_*c")}],
    "keep_params": [{"names": ("kept", "a*b*")}],
    "lower": [{}, {"names": ("kept", "a*")}],
    "collapse_space": [
        {},
        {"names": ("kept", "a*")},
        {"quotes": ('"', "'", '"""', "<>", "/**/"), "comments": ("#", "--")},
    ],
    "default_params": [{"values": {"a": "1", "b": ("", "a")}}],
    "alias_params": [{"names": {"a": ("b", "a-b_c"), "c": ()}}],
    "strip": [{}, {"names": ("kept", "a*")}],
    "list_params": [
        {"names": ("kept", "a*")},
        {"names": ("kept", "a"), "separator": "\u00a0", "ordered": True, "duplicates": "drop"},
        {"names": ("a*", "b"), "separator": "a", "duplicates": "drop"},
    ],
    "round_numbers": [{"names": ("a", "b*"), "digits": 0}],
    "cookies": [{"names": ("kept", "a")}],
    "nfc": [{}, {"names": ("kept", "a*")}],
    "form": [{}, {"ignore": ("a",)}, {"only": ("kept", "a")}],
    "json": [
        {},
        {
            "ignore": ("$.a", "$[*].a", "$.b[1]"),
            "unordered": ("$", "$.kept", "$[*].b"),
            "text": ("$", "$.kept", "$[*]", "$.kept[*]"),
        },
        {"only": ("$.kept", "$.a[1]", "$[*].b", "$[0]"), "ignore": ("$.a[1].a",)},
    ],
    "align_time": [
        {"names": ("a*",), "step": "1m"},
        {"names": ("a",), "paths": ("$.a", "$[*].b", "$[*]"), "step_param": "b", "step_path": "$.b"},
    ],
    "graphql": [{}, {"reduce": True}],
    "headers": [{"names": ("Kept", "A")}],
}


def kind(word):
    return getattr(
        import_module(f"proxy.core.normalize.{word}"), "".join(part.capitalize() for part in word.split("_"))
    )


WORDS = [module.name for module in iter_modules(normalize.__path__)]
SAMPLES = [kind(word)(**options) for word in WORDS for options in OPTIONS.get(word, [{}])]
every_kind = pytest.mark.parametrize("word", WORDS)
every_sample = pytest.mark.parametrize("one", SAMPLES, ids=repr)


@every_kind
def test_a_word_is_a_frozen_slotted_dataclass(word):
    assert is_dataclass(kind(word))
    assert kind(word).__dataclass_params__.frozen
    assert "__dict__" not in dir(kind(word)(**OPTIONS.get(word, [{}])[0]))


@every_kind
def test_the_version_is_a_number_and_not_an_option(word):
    assert type(kind(word).version) is int
    assert "version" not in [field.name for field in fields(kind(word))]


@every_kind
def test_it_says_what_it_does(word):
    assert getdoc(kind(word))


@every_sample
def test_it_is_written_as_its_options(one):
    """A rule's keys depend on this, so nothing may stand there that differs between two processes."""
    assert " at 0x" not in repr(one)
    assert eval(repr(one), {type(one).__name__: type(one)}) == one


MARKED = st.text("\"'<>#\\ \n-/*,.0a", max_size=12).map(str.encode)
ODD = st.binary(max_size=30) | st.text("a\u0301\u0323 \u00a0ÅKΣİ", max_size=8).map(str.encode) | MARKED
NAMES = st.sampled_from([b"a", b"kept", b"b", b"a-b_c", b"%61", b"cookie", b""]) | ODD
PAIRS = st.lists(st.tuples(NAMES, st.none() | ODD), max_size=6).map(tuple)
RAW = st.binary(max_size=60) | st.text("ab=&%+;41 é", max_size=30).map(str.encode)
LEAVES = st.sampled_from(
    ["1", "1.0", "-0", "1e400", "1767222003155", '"now-1d"', '"a  b"', '" e\\u0301"', '"\\ud800"', "null", "true", '""']
)


def written_object(members):
    return "{" + ", ".join(f'"{name}" : {value}' for name, value in members.items()) + "}"


JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda elements: f"[{' , '.join(elements)}]")
        | st.dictionaries(st.sampled_from(["a", "b", "kept", "é"]), inner).map(written_object)
    ),
    max_leaves=12,
).map(str.encode)
QUERIES = st.builds(
    Query,
    method=st.sampled_from(["GET", "POST", "QUERY"]),
    host=ODD,
    path=ODD,
    query=RAW,
    params=st.none() | PAIRS,
    media_type=st.sampled_from([b"", b"application/json", b"application/json; charset=x", FORM]) | ODD,
    body=RAW | JSON,
    form=st.none() | PAIRS,
    fields=st.lists(st.tuples(NAMES, ODD), max_size=2).map(tuple),
    headers=st.lists(st.tuples(NAMES, ODD), max_size=4).map(tuple),
)


@every_sample
@given(query=QUERIES)
def test_twice_is_once_and_nothing_but_fallback_is_raised(one, query):
    try:
        once = one.normalize(query)
    except Fallback:
        return
    assert one.normalize(once) == once
    assert one.normalize(query) == once


@every_sample
@given(query=QUERIES)
def test_what_came_stays_beside_what_it_means(one, query):
    try:
        done = one.normalize(query)
    except Fallback:
        return
    for name in ("method", "host", "path", "query", "media_type", "headers"):
        assert getattr(done, name) == getattr(query, name)


BODIES = {
    "Form": (FORM, b"x=1&kept=%b"),
    "Graphql": (b"application/json", b'{"query":"{kept}","variables":{"kept":"%b"}}'),
}


def body_of(one, leaf):
    media_type, body = BODIES.get(type(one).__name__, (b"application/json", b'{"kept":["%b"]}'))
    return media_type, body % leaf


def asked(one, leaf=b"1"):
    media_type, body = body_of(one, leaf)
    fields = ((b"identity", leaf),)
    headers = ((b"cookie", b"kept=" + leaf),) if type(one).__name__ == "Cookies" else ((b"kept", leaf),)
    return Query("POST", b"host", b"/path", b"kept=" + leaf, None, media_type, body, None, fields, headers)


PLACES = {
    "method": lambda query, other: replace(query, method="QUERY"),
    "host": lambda query, other: replace(query, host=other.host + b"x"),
    "path": lambda query, other: replace(query, path=other.path + b"x"),
    "a value of the query": lambda query, other: replace(query, query=other.query),
    "a pair more in the query": lambda query, other: replace(query, query=query.query + b"&kept=" + query.query),
    "a leaf of the body": lambda query, other: replace(query, body=other.body),
    "no body": lambda query, other: replace(query, body=b""),
    "a header field": lambda query, other: replace(query, headers=other.headers),
    "no header field": lambda query, other: replace(query, headers=()),
    "a field of the key": lambda query, other: replace(query, fields=other.fields),
}


def part_of_the_key(query):
    """Return all that a key is made of: the raw query only where no pairs stand for it, and no header fields."""
    return replace(query, headers=(), query=b"" if query.params is not None else query.query)


def matters(one, place):
    """Header fields matter to `headers` and `cookies` only: without them they are no part of a key."""
    return "header field" not in place or type(one).__name__ in {"Headers", "Cookies"}


@pytest.mark.parametrize(
    ("one", "change"),
    [
        pytest.param(one, change, id=f"{place}-{one}")
        for one in SAMPLES
        for place, change in PLACES.items()
        if matters(one, place)
    ],
)
@settings(max_examples=20)
@given(leaf=st.text("abc0123", min_size=1).map(str.encode), other=st.text("xyz789", min_size=1).map(str.encode))
def test_what_is_kept_makes_a_difference(one, change, leaf, other):
    query = asked(one, leaf)
    changed = change(query, asked(one, other))
    assert part_of_the_key(one.normalize(query)) != part_of_the_key(one.normalize(changed))


MARKS = "\u0301\u0316" * 500_000
HOSTILE = {
    "a megabyte of &": b"&" * 1_000_000,
    "a megabyte of %": b"kept=" + b"%" * 1_000_000,
    "a megabyte of %41": b"kept=" + b"%41" * 333_333,
    "a megabyte of +": b"kept=" + b"+" * 1_000_000,
    "a megabyte of white space between letters": b"kept=" + b"a+" * 500_000,
    "a megabyte of quotes": b"kept=" + b'"' * 1_000_000,
    "a megabyte of quotes in quotes": b"kept=" + b"\"'" * 500_000,
    "a megabyte of quotes that never end": b"kept=" + b"<%20" * 333_333,
    "a megabyte of comments": b"kept=" + b"#%0A" * 250_000,
    "a megabyte of members": b"kept=" + b"a,b," * 250_000,
    "a megabyte of digits in a parameter": b"a=" + b"9" * 1_000_000,
    "a megabyte of cookies": b"a=1; " * 200_000,
    "a name that a glob could try for ever": b"a" * 100_000 + b"b" * 100_000 + b"_" * 100_000,
    "ten thousand pairs": b"&".join(b"%d=A" % number for number in range(10_000, 0, -1)),
    "marks in the wrong order": b"kept=a" + MARKS.encode(),
    "capitals at the ends of words": b"kept=" + "Σ'".encode() * 300_000,
    "100,000 arrays": b"[" * 100_000 + b"]" * 100_000,
    "a hundred thousand elements": b'{"kept":[' + b"[],{}," * 50_000 + b"1]}",
    "a hundred thousand members": b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}",
    "a megabyte of escaped quotes": b'{"kept":"' + b'\\"' * 500_000,
    "a megabyte of a name": b'{"' + b"k" * 1_000_000 + b'":1}',
    "a megabyte of digits": b"9" * 1_000_000,
    "text with marks in the wrong order": f'{{"kept":["a{MARKS}"]}}'.encode(),
    "alike elements that differ late": b'{"kept":[' + b",".join([b'"%b"' % (b"a" * 1000)] * 1000) + b"]}",
}


@every_sample
@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_hostile_requests_cost_little(one, raw):
    media_type = FORM if type(one).__name__ == "Form" else b"application/json"
    began = process_time()
    try:
        one.normalize(
            Query("POST", b"h", b"/", raw, None, media_type, raw, None, (), ((b"kept", raw), (b"cookie", raw)))
        )
    except Fallback:
        pass
    assert process_time() - began < 3


GROWING = {
    "members": lambda size: b"a=" + b"a,b," * size + b"&kept=" + b"b,a," * size,
    "quotes": lambda size: b"kept=" + b"'%20\"" * size,
    "pairs of marks": lambda size: b"kept=" + b"<#%20>" * size,
    "digits": lambda size: b"a=1." + b"5" * size,
    "defaults": lambda size: b"a=1&" * (size // 10) + b"b=&",
    "names": lambda size: b"".join([b"%d=1&a-b_c=2&" % number for number in range(size // 20)]),
    "cookies": lambda size: b"x=1; " * size,
}


def seconds_to_normalize(one, raw):
    began = process_time()
    try:
        one.normalize(Query("GET", b"h", b"/", raw, headers=((b"cookie", raw),)))
    except Fallback:
        pass
    return process_time() - began


@every_sample
@pytest.mark.parametrize("grown", GROWING.values(), ids=GROWING)
def test_ten_times_the_request_takes_about_ten_times_the_time(one, grown):
    """What looks at each piece once for each other takes a hundred times the time."""
    small, large = grown(5_000), grown(50_000)
    assert any(seconds_to_normalize(one, large) < 40 * seconds_to_normalize(one, small) + 0.02 for _ in range(5))
