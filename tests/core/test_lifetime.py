"""How long a response is good and how old it came (RFC 9111 §4.2.1-4.2.3); test_storing has what follows from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import http_date
from proxy.core.cache_control import NONE, parse
from proxy.core.lifetime import HEURISTIC, age_on_arrival, guessed, jittered, named, upstream_age
from proxy.core.types import Response

NOW = 784111777.0
DAY = 86400.0


def at(seconds: float) -> bytes:
    return http_date.render(NOW + seconds)


def response(*headers: tuple[bytes, bytes], status: int = 200) -> Response:
    return Response(status, headers)


def expires(seconds: float) -> tuple[bytes, bytes]:
    return (b"expires", at(seconds))


def dated(seconds: float) -> tuple[bytes, bytes]:
    return (b"date", at(seconds))


def modified(seconds: float) -> tuple[bytes, bytes]:
    return (b"last-modified", at(seconds))


def test_the_statuses_that_are_cacheable_by_default():
    """RFC 9110 §15.1."""
    assert {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501} == HEURISTIC


NAMED = {
    "nothing": (b"", (), None),
    "directives that name none": (b"public, no-cache", (), None),
    "max-age": (b"max-age=60", (), 60.0),
    "s-maxage before max-age, in whatever order": (b"max-age=60, s-maxage=5", (), 5.0),
    "max-age before Expires": (b"max-age=60", (expires(5),), 60.0),
    "max-age=0 is one": (b"max-age=0", (expires(5),), 0.0),
    "a max-age that makes no sense is one too: stale": (b"max-age=soon", (expires(5),), 0.0),
    "a max-age without argument": (b"max-age", (expires(5),), 0.0),
    "Expires less Date": (b"", (expires(60), dated(-5)), 65.0),
    "Expires less now where there is no Date": (b"", (expires(60),), 60.0),
    "Expires less now where Date makes no sense": (b"", (expires(60), (b"date", b"today")), 60.0),
    "Expires less a Date that is ahead": (b"", (expires(60), dated(20)), 40.0),
    "Expires before Date": (b"", (expires(5), dated(6)), 0.0),
    "Expires at Date": (b"", (expires(5), dated(5)), 0.0),
    "§5.3: Expires: 0": (b"", ((b"expires", b"0"),), 0.0),
    "§5.3: Expires: -1": (b"", ((b"expires", b"-1"),), 0.0),
    "§5.3: an empty one": (b"", ((b"expires", b""),), 0.0),
    "§5.3: two": (b"", (expires(60), expires(60)), 0.0),
    "RFC 9110 §5.6.7: in the form of RFC 850": (b"", ((b"expires", b"Sunday, 06-Nov-94 08:50:37 GMT"),), 60.0),
    "RFC 9110 §5.6.7: in the form of asctime": (b"", ((b"expires", b"Sun Nov  6 08:50:37 1994"),), 60.0),
}


@pytest.mark.parametrize(("said", "headers", "lifetime"), NAMED.values(), ids=NAMED)
def test_the_lifetime_that_the_origin_names(said, headers, lifetime):
    """§4.2.1."""
    assert named(response(*headers), parse(said), NOW) == lifetime


IGNORED = {
    "max-age": (b"max-age=60", (), {"max-age"}, None),
    "max-age, then Expires counts": (b"max-age=60", (expires(5),), {"max-age"}, 5.0),
    "max-age only": (b"max-age=60, s-maxage=7", (), {"max-age"}, 7.0),
    "s-maxage, then max-age counts": (b"max-age=60, s-maxage=7", (expires(5),), {"s-maxage"}, 60.0),
    "both": (b"max-age=60, s-maxage=7", (), {"s-maxage", "max-age"}, None),
    "Expires": (b"", (expires(5),), {"expires"}, None),
    "Expires only": (b"max-age=60", (expires(5),), {"expires"}, 60.0),
    "an Expires that makes no sense too": (b"", ((b"expires", b"0"),), {"expires"}, None),
    "all": (b"max-age=60, s-maxage=7", (expires(5),), {"s-maxage", "max-age", "expires"}, None),
    "what names none": (b"max-age=60", (expires(5),), {"no-store"}, 60.0),
}


@pytest.mark.parametrize(("said", "headers", "ignored", "lifetime"), IGNORED.values(), ids=IGNORED)
def test_what_an_owner_ignores_names_none(said, headers, ignored, lifetime):
    assert named(response(*headers), parse(said), NOW, ignored=frozenset(ignored)) == lifetime


AIMED = {
    "a lifetime": (b"max-age=60", 60.0),
    "s-maxage first": (b"max-age=60, s-maxage=5", 5.0),
    "none: Expires is not asked": (b"public", None),
    "nothing at all: neither": (b"", None),
}


@pytest.mark.parametrize(("said", "lifetime"), AIMED.values(), ids=AIMED)
def test_a_field_for_caches_like_us_stands_for_expires_too(said, lifetime):
    """RFC 9213 §2.1."""
    assert named(response(expires(30)), parse(said), NOW, aimed=True) == lifetime


GUESSED = {
    "no Last-Modified, no guess": (response(dated(0)), b"", None),
    "a Last-Modified that is no date": (response((b"last-modified", b"long ago")), b"", None),
    "a tenth of the time since": (response(modified(-600), dated(0)), b"", 60.0),
    "until Date, not until now": (response(modified(-600), dated(-100)), b"", 50.0),
    "until now where there is no Date": (response(modified(-600)), b"", 60.0),
    "until now where Date makes no sense": (response(modified(-600), (b"date", b"x")), b"", 60.0),
    "at most a day": (response(modified(-10 * DAY - 10), dated(0)), b"", DAY),
    "a day": (response(modified(-10 * DAY), dated(0)), b"", DAY),
    "modified this moment": (response(modified(0), dated(0)), b"", 0.0),
    "modified in the future": (response(modified(60), dated(0)), b"", 0.0),
    "the first second of 1970 is a date": (response((b"last-modified", http_date.render(0)), dated(0)), b"", DAY),
    "a status that is not cacheable by default": (response(modified(-600), status=302), b"", None),
    "unless public says so": (response(modified(-600), status=302), b"public", 60.0),
    "an error": (response(modified(-600), status=500), b"", None),
    "another word is not that one": (response(modified(-600), status=302), b"immutable", None),
}


@pytest.mark.parametrize(("answer", "said", "lifetime"), GUESSED.values(), ids=GUESSED)
def test_the_lifetime_that_is_guessed(answer, said, lifetime):
    """§4.2.2."""
    assert guessed(answer, parse(said), NOW) == lifetime


@pytest.mark.parametrize("status", sorted(HEURISTIC))
def test_each_status_that_is_cacheable_by_default(status):
    assert guessed(response(modified(-600), status=status), NONE, NOW) == 60.0


AGES = {
    "none": (None, 0.0),
    "seconds": (b"15", 15.0),
    "nothing": (b"", 0.0),
    "spaces around": (b" 15\t", 15.0),
    "§5.1: the first member": (b"15, 70", 15.0),
    "§5.1: a first member of nothing": (b", 70", 0.0),
    "§5.1: negative": (b"-70", 0.0),
    "§5.1: signed": (b"+70", 0.0),
    "§5.1: with a fraction": (b"70.5", 0.0),
    "§5.1: a word": (b"old", 0.0),
    "§5.1: in quotes": (b'"70"', 0.0),
    "§5.1: digits beyond ASCII": (b"\xb2", 0.0),
    "leading zeros": (b"0015", 15.0),
    "§1.2.2: more than anything is old": (b"99999999999", 2.0**31),
}


@pytest.mark.parametrize(("value", "age"), AGES.values(), ids=AGES)
def test_age(value, age):
    assert upstream_age(response(*([] if value is None else [(b"age", value)]))) == age


def test_many_digits_are_old_and_take_no_time():
    assert upstream_age(response((b"age", b"9" * 100_000))) >= 2**31


ON_ARRIVAL = {
    "nothing said": ((), 0.0, 0.0),
    "corrected_age_value: Age and the delay": (((b"age", b"15"),), 2.5, 17.5),
    "the delay alone": ((), 2.5, 2.5),
    "apparent_age: since Date, but for the second that Date rounds away": ((dated(-30),), 0.0, 29.0),
    "less than that second": ((dated(-1),), 0.0, 0.0),
    "Date ahead of our clock": ((dated(30),), 0.0, 0.0),
    "Date that makes no sense": (((b"date", b"x"), (b"age", b"5")), 0.0, 5.0),
    "the larger of both: by Date": ((dated(-30), (b"age", b"15")), 2.0, 29.0),
    "the larger of both: by Age": ((dated(-10), (b"age", b"15")), 2.0, 17.0),
    "they do not add up": ((dated(-3),), 2.0, 2.0),
}


@pytest.mark.parametrize(("headers", "delay", "age"), ON_ARRIVAL.values(), ids=ON_ARRIVAL)
def test_age_on_arrival(headers, delay, age):
    """§4.2.3: corrected_initial_age."""
    assert age_on_arrival(response(*headers), NOW, delay) == age


def test_leading_zeros_make_nothing_younger():
    assert upstream_age(response((b"age", b"0000000000060"))) == 60.0


def test_the_first_second_of_1970_is_a_date():
    assert guessed(response(modified(-600), (b"date", http_date.render(0))), NONE, NOW) == 0.0


headers = st.lists(
    st.tuples(
        st.sampled_from([b"age", b"date", b"expires", b"last-modified"]),
        st.binary(max_size=30) | st.integers(-(10**7), 10**7).map(at) | st.integers(0, 10**6).map(b"%d".__mod__),
    ),
    max_size=4,
)
directives = st.sampled_from([b"", b"public", b"max-age=60", b"s-maxage=x", b"max-age=-1"]).map(parse)


@given(headers, directives, st.sampled_from([200, 302, 500]), st.floats(0, 1000))
def test_whatever_an_upstream_sends_no_time_is_negative_and_it_is_no_younger_than_the_wait(some, said, status, delay):
    answer = response(*some, status=status)
    assert (named(answer, said, NOW) or 0.0) >= 0.0
    assert 0.0 <= (guessed(answer, said, NOW) or 0.0) <= DAY
    assert age_on_arrival(answer, NOW, delay) >= delay


@pytest.mark.parametrize(
    ("key", "share"), [(b"\0" * 20, 1.0), (b"\xff" * 20, 0.9), (b"\x80" + b"\0" * 19, 0.95), (b"", 1.0)]
)
def test_an_owners_ttl_ends_a_little_earlier_by_its_key(key: bytes, share: float):
    """What was warmed together does not end together; never later than the owner said."""
    assert jittered(3600.0, key) == pytest.approx(3600.0 * share, rel=1e-6)
    assert jittered(3600.0, key) <= 3600.0


def test_a_short_ttl_is_exact():
    assert jittered(120.0, b"\xff" * 20) == 120.0
