"""`json`: what is one document, and what is not."""

import json

import pytest
from fakes import answer

from proxy.core.compare.json import Json
from proxy.core.difference import Difference


def told(control, candidate, media_type=b"application/json"):
    def sent(body):
        return answer(body if isinstance(body, bytes) else body.encode(), (b"content-type", media_type))

    return Json().difference(sent(control), sent(candidate))


EQUAL = {
    "white space": ('{"a": [1, 2]}', '\n{"a":[1,2] }\t'),
    "the order of members": ('{"a":1,"b":{"c":2,"d":3}}', '{"b":{"d":3,"c":2},"a":1}'),
    "escapes": ('["é/\\n"]', '["\\u00e9\\/\\u000a"]'),
    "escapes in names": ('{"a":1}', '{"\\u0061":1}'),
    "half a character": ('["\\ud800"]', '["\\uD800"]'),
    "1.0 and 1": ("[1.0]", "[1]"),
    "1e2 and 100": ("[1e2]", "[100]"),
    "-0 and 0": ("[-0.0]", "[0]"),
    "one large exponent": ("[1e999999999]", "[10E+999999998]"),
    "a document of one number": ("1.50", " 1.5"),
    "nothing in it": ("[[],{}]", "[ [ ] , { } ]"),
}


@pytest.mark.parametrize(("control", "candidate"), EQUAL.values(), ids=EQUAL)
def test_one_document(control, candidate):
    assert told(control, candidate) is None
    assert told(candidate, control) is None


DIFFERENT = {
    "a text": ('{"a":"x"}', '{"a":"yy"}', "$.a", "value", "string of 1 character", "string of 2 characters"),
    "the case of letters": ('["a"]', '["A"]', "$[0]", "value", "string of 1 character", "string of 1 character"),
    "another normal form": ('["é"]', '["e\\u0301"]', "$[0]", "value", "string of 1 character", "string of 2 characters"),
    "true and false": ("[true]", "[false]", "$[0]", "value", "boolean", "boolean"),
    "a number": ('{"a":{"b":1}}', '{"a":{"b":12}}', "$.a.b", "number", "number, 1 digit", "number, 2 digits"),
    "2^53 and one more": ("[9007199254740992]", "[9007199254740993]", "$[0]", "number", "number, 16 digits", "number, 16 digits"),
    "0.1 + 0.2 and 0.3": ("[0.30000000000000004]", "[0.3]", "$[0]", "number", "number, 18 digits", "number, 2 digits"),
    "a sign": ("[1]", "[-1]", "$[0]", "number", "number, 1 digit", "number, 1 digit"),
    "large exponents": ("[1e999999999]", "[1e999999998]", "$[0]", "number", "number, 10 digits", "number, 10 digits"),
    "a number and its text": ("[1]", '["1"]', "$[0]", "type", "number, 1 digit", "string of 1 character"),
    "a number and a truth": ("[1]", "[true]", "$[0]", "type", "number, 1 digit", "boolean"),
    "an array and an object": ("[[]]", "[{}]", "$[0]", "type", "array of 0", "object of 0 members"),
    "an object and null": ('{"a":{"b":1}}', '{"a":null}', "$.a", "type", "object of 1 member", "null"),
    "null and nothing": ('{"a":null}', "{}", "$.a", "missing", "null", "absent"),
    "nothing and null": ("{}", '{"a":null}', "$.a", "extra", "absent", "null"),
    "a member that is not there": ('{"a":[1],"b":1}', '{"b":2}', "$.a", "missing", "array of 1", "absent"),
    "a member too many": ('{"b":1}', '{"a":[1],"b":1}', "$.a", "extra", "absent", "array of 1"),
    "an element too many": ('{"a":[1,2]}', '{"a":[1,2,3]}', "$.a", "length", "array of 2", "array of 3"),
    "no elements": ('{"a":[1,2]}', '{"a":[]}', "$.a", "length", "array of 2", "array of 0"),
    "an order": ('{"a":[1,2,3]}', '{"a":[3,1.0,2]}', "$.a", "order", "array of 3", "array of 3"),
    "an order of objects": ('[{"a":1,"b":[]},{"a":2}]', '[{"a":2},{"b":[],"a":1e0}]', "$", "order", "array of 2", "array of 2"),
    "an order in an order": ("[[1,2],[3,4]]", "[[2,1],[3,4]]", "$[0]", "order", "array of 2", "array of 2"),
    "no order: one of them is twice": ("[1,1,2]", "[1,2,2]", "$[1]", "number", "number, 1 digit", "number, 1 digit"),
    "no order of one": ("[[1]]", "[[2]]", "$[0][0]", "number", "number, 1 digit", "number, 1 digit"),
    "the document": ("1", '"1"', "$", "type", "number, 1 digit", "string of 1 character"),
    "the first of several, in the control's order": ('{"b":1,"a":1}', '{"a":2,"b":2,"c":2}', "$.b", "number", "number, 1 digit", "number, 1 digit"),
    "what differs before what is too many": ('{"b":1}', '{"a":0,"b":2}', "$.b", "number", "number, 1 digit", "number, 1 digit"),
}  # fmt: skip


@pytest.mark.parametrize(("control", "candidate", "path", "kind", "one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_documents_that_differ(control, candidate, path, kind, one, other):
    assert told(control, candidate) == Difference(path, kind, one, other)
    assert told(candidate, control) is not None


BY_BYTES = {
    "what is no JSON": (b"<html>", b"<HTML>", 1),
    "one that is none": (b'{"a":1}', b"<html>", 0),
    "another that is none": (b"{", b'{ "a":1}', 1),
    "a member twice": (b'{"a":1,"a":2}', b'{"a":2}', 5),
    "a member twice, once escaped": (b'{"a":1,"\\u0061":1}', b'{"a":1}', 6),
    "NaN": (b"[NaN]", b"[ NaN]", 1),
    "bytes that are not UTF-8": (b'["\xff"]', b'[ "\xff"]', 1),
    "a byte order mark": (b"\xef\xbb\xbf{}", b"{}", 0),
    "too many levels": (b"[" * 101 + b"]" * 101, b" " + b"[" * 101 + b"]" * 101, 0),
    "nothing": (b"", b" ", 0),
}


@pytest.mark.parametrize(("control", "candidate", "place"), BY_BYTES.values(), ids=BY_BYTES)
def test_what_cannot_be_read_is_compared_by_its_bytes(control, candidate, place):
    assert told(control, control) is None
    found = told(control, candidate)
    assert (found.path, found.kind) == (f"byte {place}", "bytes")


def test_what_says_another_charset_is_compared_by_its_bytes():
    assert told("{}", " {}", b"application/json; charset=utf-16").kind == "bytes"
    assert told("{}", " {}", b"application/json; charset=utf-8") is None


def test_a_time_is_told_as_one():
    one, other = ({"at": at} for at in ("2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z"))
    assert told(json.dumps(one), json.dumps(other)).is_time
