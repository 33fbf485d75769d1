"""JSON for keys: what is read, what is refused, what is written."""

import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.json_text import MAX_DEPTH, Verbatim, parse, text, write
from proxy.core.reasons import Reason
from proxy.errors import Fallback

WRITTEN = {
    "white space means nothing": (b' \t\r\n{ "a" : [ 1 , true ] } \n', b'{"a":[1,true]}'),
    "scalars are documents": (b'"a"', b'"a"'),
    "the three words": (b"[true,false,null]", b"[true,false,null]"),
    "empty ones": (b'[{},[],""]', b'[{},[],""]'),
    "members have no order": (b'{"b":1,"a":2}', b'{"a":2,"b":1}'),
    "members inside have none either": (b'[{"b":1,"a":{"d":1,"c":2}}]', b'[{"a":{"c":2,"d":1},"b":1}]'),
    "elements have an order": (b"[2,1]", b"[2,1]"),
    "members are sorted by UTF-16 code units (RFC 8785 3.2.3)": (
        '{"€":1,"\\r":2,"\ufb33":3,"1":4,"😀":5,"\\u0080":6,"ö":7}'.encode(),
        b'{"\\r":2,"1":4,"\\u0080":6,"\\u00f6":7,"\\u20ac":1,"\\ud83d\\ude00":5,"\\ufb33":3}',
    ),
    "lone surrogates are sorted as the units they are": (
        b'{"\\ue000":1,"\\udc00":2,"\\ud800":3}',
        b'{"\\ud800":3,"\\udc00":2,"\\ue000":1}',
    ),
    "an escape means its character": (b'"\\u0061\\/\\u00e9"', b'"a/\\u00e9"'),
    "characters beyond ASCII have one form": ('"é"'.encode(), b'"\\u00e9"'),
    "a pair of surrogates is one character": (b'"\\ud83d\\ude00"', '"😀"'),
    "hex digits have no case": (b'"\\u00E9"', b'"\\u00e9"'),
    "control characters have one form": (b'"\\u000a\\u0000\\u007f"', b'"\\n\\u0000\\u007f"'),
    "quotes and backslashes": (b'"\\"\\\\\\u0022"', b'"\\"\\\\\\""'),
    "a lone surrogate survives": (b'"\\ud800"', b'"\\ud800"'),
    "the text of an escape is not the escape": (b'"\\\\ud800"', b'"\\\\ud800"'),
    "line separators": ('"\u2028"'.encode(), b'"\\u2028"'),
}


@pytest.mark.parametrize(("body", "written"), WRITTEN.values(), ids=WRITTEN)
def test_write(body, written):
    expected = written if isinstance(written, bytes) else write(parse(written.encode()))
    assert write(parse(body)) == expected


NUMBERS = [
    "0",
    "-0",
    "1",
    "-1",
    "10",
    "1.0",
    "1.10",
    "1.1",
    "1e0",
    "1E0",
    "1e+0",
    "1e-0",
    "1e5",
    "100000",
    "0.1",
    "0.10",
    "0e1",
    "-0.0",
    "9007199254740992",
    "9007199254740993",
    "1e400",
    "-1e400",
    "1e-400",
    "0.30000000000000004",
    "0.3",
    "123456789012345678901234567890",
]


def test_number_literals_stay_as_written_and_different():
    assert write(parse(f"[{','.join(NUMBERS)}]".encode())) == f"[{','.join(NUMBERS)}]".encode()
    assert len({write(parse(number.encode())) for number in NUMBERS}) == len(NUMBERS)


def test_a_number_is_not_its_text():
    assert write(parse(b'[1,"1"]')) == b'[1,"1"]'


def test_a_number_of_ten_thousand_digits_is_a_number():
    assert write(parse(b"9" * 10_000)) == b"9" * 10_000


SYNTAX = {
    "nothing": b"",
    "white space only": b" ",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "UTF-16 without a mark": "{}".encode("utf-16-le"),
    "invalid UTF-8": b'"\xff"',
    "an overlong form": b'"\xc0\xaf"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "half a character": b'"\xc3',
    "gzip": b"\x1f\x8b\x08\x00",
    "bytes after the document": b"{} x",
    "two documents": b"{}{}",
    "NUL after the document": b"{}\0",
    "NaN": b"[NaN]",
    "Infinity": b"[Infinity]",
    "-Infinity": b"[-Infinity]",
    "a comma too many in an array": b"[1,]",
    "a comma too many in an object": b'{"a":1,}',
    "a comma too few": b"[1 2]",
    "a name without quotes": b"{a:1}",
    "a name that is a number": b"{1:1}",
    "single quotes": b"['a']",
    "a comment": b"[1/**/]",
    "an open array": b"[1",
    "an open object": b'{"a":1',
    "an open string": b'"a',
    "an open string with brackets": b'"' + b"[" * 1000,
    "a closing bracket of the other kind": b"[}",
    "a number that starts with 0": b"[01]",
    "a number that starts with +": b"[+1]",
    "a number that starts with a point": b"[.5]",
    "a number that ends with a point": b"[1.]",
    "an exponent without digits": b"[1e]",
    "a hexadecimal number": b"[0x1]",
    "a minus alone": b"[-]",
    "a digit that is not ASCII": "[１]".encode(),
    "a control character in a string": b'"\n"',
    "a tab in a string": b'"\t"',
    "an unknown escape": b'"\\x41"',
    "an escape that is too short": b'"\\u12"',
    "an escape with a sign": b'"\\u+123"',
    "a word in capitals": b"[True]",
    "white space that JSON does not know": b"[1,\x0c2]",
    "a no-break space": "[1,\u00a02]".encode(),
}


@pytest.mark.parametrize("body", SYNTAX.values(), ids=SYNTAX)
def test_refused_syntax(body):
    assert reason(body) == Reason.KEY_BODY_SYNTAX


def reason(body):
    with pytest.raises(Fallback) as fallback:
        parse(body)
    return fallback.value.reason


DUPLICATES = {
    "a name twice": b'{"a":1,"a":2}',
    "also with equal values": b'{"a":1,"a":1}',
    "also by an escape": b'{"a":1,"\\u0061":2}',
    "also deep inside": b'[{"x":[{"a":1,"b":2,"a":1}]}]',
    "also the empty name": b'{"":1,"":2}',
}


@pytest.mark.parametrize("body", DUPLICATES.values(), ids=DUPLICATES)
def test_refused_duplicates(body):
    assert reason(body) == Reason.KEY_DUPLICATE_MEMBER


def test_names_that_differ_in_case_or_form_are_two():
    assert write(parse('{"a":1,"A":2,"é":3,"e\u0301":4}'.encode())).count(b":") == 4


def nested(depth):
    return b"[" * depth + b"]" * depth


DEEP = {
    "101 arrays": nested(MAX_DEPTH + 1),
    "101 objects": b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
    "arrays and objects together": b'[{"a":' * 51 + b"1" + b"}]" * 51,
    "100,000 arrays": nested(100_000),
    "100,000 arrays that nothing closes": b"[" * 100_000,
    "after a string with brackets and quotes": b'["]]]\\"]]]\\\\",' + nested(MAX_DEPTH) + b"]",
    "after a wide part": b"[" + b"[]," * 1000 + nested(MAX_DEPTH) + b"]",
}


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP)
def test_refused_depth(body):
    assert reason(body) == Reason.KEY_BODY_DEPTH


ALLOWED = {
    "100 arrays": nested(MAX_DEPTH),
    "100 objects": b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
    "a wide document": b"[" + b",".join([b"[]"] * 1000) + b"]",
    "brackets in strings": b'["' + b"[{" * 1000 + b'"]',
    "brackets after an escaped quote": b'["\\"' + b"[" * 1000 + b'"]',
}


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_allowed_depth(body):
    assert write(parse(body)) == body


HOSTILE = {
    "ten million opening brackets": b"[" * 10_000_000,
    "ten million bytes of a string with nothing but quotes": b'"' + b'\\"' * 5_000_000,
    "a string with brackets that nothing ends": b'"[' * 101 + b'\\"' * 1_000_000,
    "a name of ten million bytes": b'{"' + b"a" * 10_000_000 + b'":1}',
    "a number of ten million digits": b"1" * 10_000_000,
    "escapes": b'"' + b"\\u0041" * 1_000_000 + b'"',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bodies_cost_little(body):
    began = process_time()
    try:
        write(parse(body))
    except Fallback:
        pass
    assert process_time() - began < 2


def test_a_written_part_is_written_as_it_stands():
    part = text(parse(b'{"b":1.10,"a":"x"}'))
    assert isinstance(part, Verbatim)
    assert write(["x", part]) == b'["x",{"a":"x","b":1.10}]'


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@given(TREES)
def test_what_is_written_means_what_was_read(tree):
    written = write(parse(json.dumps(tree).encode()))
    assert json.loads(written) == tree
    assert write(parse(written)) == written


@given(TREES, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_spelling_does_not_matter(tree, ascii_only, indent):
    other = json.dumps(tree, ensure_ascii=ascii_only, indent=indent, sort_keys=True)
    assert write(parse(other.encode())) == write(parse(json.dumps(tree).encode()))


@given(TREES, TREES)
def test_documents_that_differ_are_written_differently(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (write(parse(json.dumps(one).encode())) == write(parse(json.dumps(other).encode()))) is same


@given(st.binary() | st.text('[]{}",:\\u0123 aeE+-.', max_size=30).map(str.encode))
def test_any_bytes_are_read_as_the_standard_library_reads_them_or_refused(body):
    try:
        written = write(parse(body))
    except Fallback:
        return
    assert json.loads(written) == json.loads(body)
