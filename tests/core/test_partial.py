"""Partial answers: what is held of a representation, what is missing, and both together (RFC 9111 §3.3, §3.4)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.partial import Held, combined, completed, completing, content_range, cut_part, missing, united
from proxy.core.types import Entry, Request, Response

BODY = b"0123456789"
TAG = (b"etag", b'"a"')


def answer(*headers: tuple[bytes, bytes], status: int = 200, body: bytes = BODY) -> Response:
    return Response(status, ((b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body)), *headers), body)


CONTENT_RANGES = {
    "§14.4: a part": (b"bytes 4-9/10", Held(4, 10, 10)),
    "the whole": (b"bytes 0-9/10", Held(0, 10, 10)),
    "one byte": (b"bytes 0-0/1", Held(0, 1, 1)),
    "§14.1: a unit has no case": (b"Bytes 0-0/1", Held(0, 1, 1)),
    "none": (None, None),
    "an empty one": (b"", None),
    "of how many is not known": (b"bytes 4-9/*", None),
    "§14.4: unsatisfied": (b"bytes */10", None),
    "§14.4: last before first": (b"bytes 5-4/10", None),
    "§14.4: last beyond the end": (b"bytes 5-10/10", None),
    "another unit": (b"lines 0-0/1", None),
    "an equals sign": (b"bytes=0-0/1", None),
    "two spaces": (b"bytes  0-0/1", None),
    "something behind": (b"bytes 0-0/1 ", None),
    "two of them": (b"bytes 0-0/2, bytes 1-1/2", None),
    "very many digits": (b"bytes 0-0/" + b"9" * 5000, None),
}


@pytest.mark.parametrize(("value", "held"), CONTENT_RANGES.values(), ids=CONTENT_RANGES)
def test_content_range(value, held):
    assert content_range(value) == held


def stored_part(held: bytes = b"bytes 2-6/10", body: bytes = b"23456") -> Response:
    return answer((b"content-range", held), (b"etag", b'"a"'), status=206, body=body)


FROM_A_PART = {
    "the same part": (b"bytes=2-6", b"bytes 2-6/10", b"23456"),
    "some of it": (b"bytes=3-4", b"bytes 3-4/10", b"34"),
    "more than it": (b"bytes=2-7", None, None),
    "from before it": (b"bytes=1-3", None, None),
    "to the end": (b"bytes=3-", None, None),
    "a suffix that it does not reach": (b"bytes=-5", None, None),
    "two ranges": (b"bytes=2-2,4-4", None, None),
    "nothing of the whole": (b"bytes=10-", None, None),
    "malformed": (b"bytes=x", None, None),
}


@pytest.mark.parametrize(("value", "held", "body"), FROM_A_PART.values(), ids=FROM_A_PART)
def test_cut_out_of_a_part(value, held, body):
    """RFC 9111 §3.3: a part may be reused for what it holds."""
    part = cut_part(stored_part(), value)
    if body is None:
        assert part is None
    else:
        assert (part.status, part.body) == (206, body)
        assert part.headers[2:] == ((b"content-range", held), (b"content-length", b"%d" % len(body)))


def test_cut_out_of_the_last_part():
    last = stored_part(b"bytes 5-9/10", b"56789")
    assert cut_part(last, b"bytes=-5").body == b"56789"
    assert cut_part(last, b"bytes=6-").body == b"6789"


def test_a_part_that_is_not_what_it_says_is_not_used():
    assert cut_part(stored_part(b"bytes 2-7/10"), b"bytes=2-2") is None
    assert cut_part(stored_part(b"bytes 6-9/10"), b"bytes=6-6") is None
    assert cut_part(stored_part(b"bytes 2-99/100"), b"bytes=-1") is None, "more than one byte short is no slip"
    assert cut_part(stored_part(b"bytes 2-6/*"), b"bytes=2-2") is None


MISCOUNTED = {
    "the same range": (b"bytes=-5", b"23456"),
    "some of it": (b"bytes=4-5", b"45"),
    "to the end": (b"bytes=5-", b"56"),
    "the last byte": (b"bytes=-1", b"6"),
    "from before it": (b"bytes=1-3", None),
}


@pytest.mark.parametrize(("value", "body"), MISCOUNTED.values(), ids=MISCOUNTED)
def test_an_end_that_the_origin_miscounted_is_where_its_bytes_end(value, body):
    """The suite's partial-store-partial-reuse-partial; such a part is never joined with another."""
    part = stored_part(b"bytes 2-7/8")
    got = cut_part(part, value)
    assert (None if got is None else got.body) == body
    assert combined(part, piece(0, b"01", size=8)) is None


def test_a_part_and_if_range():
    assert cut_part(stored_part(), b"bytes=2-2", b'"a"').body == b"2"
    assert cut_part(stored_part(), b"bytes=2-2", b'"b"') is None


def piece(start: int, body: bytes, *headers: tuple[bytes, bytes], size: int = 10, tag: bytes = b'"a"') -> Response:
    """Return the 206 that holds `body` from `start`."""
    at = b"bytes %d-%d/%d" % (start, start + len(body) - 1, size)
    return answer((b"content-range", at), (b"etag", tag), *headers, status=206, body=body)


COMBINED = {
    "two that touch": (piece(0, b"01"), piece(2, b"23"), (206, b"0123", b"bytes 0-3/10")),
    "in another order": (piece(2, b"23"), piece(0, b"01"), (206, b"0123", b"bytes 0-3/10")),
    "two that overlap": (piece(0, b"012"), piece(1, b"123"), (206, b"0123", b"bytes 0-3/10")),
    "one within another": (piece(0, b"0123"), piece(1, b"12"), (206, b"0123", b"bytes 0-3/10")),
    "the same twice": (piece(4, b"45"), piece(4, b"45"), (206, b"45", b"bytes 4-5/10")),
    "all of it": (piece(0, b"01234"), piece(5, b"56789"), (200, BODY, None)),
    "a gap": (piece(0, b"01"), piece(3, b"34"), None),
    "they contradict each other": (piece(0, b"012"), piece(1, b"x2"), None),
    "one within contradicts": (piece(0, b"0123"), piece(1, b"x"), None),
    "of other sizes": (piece(0, b"01"), piece(2, b"23", size=11), None),
    "another tag": (piece(0, b"01"), piece(2, b"23", tag=b'"b"'), None),
    "a weak tag": (piece(0, b"01", tag=b'W/"a"'), piece(2, b"23", tag=b'W/"a"'), None),
    "not what it says": (piece(0, b"01"), replace(piece(2, b"23"), body=b"234"), None),
    "no part": (piece(0, b"01"), answer(TAG), None),
    "of two codings": (piece(0, b"01"), piece(2, b"23", (b"content-encoding", b"gzip")), None),
}


@pytest.mark.parametrize(("one", "new", "both"), COMBINED.values(), ids=COMBINED)
def test_combined(one, new, both):
    """RFC 9111 §3.4: only what surely is of one representation."""
    joined = combined(one, new)
    got = None if joined is None else (joined.status, joined.body, joined.header(b"content-range"))
    assert got == both
    if joined is not None:
        assert joined.header(b"content-length") == b"%d" % len(joined.body)


def test_combined_fields_are_the_newer_ones():
    """RFC 9111 §3.4: those of the new answer replace the stored ones; the others stay."""
    one = piece(0, b"01", (b"x-a", b"1"), (b"x-b", b"1"))
    both = combined(one, piece(2, b"23", (b"x-a", b"2")))
    assert (both.header(b"x-a"), both.header(b"x-b"), both.header(b"etag")) == (b"2", b"1", b'"a"')


def entry(response: Response, cost: float = 2.0) -> Entry:
    return Entry(response.status, response.headers, response.body, 0.0, 60.0, cost=cost)


def test_a_united_entry_cost_what_its_parts_cost():
    both = united(entry(piece(0, b"01234")), entry(piece(5, b"56789")), 10)
    assert (both.status, both.body, both.cost) == (200, BODY, 4.0)
    assert united(entry(piece(0, b"0")), entry(piece(5, b"5")), 10).body == b"5", "the newer one where they do not fit"
    assert united(entry(piece(0, b"01")), entry(piece(2, b"2")), 2).body == b"2", (
        "or are together larger than may be kept"
    )


MISSING = {
    "the end": (piece(0, b"01234"), (5, 10), b"bytes=5-"),
    "the beginning": (piece(5, b"56789"), (0, 5), b"bytes=0-4"),
    "both sides": (piece(4, b"45"), None, None),
    "nothing": (piece(0, BODY), None, None),
    "without a tag": (answer((b"content-range", b"bytes 0-4/10"), status=206, body=b"01234"), None, None),
    "with a weak tag": (piece(0, b"01234", tag=b'W/"a"'), None, None),
    "not what it says": (replace(piece(0, b"01234"), body=b""), None, None),
}


@pytest.mark.parametrize(("part", "span", "wanted"), MISSING.values(), ids=MISSING)
def test_missing(part, span, wanted):
    assert missing(entry(part)) == span
    asked = completing(Request("GET", b"/"), entry(part))
    assert (None if asked is None else asked.header(b"range")) == wanted
    if asked is not None:
        assert asked.header(b"if-range") == b'"a"'


def test_only_a_plain_get_is_completed():
    part = entry(piece(0, b"01234"))
    assert completing(Request("GET", b"/"), None) is None
    assert missing(None) is None
    for request in (Request("POST", b"/"), *[Request("GET", b"/", ((name, b"x"),)) for name in CONDITIONS]):
        assert completing(request, part) is None


CONDITIONS = (b"range", b"if-range", b"if-none-match", b"if-modified-since")


def test_completed():
    """The answer for what is missing makes the whole, or nothing does."""
    part = entry(piece(0, b"01234"))
    whole = completed(part, piece(5, b"", (b"connection", b"x-hop"), (b"x-hop", b"1")), b"56789")
    assert whole is None, "its Content-Range says that it holds nothing"
    rest = piece(5, b"56789", (b"connection", b"x-hop"), (b"x-hop", b"1"))
    whole = completed(part, rest, b"56789")
    assert (whole.status, whole.body, whole.header(b"x-hop")) == (200, BODY, None)
    assert completed(part, piece(5, b"5678"), b"5678") is None


@given(st.binary(min_size=1, max_size=50), st.data())
def test_a_part_and_what_is_missing_make_the_whole(body, data):
    at = data.draw(st.integers(1, len(body)))
    held = piece(0, body[:at], size=len(body))
    rest = piece(at, body[at:], size=len(body))
    both = combined(held, rest) if at < len(body) else combined(held, held)
    assert (both.status, both.body) == (200, body)
