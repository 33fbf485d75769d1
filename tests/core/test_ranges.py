"""Parts of an answer (RFC 9110 §14)."""

from email.parser import BytesParser
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.partial import content_range, cut_part
from proxy.core.ranges import (
    MOST_BYTES,
    MOST_RANGES,
    cut,
    ranges,
)
from proxy.core.types import Response

LAST_MODIFIED = b"Sun, 06 Nov 1994 08:49:37 GMT"
A_SECOND_LATER = b"Sun, 06 Nov 1994 08:49:38 GMT"
BODY = b"0123456789"


def answer(*headers: tuple[bytes, bytes], status: int = 200, body: bytes = BODY) -> Response:
    return Response(status, ((b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body)), *headers), body)


RANGES = {
    "§14.1.2: first to last": (b"bytes=0-4", 10, ((0, 5),)),
    "§14.1.2: one byte": (b"bytes=9-9", 10, ((9, 10),)),
    "§14.1.2: first to the end": (b"bytes=5-", 10, ((5, 10),)),
    "§14.1.2: last beyond the end": (b"bytes=5-99", 10, ((5, 10),)),
    "§14.1.2: a suffix": (b"bytes=-3", 10, ((7, 10),)),
    "§14.1.2: a suffix longer than all": (b"bytes=-99", 10, ((0, 10),)),
    "§14.1.2: several": (b"bytes=0-0,-1", 10, ((0, 1), (9, 10))),
    "§14.1.1: leading zeros": (b"bytes=0001-0002", 10, ((1, 3),)),
    "§14.1: a unit has no case": (b"BYTES=0-0", 10, ((0, 1),)),
    "§5.6.1: space around commas": (b"bytes=0-0 ,\t2-2", 10, ((0, 1), (2, 3))),
    "§5.6.1: empty members": (b"bytes=,0-0,,2-2,", 10, ((0, 1), (2, 3))),
    "§5.5: space around": (b" bytes=0-0\t", 10, ((0, 1),)),
    "§14.1.2: what lies outside is left out": (b"bytes=0-0,10-,-0", 10, ((0, 1),)),
    "§14.1.2: all outside": (b"bytes=10-", 10, ()),
    "§14.1.2: a suffix of nothing": (b"bytes=-0", 10, ()),
    "§14.2: two that overlap": (b"bytes=0-3,2-5", 10, ((0, 4), (2, 6))),
    "§14.2: the last before the first": (b"bytes=-1,0-0", 10, ((9, 10), (0, 1))),
    "§14.2: two steps back": (b"bytes=4-4,2-2,0-0", 10, ((4, 5), (2, 3), (0, 1))),
    "§14.2: three steps back": (b"bytes=6-6,4-4,2-2,0-0", 10, None),
    "§14.2: three that overlap another": (b"bytes=0-0,0-0,0-0,0-0", 10, None),
    "§14.2: more than the whole": (b"bytes=0-5,5-9", 10, None),
    "the whole twice": (b"bytes=0-,0-", 10, None),
    "of nothing": (b"bytes=0-", 0, None),
    "a suffix of nothing at all": (b"bytes=-1", 0, None),
    "§14.1: another unit": (b"lines=0-4", 10, None),
    "no unit": (b"0-4", 10, None),
    "nothing": (b"", 10, None),
    "§14.1.1: no range": (b"bytes=", 10, None),
    "§14.1.1: only commas": (b"bytes=, ,", 10, None),
    "§14.1.1: only a hyphen": (b"bytes=-", 10, None),
    "§14.1.1: no hyphen": (b"bytes=5", 10, None),
    "§14.1.1: two hyphens": (b"bytes=0--1", 10, None),
    "§14.1.1: last before first": (b"bytes=5-4", 10, None),
    "§14.1.1: the same outside": (b"bytes=50-40", 10, None),
    "§14.1.1: one bad range spoils all": (b"bytes=0-0,x", 10, None),
    "§14.1.1: letters": (b"bytes=a-b", 10, None),
    "§14.1.1: digits beyond ASCII": (b"bytes=\xb2-", 10, None),
    "§14.1.1: signs": (b"bytes=+1-+2", 10, None),
    "§14.1.1: space before =": (b"bytes =0-4", 10, None),
    "§14.1.1: space behind =": (b"bytes= 0-4", 10, None),
    "§14.1.1: space around the hyphen": (b"bytes=0 - 4", 10, None),
    "§5.3: two lines": (b"bytes=0-4, bytes=5-9", 10, None),
    "twenty digits": (b"bytes=0-18446744073709551615", 10, ((0, 10),)),
    "more digits": (b"bytes=0-" + b"9" * 21, 10, None),
    "very many digits": (b"bytes=" + b"9" * 5000 + b"-", 10, None),
}


@pytest.mark.parametrize(("value", "size", "spans"), RANGES.values(), ids=RANGES)
def test_ranges(value, size, spans):
    assert ranges(value, size) == spans


def test_so_many_ranges_and_no_more():
    many = b"bytes=" + b",".join(b"%d-%d" % (at, at) for at in range(0, 2 * MOST_RANGES, 2))
    assert len(ranges(many, 1000)) == MOST_RANGES
    assert ranges(many + b",900-900", 1000) is None


def test_a_range_of_many_bytes_is_not_read():
    assert ranges(b"bytes=0-0" + b"," * (MOST_BYTES - 9), 10) == ((0, 1),)
    assert ranges(b"bytes=0-0" + b"," * (MOST_BYTES - 8), 10) is None


SINGLE = {
    "§15.3.7.1: first to last": (b"bytes=2-4", b"bytes 2-4/10", b"234"),
    "first to the end": (b"bytes=7-", b"bytes 7-9/10", b"789"),
    "a suffix": (b"bytes=-1", b"bytes 9-9/10", b"9"),
    "the whole": (b"bytes=0-", b"bytes 0-9/10", BODY),
    "§15.3.7.2: one of two lies outside": (b"bytes=10-,2-4", b"bytes 2-4/10", b"234"),
}


@pytest.mark.parametrize(("value", "held", "body"), SINGLE.values(), ids=SINGLE)
def test_one_range(value, held, body):
    part = cut(answer((b"etag", b'"a"'), (b"x", b"1"), (b"x", b"2")), value)
    assert (part.status, part.body) == (206, body)
    assert part.headers == (
        (b"content-type", b"text/plain"),
        (b"etag", b'"a"'),
        (b"x", b"1"),
        (b"x", b"2"),
        (b"content-range", held),
        (b"content-length", b"%d" % len(body)),
    )


def test_a_digest_of_other_bytes_goes():
    """RFC 9530 §2: Content-Digest is of the message, Repr-Digest of the whole."""
    stored = answer((b"content-digest", b"sha-256=:YQ==:"), (b"content-md5", b"x"), (b"repr-digest", b"sha-256=:YQ==:"))
    part = cut(stored, b"bytes=0-0")
    assert part.header(b"content-digest") is None
    assert part.header(b"content-md5") is None
    assert part.header(b"repr-digest") == b"sha-256=:YQ==:"


UNTOUCHED = {
    "no Range": (answer(), None, None),
    "§14.2: another status": (answer(status=404), b"bytes=0-0", None),
    "a part already": (answer(status=206), b"bytes=0-0", None),
    "nothing to cut": (answer(body=b""), b"bytes=0-0", None),
    "malformed": (answer(), b"bytes=x", None),
    "§13.1.5: another ETag": (answer((b"etag", b'"a"')), b"bytes=0-0", b'"b"'),
    "§13.1.5: no ETag": (answer(), b"bytes=0-0", b'"a"'),
    "§8.8.3.2: a weak ETag asked for": (answer((b"etag", b'W/"a"')), b"bytes=0-0", b'W/"a"'),
    "§8.8.3.2: a weak ETag stored": (answer((b"etag", b'W/"a"')), b"bytes=0-0", b'"a"'),
    "§8.8.3.2: a weak ETag for a strong one": (answer((b"etag", b'"a"')), b"bytes=0-0", b'W/"a"'),
    "§13.1.5: a list of ETags": (answer((b"etag", b'"a"')), b"bytes=0-0", b'"a", "b"'),
    "§13.1.5: a date without Last-Modified": (
        answer((b"date", A_SECOND_LATER)), b"bytes=0-0", LAST_MODIFIED,
    ),
    "§13.1.5: a later date is not the same": (
        answer((b"last-modified", LAST_MODIFIED), (b"date", A_SECOND_LATER)), b"bytes=0-0", A_SECOND_LATER,
    ),
    "§8.8.2.2: a date without Date is weak": (
        answer((b"last-modified", LAST_MODIFIED)), b"bytes=0-0", LAST_MODIFIED,
    ),
    "§8.8.2.2: the same second is weak": (
        answer((b"last-modified", LAST_MODIFIED), (b"date", LAST_MODIFIED)), b"bytes=0-0", LAST_MODIFIED,
    ),
    "§13.1.5: what is no date": (
        answer((b"last-modified", b"today"), (b"date", A_SECOND_LATER)), b"bytes=0-0", b"today",
    ),
    "§13.1.5: an empty one": (answer((b"etag", b'"a"')), b"bytes=0-0", b""),
}  # fmt: skip


@pytest.mark.parametrize(("response", "value", "if_range"), UNTOUCHED.values(), ids=UNTOUCHED)
def test_the_whole_answer(response, value, if_range):
    assert cut(response, value, if_range) is response


def test_a_body_that_still_arrives_is_not_cut():
    class Arriving:
        def __aiter__(self):
            raise NotImplementedError

        async def aclose(self):
            raise NotImplementedError

    response = Response(200, (), Arriving())
    assert cut(response, b"bytes=0-0") is response
    assert cut_part(Response(206, ((b"content-range", b"bytes 0-9/10"),), Arriving()), b"bytes=0-0") is None


CURRENT = {
    "§13.1.5: the same ETag": (answer((b"etag", b'"a"')), b'"a"'),
    "§13.1.5: the same date": (answer((b"last-modified", LAST_MODIFIED), (b"date", A_SECOND_LATER)), LAST_MODIFIED),
}


@pytest.mark.parametrize(("response", "if_range"), CURRENT.values(), ids=CURRENT)
def test_if_range_holds(response, if_range):
    assert cut(response, b"bytes=0-0", if_range).body == b"0"


@pytest.mark.parametrize("value", [b"bytes=10-", b"bytes=-0", b"bytes=10-,20-30"])
def test_nothing_can_be_satisfied(value):
    """§15.5.17: and it says nothing of the representation or of how long it may be reused."""
    stored = answer(
        (b"etag", b'"a"'), (b"cache-control", b"max-age=60"), (b"age", b"1"), (b"vary", b"a"), (b"date", b"d")
    )
    refused = cut(stored, value)
    assert (refused.status, refused.body) == (416, b"")
    assert refused.headers == (
        (b"vary", b"a"),
        (b"date", b"d"),
        (b"content-range", b"bytes */10"),
        (b"content-length", b"0"),
    )


def parts_of(response):
    """Read multipart/byteranges with somebody else's parser: (Content-Type, Content-Range, body) of each part."""
    head = b"content-type: %b\r\n\r\n" % response.header(b"content-type")
    message = BytesParser(policy=HTTP).parsebytes(head + response.body)
    assert not message.defects
    assert message.get_content_type() == "multipart/byteranges"
    return [
        (part["content-type"], part["content-range"], part.get_payload(decode=True)) for part in message.iter_parts()
    ]


def test_several_ranges():
    """§15.3.7.2: Content-Range stands in the parts, not in the head."""
    response = cut(answer((b"etag", b'"a"')), b"bytes=0-1, -2, 4-4")
    assert response.status == 206
    assert response.header(b"content-range") is None
    assert response.header(b"content-length") == b"%d" % len(response.body)
    assert response.header(b"etag") == b'"a"'
    assert parts_of(response) == [
        ("text/plain", "bytes 0-1/10", b"01"),
        ("text/plain", "bytes 8-9/10", b"89"),
        ("text/plain", "bytes 4-4/10", b"4"),
    ]


def test_parts_of_no_known_type():
    response = cut(Response(200, (), BODY), b"bytes=0-0,2-2")
    opening, *_ = response.body.split(b"\r\n\r\n")
    assert opening.count(b"\r\n") == 1
    assert opening.endswith(b"\r\ncontent-range: bytes 0-0/10")


def boundary(response):
    return response.header(b"content-type").partition(b"boundary=")[2]


def test_a_boundary_is_the_same_for_the_same_answer_and_another_for_another():
    one, same = (cut(answer((b"etag", b'"a"')), value) for value in (b"bytes=0-0,2-2", b"bytes=1-1,3-3"))
    other = cut(answer((b"etag", b'"b"')), b"bytes=0-0,2-2")
    assert boundary(one) == boundary(same) != boundary(other)


def test_a_forged_boundary_gets_the_whole_answer():
    """Whoever wrote the body can compute its boundary; they must not add parts of their own."""
    honest = answer(body=b"x" * 8192)
    forged = answer(body=b"x" * 4096 + boundary(cut(honest, b"bytes=0-0,2-2")).ljust(4096))
    assert cut(forged, b"bytes=0-0,2-2") is forged
    assert cut(forged, b"bytes=0-0").status == 206


positions = st.integers(0, 60)
specs = st.one_of(
    st.tuples(positions, positions).map(lambda pair: b"%d-%d" % pair),
    positions.map(lambda first: b"%d-" % first),
    positions.map(lambda length: b"-%d" % length),
)
listed = st.lists(specs, min_size=1, max_size=6).map(lambda some: b"bytes=" + b",".join(some))
hostile = st.one_of(
    st.binary(),
    st.lists(st.sampled_from([b"bytes", b"=", b"-", b",", b" ", b"1", b"20", b"/"]), max_size=20).map(b"".join),
)


@given(st.binary(max_size=50), listed)
def test_what_is_cut_are_slices(body, value):
    whole = answer(body=body)
    part = cut(whole, value)
    if part.status == 206 and (held := content_range(part.header(b"content-range"))):
        assert part.body == body[held.start : held.end]
        assert held.size == len(body)
    elif part.status == 206:
        at = 0
        for start, end in ranges(value, len(body)):
            at = part.body.index(b"\r\n\r\n" + body[start:end] + b"\r\n--", at) + 4
        assert sum(end - start for start, end in ranges(value, len(body))) <= len(body)
    else:
        assert part is whole or (part.status, part.body) == (416, b"")


@given(st.one_of(listed, hostile), st.integers(0, 50))
def test_reading_never_raises_and_spans_lie_inside(value, size):
    for start, end in ranges(value, size) or ():
        assert 0 <= start < end <= size
    assert content_range(value) is None
