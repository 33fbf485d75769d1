"""`bytes`, and what every profile looks at before the bodies."""

from time import process_time

import pytest
from fakes import Body, answer
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.compare.bytes import Bytes
from proxy.core.difference import Difference


def typed(media_type=b"application/json", body=b"{}", status=200):
    return answer(body, *[(b"content-type", one) for one in [media_type] if one is not None], status=status)


TYPES = {
    "another type": (b"text/html", b"text/plain", "text/html", "text/plain"),
    "none": (b"text/html", None, "text/html", "absent"),
    "another charset": (b"text/html;charset=utf-8", b"text/html; charset=iso-8859-1", "text/html; charset=utf-8", "text/html; charset=iso-8859-1"),
    "no charset": (b"text/html", b"text/html; charset=utf-8", "text/html", "text/html; charset=utf-8"),
    "a type that nobody knows": (b"text/secret", b"text/html", "type of 11 characters", "text/html"),
    "a charset that nobody knows": (b"text/html;charset=secret", b"text/html", "text/html; charset=6 characters", "text/html"),
    "bytes that are no text": (b"\xff\xfe", b"text/html", "type of 2 characters", "text/html"),
}  # fmt: skip
SAME_TYPES = {
    "none": (None, None),
    "in capitals": (b"Text/HTML", b"text/html"),
    "a charset in quotes": (b"text/html;charset=UTF-8", b'text/html; Charset="utf-8"'),
    "a charset without its hyphen": (b"text/html;charset=utf8", b"text/html; charset=utf-8"),
    "other parameters": (b"text/html;boundary=a", b"text/html; q=1 ;level"),
}


@pytest.mark.parametrize(("one", "other", "control", "candidate"), TYPES.values(), ids=TYPES)
def test_media_types_that_differ(one, other, control, candidate):
    expected = Difference("media_type", "media_type", control, candidate)
    assert Bytes().difference(typed(one), typed(other, b"[]")) == expected


@pytest.mark.parametrize(("one", "other"), SAME_TYPES.values(), ids=SAME_TYPES)
def test_media_types_that_are_one(one, other):
    assert Bytes().difference(typed(one), typed(other)) is None


STATUSES = {
    "an error for an answer": (200, 500),
    "an answer for an error": (404, 200),
    "an error of another class": (404, 500),
    "another success": (200, 201),
    "another redirect": (301, 302),
}


@pytest.mark.parametrize(("one", "other"), STATUSES.values(), ids=STATUSES)
def test_a_status_that_differs_is_told_first(one, other):
    expected = Difference("status", "status", f"status {one}", f"status {other}")
    assert Bytes().difference(typed(b"text/html", b"a", one), typed(b"text/plain", b"b", other)) == expected


@pytest.mark.parametrize(("one", "other"), [(404, 404), (400, 499), (500, 503), (599, 500)])
def test_errors_of_one_class_are_equal_whatever_they_say(one, other):
    assert Bytes().difference(typed(b"text/html", b"a", one), typed(None, b"b", other)) is None


PLACES = {
    "the first": (b"abc", b"xbc", 0),
    "one within": (b"abcdefgh", b"abcdeFGH", 5),
    "the last": (b"abc", b"abx", 2),
    "the end of the control": (b"abc", b"abcd", 3),
    "the end of the candidate": (b"abcd", b"abc", 3),
    "no control": (b"", b"a", 0),
    "no candidate": (b"a", b"", 0),
    "two places": (b"abcdef", b"xbcdex", 0),
}


@pytest.mark.parametrize(("one", "other", "place"), PLACES.values(), ids=PLACES)
def test_the_first_byte_that_differs(one, other, place):
    expected = Difference(f"byte {place}", "bytes", f"{len(one)} bytes", f"{len(other)} bytes")
    assert Bytes().difference(typed(body=one), typed(body=other)) == expected


@given(st.binary(max_size=50), st.binary(max_size=50), st.binary(max_size=50))
def test_bytes_are_equal_up_to_the_place_and_differ_there(both, one, other):
    one, other = both + one, both + other
    found = Bytes().difference(typed(body=one), typed(body=other))
    if found is None:
        assert one == other
        return
    place = int(found.path.removeprefix("byte "))
    assert one[:place] == other[:place]
    assert one[place : place + 1] != other[place : place + 1]


def test_the_last_of_many_bytes_is_found_at_the_speed_of_memory():
    one, other = b"a" * 50_000_000, b"a" * 49_999_999 + b"b"
    began = process_time()
    found = Bytes().difference(typed(body=one), typed(body=other))
    assert process_time() - began < 1
    assert found.path == "byte 49999999"


def test_a_body_that_is_still_arriving_is_a_mistake_of_ours():
    with pytest.raises(TypeError, match="still arriving"):
        Bytes().difference(typed(body=b""), answer(Body(b"{}"), (b"content-type", b"application/json")))
