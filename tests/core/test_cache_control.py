"""Cache-Control ⇄ directives (RFC 9111 §5.2): lenient in reading, and never in the dangerous direction."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cache_control import NONE, parse, seconds

PARSED = {
    "no field has no directives": (None, {}),
    "an empty one neither": (b"", {}),
    "a directive without an argument": (b"no-store", {"no-store": None}),
    "one with an argument": (b"max-age=60", {"max-age": "60"}),
    "several": (b"public, max-age=60", {"public": None, "max-age": "60"}),
    "§5.2: names have no case": (b"No-Store, MAX-AGE=1", {"no-store": None, "max-age": "1"}),
    "arguments have": (b"x=Ab", {"x": "Ab"}),
    "RFC 9110 §5.6.1: empty members count for nothing": (b",, ,a,,b ,", {"a": None, "b": None}),
    "space is not needed": (b"a,b=1,c", {"a": None, "b": "1", "c": None}),
    "tabs are space": (b"\ta\t,\tb\t", {"a": None, "b": None}),
    "§5.2: an argument may be quoted": (b'max-age="60", b', {"max-age": "60", "b": None}),
    "a comma in quotes separates nothing": (b'private="a, no-store", b', {"private": "a, no-store", "b": None}),
    "an escaped quote ends no quotes": (b'a="x\\", no-store", b', {"a": 'x\\", no-store', "b": None}),
    "an empty argument is none": (b'a=, b="", c', {"a": None, "b": None, "c": None}),
    "§4.2.1: of a repeated directive the first counts": (b"max-age=1, max-age=2", {"max-age": "1"}),
    "of one repeated in another case too": (b"max-age=1, Max-Age=2", {"max-age": "1"}),
    "quotes that never end hide nothing": (b'a="b, no-store', {"a": None, "no-store": None}),
    "what stands behind an argument is skipped": (b"max-age=60;x, b", {"max-age": "60", "b": None}),
    "space before = makes no argument": (b"max-age =60, b", {"max-age": None, "b": None}),
    "space behind = makes none either": (b"max-age= 60, b", {"max-age": None, "b": None}),
    "single quotes quote nothing": (b"max-age='60'", {"max-age": "'60'"}),
    "what is no token is skipped": (b"@, =, b", {"b": None}),
    "bytes above 127 are text": (b"a=\xe9", {"a": "é"}),
}


@pytest.mark.parametrize(("value", "directives"), PARSED.values(), ids=PARSED)
def test_parse(value, directives):
    assert parse(value) == directives


def test_nothing_is_one_and_the_same_nothing():
    assert parse(None) is NONE
    assert parse(b"") is NONE


SECONDS = {
    "absent is None": (b"", None),
    "a number is that many seconds": (b"max-age=60", 60.0),
    "zero is a number": (b"max-age=0", 0.0),
    "leading zeros mean nothing": (b"max-age=0060", 60.0),
    "quotes mean nothing": (b'max-age="60"', 60.0),
    "§4.2.1: without a number it is stale": (b"max-age", 0.0),
    "an empty one too": (b"max-age=", 0.0),
    "a negative one too": (b"max-age=-1", 0.0),
    "a signed one too": (b"max-age=+1", 0.0),
    "one with a fraction too": (b"max-age=1.5", 0.0),
    "one with letters too": (b"max-age=60s", 0.0),
    "digits beyond ASCII are none": ("max-age=²".encode("latin-1"), 0.0),
    "§1.2.2: 2³¹ is the most": (b"max-age=2147483648", 2.0**31),
    "§1.2.2: more is 2³¹": (b"max-age=2147483649", 2.0**31),
    "§1.2.2: far more is 2³¹": (b"max-age=" + b"9" * 5000, 2.0**31),
}


@pytest.mark.parametrize(("value", "number"), SECONDS.values(), ids=SECONDS)
def test_seconds(value, number):
    assert seconds(parse(value), "max-age") == number


pieces = st.sampled_from([b",", b" ", b"=", b'"', b"\\", b"a", b"max-age", b"no-store", b"\xff", b"\0", b"\n"])
hostile = st.one_of(st.binary(), st.lists(pieces, max_size=40).map(b"".join))


@given(hostile)
def test_parsing_never_raises(value):
    for name, argument in parse(value).items():
        assert name == name.lower()
        assert argument != ""
        assert seconds(parse(value), name) is not None


@given(hostile)
def test_a_directive_that_forbids_is_found_behind_anything(value):
    """As long as no quotes are open, nothing before a directive can hide it."""
    assert "no-store" in parse(value.replace(b'"', b"") + b",no-store")


_KIB64 = 2**16
HOSTILE = {
    "commas": b"," * _KIB64,
    "spaces": b" " * _KIB64,
    "commas and spaces": b", " * (_KIB64 // 2),
    "a directive, then spaces": b"a=1," + b" " * _KIB64,
    "a token without end": b"a" * _KIB64,
    "quotes without end": b'a="' + b"x" * _KIB64,
    "escapes without end": b'a="' + b"\\" * _KIB64,
    "escaped quotes": b'a="' + b'\\"' * (_KIB64 // 2),
    "many quotes that never end": b'a="' * (_KIB64 // 3),
    "quotes and escapes by turns": b'a="\\",' * (_KIB64 // 6),
    "equals signs": b"=" * _KIB64,
    "nothing that is a token": b"\xff" * _KIB64,
    "spaces and nothing that is a token": b" \xff" * (_KIB64 // 2),
    "many directives": b"a," * (_KIB64 // 2),
}


def seconds_to_parse(value: bytes) -> float:
    began = process_time()
    parse(value)
    return process_time() - began


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.timeout(10)
def test_no_value_takes_long_to_parse(value):
    """A field may be as long as a head, and its bytes are a client's or an upstream's: 64 KiB take half a minute where it backtracks."""
    assert any(seconds_to_parse(value) < 1.0 for _ in range(3))
