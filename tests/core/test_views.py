"""A stored answer as one client asked for it."""

import pytest

from proxy.core.types import Request, Response
from proxy.core.views import view

NOW = 1_700_000_000.0
MODIFIED = b"Wed, 01 Jan 2020 00:00:00 GMT"
LATER, EARLIER = b"Thu, 02 Jan 2020 00:00:00 GMT", b"Tue, 31 Dec 2019 00:00:00 GMT"
HEAD = ((b"content-type", b"text/plain"), (b"content-length", b"5"), (b"etag", b'"a"'), (b"last-modified", MODIFIED))
STORED = Response(200, HEAD, b"hello")
WITHOUT_ETAG = Response(200, HEAD[:2] + HEAD[3:], b"hello")
WITHOUT_BOTH = Response(200, (*HEAD[:2], (b"date", MODIFIED)), b"hello")


def asked(*fields, method="GET"):
    return Request(method, b"/", tuple((name.encode(), value) for name, value in fields))


VIEWS = {
    "nothing special": (asked(), STORED, 200, b"hello"),
    "RFC 9110 §13.1.2: the same tag": (asked(("if-none-match", b'"a"')), STORED, 304, b""),
    "RFC 9110 §13.1.2: weakly compared": (asked(("if-none-match", b'W/"a"')), STORED, 304, b""),
    "RFC 9110 §13.1.2: one of several": (asked(("if-none-match", b'"x", W/"a", "y"')), STORED, 304, b""),
    "RFC 9110 §13.1.2: none of several": (asked(("if-none-match", b'"x,a", "y"')), STORED, 200, b"hello"),
    "RFC 9110 §13.1.2: any": (asked(("if-none-match", b"*")), STORED, 304, b""),
    "RFC 9110 §13.1.2: a tag, and none is stored": (asked(("if-none-match", b'"a"')), WITHOUT_ETAG, 200, b"hello"),
    "RFC 9110 §13.1.2: not a tag": (asked(("if-none-match", b"a")), STORED, 200, b"hello"),
    "RFC 9111 §4.3.2: the tag comes before the date": (
        asked(("if-none-match", b'"b"'), ("if-modified-since", LATER)), STORED, 200, b"hello",
    ),
    "RFC 9110 §13.1.3: not modified since": (asked(("if-modified-since", MODIFIED)), STORED, 304, b""),
    "RFC 9110 §13.1.3: nor since later": (asked(("if-modified-since", LATER)), STORED, 304, b""),
    "RFC 9110 §13.1.3: modified since": (asked(("if-modified-since", EARLIER)), STORED, 200, b"hello"),
    "RFC 9110 §13.1.3: not a date": (asked(("if-modified-since", b"soon")), STORED, 200, b"hello"),
    "RFC 9111 §4.3.2: Date stands in for Last-Modified": (
        asked(("if-modified-since", LATER)), WITHOUT_BOTH, 304, b"",
    ),
    "RFC 9110 §13.2.1: only what would be a 200": (
        asked(("if-none-match", b"*")), Response(404, HEAD, b"hello"), 404, b"hello",
    ),
    "RFC 9110 §9.3.2: HEAD": (asked(method="HEAD"), STORED, 200, b""),
    "RFC 9110 §14.2: a range": (asked(("range", b"bytes=1-2")), STORED, 206, b"el"),
    "RFC 9110 §14.2: none of it is there": (asked(("range", b"bytes=9-")), STORED, 416, b""),
    "RFC 9110 §13.2.2: a condition comes before a range": (
        asked(("range", b"bytes=1-2"), ("if-none-match", b'"a"')), STORED, 304, b"",
    ),
    "RFC 9110 §13.1.5: a range of what the client has": (
        asked(("range", b"bytes=1-2"), ("if-range", b'"a"')), STORED, 206, b"el",
    ),
    "RFC 9110 §13.1.5: a range of something else": (
        asked(("range", b"bytes=1-2"), ("if-range", b'"b"')), STORED, 200, b"hello",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "stored", "status", "body"), VIEWS.values(), ids=VIEWS)
def test_view(request_, stored, status, body):
    seen = view(request_, stored, NOW)
    assert (seen.status, seen.body) == (status, body)


def test_a_304_tells_of_the_choice_and_not_of_the_body():
    """RFC 9110 §15.4.5."""
    assert view(asked(("if-none-match", b"*")), STORED, NOW).headers == HEAD[2:]


def test_a_post_is_answered_whole_whatever_it_says():
    """RFC 9110 §13.1.2, §14.2: neither means this for other methods."""
    request = asked(("if-none-match", b'"a"'), ("range", b"bytes=1-2"), method="POST")
    assert view(request, STORED, NOW) is STORED
