"""What every splitter and every merge promises; a new one is held to it as soon as its file is there."""

from dataclasses import fields, is_dataclass
from importlib import import_module
from inspect import getdoc
from pkgutil import iter_modules
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import merge, split
from proxy.core.composite import LIMITS, Part
from proxy.core.envelope import Sum
from proxy.core.split_laws import check_answer, check_cut
from proxy.core.types import Request, Response
from proxy.errors import Fallback

OPTIONS = {
    split: {
        "query_list": [{"name": "a"}, {"name": "a", "separator": " ", "deny_params": ("b*",)}],
        "query_repeat": [{"name": "a"}, {"name": "a", "deny_params": ("b*",)}],
        "json_array": [{"path": "$"}, {"path": "$.a", "id": "$.b", "deny_paths": ("$.b[0]",)}],
        "jsonrpc": [{}, {"allow_methods": ("a*",)}],
        "graphql_roots": [{}, {"deny_fields": ("b*",)}],
    },
    merge: {
        "keyed": [
            {},
            {"items": "$.a", "id": "$", "missing": "omit", "duplicates": "once", "totals": {"$.b": "count"}},
            {"id": "$[0]", "missing": "null", "duplicates": "each", "order": "number_down"},
        ],
        "positional": [{}, {"items": "$.a", "totals": {"$.b": Sum("$"), "$.c": "any"}}],
        "concat": [{}, {"by": "$"}, {"items": "$.a", "dedupe": "$", "totals": {"$.b": "drop"}, "order": "text_up"}],
        "dict_union": [{}, {"keys": "any"}, {"items": "$.a", "missing": "omit", "order": "text_down"}],
        "graphql": [{}, {"extensions": "drop"}],
        "jsonrpc": [{}],
    },
}


def kind(room, word):
    return getattr(import_module(f"{room.__name__}.{word}"), "".join(part.capitalize() for part in word.split("_")))


WORDS = [(room, module.name) for room in OPTIONS for module in iter_modules(room.__path__)]
SPLITTERS, MERGES = (
    [kind(room, word)(**options) for known, word in WORDS if known is room for options in OPTIONS[room][word]]
    for room in (split, merge)
)
every_kind = pytest.mark.parametrize(("room", "word"), WORDS, ids=[f"{room.__name__}.{word}" for room, word in WORDS])
every_splitter = pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
every_merge = pytest.mark.parametrize("one", MERGES, ids=repr)


@every_kind
def test_a_word_is_a_frozen_slotted_dataclass_that_says_what_it_does(room, word):
    found = kind(room, word)
    assert is_dataclass(found)
    assert found.__dataclass_params__.frozen
    assert "__dict__" not in dir(found(**OPTIONS[room][word][0]))
    assert getdoc(found)


@every_kind
def test_the_version_is_a_number_and_not_an_option(room, word):
    assert type(kind(room, word).version) is int
    assert "version" not in [field.name for field in fields(kind(room, word))]


@pytest.mark.parametrize("one", [*SPLITTERS, *MERGES], ids=repr)
def test_it_is_written_as_its_options(one):
    """A part's key depends on this, so nothing may stand there that differs between two processes."""
    assert " at 0x" not in repr(one)
    assert eval(repr(one), {type(one).__name__: type(one), "Sum": Sum}) == one


QUERIES = st.text("ab=&%+;,41 é", max_size=30).map(str.encode) | st.binary(max_size=30)
LEAVES = st.sampled_from(["1", "1.10", '"a"', "null", '"\\ud800"', "1e400", '"{a b}"', '"2.0"', '""'])
NAMES = ["a", "b", "jsonrpc", "method", "id", "query", "variables", "data", "result", "errors"]


def written_object(members):
    return "{" + ", ".join([f'"{name}" : {value}' for name, value in members]) + "}"


JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda elements: f"[{', '.join(elements)}]")
        | st.lists(st.tuples(st.sampled_from(NAMES), inner), max_size=4).map(written_object)
    ),
    max_leaves=12,
).map(str.encode)
BODIES = JSON | st.text('[]{}":, ab1\\', max_size=20).map(str.encode) | st.binary(max_size=20)


@every_splitter
@given(query=QUERIES, body=st.just(b"") | BODIES)
def test_whatever_is_asked_the_laws_hold_and_nothing_but_fallback_is_raised(splitter, query, body):
    request = Request("POST", b"/?" + query, ((b"content-length", b"%d" % len(body)),), body)
    try:
        found = check_cut(splitter, request)
    except Fallback:
        return
    if found is not None:
        check_cut(splitter, request, [0], [len(found.parts) - 1])


PARTS = st.lists(
    st.sampled_from(["a", "b", "1", "1.10", None]).map(
        lambda label: Part(str(label).encode(), str(label).encode(), label, b"1", optional=label == "b")
    ),
    min_size=1,
    max_size=4,
)


@every_merge
@given(body=BODIES, parts=PARTS)
def test_whatever_is_answered_the_laws_hold_and_nothing_but_fallback_is_raised(one, body, parts):
    try:
        check_answer(one, Response(200, (), body), parts)
    except Fallback:
        return


HOSTILE = {
    "a megabyte of &": b"&" * 1_000_000,
    "a megabyte of %": b"a=" + b"%" * 1_000_000,
    "a megabyte of %2C": b"a=" + b"%2C" * 333_333,
    "a megabyte of members": b"a=" + b"1," * 500_000,
    "a megabyte of spaces": b"a=" + b"+" * 1_000_000,
    "a megabyte of one parameter": b"a=1&" * 250_000,
    "100,000 arrays": b"[" * 100_000 + b"]" * 100_000,
    "half a million elements": b"[" + b"1," * 500_000 + b"1]",
    "a hundred thousand members": b"{" + b",".join([b'"%d":1' % number for number in range(100_000)]) + b"}",
    "a megabyte of escaped quotes": b'{"a":["' + b'\\"' * 500_000 + b'"]}',
    "a megabyte of white space": b'{"a":' + b" " * 1_000_000 + b"[1]}",
    "ten thousand calls": b"[" + b",".join([b'{"jsonrpc":"2.0","id":%d,"method":"a"}' % n for n in range(10_000)]) + b"]",
    "ten thousand fields": b'{"query":"{' + b"a{b} " * 10_000 + b'}"}',
    "a megabyte of a document": b'{"query":"{a(b:[' + b"1 " * 400_000 + b'])}"}',
    "a document of quotes": b'{"query":"' + b'\\"' * 400_000 + b'"}',
}  # fmt: skip


@every_splitter
@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_hostile_requests_cost_little(splitter, raw):
    began = process_time()
    for request in (Request("GET", b"/?" + raw), Request("POST", b"/", (), raw)):
        try:
            splitter.plan(request, LIMITS)
        except Fallback:
            pass
    assert process_time() - began < 3


ANSWERS = {
    "half a million items": b"[" + b"1," * 500_000 + b"1]",
    "items in items": b'{"a":[' + b'{"id":[[[[1]]]]},' * 60_000 + b"1]}",
    "a hundred thousand members": b'{"data":{' + b",".join([b'"%d":1' % number for number in range(100_000)]) + b"}}",
    "a megabyte of commas in a string": b'[ "' + b", " * 500_000 + b'"]',
    "a megabyte of quotes": b'["' + b'\\"' * 500_000 + b'"]',
    "a megabyte of white space": b'{"a":' + b" " * 1_000_000 + b"[1]}",
}


@every_merge
@pytest.mark.parametrize("body", ANSWERS.values(), ids=ANSWERS)
def test_large_answers_cost_little(one, body):
    began = process_time()
    try:
        one.slice(Response(200, (), body), [Part(b"1", b"1", "1")])
    except Fallback:
        pass
    assert process_time() - began < 3
