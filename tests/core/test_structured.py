"""Structured fields ⇄ values (RFC 9651): strict to the last byte, and never in trouble."""

from decimal import Decimal
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.structured import MOST_BYTES, MOST_PIECES, Date, DisplayString, Item, Token, dictionary, items, string

BARE = {
    "§3.3.1: an integer": (b"42", 42),
    "§3.3.1: a negative one": (b"-42", -42),
    "§3.3.1: zero": (b"0", 0),
    "§3.3.1: minus zero": (b"-0", 0),
    "§3.3.1: leading zeros": (b"0042", 42),
    "§3.3.1: fifteen digits": (b"999999999999999", 999_999_999_999_999),
    "§3.3.2: a decimal": (b"4.5", Decimal("4.5")),
    "§3.3.2: a negative one": (b"-0.50", Decimal("-0.5")),
    "§3.3.2: twelve digits and three": (b"123456789012.125", Decimal("123456789012.125")),
    "§3.3.3: a string": (b'"a b, c;d=(e)"', "a b, c;d=(e)"),
    "§3.3.3: an empty one": (b'""', ""),
    "§3.3.3: a quote and a backslash": (rb'"\"\\"', '"\\'),
    "§3.3.3: what follows a backslash is no escape": (rb'"\\n"', "\\n"),
    "§3.3.4: a token": (b"foo123/456", Token("foo123/456")),
    "§3.3.4: one that begins with a star": (b"*!#$%&'*+-.^_`|~:/a9", Token("*!#$%&'*+-.^_`|~:/a9")),
    "§3.3.4: a token may have capitals": (b"Abc", Token("Abc")),
    "§3.3.5: bytes": (b":aGVsbG8=:", b"hello"),
    "§3.3.5: none": (b"::", b""),
    "§4.2.7: missing padding is forgiven": (b":aGVsbG8:", b"hello"),
    "§4.2.7: bits in the padding are forgiven": (b":iZ==:", b"\x89"),
    "§3.3.6: true": (b"?1", True),
    "§3.3.6: false": (b"?0", False),
    "§3.3.7: a date": (b"@1659578233", Date(1659578233)),
    "§3.3.7: one before 1970": (b"@-1", Date(-1)),
    "§3.3.8: a text": (b'%"This is f%c3%bc% ok"', None),
    "§3.3.8: a text of any characters": (b'%"f%c3%bc%22\\"', DisplayString('fü"\\')),
    "§3.3.8: an empty one": (b'%""', DisplayString("")),
}


@pytest.mark.parametrize(("written", "value"), BARE.values(), ids=BARE)
def test_a_bare_value(written, value):
    found = items(written)
    if value is None:
        assert found is None
    else:
        assert found == [Item(value)]
        assert type(found[0].value) is type(value)


LISTS = {
    "§4.2: an empty field has no members": (b"", []),
    "§4.2: space alone has none": (b"   ", []),
    "§3.1: several": (b"1, 2,3", [Item(1), Item(2), Item(3)]),
    "§4.2: space around": (b"  1  ", [Item(1)]),
    "§4.2.1: tabs around commas": (b"1\t,\t 2", [Item(1), Item(2)]),
    "§4.2.1: tabs behind the last": (b"1 \t", [Item(1)]),
    "§3.1: repeated members stay": (b"a, a", [Item(Token("a")), Item(Token("a"))]),
    "§3.1.1: an inner list": (b'("a" b 1)', [Item((Item("a"), Item(Token("b")), Item(1)))]),
    "§3.1.1: an empty one": (b"()", [Item(())]),
    "§3.1.1: one of spaces": (b"(   )", [Item(())]),
    "§3.1.1: spaces within": (b"(  1   2  )", [Item((Item(1), Item(2)))]),
    "§3.1.1: params of its items and its own": (
        b"(a;x 1;y=2);z=?0",
        [Item((Item(Token("a"), {"x": True}), Item(1, {"y": 2})), {"z": False})],
    ),
    "§3.1.2: params": (b'a;b=1;c;d="x", 2', [Item(Token("a"), {"b": 1, "c": True, "d": "x"}), Item(2)]),
    "§3.1.2: space before their names": (b"a;  b=1", [Item(Token("a"), {"b": 1})]),
    "§3.1.2: of a repeated one the last counts": (b"a;b=1;b=2", [Item(Token("a"), {"b": 2})]),
    "§3.1.2: names with all they may have": (b"a;*a_-.*9=1", [Item(Token("a"), {"*a_-.*9": 1})]),
    "RFC 9211: an upstream's Cache-Status": (
        b'Cache; fwd=miss; ttl=-7; key="/a?b=c", Other; hit',
        [
            Item(Token("Cache"), {"fwd": Token("miss"), "ttl": -7, "key": "/a?b=c"}),
            Item(Token("Other"), {"hit": True}),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("written", "members"), LISTS.values(), ids=LISTS)
def test_a_list(written, members):
    assert items(written) == members


DICTIONARIES = {
    "§4.2: an empty field has no members": (b"", {}),
    "§3.2: several": (b"a=1, b=x,c=?0", {"a": Item(1), "b": Item(Token("x")), "c": Item(False)}),
    "§3.2: without a value it is true": (b"a, b", {"a": Item(True), "b": Item(True)}),
    "§3.2: with params it is too": (b"a;x=1", {"a": Item(True, {"x": 1})}),
    "§3.2: the last of a key counts": (b"a=1, b=2, a=3", {"a": Item(3), "b": Item(2)}),
    "§3.2: a member may be an inner list": (b'params=("a" "b")', {"params": Item((Item("a"), Item("b")))}),
    "§3.1.2: params of a member": (b"a=1;x;y=z", {"a": Item(1, {"x": True, "y": Token("z")})}),
    "§3.2: keys may begin with a star": (b"*=1", {"*": Item(1)}),
    "§3.2: tabs around commas": (b"a\t,\tb\t", {"a": Item(True), "b": Item(True)}),
}


@pytest.mark.parametrize(("written", "members"), DICTIONARIES.values(), ids=DICTIONARIES)
def test_a_dictionary(written, members):
    assert dictionary(written) == members


def test_a_repeated_key_keeps_its_first_place():
    assert list(dictionary(b"a=1, b=2, a=3")) == ["a", "b"]


NO_LISTS = {
    "§4.2.1: a comma behind the last": b"a,",
    "§4.2.1: a comma and space behind the last": b"a, \t",
    "§4.2.1: a comma before the first": b",a",
    "§4.2.1: two commas": b"a,,b",
    "§4.2.1: no comma": b"a b",
    "§4.2: a tab before the first": b"\ta",
    "§4.2.3: a semicolon behind space": b"a ;b",
    "§4.2.3.2: a param without a name": b"a;",
    "§4.2.3.2: a param with a capital": b"a;B=1",
    "§4.2.3.2: a param with an empty value": b"a;b=",
    "§4.2.3.2: a param with an inner list": b"a;b=(1)",
    "§4.2.3.2: space behind the name": b"a;b =1",
    "§4.2.3.2: space before the value": b"a;b= 1",
    "§4.2.3.2: a tab before the name": b"a;\tb",
    "§4.2.1.2: an inner list without end": b"(a",
    "§4.2.1.2: one without end behind space": b"(a ",
    "§4.2.1.2: one that only begins": b"(",
    "§4.2.1.2: one within another": b"((a))",
    "§4.2.1.2: commas within": b"(a, b)",
    "§4.2.1.2: no space within": b'("a""b")',
    "§4.2.1.2: tabs within": b"(a\tb)",
    "§4.2.1.2: only an end": b")",
    "§4.2.4: sixteen digits": b"1234567890123456",
    "§4.2.4: minus alone": b"-",
    "§4.2.4: two minus": b"--1",
    "§4.2.4: plus": b"+1",
    "§4.2.4: a decimal without fraction": b"1.",
    "§4.2.4: a decimal without whole": b".1",
    "§4.2.4: four digits of a fraction": b"1.2345",
    "§4.2.4: thirteen digits before it": b"1234567890123.1",
    "§4.2.4: two points": b"1.2.3",
    "§4.2.4: an exponent": b"1e3",
    "§4.2.5: a string without end": b'"a',
    "§4.2.5: one that ends in a backslash": b'"a\\',
    "§4.2.5: one that ends in an escaped quote": b'"a\\"',
    "§4.2.5: an escape of something else": b'"\\n"',
    "§4.2.5: a control": b'"a\x1f"',
    "§4.2.5: a delete": b'"a\x7f"',
    "§4.2.5: bytes above 127": b'"\xe9"',
    "§4.2.5: single quotes": b"'a'",
    "§4.2.6: a token that begins with a mark": b"&&&&&",
    "§4.2.6: a token with a bracket": b"a[",
    "§4.2.7: bytes without end": b":YQ==",
    "§4.2.7: padding before the end": b":YQ==YQ==:",
    "§4.2.7: padding at the beginning": b":=YQ=:",
    "§4.2.7: padding alone": b":=:",
    "§4.2.7: too much padding": b":YQ===:",
    "§4.2.7: one letter": b":a:",
    "§4.2.7: a letter of another alphabet": b":_-==:",
    "§4.2.7: white space": b":Y Q==:",
    "§4.2.8: two": b"?2",
    "§4.2.8: a word": b"?true",
    "§4.2.8: a question mark alone": b"?",
    "§4.2.9: a date with a fraction": b"@1.5",
    "§4.2.9: one without digits": b"@",
    "§4.2.9: one of sixteen digits": b"@1234567890123456",
    "§4.2.10: a text without end": b'%"a',
    "§4.2.10: one without quotes": b"%a",
    "§4.2.10: capital hex digits": b'%"%C3%BC"',
    "§4.2.10: one hex digit": b'%"%c"',
    "§4.2.10: bytes that are no UTF-8": b'%"%ff"',
    "§4.2.10: half a character": b'%"%c3"',
    "§4.2.10: a surrogate": b'%"%ed%a0%80"',
    "§4.2.10: bytes above 127": b'%"\xc3\xbc"',
    "§4.2: bytes above 127": b"a\xff",
    "§4.2: a line break behind": b"a\n",
    "a zero byte": b"a\0",
}


@pytest.mark.parametrize("written", NO_LISTS.values(), ids=NO_LISTS)
def test_what_is_no_list(written):
    assert items(written) is None
    assert dictionary(b"a=" + written) is None or written == b"\ta"


NO_DICTIONARIES = {
    "§4.2.2: a key with a capital": b"Max-Age=1",
    "§4.2.2: a key of digits": b"1=1",
    "§4.2.2: no key": b"=1",
    "§4.2.2: no value": b"a=",
    "§4.2.2: no value, and another member": b"a=,b",
    "§4.2.2: space before =": b"a =1",
    "§4.2.2: space behind =": b"a= 1",
    "§4.2.2: a string is no key": b'"a"=1',
    "§4.2.2: a comma behind the last": b"a=1,",
    "§4.2.2: a comma before the first": b",a=1",
    "§4.2.2: two commas": b"a=1,,b",
    "§4.2.2: no comma": b"a=1 b=2",
    "§4.2.2: a tab before the first": b"\ta=1",
    "§4.2: one bad member spoils all": b"max-age=10000, &&&&&",
}


@pytest.mark.parametrize("written", NO_DICTIONARIES.values(), ids=NO_DICTIONARIES)
def test_what_is_no_dictionary(written):
    assert dictionary(written) is None


def test_a_field_of_64_kib_is_the_longest():
    longest = b'"' + b"a" * (MOST_BYTES - 2) + b'"'
    assert items(longest) == [Item("a" * (MOST_BYTES - 2))]
    assert items(longest + b" ") is None
    assert dictionary(b"a" * MOST_BYTES) is not None
    assert dictionary(b"a" * (MOST_BYTES + 1)) is None


def test_a_field_of_many_members_is_read_and_one_of_very_many_is_not():
    """§3.1 and §3.2 ask for 1024 members, and for 256 in an inner list and in params."""
    assert len(items(b"a;b=1;c;d;e=2, " * 1024 + b"a")) == 1025
    assert len(dictionary(b", ".join(b"a%d=(1 2)" % number for number in range(1024)))) == 1024
    assert (
        len(items(b"(" + b"a " * 256 + b")" + b";".join(b"a%d" % number for number in range(257))[2:])[0].params) == 256
    )
    assert items(b"a," * (MOST_PIECES // 2 - 1) + b"a") is not None
    assert items(b"a," * (MOST_PIECES // 2) + b"a") is None


WRITTEN = {
    "§4.1.6: a string": ("a b", b'"a b"'),
    "an empty one": ("", b'""'),
    "quotes and backslashes": ('a"b\\', rb'"a\"b\\"'),
    "what none can hold": ("é\n\x7f", b'"???"'),
    "a lone surrogate": ("\ud800", b'"?"'),
}


@pytest.mark.parametrize(("text", "written"), WRITTEN.values(), ids=WRITTEN)
def test_string(text, written):
    assert string(text) == written


ascii_text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))


@given(ascii_text)
def test_what_is_written_is_read_back(text):
    assert items(string(text)) == [Item(text)]
    assert dictionary(b"a=" + string(text)) == {"a": Item(text)}


@given(st.text(st.characters()))
def test_any_text_can_be_written(text):
    [member] = items(string(text))
    assert len(member.value) == len(text)


pieces = st.sampled_from(
    [b",", b" ", b"\t", b"=", b";", b"(", b")", b'"', b"\\", b":", b"?1", b"@", b"%", b"a", b"1", b".", b"-", b"\xff"]
)
hostile = st.one_of(st.binary(), st.lists(pieces, max_size=30).map(b"".join))


@given(hostile)
def test_reading_never_raises(value):
    for found in (items(value), dictionary(value)):
        assert found is None or len(found) <= len(value)


@given(hostile, hostile)
def test_two_lists_joined_are_one_list(one, other):
    """As fields on several lines are (RFC 9110 §5.3)."""
    if (first := items(one)) and (second := items(other)):
        assert items(one + b", " + other.lstrip(b" ")) == first + second


HOSTILE = {
    "commas": b"," * MOST_BYTES,
    "spaces": b" " * MOST_BYTES,
    "a member, then spaces": b"a," + b" " * (MOST_BYTES - 3) + b"!",
    "a member, then tabs": b"a," + b"\t" * (MOST_BYTES - 2),
    "members": b"a," * (MOST_BYTES // 2 - 1) + b"a",
    "tokens in a list": b"(" + b"a " * (MOST_BYTES // 2 - 1) + b")",
    "lists in lists": b"(" * MOST_BYTES,
    "lists": b"()," * (MOST_BYTES // 3),
    "params": b"a" + b";a" * (MOST_BYTES // 2 - 1),
    "params of one name, then nonsense": b"a" + b";a=1" * (MOST_BYTES // 4 - 1) + b"!",
    "a string without end": b'"' + b"a" * (MOST_BYTES - 1),
    "escapes": b'"' + b"\\\\" * (MOST_BYTES // 2 - 1),
    "base64 without end": b":" + b"A" * (MOST_BYTES - 1),
    "padding without end": b":" + b"=" * (MOST_BYTES - 1),
    "a text of escapes": b'%"' + b"%41" * (MOST_BYTES // 3 - 2) + b'"',
    "digits": b"1" * MOST_BYTES,
}


def seconds_to_read(value: bytes) -> float:
    began = process_time()
    items(value)
    dictionary(b"a=" + value[:-2])
    return process_time() - began


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.timeout(10)
def test_no_value_takes_long_to_read(value):
    """64 KiB as a list and as a dictionary, slowed by coverage."""
    assert any(seconds_to_read(value) < 2.0 for _ in range(3))
