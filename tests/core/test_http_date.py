"""HTTP dates ⇄ seconds since 1970 (RFC 9110 §5.6.7)."""

from calendar import timegm
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.http_date import parse, render


def at(*moment: int) -> float:
    return float(timegm((*moment, 0, 0, 0)[:6]))


NOW = at(2026, 3, 15, 12)
THEN = at(1994, 11, 6, 8, 49, 37)  # the RFC's own example

READ = {
    "IMF-fixdate": (b"Sun, 06 Nov 1994 08:49:37 GMT", THEN),
    "the form of RFC 850": (b"Sunday, 06-Nov-94 08:49:37 GMT", THEN),
    "the form of asctime": (b"Sun Nov  6 08:49:37 1994", THEN),
    "asctime with two digits of a day": (b"Wed Nov 16 08:49:37 1994", THEN + 10 * 86400),
    "the day of the week is not checked": (b"Mon, 06 Nov 1994 08:49:37 GMT", THEN),
    "the first moment": (b"Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    "before it": (b"Wed, 31 Dec 1969 23:59:59 GMT", -1.0),
    "RFC 9111 §4.2: the case of letters means nothing": (b"SUN, 06 nov 1994 08:49:37 gMT", THEN),
    "a leap second is the next one": (b"Sat, 31 Dec 2016 23:59:60 GMT", at(2017, 1, 1)),
    "29 February of a leap year": (b"Thu, 29 Feb 2024 00:00:00 GMT", at(2024, 2, 29)),
    "a year of long ago": (b"Fri, 01 Jan 0100 00:00:00 GMT", at(100, 1, 1)),
}


@pytest.mark.parametrize(("text", "seconds"), READ.values(), ids=READ)
def test_dates(text, seconds):
    assert parse(text, NOW) == seconds


CENTURIES = {
    "two digits of the past": (b"06-Nov-94", (1994, 11, 6)),
    "two digits of this century": (b"06-Nov-25", (2025, 11, 6)),
    "soon": (b"06-Nov-27", (2027, 11, 6)),
    "in fifty years is the future": (b"14-Mar-76", (2076, 3, 14)),
    "in more than fifty years is the past": (b"15-Mar-77", (1977, 3, 15)),
    "in fifty years and a day is the past": (b"16-Mar-76", (1976, 3, 16)),
    "29 February is looked up in the century it falls in": (b"29-Feb-00", (2000, 2, 29)),
}


@pytest.mark.parametrize(("date", "moment"), CENTURIES.values(), ids=CENTURIES)
def test_the_century_of_two_digits(date, moment):
    assert parse(b"Sunday, " + date + b" 00:00:00 GMT", NOW) == at(*moment)


NO_DATES = {
    "nothing": b"",
    "a number": b"0",
    "another zone": b"Sun, 06 Nov 1994 08:49:37 UTC",
    "no zone": b"Sun, 06 Nov 1994 08:49:37",
    "an offset": b"Sun, 06 Nov 1994 08:49:37 +0000",
    "one digit of a day": b"Sun, 6 Nov 1994 08:49:37 GMT",
    "a month that is none": b"Sun, 06 Foo 1994 08:49:37 GMT",
    "a day that is none": b"Fun, 06 Nov 1994 08:49:37 GMT",
    "30 February": b"Sun, 30 Feb 1994 08:49:37 GMT",
    "29 February of no leap year": b"Sun, 29 Feb 1900 08:49:37 GMT",
    "day 0": b"Sun, 00 Nov 1994 08:49:37 GMT",
    "year 0": b"Sun, 06 Nov 0000 08:49:37 GMT",
    "24 o'clock": b"Sun, 06 Nov 1994 24:00:00 GMT",
    "minute 60": b"Sun, 06 Nov 1994 08:60:00 GMT",
    "second 61": b"Sun, 06 Nov 1994 08:49:61 GMT",
    "space around": b" Sun, 06 Nov 1994 08:49:37 GMT ",
    "a line break behind": b"Sun, 06 Nov 1994 08:49:37 GMT\n",
    "two dates": b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    "digits beyond ASCII": "Sun, 06 Nov 1994 08:49:3²".encode("latin-1") + b" GMT",
    "bytes that are no text": b"\xff\xfe\0",
    "ISO 8601": b"1994-11-06T08:49:37Z",
}


@pytest.mark.parametrize("text", NO_DATES.values(), ids=NO_DATES)
def test_what_is_no_date(text):
    assert parse(text, NOW) is None


def test_render():
    assert render(THEN) == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert render(THEN + 0.4) == b"Sun, 06 Nov 1994 08:49:37 GMT"


whole = st.integers(int(at(1, 1, 1)), int(at(9999, 12, 31)))
moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda moment: moment.replace(microsecond=0))


@given(whole)
def test_what_is_written_is_read_back(seconds):
    assert parse(render(seconds), NOW) == seconds


@given(moments)
def test_what_is_read_is_written_back(moment):
    text = moment.strftime("%a, %d %b ") + f"{moment.year:04}" + moment.strftime(" %H:%M:%S GMT")
    assert render(parse(text.encode(), NOW)) == text.encode()


@given(moments, st.floats(0, 4e9))
def test_all_three_forms_say_the_same(moment, now):
    fixdate = parse(render(moment.replace(tzinfo=UTC).timestamp()), now)
    asctime = parse(f"{moment:%a %b} {moment.day:2} {moment:%H:%M:%S} {moment.year:04}".encode(), now)
    short = parse(f"{moment:%A, %d-%b-%y %H:%M:%S} GMT".encode(), now)
    assert asctime == fixdate
    if short is not None:
        assert (short - fixdate) % 86400 == 0
        assert short - now < 50.1 * 365.25 * 86400


@given(st.binary(), st.floats(0, 4e9))
def test_reading_never_raises(text, now):
    assert parse(text, now) is None
