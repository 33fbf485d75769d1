"""Asking whether what is stored is still good, and what a 304 makes of it (RFC 9111 §4.3)."""

import pytest

from proxy.core.types import Entry, Request, Response
from proxy.core.validation import confirms, freshened, has_validator, unconditional, validating

ETAG, MODIFIED = (b"etag", b'"a"'), (b"last-modified", b"Wed, 01 Jan 2020 00:00:00 GMT")
HOST = (b"host", b"a")


def entry(*headers):
    return Entry(200, headers, b"hello", 0.0, 60.0)


@pytest.mark.parametrize(
    ("headers", "has"), [((ETAG,), True), ((MODIFIED,), True), (((b"date", b"x"),), False), ((), False)]
)
def test_what_can_be_asked_about(headers, has):
    assert has_validator(headers) is has


ASKED = {
    "§4.3.1: by its tag and its date": (
        (HOST,), entry(ETAG, MODIFIED), (HOST, (b"if-none-match", b'"a"'), (b"if-modified-since", MODIFIED[1])),
    ),
    "§4.3.1: by its tag alone": ((HOST,), entry(ETAG), (HOST, (b"if-none-match", b'"a"'))),
    "not under the client's own conditions, and as a whole": (
        (HOST, (b"if-none-match", b'"x"'), (b"range", b"bytes=0-1"), (b"if-range", b'"x"')), entry(ETAG),
        (HOST, (b"if-none-match", b'"a"')),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("headers", "stored", "expected"), ASKED.values(), ids=ASKED)
def test_validating(headers, stored, expected):
    assert validating(Request("GET", b"/", headers), stored).headers == expected


def test_a_request_without_conditions_stays_as_it_is():
    request = Request("GET", b"/", (HOST,))
    assert unconditional(request) is request


CONFIRMED = {
    "§4.3.4: without a tag of its own": ((), True),
    "§4.3.4: with the same tag": ((ETAG,), True),
    "§4.3.4: weakly the same": (((b"etag", b'W/"a"'),), True),
    "§4.3.4: another": (((b"etag", b'"b"'),), False),
}


@pytest.mark.parametrize(("headers", "confirmed"), CONFIRMED.values(), ids=CONFIRMED)
def test_confirms(headers, confirmed):
    assert confirms(entry(ETAG), Response(304, headers)) is confirmed
    assert confirms(entry(MODIFIED), Response(304, headers))


def test_a_304_replaces_the_fields_that_it_names_and_not_what_describes_the_bytes():
    """§3.2."""
    stored = entry(ETAG, (b"content-length", b"5"), (b"content-encoding", b"gzip"), (b"x-a", b"1"), (b"x-b", b"1"))
    answer = Response(
        304,
        (
            (b"x-a", b"2"),
            (b"x-a", b"3"),
            (b"content-length", b"0"),
            (b"content-encoding", b"br"),
            (b"connection", b"x-c"),
            (b"x-c", b"9"),
        ),
    )
    fresh = freshened(stored, answer)
    assert (fresh.status, fresh.body) == (200, b"hello")
    assert fresh.headers == (
        ETAG, (b"content-length", b"5"), (b"content-encoding", b"gzip"), (b"x-b", b"1"), (b"x-a", b"2"), (b"x-a", b"3"),
    )  # fmt: skip
