"""Asking whether what is stored is still good, and what a 304 makes of it (RFC 9111 §4.3)."""

import pytest

from proxy.core.types import Entry, Request, Response
from proxy.core.validation import (
    asks_conditionally,
    confirms,
    for_nobody,
    freshened,
    has_credentials,
    has_validator,
    head_says,
    unconditional,
    validating,
)

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


CONFIRMED_BY_DATE = {
    "§4.3.4: it names nothing": ((), True),
    "§4.3.4: the same date": ((MODIFIED,), True),
    "§4.3.4: the same date, and a tag for it": ((MODIFIED, ETAG), True),
    "§4.3.4: another date": (((b"last-modified", b"Thu, 02 Jan 2020 00:00:00 GMT"),), False),
    "§4.3.4: a tag that is not stored": ((ETAG,), False),
}


@pytest.mark.parametrize(("headers", "confirmed"), CONFIRMED_BY_DATE.values(), ids=CONFIRMED_BY_DATE)
def test_confirms_by_date(headers, confirmed):
    assert confirms(entry(MODIFIED), Response(304, headers)) is confirmed


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


@pytest.mark.parametrize(
    ("headers", "conditionally"),
    [
        ((), False),
        (((b"accept", b"*/*"),), False),
        (((b"if-none-match", b'"a"'),), True),
        (((b"if-none-match", b"*"),), True),
        (((b"if-none-match", b'W/"fr-0be6b55dd54c7a5de3377e0e"'),), False),
        (((b"if-none-match", b'"fr-0be6b55dd54c7a5de3377e0e", "a"'),), True),
        (((b"accept", b"*/*"), (b"if-modified-since", b"x")), True),
    ],
)
def test_whose_answer_may_be_a_304(headers, conditionally):
    """The origin knows no tag of ours."""
    assert asks_conditionally(Request("GET", b"/", headers)) is conditionally


HEADS = {
    "§4.3.5: the same tag": ({b"etag": b'"a"', b"content-length": b"4"}, 200, True),
    "§4.3.5: another tag": ({b"etag": b'"b"'}, 200, False),
    "§4.3.5: another length": ({b"etag": b'"a"', b"content-length": b"5"}, 200, False),
    "§4.3.5: a validator that is not stored": ({b"etag": b'"a"', b"last-modified": MODIFIED[1]}, 200, False),
    "the same length is no validator": ({b"content-length": b"4"}, 200, None),
    "nothing to compare": ({}, 200, None),
    "it is gone": ({}, 410, False),
    "somebody must wait": ({b"etag": b'"a"'}, 429, None),
    "who asked may not": ({}, 403, None),
    "a failure": ({}, 503, None),
}


@pytest.mark.parametrize(("told", "status", "says"), HEADS.values(), ids=HEADS)
def test_whether_a_head_is_about_what_is_stored(told, status, says):
    stored = Entry(200, ((b"etag", b'"a"'), (b"content-length", b"4")), b"body", 0.0, 60.0)
    assert head_says(stored, Response(status, tuple(told.items()))) is says


def test_what_is_gone_for_both_says_nothing():
    assert head_says(Entry(404, (), b"", 0.0, 60.0), Response(404)) is None


def test_what_a_304_says_to_somebodys_credentials_is_his():
    """Only how long the answer is good is for all."""
    brought = ((b"x-user", b"ann"), (b"cache-control", b"max-age=9"), (b"set-cookie", b"a=1"))
    stored = entry(ETAG, (b"x-user", b"none"))
    assert freshened(stored, Response(304, brought), for_one=True).headers == (
        ETAG, (b"x-user", b"none"), (b"cache-control", b"max-age=9"),
    )  # fmt: skip
    assert (b"x-user", b"ann") in freshened(stored, Response(304, brought)).headers
    for name, personal in (
        (b"cookie", True),
        (b"authorization", True),
        (b"proxy-authorization", True),
        (b"accept", False),
    ):
        assert has_credentials(Request("GET", b"/", ((name, b"x"),))) is personal


FIELDS_OF_A_304 = {
    "a weak tag stays weak": (((b"etag", b'W/"a"'),), ((b"etag", b'"a"'),), ((b"etag", b'W/"a"'),)),
    "a strong tag becomes weak": (((b"etag", b'"a"'),), ((b"etag", b'W/"a"'),), ((b"etag", b'W/"a"'),)),
    "a Vary that says less counts for nothing": (((b"vary", b"a, B"),), ((b"vary", b"A"),), ((b"vary", b"a, B"),)),
    "one that says more is told beside it": (
        ((b"vary", b"a"),), ((b"vary", b"a, b"),), ((b"vary", b"a"), (b"vary", b"a, b")),
    ),
    "and told once": (
        ((b"vary", b"a"), (b"vary", b"a, b")), ((b"vary", b"b"),), ((b"vary", b"a"), (b"vary", b"a, b")),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("stored", "brought", "now"), FIELDS_OF_A_304.values(), ids=FIELDS_OF_A_304)
def test_what_a_304_cannot_take_away(stored, brought, now):
    """Apache and Datasette leave Accept-Encoding out of the Vary of their 304, nginx the W/ out of its tag."""
    assert freshened(entry(*stored), Response(304, brought)).headers == now


def test_what_one_client_wants_of_its_answer_is_nothing_that_all_others_get():
    plain = Request("GET", b"/", (HOST, (b"accept", b"text/html")))
    assert for_nobody(plain) is plain
    wants = (
        (b"prefer", b"respond-async"),
        (b"cache-control", b"only-if-cached"),
        (b"range", b"bytes=0-1"),
        (b"priority", b"u=0"),
    )
    asked = Request("GET", b"/", (*plain.headers, *wants, (b"if-none-match", b'"a"')))
    assert for_nobody(asked).headers == plain.headers
